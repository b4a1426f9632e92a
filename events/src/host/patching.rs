//! What happens to the packages of a host in service that a saga patches.

use hostler_core::saga::SagaRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunOutcome;
use crate::ids::{HostId, StepId};
use crate::patching::{Fix, PackageChange, PackageFailed};

/// What is done to packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PackageChangeKind {
    /// They get the fixed versions.
    Install,
    /// They get the versions back that they had.
    RollBack,
}

/// Packages of the host are about to be changed: what they were is on record before anything is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageChangeStarted {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// What is done.
    pub change: PackageChangeKind,
    /// The versions that the packages have.
    pub before: Vec<Fix>,
    /// The versions that they are to have.
    pub to: Vec<Fix>,
}

/// The packages were installed, or some of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackagesInstalled {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// What has changed.
    pub changed: Vec<PackageChange>,
    /// What has not, though it was to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<PackageFailed>,
    /// Whether the host's system asks for a reboot.
    pub reboot_pending: bool,
}

/// The packages have the versions that they had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackagesRolledBack {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// What has changed.
    pub changed: Vec<PackageChange>,
}

/// The packages cannot be brought back. The host stays out of traffic, and its health is told, whose runbook says what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollBackFailed {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// Why.
    pub reason: String,
}

/// What a runner says at the end of a change of packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackagesReport {
    /// How it ended.
    pub outcome: RunOutcome,
    /// Why it did not succeed; empty where it did.
    #[serde(default)]
    pub message: String,
    /// What has changed.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub changed: Vec<PackageChange>,
    /// What has not, though it was to.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub failed: Vec<PackageFailed>,
    /// Whether the host's system asks for a reboot.
    #[serde(default)]
    pub reboot_pending: bool,
}
