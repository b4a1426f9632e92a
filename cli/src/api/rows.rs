//! What the API answers with. Fields that this program does not know are let through to `--json`.

use std::collections::BTreeMap;

use hostler_core::commit::{RecordedCommand, RecordedEvent, RecordedTimer};
use hostler_core::triage::KeptMessage;
use hostler_domain::DriftFound;
use hostler_domain::inventory::view::{InventoryView, SourceView};
use hostler_domain::views::{
    AdvisoryView, CampaignRackView, CampaignView, FaultDomainView, FindingView, IncidentView, PoolView,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::view::View;

/// A row of a view.
pub(crate) trait Entity: DeserializeOwned {
    /// Which view.
    const VIEW: View<'static>;
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HostRow {
    pub(crate) host: String,
    pub(crate) pool: String,
    pub(crate) phase: String,
    #[serde(default)]
    pub(crate) sku: String,
    #[serde(default)]
    pub(crate) fault_domain: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) saga: Option<String>,
    /// The saga that works on it while it is in service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cordoned_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    /// The revision of the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<String>,
    /// Since when it has that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) configured_at: Option<Timestamp>,
    /// What the newest check has found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drift: Option<DriftFound>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    pub(crate) version: u64,
    pub(crate) updated_at: Timestamp,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

impl Entity for HostRow {
    const VIEW: View<'static> = View::Host;
}

/// The newest incident of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IncidentRow {
    #[serde(flatten)]
    pub(crate) incident: IncidentView,
    pub(crate) version: u64,
    pub(crate) updated_at: Timestamp,
}

impl Entity for IncidentRow {
    const VIEW: View<'static> = View::Incident;
}

/// A rack or a power domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FaultDomainRow {
    #[serde(flatten)]
    pub(crate) domain: FaultDomainView,
    pub(crate) version: u64,
}

impl Entity for FaultDomainRow {
    const VIEW: View<'static> = View::FaultDomain;
}

/// A provisioning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProvisioningRow {
    pub(crate) provisioning: String,
    pub(crate) request: String,
    pub(crate) pool: String,
    pub(crate) role: String,
    pub(crate) status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) host_quarantined: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) version: u64,
    pub(crate) updated_at: Timestamp,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

impl Entity for ProvisioningRow {
    const VIEW: View<'static> = View::Provisioning;
}

impl ProvisioningRow {
    /// Whether nothing more happens by itself.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "compensated" | "stuck")
    }
}

/// A request for hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestRow {
    pub(crate) request: String,
    pub(crate) pool: String,
    pub(crate) role: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) provisionings: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) approval_due_at: Option<Timestamp>,
    pub(crate) version: u64,
    pub(crate) updated_at: Timestamp,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

impl Entity for RequestRow {
    const VIEW: View<'static> = View::Request;
}

/// A pool that grows and shrinks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PoolRow {
    #[serde(flatten)]
    pub(crate) pool: PoolView,
    pub(crate) version: u64,
    pub(crate) updated_at: Timestamp,
}

impl Entity for PoolRow {
    const VIEW: View<'static> = View::Pool;
}

/// A campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CampaignRow {
    #[serde(flatten)]
    pub(crate) campaign: CampaignView,
    pub(crate) version: u64,
    pub(crate) updated_at: Timestamp,
}

impl Entity for CampaignRow {
    const VIEW: View<'static> = View::Campaign;
}

/// A rack of a campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CampaignRackRow {
    #[serde(flatten)]
    pub(crate) campaign_rack: CampaignRackView,
}

impl Entity for CampaignRackRow {
    const VIEW: View<'static> = View::CampaignRack;
}

/// A vulnerability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AdvisoryRow {
    #[serde(flatten)]
    pub(crate) advisory: AdvisoryView,
    pub(crate) version: u64,
    pub(crate) updated_at: Timestamp,
}

impl Entity for AdvisoryRow {
    const VIEW: View<'static> = View::Advisory;
}

