//! How a host's events add up to its state. An event is a fact, and is applied whatever came before it. It is the
//! decider that records only what [`TRANSITIONS`](super::TRANSITIONS) allows.

use hostler_core::saga::SagaRef;
use hostler_events::HostEvent;
use hostler_events::StepId;
use hostler_events::host::{
    CleaningFailed, CleaningStarted, DeployStarted, HostCleaned, HostEnrolled, HostQuarantined, HostReleased,
    HostReserved, VerificationFailed,
};

use super::state::{DEPLOY_STEPS_MAX, OwnWork, RELEASED_MAX};
use super::{Hardware, HostPhase, HostProfile, HostState};

pub(super) fn evolve(mut state: HostState, event: &HostEvent) -> HostState {
    match event {
        HostEvent::Enrolled(e) => enrolled(&mut state, e),
        HostEvent::Verified(e) => state.power = Some(e.power_state),
        HostEvent::Inspected(e) => state.facts = Some(Hardware::from(e)),
        HostEvent::VerificationFailed(e) => verification_failed(&mut state, e),
        HostEvent::Labelled(e) => {
            if let Some(profile) = &mut state.profile {
                profile.labels = e.labels.clone();
            }
        }
        HostEvent::CleaningStarted(e) => cleaning_started(&mut state, e),
        HostEvent::CleaningBooted(e) => cleaning_booted(&mut state, &e.step),
        HostEvent::CleaningFailed(e) => cleaning_failed(&mut state, e),
        HostEvent::Cleaned(e) => cleaned(&mut state, e),
        HostEvent::Reserved(e) => reserved(&mut state, e),
        HostEvent::Released(e) => released(&mut state, e),
        HostEvent::DeployStarted(e) => deploy_started(&mut state, e),
        HostEvent::PowerStateChanged(e) => state.power = Some(e.power_state),
        HostEvent::DeployBooted(e) => state.booted_step = Some(e.step.clone()),
        HostEvent::DeployCompleted(_) => state.phase = HostPhase::Configuring,
        HostEvent::ConfigurationApplied(e) => {
            state.role = Some(e.role.clone());
            state.revision = Some(e.revision.clone());
            state.phase = HostPhase::RegisteringMonitoring;
        }
        HostEvent::MonitoringRegistered(_)
        | HostEvent::StepFailed(_)
        | HostEvent::StepDeferred(_)
        | HostEvent::Undeployed(_) => {}
        // The first step back: from here on nothing brings the host forward for this saga.
        HostEvent::MonitoringDeregistered(e) => state.undone |= state.is_held_by(&e.saga),
        HostEvent::InService(e) => {
            state.service_step = Some(e.step.clone());
            state.phase = HostPhase::InService;
        }
        HostEvent::UndeployStarted(e) => {
            state.undone = true;
            state.undeploy_step = Some(e.step.clone());
            state.phase = HostPhase::Deprovisioning { step: e.step.clone() };
        }
        HostEvent::Quarantined(e) => quarantined(&mut state, e),
        HostEvent::Requalified(e) => verify(&mut state, e.step.clone(), 1),
    }
    state
}

fn enrolled(state: &mut HostState, e: &HostEnrolled) {
    state.profile = Some(HostProfile {
        host: e.host.clone(),
        pool: e.pool.clone(),
        sku: e.sku.clone(),
        fault_domain: e.fault_domain.clone(),
        bmc: e.bmc.clone(),
        labels: e.labels.clone(),
        labels_enrolled: e.labels.clone(),
        policy: e.policy,
    });
    verify(state, e.step.clone(), 1);
}

fn verify(state: &mut HostState, step: StepId, attempt: u32) {
    state.own_steps = state.own_steps.saturating_add(1);
    state.phase = HostPhase::Verifying { step, attempt };
}

/// The failure fixes the id of the next verification, so that its answer is recognised.
fn verification_failed(state: &mut HostState, e: &VerificationFailed) {
    if let Ok(step) = state.next_own_step(&e.host, OwnWork::Verify) {
        verify(state, step, e.attempt.saturating_add(1));
    }
}

fn cleaning_started(state: &mut HostState, e: &CleaningStarted) {
    // An attempt that follows a failure has its number already.
    if !state.waits_for(&e.step) {
        state.own_steps = state.own_steps.saturating_add(1);
    }
    state.phase =
        HostPhase::Cleaning { step: e.step.clone(), attempt: e.attempt, booted: false, delayed: false };
}

fn cleaning_booted(state: &mut HostState, step: &StepId) {
    if let HostPhase::Cleaning { step: current, booted, .. } = &mut state.phase
        && current == step
    {
        *booted = true;
    }
    state.booted_step = Some(step.clone());
}

fn cleaning_failed(state: &mut HostState, e: &CleaningFailed) {
    if let Ok(step) = state.next_own_step(&e.host, OwnWork::Clean) {
        state.own_steps = state.own_steps.saturating_add(1);
        let attempt = e.attempt.saturating_add(1);
        state.phase = HostPhase::Cleaning { step, attempt, booted: false, delayed: true };
    }
}

/// A host that was being cleaned goes to its holder or to the pool. One that was already clean stays where it is.
fn cleaned(state: &mut HostState, e: &HostCleaned) {
    if let HostPhase::Cleaning { step, .. } = &state.phase
        && *step == e.step
    {
        state.role = None;
        state.revision = None;
        state.phase = if state.reservation.is_some() { HostPhase::Reserved } else { HostPhase::Available };
    }
    if e.saga.is_some() && e.saga == state.reservation {
        state.undone = true;
    }
}

fn reserved(state: &mut HostState, e: &HostReserved) {
    if !state.is_held_by(&e.saga) {
        forget_holder(state);
        state.reservation = Some(e.saga.clone());
    }
    state.reserved_step = Some(e.step.clone());
    state.phase = HostPhase::Reserved;
}

fn released(state: &mut HostState, e: &HostReleased) {
    if state.is_held_by(&e.saga) && state.phase == HostPhase::Reserved {
        forget_holder(state);
        state.phase = HostPhase::Available;
    }
    remember_released(state, &e.saga);
}

fn deploy_started(state: &mut HostState, e: &DeployStarted) {
    if state.deploy_steps.len() >= DEPLOY_STEPS_MAX {
        state.deploy_steps.remove(0);
    }
    state.deploy_steps.push(e.step.clone());
    state.phase = HostPhase::Deploying { step: e.step.clone() };
}

fn quarantined(state: &mut HostState, e: &HostQuarantined) {
    forget_holder(state);
    state.role = None;
    state.revision = None;
    if let Some(saga) = &e.saga {
        remember_released(state, saga);
    }
    state.phase = HostPhase::Quarantined { reason: e.reason.clone() };
}

fn forget_holder(state: &mut HostState) {
    state.reservation = None;
    state.reserved_step = None;
    state.deploy_steps.clear();
    state.service_step = None;
    state.undeploy_step = None;
    state.undone = false;
}

fn remember_released(state: &mut HostState, saga: &SagaRef) {
    state.released.retain(|known| known != saga);
    if state.released.len() >= RELEASED_MAX {
        state.released.remove(0);
    }
    state.released.push(saga.clone());
}
