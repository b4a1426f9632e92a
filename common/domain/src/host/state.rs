//! What is known of a host, and how its events add up to it.

use hostler_core::InvalidId;
use hostler_core::saga::SagaRef;
use hostler_events::host::{
    BmcAddress, BootMethod, CleaningFailed, CleaningStarted, HostCleaned, HostEnrolled, HostInspected,
    HostMoved, HostQuarantined, HostReleased, HostReserved, PowerState, ReimageStarted, ReleaseRequested,
    UndeployStarted, VerificationFailed,
};
use hostler_events::{
    FaultDomain, HostEvent, HostId, HostPolicy, Labels, PoolId, Role, Service, Sku, StepId,
};
use serde::{Deserialize, Serialize};

use super::phases::{HostPhase, Move};
use super::traffic::{self, Traffic};

/// What a host was enrolled with. Its labels may have changed since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostProfile {
    /// The host.
    pub host: HostId,
    /// The pool it serves.
    pub pool: PoolId,
    /// Its model.
    pub sku: Sku,
    /// Its fault domain.
    pub fault_domain: FaultDomain,
    /// Where its BMC answers.
    pub bmc: BmcAddress,
    /// Its labels now.
    pub labels: Labels,
    /// The labels that it was enrolled with, by which a repeated enrolment is recognised.
    pub labels_enrolled: Labels,
    /// Deadlines of its own life.
    pub policy: HostPolicy,
}

/// What a BMC reports of the hardware. A part that was not observed may exist all the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hardware {
    /// Manufacturer, where known.
    pub manufacturer: Option<String>,
    /// Model, where known.
    pub model: Option<String>,
    /// Serial number, where known.
    pub serial: Option<String>,
    /// Processors, where known.
    pub processors: Option<u32>,
    /// Memory in GiB, where known.
    pub memory_gib: Option<f64>,
    /// How it boots from an image, where known.
    pub boot_method: Option<BootMethod>,
}

impl From<&HostInspected> for Hardware {
    fn from(inspected: &HostInspected) -> Self {
        Self {
            manufacturer: inspected.manufacturer.clone(),
            model: inspected.model.clone(),
            serial: inspected.serial.clone(),
            processors: inspected.processors,
            memory_gib: inspected.memory_gib,
            boot_method: inspected.boot_method,
        }
    }
}

/// What is known of a host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostState {
    /// Where it is in its life.
    pub phase: HostPhase,
    /// What it is; absent until it is enrolled.
    pub profile: Option<HostProfile>,
    /// The saga that holds it; in service, the one that brought it there.
    pub reservation: Option<SagaRef>,
    /// The role that was applied.
    pub role: Option<Role>,
    /// The revision of the configuration that was applied.
    pub revision: Option<String>,
    /// The role that a runner is applying, until it has reported how that ended.
    #[serde(default)]
    pub configuration: Option<Configuration>,
    /// What was read of the hardware.
    pub facts: Option<Hardware>,
    /// The power state that was last recorded.
    pub power: Option<PowerState>,
    /// How many verifications and cleanings have begun. Their step ids are numbered by it and never repeat.
    pub own_steps: u64,
    /// The step that reserved it last.
    pub reserved_step: Option<StepId>,
    /// The deployments that have begun under this reservation, so that a late or repeated command does not boot it
    /// again.
    pub deploy_steps: Vec<StepId>,
    /// The last step whose image reported success, so that a repeated report is recognised.
    pub booted_step: Option<StepId>,
    /// The step that brought it into service.
    pub service_step: Option<StepId>,
    /// The step that has its deployment undone, so that the saga hears of the end of cleaning.
    #[serde(default)]
    pub undeploy_step: Option<StepId>,
    /// The sagas that brought the host into service and lost it to the one that gave it back, the newest last.
    #[serde(default)]
    pub served: Vec<SagaRef>,
    /// Why and how it is given back from service, while that goes on.
    #[serde(default)]
    pub release: Option<Release>,
    /// The saga that works on the host, which was in service when it began, and how far it is.
    #[serde(default)]
    pub cordon: Option<Cordon>,
    /// The sagas that are done with the host, the newest last. They never cordon it again, however late they ask.
    #[serde(default)]
    pub uncordoned: Vec<SagaRef>,
    /// How it takes part in traffic, or did so last; absent where it never has.
    #[serde(default)]
    pub traffic: Option<Traffic>,
    /// Whether this reservation's deployment is or was being undone. Then the host is not deployed for it again.
    pub undone: bool,
    /// Its own pool, while it serves another one.
    #[serde(default)]
    pub home: Option<PoolId>,
    /// The sagas that gave the host back or lost it, the newest last. They never get it again, however late they ask.
    pub released: Vec<SagaRef>,
}

