//! The rows of vulnerabilities, and of the hosts that have them.

use std::collections::BTreeSet;

use hostler_events::advisory::{AdvisoryFacts, AdvisoryId, AdvisoryPrioritised, AdvisoryRecord};
use hostler_events::packages::{AffectedPackage, Exception, FindingId, FindingStatus};
use hostler_events::{FaultDomain, HostId, PoolId, Priority};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::advisory::AdvisoryState;
use crate::finding::FindingState;
use crate::packages::{PackagesState, is_compared};

/// The view of vulnerabilities, grouped by how urgent they are at most.
pub const ADVISORIES: &str = "advisories";
/// The view of what was read of the packages of hosts, grouped by pool.
pub const PACKAGES: &str = "packages";

/// The view of the vulnerabilities of hosts, grouped by vulnerability and status ([`finding_group`]). A group lists rack by
/// rack, for the key is `<advisory>/<rack>/<host>`; each host is in it once.
pub const FINDINGS: &str = "findings";

/// A vulnerability of a host as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingView {
    /// The finding: the key of its row.
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
    /// The packages that have it, with the versions that fix it; as it was last, where it is resolved.
    pub packages: Vec<AffectedPackage>,
    /// Where it is.
    pub status: FindingStatus,
    /// How urgent it is on this host.
    pub priority: Priority,
    /// The deadline for the host; absent where the next upgrade will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Whether the host still had it at its deadline.
    #[serde(default)]
    pub breached: bool,
    /// When it was found, the last time.
    pub detected_at: Timestamp,
    /// When it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// Who answers for it, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Exception>,
}

/// The group of the findings of a vulnerability that have a status.
#[must_use]
pub fn finding_group(advisory: &AdvisoryId, status: FindingStatus) -> String {
    format!("{advisory}/{}", status.name())
}

/// A vulnerability of a host as it is shown; none before it was detected.
#[must_use]
pub fn finding(state: &FindingState) -> Option<FindingView> {
    let (finding, found) = (state.finding.clone()?, state.found.clone()?);
    Some(FindingView {
        finding,
        advisory: found.advisory,
        host: found.host,
        pool: found.pool,
        fault_domain: found.fault_domain,
        exposed: found.exposed,
        packages: found.packages,
        status: state.status(),
        priority: found.priority,
        deadline: found.deadline,
        breached: state.breached.is_some(),
        detected_at: state.detected_at?,
        resolved_at: state.resolved_at,
        exception: state.exception.clone(),
    })
}

/// A vulnerability as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdvisoryView {
    /// It.
    pub advisory: AdvisoryId,
    /// What it is.
    pub summary: String,
    /// How urgent it is; absent for the moment before that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<AdvisoryPrioritised>,
    /// What is known of it by now.
    pub facts: AdvisoryFacts,
    /// Since when it is known to be exploited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploited_since: Option<String>,
    /// What was published.
    pub records: Vec<AdvisoryRecord>,
    /// The ecosystems whose versions are not compared with what is installed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub not_compared: BTreeSet<String>,
}

impl AdvisoryView {
    /// The order in which vulnerabilities are dealt with, the first one first: by their priority, and where that is the same by
    /// EPSS, and then by CVSS.
    #[must_use]
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        let priority = |of: &Self| of.decision.as_ref().map_or(Priority::Track, |decision| decision.priority);
        let more = |a: Option<f64>, b: Option<f64>| b.unwrap_or(0.0).total_cmp(&a.unwrap_or(0.0));
        priority(self)
            .cmp(&priority(other))
            .then_with(|| more(self.facts.epss, other.facts.epss))
            .then_with(|| more(self.facts.cvss, other.facts.cvss))
            .then_with(|| self.advisory.cmp(&other.advisory))
    }
}

/// A vulnerability as it is shown; none before something was recorded.
#[must_use]
pub fn advisory(state: &AdvisoryState) -> Option<AdvisoryView> {
    let ecosystems = state.records.values().flat_map(|record| &record.affected).map(|of| &of.ecosystem);
    let summary = state.records.values().map(|record| &record.summary).find(|summary| !summary.is_empty());
    Some(AdvisoryView {
        advisory: state.advisory.clone()?,
        summary: summary.cloned().unwrap_or_default(),
        decision: state.decision.clone(),
        facts: state.facts(),
        exploited_since: state.exploited.clone(),
        records: state.records.values().cloned().collect(),
        not_compared: ecosystems.filter(|of| !is_compared(of)).cloned().collect(),
    })
}

/// What was read of the packages of a host, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackagesView {
    /// The host.
    pub host: HostId,
    /// The host's pool.
    pub pool: PoolId,
    /// The system, such as `Debian:12`.
    pub ecosystem: String,
    /// How many packages it has.
    pub packages: usize,
    /// Whether something waits for a reboot.
    pub reboot_pending: bool,
    /// Who has read the newest list.
    pub source: String,
    /// When that was.
    pub observed_at: Timestamp,
    /// The vulnerabilities that the host has.
    pub findings: Vec<FindingId>,
}

/// What was read of the packages of a host, as it is shown; none before something was.
#[must_use]
pub fn packages(state: &PackagesState) -> Option<PackagesView> {
    let place = state.place.clone()?;
    Some(PackagesView {
        host: place.host,
        pool: place.pool,
        ecosystem: state.ecosystem.clone(),
        packages: state.installed.len(),
        reboot_pending: state.reboot_pending,
        source: state.source.clone(),
        observed_at: state.observed_at?,
        findings: state.verdicts.values().map(|known| known.finding.clone()).collect(),
    })
}
