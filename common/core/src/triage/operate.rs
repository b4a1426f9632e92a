//! What operators may ask for about a failure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dead_letter::FailureId;

crate::contracts! {
    /// What operators of any application may ask for about failures.
    pub enum FailureOperation as Command {
        "retry-failure" v 1 @ "commands" => Retry(RetryFailure) of failure,
        "edit-failure" v 1 @ "commands" => Edit(EditFailure) of failure,
        "discard-failure" v 1 @ "commands" => Discard(DiscardFailure) of failure,
    }
}

/// Put a message that failed back on its queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryFailure {
    /// The failure.
    pub failure: FailureId,
    /// Why.
    pub reason: String,
}

/// Put a message that failed back on its queue with another body, under an id of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditFailure {
    /// The failure.
    pub failure: FailureId,
    /// The whole message, JSON as text.
    pub body: String,
    /// Why.
    pub reason: String,
}

/// Decide that a message that failed is not to be handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiscardFailure {
    /// The failure.
    pub failure: FailureId,
    /// Why.
    pub reason: String,
}
