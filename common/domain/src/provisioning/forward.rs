//! Doing the steps, one after the other.

use hostler_core::{Category, Decision};
use hostler_events::commands::StartProvisioning;
use hostler_events::provisioning::{ProvisioningCompleted, ProvisioningStarted};
use hostler_events::{HostId, ProvisioningEvent, StepKind};
use jiff::Timestamp;

use super::steps::{Another, Failed, another, begin, fail, succeeded};
use super::{
    Attempt, ProvisioningDecision, ProvisioningOutcome, ProvisioningRefusal, ProvisioningState, Saga,
    compensate,
};
use crate::support::OWNER_ID_BYTES_MAX;

pub(super) fn start(
    state: &ProvisioningState,
    command: &StartProvisioning,
    now: Timestamp,
) -> ProvisioningOutcome {
    if state.order.is_some() {
        return Ok(Decision::nothing());
    }
    if command.provisioning.as_str().len() > OWNER_ID_BYTES_MAX {
        return Err(ProvisioningRefusal::IdTooLong { provisioning: command.provisioning.clone() });
    }
    let order = ProvisioningStarted {
        provisioning: command.provisioning.clone(),
        request: command.request.clone(),
        pool: command.pool.clone(),
        role: command.role.clone(),
        image: command.image.clone(),
        sku: command.sku.clone(),
        policy: command.policy,
    };
    let decision = Decision::events([ProvisioningEvent::Started(order.clone())]);
    begin(Saga { state, order: &order, now }, StepKind::ReserveHost, None, decision)
}

/// What follows a step; nothing follows the last one, and compensations have a plan of their own.
fn next(kind: StepKind) -> Option<StepKind> {
    match kind {
        StepKind::ReserveHost => Some(StepKind::DeployImage),
        StepKind::DeployImage => Some(StepKind::ApplyRole),
        StepKind::ApplyRole => Some(StepKind::RegisterMonitoring),
        StepKind::RegisterMonitoring
        | StepKind::DeregisterMonitoring
        | StepKind::UndeployHost
        | StepKind::ReleaseReservation => None,
    }
}

/// The step is done: the next one begins in the same commit, or the saga is completed.
pub(super) fn advance(saga: Saga<'_>, attempt: &Attempt, host: &HostId) -> ProvisioningOutcome {
    let decision: ProvisioningDecision = Decision::events([succeeded(saga, attempt, Some(host), false)]);
    match next(attempt.kind) {
        Some(kind) => begin(saga, kind, Some(host), decision),
        None => Ok(decision.event(ProvisioningEvent::Completed(ProvisioningCompleted {
            provisioning: saga.order.provisioning.clone(),
            host: host.clone(),
        }))),
    }
}

/// Transient failures are tried again while tries are left; after the last one, or after any other failure,
/// what was done is undone.
pub(super) fn failed(
    saga: Saga<'_>,
    attempt: &Attempt,
    failure: Failed<'_>,
    decision: ProvisioningDecision,
) -> ProvisioningOutcome {
    let another = match failure.category {
        Category::Transient => another(saga, attempt),
        Category::Validation | Category::Business | Category::Unknown => Another::None,
    };
    let decision = fail(saga, attempt, failure, another, decision)?;
    match another {
        Another::Now | Another::After { .. } => Ok(decision),
        Another::None => {
            let reason = format!("{} failed: {}", attempt.kind, failure.reason);
            compensate::start(saga, attempt.kind, &reason, decision)
        }
    }
}
