//! Read models on DynamoDB: rows spread over shards, listed whole by merging these, or by group on an index.

use std::collections::{HashMap, VecDeque};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use hostler_core::StreamVersion;
use hostler_core::failure::BoxError;
use hostler_runtime::ports::{Page, PortError, Row, Views};

use crate::control::{port_error, refused, text, too_large};
use crate::error::AwsError;
use crate::tables::views as names;

const TABLE: &str = "views";
/// The largest row body in bytes: DynamoDB takes 400 KB, keys and names included.
const BODY_BYTES_MAX: usize = 390_000;
/// The most rows of one listing.
pub const ROWS_PER_LIST_MAX: usize = 1_000;
/// What is fetched of each shard beyond its fair share, so that one round mostly does.
const SHARE_SLACK: usize = 4;

/// Read models in a DynamoDB table (names in [`crate::tables::views`]).
#[derive(Debug, Clone)]
pub struct DynamoViews {
    client: Client,
    table: String,
}

/// One shard of a view, read ahead a little.
struct Shard {
    number: u64,
    rows: VecDeque<Row>,
    after: Option<String>,
    ended: bool,
}

impl DynamoViews {
    /// The views in this table.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Opens the connection by reading a row that does not exist; whether that works does not matter.
    pub async fn warm(&self) {
        let _ = self.get("warm-up", "warm-up").await;
    }

    fn resource(&self) -> String {
        format!("table {}", self.table)
    }

    fn query(&self, partition: (&'static str, String), after: Option<&str>) -> QueryFluentBuilder {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#partition = :partition")
            .expression_attribute_names("#partition", partition.0)
            .expression_attribute_values(":partition", AttributeValue::S(partition.1));
        match after {
            Some(after) => query
                .key_condition_expression("#partition = :partition AND #key > :after")
                .expression_attribute_names("#key", names::KEY)
                .expression_attribute_values(":after", AttributeValue::S(after.to_owned())),
            None => query,
        }
    }

    /// One page of a query, and whether there is more.
    async fn page(
        &self,
        view: &str,
        query: QueryFluentBuilder,
        limit: usize,
    ) -> Result<(Vec<Row>, bool), PortError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let output = query.limit(limit).send().await.map_err(|error| {
            port_error(TABLE, "list", view, AwsError::new("dynamodb:Query", self.resource(), error))
        })?;
        let more = output.last_evaluated_key.is_some();
        let rows = output.items.unwrap_or_default().into_iter();
        let rows = rows.map(|item| read_row(&item).map_err(|source| refused(TABLE, "list", view, source)));
        Ok((rows.collect::<Result<_, _>>()?, more))
    }

    async fn group_rows(
        &self,
        view: &str,
        group: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<Row>, PortError> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let last = rows.last().map(|row| row.key.as_str()).or(after);
            let query = self.query((names::GROUP, group_key(view, group)), last).index_name(names::BY_GROUP);
            let (page, more) = self.page(view, query, count - rows.len()).await?;
            let empty = page.is_empty();
            rows.extend(page);
            // An empty page with more behind it does not happen without a filter; it must not loop either.
            if !more || empty || rows.len() >= count {
                return Ok(rows);
            }
        }
    }

    /// The first rows of all shards after a key, merged by key.
    async fn merged_rows(
        &self,
        view: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<Row>, PortError> {
        let new =
            |number| Shard { number, rows: VecDeque::new(), after: after.map(str::to_owned), ended: false };
        let mut shards: Vec<Shard> = (0..names::SHARDS).map(new).collect();
        let mut rows = Vec::new();
        while rows.len() < count {
            let share = (count - rows.len()) / shards.len() + SHARE_SLACK;
            let empty = shards.iter_mut().filter(|shard| shard.rows.is_empty() && !shard.ended);
            futures::future::try_join_all(empty.map(|shard| self.refill(view, shard, share))).await?;
            let first = shards.iter_mut().min_by(|a, b| head(a).cmp(&head(b)));
            match first.and_then(|shard| shard.rows.pop_front()) {
                Some(row) => rows.push(row),
                None => break,
            }
        }
        Ok(rows)
    }

    async fn refill(&self, view: &str, shard: &mut Shard, count: usize) -> Result<(), PortError> {
        let query = self
            .query((names::VIEW, shard_key(view, shard.number)), shard.after.as_deref())
            .consistent_read(true);
        let (rows, more) = self.page(view, query, count).await?;
        shard.ended = !more || rows.is_empty();
        if let Some(last) = rows.last() {
            shard.after = Some(last.key.clone());
        }
        shard.rows.extend(rows);
        Ok(())
    }
}

