//! Leases on DynamoDB, in rows of the form of Powertools for AWS Lambda.
//!
//! The attributes and status values are theirs, and so are the conditions, with three of ours on top: a lease that ran
//! out is taken over for the same payload only, a result is recorded by the lease's owner only, and a lease is over when the
//! claim knows the cause that settles it. `owner` and `settled_by` are attributes that Powertools does not know and leaves
//! out.
//! Source: `aws_lambda_powertools/utilities/idempotency/persistence/dynamodb.py` of Powertools for Python 3.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use hostler_core::CausationId;
use hostler_runtime::effects::leases::{Claim, Claimed, Leases};
use hostler_runtime::ports::PortError;
use jiff::Timestamp;
use uuid::Uuid;

use crate::control::{port_error, refused, text, too_large};
use crate::error::AwsError;
use crate::tables::idempotency as names;

const TABLE: &str = "idempotency";
const IN_PROGRESS: &str = "INPROGRESS";
const COMPLETED: &str = "COMPLETED";
/// The largest result in bytes: DynamoDB takes 400 KB, keys and names included.
const RESULT_BYTES_MAX: usize = 390_000;
const FREE: &str = "attribute_not_exists(#id) OR #expiration < :now OR (#status = :in_progress \
    AND attribute_exists(#lease) AND #lease < :now_ms \
    AND (attribute_not_exists(#validation) OR #validation = :validation))";

/// Whether the lease is still the owner's.
const OURS: &str = "#owner = :owner AND #status = :in_progress";

/// Leases in a DynamoDB table (names in [`crate::tables::idempotency`]).
#[derive(Debug, Clone)]
pub struct DynamoLeases {
    client: Client,
    table: String,
}

impl DynamoLeases {
    /// The leases in this table.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    fn resource(&self) -> String {
        format!("table {}", self.table)
    }

    /// Gives a lease back whose row stays: it has run out, and nothing settles it.
    async fn leave(&self, claim: &Claim) -> Result<bool, PortError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(names::ID, string(&claim.key))
            .update_expression("SET #lease = :over REMOVE #settled_by")
            .condition_expression(OURS)
            .expression_attribute_names("#lease", names::IN_PROGRESS_EXPIRATION)
            .expression_attribute_names("#settled_by", names::SETTLED_BY)
            .expression_attribute_names("#owner", names::OWNER)
            .expression_attribute_names("#status", names::STATUS)
            .expression_attribute_values(":over", number(0))
            .expression_attribute_values(":owner", string(&claim.owner.to_string()))
            .expression_attribute_values(":in_progress", string(IN_PROGRESS));
        let Err(error) = update.send().await else { return Ok(true) };
        if let Some(UpdateItemError::ConditionalCheckFailedException(_)) = error.as_service_error() {
            return Ok(false);
        }
        let error = AwsError::new("dynamodb:UpdateItem", self.resource(), error);
        Err(port_error(TABLE, "release", &claim.key, error))
    }
}