/// A vulnerability of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FindingRow {
    #[serde(flatten)]
    pub(crate) finding: FindingView,
    pub(crate) version: u64,
    pub(crate) updated_at: Timestamp,
}

impl Entity for FindingRow {
    const VIEW: View<'static> = View::Finding;
}

/// A host in the inventory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InventoryRow {
    #[serde(flatten)]
    pub(crate) inventory: InventoryView,
}

impl Entity for InventoryRow {
    const VIEW: View<'static> = View::Inventory;
}

/// A source of inventory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceRow {
    #[serde(flatten)]
    pub(crate) source: SourceView,
}

impl Entity for SourceRow {
    const VIEW: View<'static> = View::Source;
}

/// A message that could not be handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FailureRow {
    pub(crate) id: String,
    #[serde(rename = "letter")]
    pub(crate) dead_letter: DeadLetter,
    pub(crate) status: String,
    pub(crate) category: String,
    pub(crate) deadline_at: Timestamp,
    pub(crate) overdue: bool,
    pub(crate) resends: u32,
    #[serde(default)]
    pub(crate) followers: Vec<String>,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

/// The message itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetter {
    pub(crate) queue: String,
    pub(crate) body: String,
    pub(crate) message_type: String,
    pub(crate) reason: String,
    /// Where all of it is, if it is too large to be recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<KeptMessage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) function: Option<String>,
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) behind: Option<String>,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

impl Entity for FailureRow {
    const VIEW: View<'static> = View::Failure;
}

impl FailureRow {
    /// Whether it is still to be dealt with.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.status.as_str(), "resolved" | "discarded")
    }
}

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Rows<T> {
    pub(crate) rows: Vec<T>,
    #[serde(default)]
    pub(crate) next: Option<String>,
}

/// What happened to an entity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Timeline {
    pub(crate) stream: String,
    pub(crate) commits: Vec<CommitShown>,
    #[serde(default, skip_serializing)]
    pub(crate) next: Option<u64>,
}

/// One commit of a timeline.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommitShown {
    pub(crate) version: u64,
    pub(crate) recorded_at: Timestamp,
    pub(crate) actor: String,
    pub(crate) correlation_id: String,
    pub(crate) causation_id: String,
    #[serde(default)]
    pub(crate) events: Vec<RecordedEvent>,
    #[serde(default)]
    pub(crate) commands: Vec<RecordedCommand>,
    #[serde(default)]
    pub(crate) timers: Vec<RecordedTimer>,
}

/// The answer to a command that was accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) stream: String,
    pub(crate) version: u64,
    /// Whether it was accepted before; then nothing has changed.
    #[serde(default)]
    pub(crate) repeated: bool,
    /// The sagas of a request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) provisionings: Vec<String>,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

/// Puts `web.10` behind `web.9`.
pub(crate) fn sort_by_id<T>(rows: &mut [T], id: impl Fn(&T) -> &str) {
    rows.sort_by_cached_key(|row| natural(id(row)));
}

fn natural(id: &str) -> (String, u64, String) {
    let stem = id.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = id.get(stem.len()..).and_then(|digits| digits.parse().ok()).unwrap_or_default();
    (stem.to_owned(), number, id.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_keep_what_they_do_not_know() {
        let row = json!({
            "host": "h-01", "pool": "web", "phase": "available", "sku": "cpu-small", "faultDomain": "r-01",
            "labels": {}, "power": "off", "bmc": {"systemUrl": "http://x"}, "version": 9,
            "updatedAt": "2026-01-31T12:00:00Z",
        });
        let host: HostRow = serde_json::from_value(row.clone()).unwrap();
        assert_eq!(host.rest["power"], "off");
        assert_eq!(serde_json::to_value(host).unwrap(), row);
    }

    #[test]
    fn ids_are_in_the_order_people_count_in() {
        let mut ids = ["web.10", "db.1", "web.9", "web.1"];
        sort_by_id(&mut ids, |id| id);
        assert_eq!(ids, ["db.1", "web.1", "web.9", "web.10"]);
    }
}
