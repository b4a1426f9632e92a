//! What is asked about packages and vulnerabilities: by operators, by other systems, and by streams of one another.

use std::collections::BTreeMap;

use hostler_core::contracts;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advisory::{AdvisoryRecord, Priority};
use crate::ids::{AdvisoryId, FaultDomain, HostId, PoolId};
use crate::packages::{FindingId, InstalledVersion, PackageName, Verdict};

contracts! {
    /// What is asked of `assess-hosts` about packages and vulnerabilities.
    pub enum FindingsCommand as Command {
        "record-advisory" v 1 @ "assess-hosts" => RecordAdvisory(RecordAdvisory),
        "prioritise-advisory" v 1 @ "assess-hosts" => PrioritiseAdvisory(PrioritiseAdvisory),
        "assess-fleet" v 1 @ "assess-hosts" => AssessFleet(AssessFleet),
        "match-hosts" v 1 @ "assess-hosts" => MatchHosts(MatchHosts),
        "record-packages" v 1 @ "assess-hosts" => RecordPackages(RecordPackages),
        "scan-host" v 1 @ "assess-hosts" => ScanHost(ScanHost),
        "note-finding" v 1 @ "assess-hosts" => NoteFinding(NoteFinding),
    }
}

/// A record of a vulnerability has been published, or has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordAdvisory {
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// The record.
    pub record: AdvisoryRecord,
    /// How likely it is that it will be exploited, where the source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<EpssScore>,
}

/// How likely it is that a vulnerability will be exploited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EpssScore {
    /// Within 30 days, from 0 to 1.
    pub score: f64,
    /// The day of the score, such as `2026-11-28`.
    pub date: String,
}

/// Decide how urgent a vulnerability is, by the site's policies as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrioritiseAdvisory {
    /// The vulnerability.
    pub advisory: AdvisoryId,
}

/// Find the hosts that have a vulnerability, a page of the fleet at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssessFleet {
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// The number of the decision about it. A newer one has the fleet looked through anew.
    pub revision: u32,
    /// Where the page begins; at the first host, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Compare what is installed on some hosts with a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchHosts {
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// The number of the decision about it.
    pub revision: u32,
    /// The hosts.
    pub hosts: Vec<HostId>,
}

/// The packages of a host were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordPackages {
    /// The host.
    pub host: HostId,
    /// What was read.
    pub report: PackageReport,
}

/// What was read of a host's packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageReport {
    /// Who has read it.
    pub source: String,
    /// The system, such as `Debian:12`; what is known of it stays, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecosystem: Option<String>,
    /// Whether these are all packages of the host. Otherwise nothing is said of the others.
    pub complete: bool,
    /// What is installed.
    pub packages: BTreeMap<PackageName, InstalledVersion>,
    /// What is known not to be installed in the version that was known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<PackageName>,
    /// Whether something waits for a reboot; what is known of it stays, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_pending: Option<bool>,
    /// When it was read.
    pub observed_at: Timestamp,
}

/// Read what is installed on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanHost {
    /// The host.
    pub host: HostId,
}

/// The packages of a host were compared with a vulnerability, and that has shown something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoteFinding {
    /// The finding.
    pub finding: FindingId,
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
    /// The number of the comparison on the host. An older one never replaces a newer one.
    pub sequence: u64,
    /// What has it; absent where nothing has it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// How urgent it is.
    pub urgency: Urgency,
}

/// How urgent a vulnerability is on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Urgency {
    /// How urgent.
    pub priority: Priority,
    /// When that was decided.
    pub decided_at: Timestamp,
    /// The deadline of hosts that had it then; absent where the next upgrade will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The deadline, in days, of hosts that have it later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// New facts of a vulnerability that is on record, from catalogues that others keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefreshAdvisory {
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// Since when it is known to be exploited, as CISA's catalogue KEV has it, such as `2026-11-28`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploited_since: Option<String>,
    /// How likely it is that it will be exploited, as EPSS has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<EpssScore>,
}

/// Let a host have a vulnerability until a date: somebody answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExceptFinding {
    /// The finding.
    pub finding: FindingId,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when, a year from now at most.
    pub until: Timestamp,
}

/// Read what is installed on a host now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RescanHost {
    /// The host.
    pub host: HostId,
}
