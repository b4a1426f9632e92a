//! The rows of vulnerabilities, and of the hosts that have them.

use hostler_events::advisory::AdvisoryId;
use hostler_events::packages::{AffectedPackage, Exception, FindingId, FindingStatus};
use hostler_events::{FaultDomain, HostId, PoolId, Priority};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// Until when the host must be rid of it; absent where the next upgrade will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Whether the host still had it at its deadline.
    #[serde(default)]
    pub breached: bool,
    /// When it was found, the last time.
    pub detected_at: Timestamp,
    /// When the host was rid of it.
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
