//! Undoing what was done, in reverse order, until everything is undone or an operator is needed.

use hostler_core::Decision;
use hostler_events::provisioning::{CompensationCompleted, CompensationStarted, ProvisioningStuck};
use hostler_events::{HostId, ProvisioningEvent, StepKind};

use super::steps::{Another, Failed, another, begin, fail, succeeded, tried};
use super::{Attempt, ProvisioningDecision, ProvisioningOutcome, Saga};
use crate::support::clip;

/// What undoes a saga that stops at this step, in order. The step itself counts as done: it may have had
/// effects. A fresh host has no last good role to go back to, so its configuration is undone with its
/// deployment.
pub(super) fn plan(stopped_at: StepKind) -> Vec<StepKind> {
    match stopped_at {
        StepKind::ReserveHost | StepKind::ReleaseReservation => vec![StepKind::ReleaseReservation],
        StepKind::DeployImage | StepKind::ApplyRole | StepKind::UndeployHost => {
            vec![StepKind::UndeployHost, StepKind::ReleaseReservation]
        }
        StepKind::RegisterMonitoring | StepKind::DeregisterMonitoring => {
            vec![StepKind::DeregisterMonitoring, StepKind::UndeployHost, StepKind::ReleaseReservation]
        }
    }
}

pub(super) fn start(
    saga: Saga<'_>,
    stopped_at: StepKind,
    reason: &str,
    decision: ProvisioningDecision,
) -> ProvisioningOutcome {
    let plan = plan(stopped_at);
    let reason = clip(reason);
    let decision = decision.event(ProvisioningEvent::CompensationStarted(CompensationStarted {
        provisioning: saga.order.provisioning.clone(),
        reason: reason.clone(),
        plan: plan.clone(),
    }));
    next(saga, &plan, &reason, saga.state.host.as_ref(), saga.state.host_quarantined, decision)
}

/// The compensation is done: the next one begins in the same commit, or everything is undone.
pub(super) fn advance(
    saga: Saga<'_>,
    attempt: &Attempt,
    remaining: &[StepKind],
    reason: &str,
    host: Option<&HostId>,
    host_quarantined: bool,
) -> ProvisioningOutcome {
    let decision = Decision::events([succeeded(saga, attempt, host, host_quarantined)]);
    let host = saga.state.host.as_ref().or(host);
    let host_quarantined = host_quarantined || saga.state.host_quarantined;
    next(saga, remaining, reason, host, host_quarantined, decision)
}

/// Begins the first of what remains, or ends.
pub(super) fn next(
    saga: Saga<'_>,
    remaining: &[StepKind],
    reason: &str,
    host: Option<&HostId>,
    host_quarantined: bool,
    decision: ProvisioningDecision,
) -> ProvisioningOutcome {
    match remaining.first() {
        Some(kind) => begin(saga, *kind, host, decision),
        None => Ok(decision.event(ProvisioningEvent::CompensationCompleted(CompensationCompleted {
            provisioning: saga.order.provisioning.clone(),
            reason: reason.to_owned(),
            host: host.cloned(),
            host_quarantined,
        }))),
    }
}

/// Every failure of a compensation is tried again while tries are left, whatever its category: there is no
/// other way out but an operator.
pub(super) fn failed(
    saga: Saga<'_>,
    attempt: &Attempt,
    failure: Failed<'_>,
    decision: ProvisioningDecision,
) -> ProvisioningOutcome {
    let another = another(saga, attempt);
    let decision = fail(saga, attempt, failure, another, decision)?;
    match another {
        Another::Now | Another::After { .. } => Ok(decision),
        Another::None => Ok(decision.event(stuck(saga, attempt, failure))),
    }
}

fn stuck(saga: Saga<'_>, attempt: &Attempt, failure: Failed<'_>) -> ProvisioningEvent {
    let (provisioning, kind) = (saga.order.provisioning.clone(), attempt.kind);
    let tries = tried(saga, attempt);
    let look_at = saga.state.host.as_ref().map_or_else(String::new, |host| format!(" of host {host}"));
    // The advice comes first, so that a long reason cannot cut it off.
    let reason = clip(&format!(
        "{kind}{look_at} failed {tries} times; put right what stands in its way, then resume with `hostler emit` \
         of resume-provisioning for {provisioning}; last failure: {}",
        failure.reason
    ));
    ProvisioningEvent::Stuck(ProvisioningStuck { provisioning, kind, reason })
}