/// How a host is given back from service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Whether it is retired once it is clean.
    pub retire: bool,
    /// Why.
    pub reason: String,
}

/// A role that a runner applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// The saga that holds the host.
    pub saga: SagaRef,
    /// The step whose end the runner reports.
    pub step: StepId,
    /// The role.
    pub role: Role,
    /// The revision that is applied; the newest, where none was named.
    pub revision: Option<String>,
}

/// Who has a host for itself, while it is in service or installed again from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cordon {
    /// The saga that works on the host.
    pub saga: SagaRef,
    /// Why.
    pub reason: String,
    /// How far its power cycle is.
    pub power_cycle: PowerCycle,
    /// The service that was restarted. There is one at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted: Option<Service>,
}

/// How far the power cycle under a cordon is. There is one at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PowerCycle {
    /// It has not begun.
    #[default]
    NotBegun,
    /// The host is off, and is to be powered on.
    Off,
    /// It is over.
    Done,
}

/// How many sagas that are done with a host are remembered.
const SAGAS_MAX: usize = 32;
/// How many deployments under one reservation are remembered.
const DEPLOY_STEPS_MAX: usize = 32;

/// The host's own work, by which its step ids are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnWork {
    Verify,
    Clean,
}

impl OwnWork {
    fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Clean => "clean",
        }
    }
}

impl HostState {
    /// Whether a saga could reserve it now.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.phase == HostPhase::Available
    }

    /// Whether this saga holds it, or brought it into service.
    #[must_use]
    pub fn is_held_by(&self, saga: &SagaRef) -> bool {
        self.reservation.as_ref() == Some(saga)
    }

    /// Whether this saga has cordoned it.
    #[must_use]
    pub fn is_cordoned_by(&self, saga: &SagaRef) -> bool {
        self.cordon.as_ref().is_some_and(|cordon| cordon.saga == *saga)
    }

    /// How far the power cycle is that this saga wants, which has cordoned the host; none where it may have none.
    #[must_use]
    pub fn power_cycle_of(&self, saga: &SagaRef) -> Option<PowerCycle> {
        let cordon = self.cordon.as_ref().filter(|cordon| cordon.saga == *saga)?;
        self.phase.allows(Move::PowerCycle).then_some(cordon.power_cycle)
    }

    /// Whether a service of the host may be restarted for this saga, and was not yet: it has cordoned the host, which is in service.
    #[must_use]
    pub fn awaits_restart_for(&self, saga: &SagaRef) -> bool {
        let cordon = self.cordon.as_ref().filter(|cordon| cordon.saga == *saga);
        self.phase.allows(Move::RestartService) && cordon.is_some_and(|cordon| cordon.restarted.is_none())
    }

    /// Whether this saga may have its steps done on the host: it holds the host, or has cordoned it.
    #[must_use]
    pub fn is_worked_on_by(&self, saga: &SagaRef) -> bool {
        self.is_held_by(saga) || self.is_cordoned_by(saga)
    }

    /// Whether the host waits for the end of this step. A worker checks this before it touches the hardware, and
    /// drops a command that came late.
    #[must_use]
    pub fn waits_for(&self, step: &StepId) -> bool {
        self.phase.step() == Some(step)
    }

    /// Whether a runner is at work for this step.
    #[must_use]
    pub fn is_configured_by(&self, step: &StepId) -> bool {
        self.configuration.as_ref().is_some_and(|run| run.step == *step)
    }

    /// Whether the image of this step has reported from the host that it is done.
    #[must_use]
    pub fn has_booted(&self, step: &StepId) -> bool {
        self.booted_step.as_ref() == Some(step)
    }

    /// The id of the next verification or cleaning of this host.
    pub(super) fn next_own_step(&self, host: &HostId, work: OwnWork) -> Result<StepId, InvalidId> {
        StepId::new(format!("{host}/{}/{}", work.name(), self.own_steps.saturating_add(1)))
    }
}

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
            state.configuration = None;
            state.phase = HostPhase::RegisteringMonitoring;
        }
        HostEvent::StepFailed(e) => {
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
            state.cordon = Some(Cordon { saga, reason, power_cycle, restarted: None });
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
    state.release = None;
}

fn remember(sagas: &mut Vec<SagaRef>, saga: &SagaRef) {
    sagas.retain(|known| known != saga);
    if sagas.len() >= SAGAS_MAX {
        sagas.remove(0);
    }
    sagas.push(saga.clone());
}
