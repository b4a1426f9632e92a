//! What happens to a host: events on the stream `host#<id>`.

use hostler_core::saga::SagaRef;
use hostler_core::{Category, contracts};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::drift::{
    CheckScheduled, CheckStarted, ConfigurationChecked, ConfigurationDrifted, ConfigurationRestored,
    ConfigurationRunFailed, RestoreStarted,
};
use crate::ids::{FaultDomain, HostId, Image, Labels, PoolId, Role, Sku, StepId};
use crate::policy::HostPolicy;
use crate::traffic::{DrainStarted, HostJoinedTraffic, HostLeftTraffic};

mod configuring;
mod patching;
mod releasing;
mod repairing;

pub use configuring::{
    ConfigurationStarted, ReadRoleRun, RoleRun, RunCommandEnd, RunOutcome, RunReport, TASKS_MAX, TaskBegun,
    TaskResult, TaskRun,
};
pub use patching::{
    PackageChangeKind, PackageChangeStarted, PackagesInstalled, PackagesReport, PackagesRolledBack,
    RollBackFailed,
};
pub use releasing::{HostRetired, ReleaseRequested};
pub use repairing::{
    HostCordoned, HostPowerCycled, HostUncordoned, PowerCycleStarted, ReimageStarted, ServiceRestarted,
};

contracts! {
    /// What happens to a host.
    pub enum HostEvent as Event {
        "host.enrolled" v 1 => Enrolled(HostEnrolled),
        "host.verified" v 1 => Verified(HostVerified),
        "host.inspected" v 1 => Inspected(HostInspected),
        "host.verification-failed" v 1 => VerificationFailed(VerificationFailed),
        "host.labelled" v 1 => Labelled(HostLabelled),
        "host.cleaning-started" v 1 => CleaningStarted(CleaningStarted),
        "host.cleaning-booted" v 1 => CleaningBooted(CleaningBooted),
        "host.cleaning-failed" v 1 => CleaningFailed(CleaningFailed),
        "host.cleaned" v 1 => Cleaned(HostCleaned),
        "host.reserved" v 1 => Reserved(HostReserved),
        "host.released" v 1 => Released(HostReleased),
        "host.moved" v 1 => Moved(HostMoved),
        "host.deploy-started" v 1 => DeployStarted(DeployStarted),
        "host.power-state-changed" v 1 => PowerStateChanged(PowerStateChanged),
        "host.deploy-booted" v 1 => DeployBooted(DeployBooted),
        "host.deploy-completed" v 1 => DeployCompleted(DeployCompleted),
        "host.configuration-applied" v 1 => ConfigurationApplied(ConfigurationApplied),
        "host.monitoring-registered" v 1 => MonitoringRegistered(MonitoringRegistered),
        "host.in-service" v 1 => InService(HostInService),
        "host.step-failed" v 1 => StepFailed(StepFailed),
        "host.step-deferred" v 1 => StepDeferred(StepDeferred),
        "host.monitoring-deregistered" v 1 => MonitoringDeregistered(MonitoringDeregistered),
        "host.undeploy-started" v 1 => UndeployStarted(UndeployStarted),
        "host.undeployed" v 1 => Undeployed(HostUndeployed),
        "host.quarantined" v 1 => Quarantined(HostQuarantined),
        "host.requalified" v 1 => Requalified(HostRequalified),
        "host.release-requested" v 1 => ReleaseRequested(ReleaseRequested),
        "host.retired" v 1 => Retired(HostRetired),
        "host.cordoned" v 1 => Cordoned(HostCordoned),
        "host.uncordoned" v 1 => Uncordoned(HostUncordoned),
        "host.power-cycle-started" v 1 => PowerCycleStarted(PowerCycleStarted),
        "host.power-cycled" v 1 => PowerCycled(HostPowerCycled),
        "host.service-restarted" v 1 => ServiceRestarted(ServiceRestarted),
        "host.reimage-started" v 1 => ReimageStarted(ReimageStarted),
        "host.joined-traffic" v 1 => JoinedTraffic(HostJoinedTraffic),
        "host.drain-started" v 1 => DrainStarted(DrainStarted),
        "host.left-traffic" v 1 => LeftTraffic(HostLeftTraffic),
        "host.configuration-started" v 1 => ConfigurationStarted(ConfigurationStarted),
        "host.role-run" v 1 => RoleRun(RoleRun),
        "host.package-change-started" v 1 => PackageChangeStarted(PackageChangeStarted),
        "host.packages-installed" v 1 => PackagesInstalled(PackagesInstalled),
        "host.packages-rolled-back" v 1 => PackagesRolledBack(PackagesRolledBack),
        "host.roll-back-failed" v 1 => RollBackFailed(RollBackFailed),
        "host.configuration-check-scheduled" v 1 => CheckScheduled(CheckScheduled),
        "host.configuration-check-started" v 1 => CheckStarted(CheckStarted),
        "host.configuration-checked" v 1 => ConfigurationChecked(ConfigurationChecked),
        "host.configuration-drifted" v 1 => ConfigurationDrifted(ConfigurationDrifted),
        "host.configuration-restore-started" v 1 => RestoreStarted(RestoreStarted),
        "host.configuration-restored" v 1 => ConfigurationRestored(ConfigurationRestored),
        "host.configuration-run-failed" v 1 => ConfigurationRunFailed(ConfigurationRunFailed),
    }
}

/// Where a host's BMC answers. Credentials are never part of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BmcAddress {
    /// The Redfish system resource, such as `https://10.0.0.7/redfish/v1/Systems/1`.
    #[schemars(regex(pattern = "^https?://"))]
    pub system_url: String,
}

/// Whether a host has power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PowerState {
    /// Powered.
    On,
    /// Not powered.
    Off,
}