#[async_trait]
impl Leases for DynamoLeases {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError> {
        let settled: Vec<String> =
            (0..claim.settled.len()).map(|number| format!(":settled{number}")).collect();
        let condition = match settled.is_empty() {
            true => FREE.to_owned(),
            false => {
                format!("{FREE} OR (#status = :in_progress AND #settled_by IN ({}))", settled.join(", "))
            }
        };
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(names::ID, string(&claim.key))
            .item(names::STATUS, string(IN_PROGRESS))
            .item(names::EXPIRATION, number(claim.expires_at.as_second()))
            .item(names::IN_PROGRESS_EXPIRATION, number(claim.lease_until.as_millisecond()))
            .item(names::VALIDATION, string(&claim.payload_hash))
            .item(names::OWNER, string(&claim.owner.to_string()))
            .condition_expression(condition)
            .expression_attribute_names("#id", names::ID)
            .expression_attribute_names("#expiration", names::EXPIRATION)
            .expression_attribute_names("#status", names::STATUS)
            .expression_attribute_names("#lease", names::IN_PROGRESS_EXPIRATION)
            .expression_attribute_names("#validation", names::VALIDATION)
            .expression_attribute_values(":now", number(claim.now.as_second()))
            .expression_attribute_values(":now_ms", number(claim.now.as_millisecond()))
            .expression_attribute_values(":in_progress", string(IN_PROGRESS))
            .expression_attribute_values(":validation", string(&claim.payload_hash))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if let Some(cause) = &claim.settled_by {
            put = put.item(names::SETTLED_BY, string(cause.as_str())).return_values(ReturnValue::AllOld);
        }
        if !settled.is_empty() {
            put = put.expression_attribute_names("#settled_by", names::SETTLED_BY);
        }
        for (name, cause) in settled.into_iter().zip(&claim.settled) {
            put = put.expression_attribute_values(name, string(cause.as_str()));
        }
        let error = match put.send().await {
            Ok(taken) => return Ok(took_over(claim, taken.attributes())),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(there)) => {
                let empty = HashMap::new();
                read(claim, there.item().unwrap_or(&empty))
            }
            _ => {
                let error = AwsError::new("dynamodb:PutItem", self.resource(), error);
                Err(port_error(TABLE, "claim", &claim.key, error))
            }
        }
    }

    async fn complete(
        &self,
        key: &str,
        owner: Uuid,
        result: &str,
        expires_at: Timestamp,
    ) -> Result<bool, PortError> {
        if result.len() > RESULT_BYTES_MAX {
            return Err(refused(TABLE, "complete", key, too_large(result.len(), RESULT_BYTES_MAX)));
        }
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(names::ID, string(key))
            .update_expression("SET #status = :completed, #data = :data, #expiration = :expiration")
            .condition_expression("#owner = :owner")
            .expression_attribute_names("#status", names::STATUS)
            .expression_attribute_names("#data", names::DATA)
            .expression_attribute_names("#expiration", names::EXPIRATION)
            .expression_attribute_names("#owner", names::OWNER)
            .expression_attribute_values(":completed", string(COMPLETED))
            .expression_attribute_values(":data", string(result))
            .expression_attribute_values(":expiration", number(expires_at.as_second()))
            .expression_attribute_values(":owner", string(&owner.to_string()));
        let Err(error) = update.send().await else { return Ok(true) };
        if let Some(UpdateItemError::ConditionalCheckFailedException(_)) = error.as_service_error() {
            return Ok(false);
        }
        let error = AwsError::new("dynamodb:UpdateItem", self.resource(), error);
        Err(port_error(TABLE, "complete", key, error))
    }

    async fn release(&self, claim: &Claim) -> Result<bool, PortError> {
        if claim.settled_by.is_some() {
            return self.leave(claim).await;
        }
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(names::ID, string(&claim.key))
            .condition_expression(OURS)
            .expression_attribute_names("#owner", names::OWNER)
            .expression_attribute_names("#status", names::STATUS)
            .expression_attribute_values(":owner", string(&claim.owner.to_string()))
            .expression_attribute_values(":in_progress", string(IN_PROGRESS));
        let Err(error) = delete.send().await else { return Ok(true) };
        if let Some(DeleteItemError::ConditionalCheckFailedException(_)) = error.as_service_error() {
            return Ok(false);
        }
        let error = AwsError::new("dynamodb:DeleteItem", self.resource(), error);
        Err(port_error(TABLE, "release", &claim.key, error))
    }
}

/// What is known of the lease before ours.
fn took_over(claim: &Claim, before: Option<&HashMap<String, AttributeValue>>) -> Claimed {
    let is_known = before.is_none_or(|before| {
        let cause = text(before, names::SETTLED_BY).ok();
        cause.is_some_and(|cause| claim.settled.iter().any(|settled| settled.as_str() == cause))
    });
    match claim.settled_by.is_some() && is_known {
        true => Claimed::Next,
        false => Claimed::Ours,
    }
}

/// What a row that is in the way says.
fn read(claim: &Claim, there: &HashMap<String, AttributeValue>) -> Result<Claimed, PortError> {
    let refused = |source| refused(TABLE, "claim", &claim.key, source);
    let payload_hash = text(there, names::VALIDATION).ok().map(str::to_owned);
    match text(there, names::STATUS).map_err(refused)? {
        COMPLETED => {
            // A function may have had nothing to say.
            let result = text(there, names::DATA).unwrap_or("null").to_owned();
            Ok(Claimed::Done { result, payload_hash })
        }
        IN_PROGRESS if text(there, names::OWNER).is_ok_and(|owner| owner == claim.owner.to_string()) => {
            Ok(Claimed::Ours)
        }
        IN_PROGRESS => {
            let until = text(there, names::IN_PROGRESS_EXPIRATION).ok().and_then(|text| text.parse().ok());
            let until = until.and_then(|ms| Timestamp::from_millisecond(ms).ok());
            let settled_by = text(there, names::SETTLED_BY).ok();
            let settled_by = settled_by.and_then(|cause| CausationId::new(cause).ok());
            Ok(Claimed::Busy { until, payload_hash, settled_by })
        }
        other => Err(refused(format!("its status is {other:?}, which nobody here knows").into())),
    }
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
