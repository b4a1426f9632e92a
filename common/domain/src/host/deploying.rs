//! Booting a host from its image, and what goes wrong in a saga's steps.

use hostler_core::Decision;
use hostler_core::mutants;
use hostler_core::saga::{Answers, SagaRef, StepOutcome, StepReply};
use hostler_events::host::{DeployStarted, PowerState, PowerStateChanged, StepDeferred, StepFailed};
use hostler_events::{HostEvent, Image, StepId};
use jiff::Timestamp;

use super::{HostDecision, HostOutcome, HostRefusal, Known, Move, StepFailure};
use hostler_core::failure::clip;

/// Records that the host is dirty, before the hardware is touched. A step that has begun is not begun again;
/// [`super::HostState::waits_for`] tells whether it is still to be done.
pub(super) fn start(known: Known<'_>, saga: &SagaRef, step: &StepId, image: &Image) -> HostOutcome {
    if !known.state.is_held_by(saga) {
        return Err(known.not_held(saga));
    }
    if known.state.deploy_steps.contains(step) {
        return Ok(Decision::nothing());
    }
    if known.state.undone && !mutants::on("host.deployed-after-its-undoing") {
        return Err(HostRefusal::Undone { host: known.host(), saga: saga.clone() });
    }
    if !known.state.phase.allows(Move::Deploy) {
        let (host, phase) = (known.host(), known.phase());
        return Err(HostRefusal::WrongPhase { host, phase, wanted: "deployed" });
    }
    Ok(Decision::events([HostEvent::DeployStarted(DeployStarted {
        host: known.host(),
        saga: saga.clone(),
        step: step.clone(),
        image: image.clone(),
    })]))
}

/// Records changes only: a repeated state is left out.
pub(super) fn record_power(known: Known<'_>, step: &StepId, power_states: &[PowerState]) -> HostDecision {
    let mut decision = Decision::nothing();
    let mut last = known.state.power;
    for power_state in power_states {
        if last == Some(*power_state) {
            continue;
        }
        last = Some(*power_state);
        decision = decision.event(HostEvent::PowerStateChanged(PowerStateChanged {
            host: known.host(),
            step: step.clone(),
            power_state: *power_state,
        }));
    }
    decision
}

/// Tells the saga, which decides whether to try again. A deployment that has begun may always have done something,
/// whatever its step says: the host is dirty from its beginning on, and the saga must have it undone.
pub(super) fn fail_step(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    failure: &StepFailure,
) -> HostDecision {
    if !known.state.is_worked_on_by(saga) {
        return Decision::nothing();
    }
    let (category, reason) = (failure.category, clip(&failure.reason));
    let uncertain = failure.uncertain || known.state.deploy_steps.contains(step);
    let told = StepOutcome::Failed { category, reason: reason.clone(), uncertain };
    let answers = Answers::Attempt(step.clone());
    let (host, saga, step) = (known.host(), saga.clone(), step.clone());
    let reply = StepReply { saga: saga.clone(), answers, outcome: told };
    let failed = StepFailed { host, saga, step, category, reason, uncertain };
    Decision::events([HostEvent::StepFailed(failed)]).command(reply.into())
}

/// Tells the saga, which gives the step more time.
pub(super) fn defer_step(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    until: Timestamp,
    reason: &str,
) -> HostDecision {
    if !known.state.is_worked_on_by(saga) {
        return Decision::nothing();
    }
    Decision::events([HostEvent::StepDeferred(StepDeferred {
        host: known.host(),
        saga: saga.clone(),
        step: step.clone(),
        until,
        reason: clip(reason),
    })])
    .command(StepReply::deferred(saga.clone(), step.clone(), until, clip(reason)).into())
}
