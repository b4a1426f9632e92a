//! A host that leaves service, or is taken out of use.

use hostler_core::saga::SagaRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::HostId;

/// A host in service is to be given back. From here on the saga that gives it back holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRequested {
    /// The host.
    pub host: HostId,
    /// The saga that gives it back.
    pub saga: SagaRef,
    /// Whether it is retired once it is clean, instead of going back to its pool.
    pub retire: bool,
    /// Why.
    pub reason: String,
}

/// A host was taken out of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostRetired {
    /// The host.
    pub host: HostId,
    /// Why.
    pub reason: String,
}
