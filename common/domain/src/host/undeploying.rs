//! Undoing a deployment, as a saga's compensation. Whatever the host's phase, the saga's wait comes to an end.

use hostler_core::Decision;
use hostler_core::saga::SagaRef;
use hostler_events::host::{HostCleaned, HostQuarantined, HostReleased, HostUndeployed, UndeployStarted};
use hostler_events::{HostEvent, StepId};

use super::state::OwnWork;
use super::{HostDecision, HostOutcome, HostPhase, Known, cleaning, replies};

/// Only in-flight work is undone: from `InService` this is asked by the saga that brought the host there and
/// has not heard that it is in service; a saga that has heard it is completed and never asks.
///
/// The answers: an undoing that begins, or a cleaning that runs, ends in `HostCleaned` or `HostQuarantined`;
/// a host that was never deployed or is clean again is `HostCleaned` at once; a quarantined one is
/// `HostQuarantined` once more; one that the saga does not hold any more is `HostReleased`.
pub(super) fn start(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    let (host, held) = (known.host(), known.state.is_held_by(saga));
    let returned = |quarantined| replies::returned(Some(saga), Some(step), known.host(), quarantined);
    let (saga, step) = (saga.clone(), step.clone());
    let (event, reply) = match &known.state.phase {
        HostPhase::Quarantined { reason } => {
            let reason = reason.clone();
            let event = HostEvent::Quarantined(HostQuarantined { host, saga: Some(saga.clone()), reason });
            (event, returned(true))
        }
        HostPhase::Reserved if held => {
            (HostEvent::Cleaned(HostCleaned { host, step, saga: Some(saga.clone()) }), returned(false))
        }
        HostPhase::Cleaning { .. } if held => return Decision::nothing(),
        HostPhase::Deprovisioning { step: current } if held && *current == step => {
            return Decision::nothing();
        }
        HostPhase::Deploying { .. }
        | HostPhase::Configuring
        | HostPhase::RegisteringMonitoring
        | HostPhase::InService
        | HostPhase::Deprovisioning { .. }
            if held =>
        {
            (HostEvent::UndeployStarted(UndeployStarted { host, saga, step }), None)
        }
        HostPhase::Unknown
        | HostPhase::Verifying { .. }
        | HostPhase::Cleaning { .. }
        | HostPhase::Available
        | HostPhase::Reserved
        | HostPhase::Deploying { .. }
        | HostPhase::Configuring
        | HostPhase::RegisteringMonitoring
        | HostPhase::InService
        | HostPhase::Deprovisioning { .. } => {
            let reply = returned(false);
            (HostEvent::Released(HostReleased { host, saga, step }), reply)
        }
    };
    let mut decision = Decision::events([event]);
    decision.commands.extend(reply);
    decision
}

/// The host is at rest and dirty: cleaning begins in the same commit, and the saga keeps it until it is clean.
pub(super) fn record_undeployed(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostOutcome {
    let HostPhase::Deprovisioning { step: current } = &known.state.phase else {
        return Ok(Decision::nothing());
    };
    if current != step || !known.state.is_held_by(saga) {
        return Ok(Decision::nothing());
    }
    let undeployed = HostUndeployed { host: known.host(), saga: saga.clone(), step: step.clone() };
    let decision = Decision::events([HostEvent::Undeployed(undeployed)]);
    Ok(cleaning::start(known, known.next_own_step(OwnWork::Clean)?, 1, decision))
}
