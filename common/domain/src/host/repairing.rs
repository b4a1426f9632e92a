//! Repairing a host in service: a restart of a service, a power cycle, or a new installation. Only the saga that has cordoned the host does so.

use hostler_core::Decision;
use hostler_core::failure::clip;
use hostler_core::saga::SagaRef;
use hostler_events::commands::FinishPowerCycle;
use hostler_events::host::{
    HostPowerCycled, PowerCycleStarted, PowerState, ReimageStarted, ServiceRestarted,
};
use hostler_events::{HostEvent, Image, Service, StepCommand, StepId};

use super::cordoning::refuse;
use super::{HostDecision, HostOutcome, HostRefusal, Known, Move, Phase, PowerCycle, replies};

impl Known<'_> {
    fn not_cordoned(&self, saga: &SagaRef) -> HostRefusal {
        HostRefusal::NotCordoned { host: self.host(), saga: saga.clone(), phase: self.phase() }
    }

    fn finish_power_cycle(&self, saga: &SagaRef, step: &StepId) -> StepCommand {
        FinishPowerCycle { saga: saga.clone(), step: step.clone(), host: self.host() }.into()
    }
}

/// Nothing is recorded before the agent has answered. An attempt that comes after the service was restarted is answered.
pub(super) fn start_restart(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    if known.state.awaits_restart_for(saga) {
        return Decision::nothing();
    }
    match known.state.is_cordoned_by(saga) && known.state.phase.allows(Move::RestartService) {
        true => Decision::nothing().command(replies::done(saga, step)),
        false => refuse(known, saga, step, &known.not_cordoned(saga)),
    }
}

/// This answers whichever attempt the saga waits for by now.
pub(super) fn record_restarted(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    service: &Service,
) -> HostDecision {
    if !known.state.awaits_restart_for(saga) {
        return Decision::nothing();
    }
    let (saga_ref, service) = (saga.clone(), service.clone());
    let restarted = ServiceRestarted { host: known.host(), saga: saga_ref, step: step.clone(), service };
    let mut decision = Decision::events([HostEvent::ServiceRestarted(restarted)]);
    decision.commands.extend(replies::done_by_any_attempt(saga, step));
    decision
}

/// Nothing is recorded before the BMC has said how the host is. A host has one power cycle under a cordon: an attempt that comes
/// while the host is off has it powered on, and one that comes later is answered.
pub(super) fn start_power_cycle(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    match known.state.power_cycle_of(saga) {
        None => refuse(known, saga, step, &known.not_cordoned(saga)),
        Some(PowerCycle::NotBegun) => Decision::nothing(),
        Some(PowerCycle::Off) => Decision::nothing().command(known.finish_power_cycle(saga, step)),
        Some(PowerCycle::Done) => Decision::nothing().command(replies::done(saga, step)),
    }
}

/// The host is off. That it is powered on is a step of its own, so that whoever dies in between does not cut its power twice.
pub(super) fn record_power_cut(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    found: PowerState,
    health: Option<&str>,
) -> HostDecision {
    if known.state.power_cycle_of(saga) != Some(PowerCycle::NotBegun) {
        return Decision::nothing();
    }
    let finish = known.finish_power_cycle(saga, step);
    let (host, saga, step, health) = (known.host(), saga.clone(), step.clone(), health.map(clip));
    let started = PowerCycleStarted { host, saga, step, found, health };
    Decision::events([HostEvent::PowerCycleStarted(started)]).command(finish)
}

/// This answers whichever attempt the saga waits for by now.
pub(super) fn record_power_cycled(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    if known.state.power_cycle_of(saga) != Some(PowerCycle::Off) {
        return Decision::nothing();
    }
    let cycled = HostPowerCycled { host: known.host(), saga: saga.clone(), step: step.clone() };
    let mut decision = Decision::events([HostEvent::PowerCycled(cycled)]);
    decision.commands.extend(replies::done_by_any_attempt(saga, step));
    decision
}

/// Records that the host is dirty and whose it is now, before the hardware is touched. It ends like a deployment: by the host's
/// own callback. A host that this saga has back in service already was asked for late.
pub(super) fn start_reimage(known: Known<'_>, saga: &SagaRef, step: &StepId, image: &Image) -> HostOutcome {
    let (state, host) = (known.state, known.host());
    if state.deploy_steps.contains(step) {
        return Ok(Decision::nothing());
    }
    if !state.is_cordoned_by(saga) {
        return Ok(refuse(known, saga, step, &known.not_cordoned(saga)));
    }
    let held = state.is_held_by(saga);
    if held && state.phase.kind() == Phase::InService {
        return Ok(Decision::nothing());
    }
    // The saga has turned back, and had nothing to undo then.
    let given_up = !held && state.released.contains(saga);
    if given_up || (held && state.undone) {
        return Err(HostRefusal::Undone { host, saga: saga.clone() });
    }
    if !state.phase.allows(Move::Reimage) {
        let refusal = HostRefusal::WrongPhase { host, phase: known.phase(), wanted: "installed again" };
        return Ok(refuse(known, saga, step, &refusal));
    }
    let (saga, step, image) = (saga.clone(), step.clone(), image.clone());
    Ok(Decision::events([HostEvent::ReimageStarted(ReimageStarted { host, saga, step, image })]))
}
