//! How a host's events add up to what is known of it.

use hostler_core::mutants;
use hostler_core::saga::SagaRef;
use hostler_events::drift::DriftRunKind;
use hostler_events::host::{
    CleaningFailed, CleaningStarted, HostCleaned, HostEnrolled, HostMoved, HostQuarantined, HostReleased,
    HostReserved, ReimageStarted, ReleaseRequested, UndeployStarted, VerificationFailed,
};
use hostler_events::{HostEvent, StepId};

use super::drifting::{self, Drift};
use super::patching::{self, Patch, Undone};
use super::phases::HostPhase;
use super::state::{Configuration, Cordon, Hardware, HostProfile, HostState, OwnWork, PowerCycle, Release};
use super::traffic::{self, Traffic};

/// How many sagas that are done with a host are remembered.
const SAGAS_MAX: usize = 32;
/// How many deployments under one reservation are remembered.
const DEPLOY_STEPS_MAX: usize = 32;

/// How a host's events add up to its state. An event is a fact, and is applied whatever came before it. It is the decider
/// that records only what [`TRANSITIONS`](super::TRANSITIONS) allows.
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
        HostEvent::Moved(e) => moved(&mut state, e),
        HostEvent::DeployStarted(e) => deployment_started(&mut state, &e.step),
        HostEvent::PowerStateChanged(e) => state.power = Some(e.power_state),
        HostEvent::DeployBooted(e) => state.booted_step = Some(e.step.clone()),
        HostEvent::DeployCompleted(_) => state.phase = HostPhase::Configuring,
        HostEvent::ConfigurationStarted(e) => {
            let (saga, step, role) = (e.saga.clone(), e.step.clone(), e.role.clone());
            state.configuration = Some(Configuration { saga, step, role, revision: e.revision.clone() });
        }
        // What follows it in its commit says how the run ended.
        HostEvent::RoleRun(_) => {}
        HostEvent::ConfigurationApplied(e) => {
            state.role = Some(e.role.clone());
            state.revision = Some(e.revision.clone());
            state.configured_at = e.at;
            state.configuration = None;
            state.phase = HostPhase::RegisteringMonitoring;
        }
        HostEvent::PackageChangeStarted(e) => patching::change_started(&mut state, e),
        HostEvent::PackagesInstalled(e) => patching::packages_installed(&mut state, e),
        HostEvent::PackagesRolledBack(e) => patching::undone(&mut state, &e.saga, Undone::RolledBack),
        HostEvent::RollBackFailed(e) => patching::undone(&mut state, &e.saga, Undone::InVain),
        HostEvent::StepFailed(e) => {
            patching::step_failed(&mut state, &e.step);
            state.configuration = state.configuration.take().filter(|run| run.step != e.step);
        }
        HostEvent::MonitoringRegistered(_) | HostEvent::StepDeferred(_) | HostEvent::Undeployed(_) => {}
        // The first step back: from here on nothing brings the host forward for this saga.
        HostEvent::MonitoringDeregistered(e) => state.undone |= state.is_held_by(&e.saga),
        HostEvent::InService(e) => {
            state.service_step = Some(e.step.clone());
            state.configuration = None;
            state.phase = HostPhase::InService;
        }
        HostEvent::UndeployStarted(e) => undeploy_started(&mut state, e),
        HostEvent::Quarantined(e) => quarantined(&mut state, e),
        HostEvent::Requalified(e) => verify(&mut state, e.step.clone(), 1),
        HostEvent::ReleaseRequested(e) => release_requested(&mut state, e),
        HostEvent::Retired(e) => state.phase = HostPhase::Retired { reason: e.reason.clone() },
        HostEvent::Cordoned(e) => {
            let (saga, reason) = (e.saga.clone(), e.reason.clone());
            let power_cycle = PowerCycle::NotBegun;
            state.cordon =
                Some(Cordon { saga, reason, power_cycle, restarted: None, patch: Patch::default() });
            // The saga has the host for itself: what a run still reports is late.
            state.drift.run = None;
        }
        HostEvent::Uncordoned(e) => {
            state.cordon = state.cordon.take().filter(|cordon| cordon.saga != e.saga);
            remember(&mut state.uncordoned, &e.saga);
        }
        HostEvent::PowerCycleStarted(_) => power_cycle(&mut state, PowerCycle::Off),
        HostEvent::PowerCycled(_) => power_cycle(&mut state, PowerCycle::Done),
        HostEvent::ServiceRestarted(e) => {
            if let Some(cordon) = &mut state.cordon {
                cordon.restarted = Some(e.service.clone());
            }
        }
        HostEvent::ReimageStarted(e) => reimage_started(&mut state, e),
        HostEvent::JoinedTraffic(e) => traffic::joined(&mut state, e),
        HostEvent::DrainStarted(e) => traffic::drain_started(&mut state, e),
        HostEvent::LeftTraffic(e) => traffic::left(&mut state, e),
        HostEvent::CheckScheduled(e) => state.drift.next = e.next,
        HostEvent::CheckStarted(e) => {
            drifting::run_started(&mut state, DriftRunKind::Check, (&e.step, &e.role, &e.revision));
        }
        HostEvent::RestoreStarted(e) => {
            drifting::run_started(&mut state, DriftRunKind::Restore, (&e.step, &e.role, &e.revision));
        }
        HostEvent::ConfigurationChecked(_) | HostEvent::ConfigurationRestored(_) => {
            let before = state.drift.found.take().filter(|_| mutants::on("host.drifted-for-ever"));
            drifting::run_ended(&mut state, before);
        }
        HostEvent::ConfigurationDrifted(e) => drifting::run_ended(&mut state, Some(drifting::found(e))),
        // What is known of drift is what it was.
        HostEvent::ConfigurationRunFailed(_) => state.drift.run = None,
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

