//! What is asked and recorded when the packages of a host are patched.

use hostler_core::contracts;
use hostler_core::saga::SagaRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{AdvisoryId, CampaignId, HostId, PoolId, StepId};
use crate::site::Problems;
use crate::traffic::TrafficPolicy;

/// How many packages one order may change.
pub const FIXES_MAX: usize = 50;

/// A package, and the version that it is to have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fix {
    /// Its name, as the host's package system has it.
    pub package: String,
    /// The version.
    pub version: String,
}

/// Whether a host may be rebooted because of what was installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reboot {
    /// When its system says that it needs to.
    #[default]
    WhenNeeded,
    /// Not now. What needs a reboot counts as installed and not as fixed.
    Never,
}

/// What a patching saga is started with: one host's part in a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatchOrder {
    /// The campaign.
    pub campaign: CampaignId,
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The host.
    pub host: HostId,
    /// Its pool.
    pub pool: PoolId,
    /// What is to be installed. A package that the host does not have, or has in this version or a newer one, is left alone.
    #[schemars(length(min = 1, max = 50))]
    pub fixes: Vec<Fix>,
    /// Whether it may be rebooted.
    #[serde(default)]
    pub reboot: Reboot,
    /// How the host takes part in traffic, where its pool does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficPolicy>,
    /// The site's numbers, kept from start to end.
    #[serde(default)]
    pub policy: PatchingPolicy,
}

/// The numbers by which one host is patched. Fields that are left out have their defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PatchingPolicy {
    /// Minutes that a change of packages may take, on one host.
    #[schemars(range(min = 1, max = 240))]
    pub change_minutes: u32,
    /// Minutes that a host has until it must be healthy on what was installed, a reboot included. A slow reboot is no failure
    /// until they are over.
    #[schemars(range(min = 1, max = 240))]
    pub healthy_minutes: u32,
}

impl Default for PatchingPolicy {
    fn default() -> Self {
        Self { change_minutes: 20, healthy_minutes: 30 }
    }
}

impl PatchingPolicy {
    pub(crate) fn check(self, problems: &mut Problems) {
        problems.range(&["patching", "changeMinutes"], self.change_minutes, 1, 240);
        problems.range(&["patching", "healthyMinutes"], self.healthy_minutes, 1, 240);
    }
}

contracts! {
    /// What is asked of `patch-host`.
    pub enum PatchCommand as Command {
        "install-packages" v 1 @ "patch-host" => InstallPackages(InstallPackages),
        "change-packages" v 1 @ "patch-host" => ChangePackages(ChangePackages),
        "roll-back-packages" v 1 @ "patch-host" => RollBackPackages(RollBackPackages),
    }
}

contracts! {
    /// What sagas ask of `assess-hosts`, which knows the findings of hosts.
    pub enum AssessCommand as Command {
        "begin-patching" v 1 @ "assess-hosts" => BeginPatching(BeginPatching),
        "scan-packages" v 1 @ "assess-hosts" => ScanPackages(ScanPackages),
    }
}

/// Look once more whether a host has an open finding of an advisory, before it is disturbed. The answer is [`PatchingWanted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BeginPatching {
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// The advisory.
    pub advisory: AdvisoryId,
}

/// Whether a host has an open finding still: the answer to [`BeginPatching`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatchingWanted {
    /// Whether it has.
    pub wanted: bool,
    /// Why not, for people; empty where it has.
    #[serde(default)]
    pub why: String,
}

/// Read what is installed on a host that the saga has cordoned, record it, and have these versions installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstallPackages {
    /// The saga that has cordoned the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// What is to be installed.
    pub fixes: Vec<Fix>,
}

/// Have packages changed whose versions before are on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangePackages {
    /// The saga that has cordoned the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Have a host's packages brought back to the versions that they had before the saga changed them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollBackPackages {
    /// The saga that has cordoned the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Look at what is installed on a host by now, and say what has become of its finding. The answer is [`PackagesScanned`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanPackages {
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// The advisory.
    pub advisory: AdvisoryId,
}

/// What has become of a finding: the answer to [`ScanPackages`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackagesScanned {
    /// Whether the host has no open finding of the advisory any more.
    pub resolved: bool,
    /// Whether what is installed takes effect with the next reboot only, so that it is not fixed yet.
    pub reboot_pending: bool,
}

/// What became of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageChange {
    /// Its name.
    pub package: String,
    /// The version that it had.
    pub from: String,
    /// The version that it has.
    pub to: String,
}

/// What of a change did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageFailed {
    /// The package.
    pub package: String,
    /// What the package system said.
    pub reason: String,
}

/// What was installed: the answer to [`InstallPackages`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstalledPackages {
    /// What has changed.
    pub changed: Vec<PackageChange>,
    /// The packages that were to be changed, and could not be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Whether the host's system asks for a reboot.
    pub reboot_pending: bool,
}