/// How a BMC has its host boot from an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BootMethod {
    /// From its virtual CD drive.
    VirtualMedia,
    /// From an address that it gives the host's firmware.
    UefiHttp,
}

/// A host was made known. It is verified, inspected and cleaned before it can be reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostEnrolled {
    /// The host.
    pub host: HostId,
    /// The pool it serves.
    pub pool: PoolId,
    /// Its model.
    pub sku: Sku,
    /// What it fails together with.
    pub fault_domain: FaultDomain,
    /// Where its BMC answers.
    pub bmc: BmcAddress,
    /// Free labels.
    #[serde(default)]
    pub labels: Labels,
    /// Deadlines of its own life.
    #[serde(default)]
    pub policy: HostPolicy,
    /// The verification that was asked for.
    pub step: StepId,
}

/// The BMC answered, and is the one of this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostVerified {
    /// The host.
    pub host: HostId,
    /// The verification.
    pub step: StepId,
    /// The power state that two reads agreed on.
    pub power_state: PowerState,
}

/// What the BMC says of the hardware. Not observed is not absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostInspected {
    /// The host.
    pub host: HostId,
    /// The verification.
    pub step: StepId,
    /// Manufacturer, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    /// Model, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Serial number, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Processors, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors: Option<u32>,
    /// Memory in GiB, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<f64>,
    /// How it boots from an image. Events from before it was recorded do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_method: Option<BootMethod>,
}

/// The BMC could not be verified in this try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationFailed {
    /// The host.
    pub host: HostId,
    /// The verification.
    pub step: StepId,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// Why.
    pub reason: String,
}

/// Labels were set or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostLabelled {
    /// The host.
    pub host: HostId,
    /// All its labels from now on.
    pub labels: Labels,
}

/// The host is being wiped; until it is clean nobody gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleaningStarted {
    /// The host.
    pub host: HostId,
    /// The cleaning.
    pub step: StepId,
    /// Which try it is, from 1.
    pub attempt: u32,
}

/// The cleaning image reported from the host that it is done; the host is now put to rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleaningBooted {
    /// The host.
    pub host: HostId,
    /// The cleaning.
    pub step: StepId,
}

/// A try at cleaning failed. After the last one the host is quarantined, never returned to the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleaningFailed {
    /// The host.
    pub host: HostId,
    /// The cleaning.
    pub step: StepId,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// Why.
    pub reason: String,
}

/// The host is clean and at rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostCleaned {
    /// The host.
    pub host: HostId,
    /// The cleaning.
    pub step: StepId,
    /// The saga that still holds the host, when it was cleaned on the way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaRef>,
}

/// A saga holds the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostReserved {
    /// The host.
    pub host: HostId,
    /// The saga that holds it.
    pub saga: SagaRef,
    /// The step that asked.
    pub step: StepId,
}

/// The host is back in its pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostReleased {
    /// The host.
    pub host: HostId,
    /// The saga that held it.
    pub saga: SagaRef,
    /// The step that asked.
    pub step: StepId,
}

/// The host serves another pool from now on: a saga has taken it for one, or it is free again and goes back to its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostMoved {
    /// The host.
    pub host: HostId,
    /// The pool that it leaves.
    pub from: PoolId,
    /// The pool that it serves.
    pub to: PoolId,
    /// The saga that has taken it. Absent where it goes back to its own pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaRef>,
}

/// The host is about to be booted from its image; from here on it counts as dirty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeployStarted {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The image.
    pub image: Image,
}

/// The power state changed, as two matching reads agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PowerStateChanged {
    /// The host.
    pub host: HostId,
    /// The step that changed it.
    pub step: StepId,
    /// The state now.
    pub power_state: PowerState,
}

/// The host itself called back from its new system. Its image is now taken out, for a host that boots from it
/// again would be installed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeployBooted {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
}

/// The host runs its own system, and boots from its own disk from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeployCompleted {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
}

/// The role's configuration is on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationApplied {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The role.
    pub role: Role,
    /// The configuration's revision.
    pub revision: String,
    /// Whether anything on the host had to change.
    pub changed: bool,
    /// When it was recorded. Events from before that was said do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// The host is known to monitoring and its first sample was healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitoringRegistered {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
}

/// The host serves its pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostInService {
    /// The host.
    pub host: HostId,
    /// The saga that brought it there.
    pub saga: SagaRef,
    /// The step that was the last one.
    pub step: StepId,
    /// The pool it serves.
    pub pool: PoolId,
    /// Its role.
    pub role: Role,
}

/// A step on the host did not work. The saga decides whether to try again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepFailed {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// Transient failures are worth another try, others are not.
    pub category: Category,
    /// What happened, and what to do.
    pub reason: String,
    /// Whether something may have been done all the same. Events from before it was recorded mean that it may.
    #[serde(default = "yes")]
    pub uncertain: bool,
}

fn yes() -> bool {
    true
}

/// A step on the host waits, for what it needs is away. The saga gives it more time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepDeferred {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// When it is looked at again.
    pub until: Timestamp,
    /// What is away, and why that is known.
    pub reason: String,
}

/// Monitoring no longer knows the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitoringDeregistered {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
}

/// The deployment is being undone; whatever the deployment still reports is late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UndeployStarted {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
}

/// The host is powered off, its media ejected and its boot target restored; cleaning follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostUndeployed {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
}

/// The host is out of use until an operator has looked at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostQuarantined {
    /// The host.
    pub host: HostId,
    /// The saga that held it, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaRef>,
    /// Why.
    pub reason: String,
}

/// An operator sends a quarantined host through verification and cleaning again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostRequalified {
    /// The host.
    pub host: HostId,
    /// The verification that was asked for.
    pub step: StepId,
}
