//! Shared control state on DynamoDB, changed by conditional writes.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use hostler_core::failure::BoxError;
use hostler_runtime::ports::{Control, Entry, PortError};
use serde_json::Value;
use uuid::Uuid;

use crate::error::AwsError;
use crate::tables::control as names;

const TABLE: &str = "control";
/// The largest value in bytes: DynamoDB takes 400 KB, keys and names included.
const VALUE_BYTES_MAX: usize = 390_000;

/// Shared control state in a DynamoDB table (names in [`crate::tables::control`]).
#[derive(Debug, Clone)]
pub struct DynamoControl {
    client: Client,
    table: String,
}

impl DynamoControl {
    /// The state in this table.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Opens the connection by reading a key that does not exist; whether that works does not matter.
    pub async fn warm(&self) {
        let _ = self.get("warm-up").await;
    }

    fn resource(&self) -> String {
        format!("table {}", self.table)
    }
}

#[async_trait]
impl Control for DynamoControl {
    async fn get(&self, key: &str) -> Result<Option<Entry>, PortError> {
        let call = self.client.get_item().table_name(&self.table).consistent_read(true);
        let output =
            call.key(names::KEY, AttributeValue::S(key.to_owned())).send().await.map_err(|error| {
                port_error(TABLE, "read", key, AwsError::new("dynamodb:GetItem", self.resource(), error))
            })?;
        let read = |item| read_entry(&item).map_err(|source| refused(TABLE, "read", key, source));
        output.item.map(read).transpose()
    }

    async fn put(&self, key: &str, value: &Value, expected: u64) -> Result<bool, PortError> {
        let json = value.to_string();
        if json.len() > VALUE_BYTES_MAX {
            return Err(refused(TABLE, "write", key, too_large(json.len(), VALUE_BYTES_MAX)));
        }
        // Tells a put of ours whose answer was lost, and which the SDK then repeated, from somebody else's.
        let write_id = AttributeValue::S(Uuid::now_v7().to_string());
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(names::KEY, AttributeValue::S(key.to_owned()))
            .item(names::VALUE, AttributeValue::S(json))
            .item(names::REVISION, AttributeValue::N(expected.saturating_add(1).to_string()))
            .item(names::WRITE_ID, write_id.clone())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match expected {
            0 => put
                .condition_expression("attribute_not_exists(#key)")
                .expression_attribute_names("#key", names::KEY),
            _ => put
                .condition_expression("#revision = :expected")
                .expression_attribute_names("#revision", names::REVISION)
                .expression_attribute_values(":expected", AttributeValue::N(expected.to_string())),
        };
        let Err(error) = put.send().await else { return Ok(true) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(there)) => {
                Ok(there.item().and_then(|item| item.get(names::WRITE_ID)) == Some(&write_id))
            }
            _ => {
                let error = AwsError::new("dynamodb:PutItem", self.resource(), error);
                Err(port_error(TABLE, "write", key, error))
            }
        }
    }
}

fn read_entry(item: &HashMap<String, AttributeValue>) -> Result<Entry, BoxError> {
    let value = serde_json::from_str(text(item, names::VALUE)?)?;
    Ok(Entry { value, revision: text(item, names::REVISION)?.parse()? })
}

/// The text of a text or number attribute.
pub(crate) fn text<'a>(
    item: &'a HashMap<String, AttributeValue>,
    name: &'static str,
) -> Result<&'a str, BoxError> {
    match item.get(name) {
        Some(AttributeValue::S(text) | AttributeValue::N(text)) => Ok(text),
        _ => Err(format!("the attribute {name} is missing").into()),
    }
}

pub(crate) fn too_large(bytes: usize, limit: usize) -> BoxError {
    format!("it is {bytes} bytes, and the limit is {limit}: nothing was written; keep the bulk elsewhere")
        .into()
}

pub(crate) fn refused(table: &'static str, action: &'static str, key: &str, source: BoxError) -> PortError {
    PortError::Refused { table, action, key: key.to_owned(), source }
}

pub(crate) fn port_error(table: &'static str, action: &'static str, key: &str, error: AwsError) -> PortError {
    let key = key.to_owned();
    match error.class().retryable() {
        true => PortError::Unavailable { table, action, key, source: error.into() },
        false => PortError::Refused { table, action, key, source: error.into() },
    }
}