/// Orders shards by their next row; those without one come last.
fn head(shard: &Shard) -> (bool, Option<&str>) {
    let key = shard.rows.front().map(|row| row.key.as_str());
    (key.is_none(), key)
}

#[async_trait]
impl Views for DynamoViews {
    async fn put(&self, row: &Row) -> Result<bool, PortError> {
        let refuse = |source| Err(refused(TABLE, "write", &row.key, source));
        if row.view.is_empty() || row.key.is_empty() || row.group.is_empty() {
            return refuse("its view, key or group is empty, and each of them is part of a key".into());
        }
        let body = row.body.to_string();
        if body.len() > BODY_BYTES_MAX {
            return refuse(too_large(body.len(), BODY_BYTES_MAX));
        }
        let version = AttributeValue::N(row.version.to_string());
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(names::VIEW, AttributeValue::S(shard_key(&row.view, shard_of(&row.key))))
            .item(names::KEY, AttributeValue::S(row.key.clone()))
            .item(names::GROUP, AttributeValue::S(group_key(&row.view, &row.group)))
            .item(names::VERSION, version.clone())
            .item(names::UPDATED_AT, AttributeValue::S(row.updated_at.to_string()))
            .item(names::BODY, AttributeValue::S(body))
            .condition_expression("attribute_not_exists(#version) OR #version < :version")
            .expression_attribute_names("#version", names::VERSION)
            .expression_attribute_values(":version", version);
        let Err(error) = put.send().await else { return Ok(true) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => {
                let error = AwsError::new("dynamodb:PutItem", self.resource(), error);
                Err(port_error(TABLE, "write", &row.key, error))
            }
        }
    }

    async fn get(&self, view: &str, key: &str) -> Result<Option<Row>, PortError> {
        let call = self.client.get_item().table_name(&self.table).consistent_read(true);
        let call = call.key(names::VIEW, AttributeValue::S(shard_key(view, shard_of(key))));
        let output =
            call.key(names::KEY, AttributeValue::S(key.to_owned())).send().await.map_err(|error| {
                port_error(TABLE, "read", key, AwsError::new("dynamodb:GetItem", self.resource(), error))
            })?;
        let read = |item| read_row(&item).map_err(|source| refused(TABLE, "read", key, source));
        output.item.map(read).transpose()
    }

    async fn list(
        &self,
        view: &str,
        group: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, PortError> {
        let limit = limit.clamp(1, ROWS_PER_LIST_MAX);
        // DynamoDB takes no empty key, and every key comes after it.
        let after = after.filter(|after| !after.is_empty());
        // One more than asked for tells whether there is more.
        let mut rows = match group {
            Some(group) => self.group_rows(view, group, after, limit + 1).await?,
            None => self.merged_rows(view, after, limit + 1).await?,
        };
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.key.clone());
        Ok(Page { rows, next })
    }
}

/// The shard of a key: FNV-1a, for it must be the same in every process and for ever.
fn shard_of(key: &str) -> u64 {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of FNV mix least.
    (hash ^ (hash >> 32)) % names::SHARDS
}

fn shard_key(view: &str, shard: u64) -> String {
    format!("{view}#{shard}")
}

fn group_key(view: &str, group: &str) -> String {
    format!("{view}/{group}")
}

fn read_row(item: &HashMap<String, AttributeValue>) -> Result<Row, BoxError> {
    let partition = text(item, names::VIEW)?;
    let view = partition.rsplit_once('#').map_or(partition, |(view, _)| view);
    let group = text(item, names::GROUP)?;
    Ok(Row {
        view: view.to_owned(),
        key: text(item, names::KEY)?.to_owned(),
        group: group.strip_prefix(view).and_then(|rest| rest.strip_prefix('/')).unwrap_or(group).to_owned(),
        version: StreamVersion(text(item, names::VERSION)?.parse()?),
        updated_at: text(item, names::UPDATED_AT)?.parse()?,
        body: serde_json::from_str(text(item, names::BODY)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_spread_over_all_shards_and_stay_where_they_are() {
        let mut counts = [0u32; 8];
        for number in 0..8_000 {
            counts[usize::try_from(shard_of(&format!("h-{number}"))).unwrap_or(0)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
        assert_eq!(["h-1", "h-2", "rack/1:h-3"].map(shard_of), [4, 5, 7]);
    }
}
