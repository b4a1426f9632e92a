//! The event log on DynamoDB: a consistent scan of the events table, page by page.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use hostler_core::Commit;
use hostler_core::failure::BoxError;
use hostler_runtime::operations::replay::{EventLog, LogPage};
use hostler_runtime::ports::PortError;

use crate::error::AwsError;
use crate::item::commit_of_item;
use crate::tables::events as names;

const SCAN: &str = "dynamodb:Scan";
/// What separates version and stream in a page's name; streams may hold anything else.
const SEPARATOR: char = '@';

/// How many items a page has for a function, which can stop between pages only.
const SHORT_PAGE: i32 = 250;

/// All commits of an events table. Operators read it, and triage, when the stream has given up a batch.
#[derive(Debug, Clone)]
pub struct DynamoEventLog {
    client: Client,
    table: String,
    page: Option<i32>,
}

impl DynamoEventLog {
    /// The log in this table.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), page: None }
    }

    /// Reads pages of 250 items and not of a megabyte, so that one of them is soon done with.
    #[must_use]
    pub fn in_short_pages(self) -> Self {
        Self { page: Some(SHORT_PAGE), ..self }
    }
}

fn refused(key: &str, source: impl Into<BoxError>) -> PortError {
    PortError::Refused { table: "events", action: "read", key: key.to_owned(), source: source.into() }
}

#[async_trait]
impl EventLog for DynamoEventLog {
    async fn page(&self, after: Option<&str>) -> Result<LogPage, PortError> {
        let mut scan = self.client.scan().table_name(&self.table).consistent_read(true).set_limit(self.page);
        if let Some(after) = after {
            let (version, stream) = after
                .split_once(SEPARATOR)
                .ok_or_else(|| refused(after, "it is no place in the log: begin at its start"))?;
            scan = scan
                .exclusive_start_key(names::STREAM, AttributeValue::S(stream.to_owned()))
                .exclusive_start_key(names::VERSION, AttributeValue::N(version.to_owned()));
        }
        let output = scan.send().await.map_err(|error| PortError::Unavailable {
            table: "events",
            action: "read",
            key: after.unwrap_or("the log").to_owned(),
            source: AwsError::new(SCAN, format!("table {}", self.table), error).into(),
        })?;
        let items = output.items.unwrap_or_default().into_iter();
        let commits: Vec<Commit> = items
            .map(|item| commit_of_item(item).map_err(|error| refused("a commit", error)))
            .collect::<Result<_, _>>()?;
        let next = output.last_evaluated_key.and_then(|key| {
            let stream = key.get(names::STREAM)?.as_s().ok()?;
            let version = key.get(names::VERSION)?.as_n().ok()?;
            Some(format!("{version}{SEPARATOR}{stream}"))
        });
        Ok(LogPage { commits, next })
    }
}
