//! What people and functions ask for: operator commands, and the commands of the steps.

use hostler_core::contracts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::BmcAddress;
use crate::ids::{FaultDomain, HostId, Image, Labels, PoolId, ProvisioningId, RequestId, Role, Sku, StepId};
use crate::policy::ProvisioningPolicy;
use crate::provisioning::StepKind;

/// The most hosts one request may ask for: what one site deploys at once.
pub const HOSTS_PER_REQUEST_MAX: u32 = 250;

contracts! {
    /// What operators and other systems may ask for, over HTTP or the queue `commands`.
    pub enum OperatorCommand as Command {
        "enrol-host" v 1 @ "commands" => EnrolHost(EnrolHost) of host,
        "label-host" v 1 @ "commands" => LabelHost(LabelHost) of host,
        "requalify-host" v 1 @ "commands" => RequalifyHost(RequalifyHost) of host,
        "request-hosts" v 1 @ "commands" => RequestHosts(RequestHosts) of request,
        "approve-request" v 1 @ "commands" => ApproveRequest(ApproveRequest) of request,
        "reject-request" v 1 @ "commands" => RejectRequest(RejectRequest) of request,
        "cancel-provisioning" v 1 @ "commands" => CancelProvisioning(CancelProvisioning) of provisioning,
        "resume-provisioning" v 1 @ "commands" => ResumeProvisioning(ResumeProvisioning) of provisioning,
        "skip-compensation" v 1 @ "commands" => SkipCompensation(SkipCompensation) of provisioning,
        "report-boot" v 1 @ "commands" => ReportBoot(ReportBoot) of host,
    }
}

contracts! {
    /// What one function asks of another, over the queue of the one that does it.
    pub enum StepCommand as Command {
        "start-provisioning" v 1 @ "provision-hosts" => StartProvisioning(StartProvisioning),
        "verify-host" v 1 @ "deploy-host" => VerifyHost(VerifyHost),
        "clean-host" v 1 @ "deploy-host" => CleanHost(CleanHost),
        "finish-cleaning" v 1 @ "deploy-host" => FinishCleaning(FinishCleaning),
        "reserve-host" v 1 @ "deploy-host" => ReserveHost(ReserveHost),
        "deploy-image" v 1 @ "deploy-host" => DeployImage(DeployImage),
        "finish-deploy" v 1 @ "deploy-host" => FinishDeploy(FinishDeploy),
        "apply-role" v 1 @ "configure-host" => ApplyRole(ApplyRole),
        "register-monitoring" v 1 @ "monitor-host" => RegisterMonitoring(RegisterMonitoring),
        "deregister-monitoring" v 1 @ "monitor-host" => DeregisterMonitoring(DeregisterMonitoring),
        "undeploy-host" v 1 @ "deploy-host" => UndeployHost(UndeployHost),
        "release-reservation" v 1 @ "deploy-host" => ReleaseReservation(ReleaseReservation),
    }
}

/// Make a host known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrolHost {
    /// The host.
    pub host: HostId,
    /// The pool it is to serve.
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
}

/// Set or remove labels of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelHost {
    /// The host.
    pub host: HostId,
    /// Labels to set.
    #[serde(default)]
    pub set: Labels,
    /// Keys of labels to remove.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// Send a quarantined host through verification and cleaning again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequalifyHost {
    /// The host.
    pub host: HostId,
}

/// Provision hosts into a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestHosts {
    /// Names this request; sending it again is safe.
    pub request: RequestId,
    /// The pool that needs them; also the pool that they are taken from.
    pub pool: PoolId,
    /// What they are to be.
    pub role: Role,
    /// What they run.
    pub image: Image,
    /// The model, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// How many.
    #[schemars(range(min = 1, max = 250))]
    pub count: u32,
}

/// Have a request carried out that waits for a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveRequest {
    /// The request.
    pub request: RequestId,
    /// Why.
    pub reason: String,
}

/// Have a request not carried out that waits for a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejectRequest {
    /// The request.
    pub request: RequestId,
    /// Why.
    pub reason: String,
}

/// Undo a provisioning that is not done yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelProvisioning {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// Why; it is recorded.
    pub reason: String,
}

/// Have a stuck saga try its compensation again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResumeProvisioning {
    /// The saga.
    pub provisioning: ProvisioningId,
}

/// Have a stuck saga go on without the compensation that it is stuck at: somebody has seen to it otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SkipCompensation {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The compensation that it is stuck at; another one is refused.
    pub kind: StepKind,
    /// Why, and what was done instead; it is recorded.
    pub reason: String,
}

/// How a boot from an image ended, as the booted system itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BootOutcome {
    /// The image did its work.
    Succeeded,
    /// It did not.
    Failed,
}

/// A host calls back from the image that it was booted from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportBoot {
    /// The host.
    pub host: HostId,
    /// The step that booted it.
    pub step: StepId,
    /// The single-use secret that the image was given for this step.
    pub token: String,
    /// How it ended.
    pub outcome: BootOutcome,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Begin a provisioning saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartProvisioning {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The request it serves.
    pub request: RequestId,
    /// The pool that needs the host.
    pub pool: PoolId,
    /// What the host is to be.
    pub role: Role,
    /// What it runs.
    pub image: Image,
    /// The model, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// The numbers to decide by.
    #[serde(default)]
    pub policy: ProvisioningPolicy,
}

/// Reach a host's BMC and read its hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyHost {
    /// The host.
    pub host: HostId,
    /// The verification.
    pub step: StepId,
}

/// Boot a host into the cleaning image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanHost {
    /// The host.
    pub host: HostId,
    /// The cleaning.
    pub step: StepId,
}

/// Put a host to rest whose cleaning image is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinishCleaning {
    /// The host.
    pub host: HostId,
    /// The cleaning.
    pub step: StepId,
}

/// Find a free host and hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReserveHost {
    /// The saga to hold it for.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// The pool to take it from.
    pub pool: PoolId,
    /// The model, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
}

/// Boot a host from an image, and have it call back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeployImage {
    /// The saga that holds the host.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// The image.
    pub image: Image,
}

/// Take the image out of a host that has called back from it, and let it boot from its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinishDeploy {
    /// The saga that holds the host.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Apply a role's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyRole {
    /// The saga that holds the host.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// The role.
    pub role: Role,
}

/// Make a host known to monitoring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisterMonitoring {
    /// The saga that holds the host.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// The role.
    pub role: Role,
}

/// Have monitoring forget a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeregisterMonitoring {
    /// The saga that holds the host.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Undo a deployment and clean the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UndeployHost {
    /// The saga that holds the host.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Give back whatever host is held for a saga, and hold none for it any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseReservation {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
}
