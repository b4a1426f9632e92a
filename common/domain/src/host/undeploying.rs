//! Undoing a deployment, as a saga's compensation. In every phase of the host the saga gets an answer in the end.

use hostler_core::Decision;
use hostler_core::mutants;
use hostler_core::saga::SagaRef;
use hostler_events::host::{HostCleaned, HostQuarantined, HostReleased, HostUndeployed, UndeployStarted};
use hostler_events::{HostEvent, StepId};

use super::state::OwnWork;
use super::{HostDecision, HostOutcome, HostPhase, Known, Move, Phase, cleaning, replies};

/// Work in flight is undone, and what is given back. From `InService` only a saga asks that brought the host there: one that has
/// not heard so, for one that has heard it is completed and never asks, or one that has installed it again in vain. A saga that
/// has cordoned the host and has not begun to install it again has nothing to undo: the host stays in service.
///
/// The answers: an undoing that begins, or a cleaning that runs, ends in `HostCleaned` or `HostQuarantined`. A host
/// that was never deployed, or is clean again, is `HostCleaned` at once. A quarantined one is `HostQuarantined` once
/// more. One that the saga no longer holds is `HostReleased`.
pub(super) fn start(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    let (state, host) = (known.state, known.host());
    let returned = |quarantined| replies::returned(Some(saga), Some(step), known.host(), quarantined);
    let answer = |event, quarantined| {
        let mut decision = Decision::events([event]);
        decision.commands.extend(returned(quarantined));
        decision
    };
    let (saga, step) = (saga.clone(), step.clone());
    if let HostPhase::Quarantined { reason } = &state.phase {
        let (saga, reason) = (Some(saga), reason.clone());
        return answer(HostEvent::Quarantined(HostQuarantined { host, saga, reason }), true);
    }
    let held = state.is_held_by(&saga);
    let begun = state.phase.kind() == Phase::Deprovisioning && state.waits_for(&step);
    if held && (begun || state.phase.allows(Move::FinishCleaning)) {
        // The end of the cleaning answers.
        return Decision::nothing();
    }
    let is_clean = state.phase.allows(Move::ConfirmReturn) || mutants::on("host.dirty-goes-back");
    if held && is_clean {
        return answer(HostEvent::Cleaned(HostCleaned { host, step, saga: Some(saga) }), false);
    }
    if held && state.phase.allows(Move::Undeploy) {
        return Decision::events([HostEvent::UndeployStarted(UndeployStarted { host, saga, step })]);
    }
    answer(HostEvent::Released(HostReleased { host, saga, step }), false)
}

/// The host is at rest and dirty. Its cleaning begins in the same commit, and the saga holds it until it is clean.
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
