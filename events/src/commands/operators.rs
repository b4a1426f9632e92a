//! What people, hosts and runners ask for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::{BmcAddress, RunReport};
use crate::ids::{FaultDomain, HostId, Image, Labels, PoolId, RequestId, Role, Sku, StepId};

/// The most hosts one request may ask for: what one site deploys at once.
pub const HOSTS_PER_REQUEST_MAX: u32 = 250;

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

/// Give back a host that is in service: it goes to its pool, cleaned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseHost {
    /// The host.
    pub host: HostId,
    /// Why.
    pub reason: String,
}

/// Take a host out of use, for good or until it is requalified: from service it is released first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetireHost {
    /// The host.
    pub host: HostId,
    /// Why.
    pub reason: String,
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

/// A runner calls back about a role that it applies to a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportConfiguration {
    /// The host.
    pub host: HostId,
    /// The step that has the role applied.
    pub step: StepId,
    /// The secret that the runner was given for this step.
    pub token: String,
    /// What it says.
    pub report: RunReport,
}
