//! Change events of Debezium, of the CMDB's tables (*Debezium documentation: Data change events*), with their schema around them or
//! without it. What a column means is in the site's policies: here is only read which record was changed, and how.

use hostler_events::InventorySource;
use hostler_events::inventory::{HearSource, ObserveRecord, RecordChange};
use jiff::Timestamp;
use serde_json::Value;

use super::Reading;
use super::item::{AHEAD_MAX, Said, short, text};

/// How much of a table's name is told.
const NAME_CHARS_MAX: usize = 120;

pub(super) fn read(body: &Value, received_at: Timestamp) -> Reading {
    // With `schemas.enable` the event is in `payload`, beside its schema.
    let is_wrapped = body.get("schema").is_some() && body.get("payload").is_some();
    let change = if is_wrapped { &body["payload"] } else { body };
    let mut reading = Reading::default();
    let place =
        || format!("the change of {:?}", short(change["source"]["table"].as_str().unwrap_or_default(), 60));
    reading.take(place, said(change, received_at));
    if reading.not_understood.is_empty() && reading.inventory.is_empty() {
        let heard = HearSource { source: InventorySource::Cmdb, received_at };
        reading.beside.push(heard.into());
    }
    reading
}

fn said(change: &Value, received_at: Timestamp) -> Result<Said, String> {
    // A tombstone, for a log that is compacted: the deletion has come before it.
    if change.is_null() {
        return Ok(Said::Nothing);
    }
    let Some(op) = text(change, "op") else {
        // Heartbeats, beginnings and ends of transactions, and changes of a table's form are about no record.
        let is_about_none =
            change["ts_ms"].is_u64() && change.get("before").is_none() && change.get("after").is_none();
        return match is_about_none {
            true => Ok(Said::Nothing),
            false => Err(
                "it has no op: send Debezium's whole change event, without the transformation ExtractNewRecordState"
                    .to_owned(),
            ),
        };
    };
    let change_is = match op {
        "c" | "u" | "r" => RecordChange::Written,
        "d" => RecordChange::Deleted,
        // A message in the database's log.
        "m" => return Ok(Said::Nothing),
        "t" => {
            return Err("its table was emptied, which says of no host by name that it is gone: delete the records one by one, or have the connector skip it (skipped.operations)".to_owned());
        }
        other => return Err(format!("its op is {:?}, and none of c, u, r, d, t and m", short(other, 20))),
    };
    let (before, after) = (record(change, "before")?, record(change, "after")?);
    match change_is {
        RecordChange::Written if after.is_none() => return Err("it has no `after`".to_owned()),
        RecordChange::Deleted if before.is_none() => {
            return Err("it has no `before`: have the database tell it (PostgreSQL: REPLICA IDENTITY FULL)"
                .to_owned());
        }
        RecordChange::Written | RecordChange::Deleted => {}
    }
    let record = ObserveRecord {
        table: table(&change["source"])?,
        change: change_is,
        before,
        after,
        observed_at: changed_at(change, received_at)?,
        received_at,
    };
    Ok(Said::Inventory(Box::new(record.into())))
}

/// A record, where it is told.
fn record(change: &Value, field: &str) -> Result<Option<Value>, String> {
    match change.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(record @ Value::Object(_)) => Ok(Some(record.clone())),
        Some(other) => Err(format!("its `{field}` is {}, and no record", short(&other.to_string(), 40))),
    }
}

/// Its table, with the schema that it is in, or the database where there are no schemas.
fn table(source: &Value) -> Result<String, String> {
    let table = text(source, "table").ok_or("its source names no table")?;
    let within = text(source, "schema").or_else(|| text(source, "db"));
    Ok(match within {
        Some(within) => format!("{}.{}", short(within, NAME_CHARS_MAX), short(table, NAME_CHARS_MAX)),
        None => short(table, NAME_CHARS_MAX),
    })
}

/// When the record was changed: by the database's word, else by Debezium's.
fn changed_at(change: &Value, received_at: Timestamp) -> Result<Timestamp, String> {
    let told = |of: &Value| of["ts_ms"].as_i64().filter(|millis| *millis > 0);
    let millis = told(&change["source"]).or_else(|| told(change)).ok_or("it says at no ts_ms when it was")?;
    let at = Timestamp::from_millisecond(millis)
        .map_err(|_| format!("its ts_ms {millis} is no time in milliseconds"))?;
    if at.duration_since(received_at) > AHEAD_MAX {
        return Err(format!(
            "its ts_ms is {at}, and it came at {received_at}: have its sender's clock set by NTP"
        ));
    }
    Ok(at)
}
