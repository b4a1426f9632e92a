//! Records of the CMDB as words of it: the policies say which columns mean what.

use hostler_core::failure::printable;
use hostler_events::inventory::{
    Facts, InventoryPolicy, ObserveRecord, Presence, RecordChange, RecordPolicy,
};
use hostler_events::{HostId, InventorySource};
use serde_json::Value;

use super::Word;

/// How much of a column is kept.
const TEXT_CHARS_MAX: usize = 200;

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It does not name its host.
    #[error(
        "the record of {table} has no text in its column {column}: for a deletion have the database tell the whole record (PostgreSQL: REPLICA IDENTITY FULL), or name another column in inventory.records"
    )]
    NoHost {
        /// The table.
        table: String,
        /// The column that should name the host.
        column: String,
    },
    /// What it names is no host's id.
    #[error("the record of {table} names no host in its column {column}: {problem}")]
    BadHost {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What is wrong.
        problem: String,
    },
    /// It is not there, though it was written.
    #[error("the record of {table} was written and is not told: have the connector send `after`")]
    NoRecord {
        /// The table.
        table: String,
    },
}

/// What a record says, and of which hosts: of two where it was renamed. Nothing where the policies do not know its table.
///
/// # Errors
/// [`RecordError`].
pub fn words_of(
    record: &ObserveRecord,
    policy: &InventoryPolicy,
) -> Result<Vec<(HostId, Word)>, RecordError> {
    let Some(columns) = policy.records.get(&record.table) else { return Ok(Vec::new()) };
    let said = |presence, facts| Word::Said {
        source: InventorySource::Cmdb,
        observed_at: record.observed_at,
        presence,
        facts,
        look: false,
    };
    let table = || record.table.clone();
    match record.change {
        RecordChange::Deleted => {
            let host = host_of(record.before.as_ref(), columns, &record.table)?;
            Ok(vec![(host, said(Presence::Gone, Facts::new()))])
        }
        RecordChange::Written => {
            let after = record.after.as_ref().ok_or_else(|| RecordError::NoRecord { table: table() })?;
            let host = host_of(Some(after), columns, &record.table)?;
            let facts =
                columns.facts.iter().filter_map(|(fact, column)| Some((*fact, text(after.get(column)?)?)));
            let mut words = vec![(host.clone(), said(Presence::Present, facts.collect()))];
            // The host that the record was of has none any more.
            if let Ok(before) = host_of(record.before.as_ref(), columns, &record.table)
                && before != host
            {
                words.push((before, said(Presence::Gone, Facts::new())));
            }
            Ok(words)
        }
    }
}

fn host_of(record: Option<&Value>, columns: &RecordPolicy, table: &str) -> Result<HostId, RecordError> {
    let (table, column) = (table.to_owned(), columns.host.clone());
    let Some(host) = record.and_then(|record| text(record.get(&columns.host)?)) else {
        return Err(RecordError::NoHost { table, column });
    };
    HostId::new(host).map_err(|error| RecordError::BadHost { table, column, problem: error.to_string() })
}

/// A column as a text, where it has one.
fn text(column: &Value) -> Option<String> {
    let text = match column {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let text = printable(&text.chars().take(TEXT_CHARS_MAX).collect::<String>()).replace(['\n', '\t'], " ");
    (!text.is_empty()).then_some(text)
}
