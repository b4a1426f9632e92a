//! What is installed on hosts, and which vulnerabilities they have because of it: events on the streams `packages#<host>`
//! and `finding#<advisory>/<rack>/<host>`.

use std::collections::BTreeMap;

use hostler_core::{contracts, text_id};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advisory::Priority;
use crate::ids::{AdvisoryId, FaultDomain, HostId, PoolId};

text_id!(
    /// A vulnerability of a host: `<advisory>/<rack>/<host>`, so that those of an advisory are listed rack by rack.
    FindingId,
    "finding id"
);

contracts! {
    /// What is seen of the packages of a host.
    pub enum PackagesEvent as Event {
        "packages.observed" v 1 => Observed(PackagesObserved),
        "packages.assessed" v 1 => Assessed(PackagesAssessed),
    }
}

contracts! {
    /// What happens to a vulnerability of a host.
    pub enum FindingEvent as Event {
        "finding.detected" v 1 => Detected(FindingDetected),
        "finding.changed" v 1 => Changed(FindingChanged),
        "finding.reboot-pending" v 1 => RebootPending(FindingRebootPending),
        "finding.resolved" v 1 => Resolved(FindingResolved),
        "finding.excepted" v 1 => Excepted(FindingExcepted),
        "finding.exception-ended" v 1 => ExceptionEnded(FindingExceptionEnded),
        "finding.deadline-breached" v 1 => DeadlineBreached(FindingDeadlineBreached),
    }
}

/// A package that is installed, as dpkg names it: `openssl`, or `libssl3:amd64` where several architectures go together.
pub type PackageName = String;

/// A package that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstalledVersion {
    /// Its version.
    pub version: String,
    /// The source package that it is made from, where that has another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The version of that source package, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
}

impl InstalledVersion {
    /// The version of a package of this name. A source that has the package's own name and version says nothing more, and is not
    /// kept.
    #[must_use]
    pub fn of(name: &str, version: String, source: Option<String>, source_version: Option<String>) -> Self {
        let source_version = source_version.filter(|of_source| *of_source != version);
        let own = name.split(':').next().unwrap_or(name);
        let source = source.filter(|source| source != own || source_version.is_some());
        Self { version, source, source_version }
    }
}

/// The list of the packages of a host was read. The first has all of them; the others have what has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackagesObserved {
    /// The host.
    pub host: HostId,
    /// The host's pool.
    pub pool: PoolId,
    /// The host's rack.
    pub fault_domain: FaultDomain,
    /// Whether it is exposed.
    pub exposed: bool,
    /// The system, such as `Debian:12`; empty where nobody says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ecosystem: String,
    /// Who read it.
    pub source: String,
    /// What was installed, or has another version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub installed: BTreeMap<PackageName, InstalledVersion>,
    /// What is not installed any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<PackageName>,
    /// Whether something that was installed waits for a reboot.
    pub reboot_pending: bool,
    /// When it was read, by the clock of who read it.
    pub observed_at: Timestamp,
}

/// The packages of a host were compared with a vulnerability, and that has changed what is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackagesAssessed {
    /// The host.
    pub host: HostId,
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// The number of the decision about it.
    pub revision: u32,
    /// Whether the host is exposed.
    pub exposed: bool,
    /// The finding.
    pub finding: FindingId,
    /// What has it, and whether it waits for a reboot; absent where nothing has it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// What of a host has a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The packages that have it, each once.
    pub packages: Vec<AffectedPackage>,
    /// Whether all of them are fixed, and only the reboot is missing.
    pub reboot_pending: bool,
}

/// An installed package that has a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffectedPackage {
    /// The package that is installed (not its source package).
    pub package: String,
    /// Its version.
    pub installed: String,
    /// The first version without the vulnerability; absent where there is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
}

/// Where a vulnerability of a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingStatus {
    /// The host has it.
    Open,
    /// What fixes it is installed, and works after a reboot only.
    RebootPending,
    /// The host has it, and somebody answers for that until a date.
    Excepted,
    /// The host has it no more.
    Resolved,
}

impl FindingStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::RebootPending, Self::Excepted, Self::Resolved];

    /// The name in views.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::RebootPending => "reboot-pending",
            Self::Excepted => "excepted",
            Self::Resolved => "resolved",
        }
    }
}

/// A host has a vulnerability: for the first time, or again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingDetected {
    /// The finding.
    pub finding: FindingId,
    /// The number of the comparison on the host that has shown it. An older one never replaces a newer one.
    pub sequence: u64,
    /// What was found.
    #[serde(flatten)]
    pub found: Finding,
    /// When it was found.
    pub detected_at: Timestamp,
}

/// A vulnerability of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// The host.
    pub host: HostId,
    /// The host's pool.
    pub pool: PoolId,
    /// The host's rack.
    pub fault_domain: FaultDomain,
    /// Whether the host is exposed.
    pub exposed: bool,
    /// The packages that have it.
    pub packages: Vec<AffectedPackage>,
    /// How urgent it is on this host.
    pub priority: Priority,
    /// The deadline for the host; absent where the next upgrade will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// Something of a finding is known to be otherwise: its packages, the fix, how urgent it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingChanged {
    /// The finding.
    pub finding: FindingId,
    /// The number of the comparison.
    pub sequence: u64,
    /// As it is now.
    #[serde(flatten)]
    pub found: Finding,
    /// Since when it is known.
    pub changed_at: Timestamp,
}

/// What fixes a vulnerability is installed, and the host must be rebooted for it. It is not fixed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingRebootPending {
    /// The finding.
    pub finding: FindingId,
    /// The number of the comparison.
    pub sequence: u64,
    /// Since when it is known.
    pub seen_at: Timestamp,
}

/// A host has a vulnerability no more, as its packages show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingResolved {
    /// The finding.
    pub finding: FindingId,
    /// The number of the comparison.
    pub sequence: u64,
    /// Since when it is known.
    pub resolved_at: Timestamp,
}

/// Somebody answers for it that a vulnerability stays until a date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingExcepted {
    /// The finding.
    pub finding: FindingId,
    /// The exception.
    #[serde(flatten)]
    pub exception: Exception,
}

/// Who answers for it that a vulnerability stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exception {
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Timestamp,
}

/// An exception has ended; the host has the vulnerability still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingExceptionEnded {
    /// The finding.
    pub finding: FindingId,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// A host still has a vulnerability at its deadline, and nobody answers for that. It is said once for each deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingDeadlineBreached {
    /// The finding.
    pub finding: FindingId,
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// The host.
    pub host: HostId,
    /// The deadline.
    pub deadline: Timestamp,
}
