//! What must be healthy on what was done to it, and was no repair.

use hostler_core::saga::SagaRef;
use hostler_events::health::{CheckKind, HostChecked};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::HealthState;

/// A saga waits until the host is healthy on what it has done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// The saga.
    pub saga: SagaRef,
    /// Since when a sample of monitoring counts.
    pub since: Timestamp,
}

/// The first look begins the wait.
pub(super) fn checked(state: &mut HealthState, e: &HostChecked) {
    if e.check == CheckKind::Gate && e.healthy.is_none() {
        state.host = Some(e.host.clone());
        state.gate = Some(Gate { saga: e.saga.clone(), since: e.at });
    }
}
