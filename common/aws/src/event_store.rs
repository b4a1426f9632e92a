//! The event store on DynamoDB: one item for each commit, written by one conditional put.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use hostler_core::{Commit, SeenCause, StreamId, StreamVersion};
use hostler_runtime::ports::{COMMITS_PER_LOAD_MAX, EventStore, StoreError};

use crate::error::AwsError;
use crate::item::{cause_of_item, commit_of_item, to_attributes};
use crate::tables::events as names;
use hostler_runtime::state::item::{ItemError, to_fields};

/// How many commits one call of a load asks for; a snapshot is expected among them.
const COMMITS_PER_PAGE: usize = 32;
/// How many commits one call of a read asks for at most.
const COMMITS_PER_READ_PAGE: usize = 500;
/// How many causes one call asks for at most; a megabyte of commits ends a page as well.
const CAUSES_PER_PAGE: usize = 1_000;

const QUERY: &str = "dynamodb:Query";
const PUT: &str = "dynamodb:PutItem";

/// Streams of commits in a DynamoDB table (names in [`crate::tables::events`]).
#[derive(Debug, Clone)]
pub struct DynamoEventStore {
    client: Client,
    table: String,
}

type Item = HashMap<String, AttributeValue>;

impl DynamoEventStore {
    /// The store in this table.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Opens the connection by reading a stream that does not exist; whether that works does not matter.
    pub async fn warm(&self) {
        let _ = self.query("warm#up").limit(1).send().await;
    }

    fn query(&self, stream: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .expression_attribute_names("#stream", names::STREAM)
            .expression_attribute_values(":stream", AttributeValue::S(stream.to_owned()))
            .key_condition_expression("#stream = :stream")
    }

    fn resource(&self) -> String {
        format!("table {}", self.table)
    }

    /// The commits after a version.
    fn after(&self, stream: &StreamId, after: StreamVersion) -> QueryFluentBuilder {
        self.query(stream.as_str())
            .key_condition_expression("#stream = :stream AND #version > :after")
            .expression_attribute_names("#version", names::VERSION)
            .expression_attribute_values(":after", AttributeValue::N(after.to_string()))
    }

    /// One page of a query, and where the next one starts.
    async fn page<T>(
        &self,
        stream: &StreamId,
        action: &'static str,
        query: QueryFluentBuilder,
        (limit, start): (usize, Option<Item>),
        read: fn(Item) -> Result<T, ItemError>,
    ) -> Result<(Vec<T>, Option<Item>), StoreError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let output = query
            .limit(limit)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| unavailable(action, stream, AwsError::new(QUERY, self.resource(), error)))?;
        let items = output.items.unwrap_or_default().into_iter();
        let rows = items.map(|item| read_item(stream, item, read)).collect::<Result<_, _>>()?;
        Ok((rows, output.last_evaluated_key))
    }
}

#[async_trait]
impl EventStore for DynamoEventStore {
    async fn load(&self, stream: &StreamId) -> Result<Vec<Commit>, StoreError> {
        let mut newest_first: Vec<Commit> = Vec::new();
        let mut start = None;
        loop {
            let query = self.query(stream.as_str()).scan_index_forward(false);
            let (page, next) =
                self.page(stream, "load", query, (COMMITS_PER_PAGE, start), commit_of_item).await?;
            for commit in page {
                let done = commit.snapshot.is_some();
                newest_first.push(commit);
                if done {
                    newest_first.reverse();
                    return Ok(newest_first);
                }
            }
            if next.is_none() || newest_first.len() >= COMMITS_PER_LOAD_MAX {
                newest_first.reverse();
                return Ok(newest_first);
            }
            start = next;
        }
    }

    async fn read(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        let mut commits: Vec<Commit> = Vec::new();
        let mut start = None;
        while commits.len() < limit {
            let size = (limit - commits.len()).min(COMMITS_PER_READ_PAGE);
            let query = self.after(stream, after);
            let (page, next) = self.page(stream, "read", query, (size, start), commit_of_item).await?;
            commits.extend(page);
            start = next;
            if start.is_none() {
                break;
            }
        }
        Ok(commits)
    }

    async fn causes(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<SeenCause>, StoreError> {
        let mut causes: Vec<SeenCause> = Vec::new();
        let mut start = None;
        while causes.len() < limit {
            let size = (limit - causes.len()).min(CAUSES_PER_PAGE);
            let query = self
                .after(stream, after)
                .projection_expression("#version, #causation_id, #recorded_at")
                .expression_attribute_names("#causation_id", names::CAUSATION_ID)
                .expression_attribute_names("#recorded_at", names::RECORDED_AT);
            let (page, next) = self.page(stream, "look back on", query, (size, start), cause_of_item).await?;
            causes.extend(page);
            start = next;
            if start.is_none() {
                break;
            }
        }
        Ok(causes)
    }

    async fn append(&self, commit: &Commit) -> Result<(), StoreError> {
        commit.check_size()?;
        let fields = to_fields(commit).map_err(|error| StoreError::Corrupt {
            stream: commit.stream.clone(),
            version: commit.version,
            source: error.into(),
        })?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(fields)))
            .condition_expression("attribute_not_exists(#stream)")
            .expression_attribute_names("#stream", names::STREAM)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(()) };
        match error.as_service_error() {
            // The item that is there may be ours: the put succeeded and its answer was lost on the way to us, or
            // to the SDK, which then tried again by itself.
            Some(PutItemError::ConditionalCheckFailedException(there)) => {
                let ours = AttributeValue::S(commit.commit_id.to_string());
                if there.item().and_then(|item| item.get(names::COMMIT_ID)) == Some(&ours) {
                    return Ok(());
                }
                Err(StoreError::Conflict { stream: commit.stream.clone(), version: commit.version })
            }
            _ => Err(unavailable("append to", &commit.stream, AwsError::new(PUT, self.resource(), error))),
        }
    }
}

fn read_item<T>(
    stream: &StreamId,
    item: Item,
    read: fn(Item) -> Result<T, ItemError>,
) -> Result<T, StoreError> {
    let version = match item.get(names::VERSION) {
        Some(AttributeValue::N(number)) => number.parse().map_or(StreamVersion::EMPTY, StreamVersion),
        _ => StreamVersion::EMPTY,
    };
    read(item).map_err(|error| StoreError::Corrupt { stream: stream.clone(), version, source: error.into() })
}

fn unavailable(action: &'static str, stream: &StreamId, error: AwsError) -> StoreError {
    StoreError::Unavailable { action, stream: stream.clone(), source: error.into() }
}
