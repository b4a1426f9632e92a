//! What must be healthy on what was done to it, and was no repair.

use hostler_core::saga::SagaRef;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A saga waits until the host is healthy on what it has done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// The saga.
    pub saga: SagaRef,
    /// Since when a sample of monitoring counts.
    pub since: Timestamp,
}
