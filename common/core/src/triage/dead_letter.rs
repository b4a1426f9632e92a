//! A message on a dead-letter queue.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::Category;
use crate::ids::CorrelationId;
use crate::text_id;

text_id!(
    /// Names a failure: the id that the message had when it first failed.
    FailureId,
    "failure id"
);

/// Messages that keep their order: those with one key on one queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct OrderingKey {
    /// The logical name of the queue.
    pub queue: String,
    /// The key.
    pub key: String,
}

/// Where a message is kept that is too large to be recorded in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptMessage {
    /// The logical name of the queue that has it, until that queue's retention ends.
    pub queue: String,
    /// How many bytes its body has.
    pub bytes: u64,
    /// The SHA-256 of its body in hexadecimal digits, by which it is known on that queue.
    pub sha256: String,
    /// The attributes that it came with, each cut short.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// A message that could not be handled, with what is known of the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The logical name of the queue that it was on.
    pub queue: String,
    /// Its body, as it came. Where it is kept elsewhere, this is its first part only.
    pub body: String,
    /// Where all of it is, if it is too large to be recorded here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptMessage>,
    /// The attributes that a copy of it needs, too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The type of the event or command, or the timer's name.
    pub message_type: String,
    /// Who deals with it. Absent where its queue gave it up after too many attempts without a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// Why it could not be handled: the error and its sources.
    pub reason: String,
    /// The function that reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// How often it was tried on its queue.
    pub attempts: u32,
    /// The request that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId>,
    /// Messages of one key keep their order; absent where order does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The failure that it waits behind. It did not fail itself; an earlier message with its key did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<FailureId>,
    /// Whether it can be put back on its queue. A commit that could not be published has no queue to go back to.
    pub resendable: bool,
}

impl DeadLetter {
    /// The key and queue by which it keeps its order.
    #[must_use]
    pub fn ordering_key(&self) -> Option<OrderingKey> {
        let key = self.key.clone()?;
        Some(OrderingKey { queue: self.queue.clone(), key })
    }
}

impl From<uuid::Uuid> for FailureId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.to_string())
    }
}
