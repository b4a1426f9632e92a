//! What is known of a host.

use hostler_core::InvalidId;
use hostler_core::saga::SagaRef;
use hostler_events::host::{BmcAddress, BootMethod, HostInspected, PowerState};
use hostler_events::{FaultDomain, HostId, HostPolicy, Labels, PoolId, Role, Service, Sku, StepId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::drifting::Drift;
use super::patching::Patch;
use super::phases::{HostPhase, Move};
use super::traffic::Traffic;

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
    /// Since when, where that is known.
    #[serde(default)]
    pub configured_at: Option<Timestamp>,
    /// The role that a runner is applying, until it has reported how that ended.
    #[serde(default)]
    pub configuration: Option<Configuration>,
    /// How it keeps that configuration.
    #[serde(default)]
    pub drift: Drift,
    /// What was read of the hardware.
    pub facts: Option<Hardware>,
    /// The power state that was last recorded.
    pub power: Option<PowerState>,
    /// How many verifications, cleanings, checks and restorations have begun. Their step ids are numbered by it and never repeat.
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
    /// How far its patching is.
    #[serde(default)]
    pub patch: Patch,
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

/// The host's own work, by which its step ids are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnWork {
    Verify,
    Clean,
    Check,
    Restore,
}

impl OwnWork {
    fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Clean => "clean",
            Self::Check => "check",
            Self::Restore => "restore",
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

    /// The id of the next work of this host's own.
    pub(super) fn next_own_step(&self, host: &HostId, work: OwnWork) -> Result<StepId, InvalidId> {
        StepId::new(format!("{host}/{}/{}", work.name(), self.own_steps.saturating_add(1)))
    }
}
