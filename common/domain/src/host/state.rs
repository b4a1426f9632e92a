//! What is known of a host.

use hostler_core::InvalidId;
use hostler_core::saga::SagaRef;
use hostler_events::host::{BmcAddress, HostInspected, PowerState};
use hostler_events::{FaultDomain, HostId, HostPolicy, Labels, PoolId, Role, Sku, StepId};
use serde::{Deserialize, Serialize};

use super::phases::HostPhase;

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
}

impl From<&HostInspected> for Hardware {
    fn from(inspected: &HostInspected) -> Self {
        Self {
            manufacturer: inspected.manufacturer.clone(),
            model: inspected.model.clone(),
            serial: inspected.serial.clone(),
            processors: inspected.processors,
            memory_gib: inspected.memory_gib,
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
    /// Whether this reservation's deployment is or was being undone. Then the host is not deployed for it again.
    pub undone: bool,
    /// The sagas that gave the host back or lost it, the newest last. They never get it again, however late they ask.
    pub released: Vec<SagaRef>,
}

/// How many sagas that gave a host back are remembered.
pub(super) const RELEASED_MAX: usize = 32;
/// How many deployments under one reservation are remembered.
pub(super) const DEPLOY_STEPS_MAX: usize = 32;

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

    /// Whether the host waits for the end of this step. A worker checks this before it touches the hardware, and
    /// drops a command that came late.
    #[must_use]
    pub fn waits_for(&self, step: &StepId) -> bool {
        self.phase.step() == Some(step)
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