/// The saga that gives the host back holds it from here on. The one that brought it into service has done its work. The new
/// saga's id ends with this number, so the next one has another.
fn release_requested(state: &mut HostState, e: &ReleaseRequested) {
    hand_over(state, &e.saga);
    state.own_steps = state.own_steps.saturating_add(1);
    state.undone = true;
    state.drift = Drift::default();
    state.release = Some(Release { retire: e.retire, reason: e.reason.clone() });
    state.phase = HostPhase::Draining;
}

/// From service a host goes to another saga. The one that brought it there has done its work.
fn hand_over(state: &mut HostState, to: &SagaRef) {
    if let Some(saga) = state.reservation.clone() {
        remember(&mut state.released, &saga);
        remember(&mut state.served, &saga);
    }
    forget_holder(state);
    state.reservation = Some(to.clone());
}

fn reimage_started(state: &mut HostState, e: &ReimageStarted) {
    if !state.is_held_by(&e.saga) {
        hand_over(state, &e.saga);
    }
    deployment_started(state, &e.step);
}

fn power_cycle(state: &mut HostState, is: PowerCycle) {
    if let Some(cordon) = &mut state.cordon {
        cordon.power_cycle = is;
    }
}

/// A cordon ends here, for the host is in service no more. One that its saga has installed again in vain is out of use once it is
/// clean: whoever took it next would meet the same fault.
fn undeploy_started(state: &mut HostState, e: &UndeployStarted) {
    if let Some(cordon) = state.cordon.take() {
        if cordon.saga == e.saga {
            let reason = format!("{} could not put it right ({})", cordon.saga, cordon.reason);
            state.release = Some(Release { retire: true, reason });
        }
        remember(&mut state.uncordoned, &cordon.saga);
    }
    // What it was in traffic says nothing of its next life, unless it is still in it.
    state.traffic = state.traffic.take().filter(Traffic::is_in);
    state.undone = true;
    state.configuration = None;
    state.drift = Drift::default();
    state.undeploy_step = Some(e.step.clone());
    state.phase = HostPhase::Deprovisioning { step: e.step.clone() };
}

/// A host that was being cleaned goes to its holder or to the pool. One that was already clean stays where it is.
fn cleaned(state: &mut HostState, e: &HostCleaned) {
    if let HostPhase::Cleaning { step, .. } = &state.phase
        && *step == e.step
    {
        state.role = None;
        state.revision = None;
        if let (Some(_), Some(saga)) = (&state.release, state.reservation.clone()) {
            remember(&mut state.released, &saga);
            forget_holder(state);
        }
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
    remember(&mut state.released, &e.saga);
}

fn moved(state: &mut HostState, e: &HostMoved) {
    if let Some(profile) = &mut state.profile {
        let home = state.home.take().or_else(|| Some(profile.pool.clone()));
        state.home = home.filter(|home| *home != e.to);
        profile.pool = e.to.clone();
    }
}

fn deployment_started(state: &mut HostState, step: &StepId) {
    if state.deploy_steps.len() >= DEPLOY_STEPS_MAX {
        state.deploy_steps.remove(0);
    }
    state.deploy_steps.push(step.clone());
    // What a runner still does to the old system says nothing of the new one.
    state.configuration = None;
    state.drift = Drift::default();
    state.phase = HostPhase::Deploying { step: step.clone() };
}

fn quarantined(state: &mut HostState, e: &HostQuarantined) {
    forget_holder(state);
    state.role = None;
    state.revision = None;
    if let Some(saga) = &e.saga {
        remember(&mut state.released, saga);
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
    state.configuration = None;
    state.drift = Drift::default();
    state.release = None;
}

fn remember(sagas: &mut Vec<SagaRef>, saga: &SagaRef) {
    sagas.retain(|known| known != saga);
    if sagas.len() >= SAGAS_MAX {
        sagas.remove(0);
    }
    sagas.push(saga.clone());
}
