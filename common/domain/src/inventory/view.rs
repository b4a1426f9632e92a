//! How a host's place in the inventory is shown, and the sources.

use std::collections::BTreeMap;

use hostler_events::inventory::{Fact, Facts, Standing};
use hostler_events::{HostId, InventorySource};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{InventoryState, Observed, SourceState};

/// The view of what is known of hosts, grouped by status.
pub const INVENTORY: &str = "inventory";
/// The view of the sources, grouped by whether they are heard.
pub const SOURCES: &str = "sources";

const AS_EXPECTED: &str = "as-expected";
const DRIFTED: &str = "drifted";
const DOUBTED: &str = "doubted";
const APPEARED: &str = "appeared";
const VANISHED: &str = "vanished";

/// The statuses of hosts in the inventory.
pub const INVENTORY_STATUSES: [&str; 5] = [AS_EXPECTED, DRIFTED, DOUBTED, APPEARED, VANISHED];

/// A host in the inventory as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryView {
    /// The host.
    pub host: HostId,
    /// One of [`INVENTORY_STATUSES`]: doubted while a source says that it is gone.
    pub status: String,
    /// What it is to the site.
    pub standing: Standing,
    /// What is expected of it.
    pub expected: Facts,
    /// What each source says of it.
    pub sources: BTreeMap<InventorySource, Observed>,
    /// What is not as expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<DriftView>,
    /// When a source first told of it, while it is not enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appeared_at: Option<Timestamp>,
    /// When it was declared gone, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vanished_at: Option<Timestamp>,
}

/// Something that is not as expected, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftView {
    /// Who says so.
    pub source: InventorySource,
    /// What it is about.
    pub fact: Fact,
    /// What is expected.
    pub expected: String,
    /// What the source says.
    pub actual: String,
    /// Since when it is known.
    pub since: Timestamp,
}

/// A host in the inventory as it is shown; none before anything was said of it.
#[must_use]
pub fn inventory(state: &InventoryState) -> Option<InventoryView> {
    let drift = state.drift.iter().flat_map(|(source, of_source)| {
        of_source.iter().map(|(fact, drift)| DriftView {
            source: *source,
            fact: *fact,
            expected: drift.expected.clone(),
            actual: drift.actual.clone(),
            since: drift.since,
        })
    });
    let drift: Vec<DriftView> = drift.collect();
    let is_enrolled = state.standing == Standing::Enrolled;
    let status = match (state.vanished_at, state.appeared_at) {
        (Some(_), _) => VANISHED,
        (None, Some(_)) if state.newest_presence().is_some() => APPEARED,
        (None, _) if is_enrolled && !state.words().is_empty() => DOUBTED,
        (None, _) if !drift.is_empty() => DRIFTED,
        (None, _) => AS_EXPECTED,
    };
    Some(InventoryView {
        host: state.host.clone()?,
        status: status.to_owned(),
        standing: state.standing,
        expected: state.expected.clone(),
        sources: state.sources.clone(),
        drift,
        appeared_at: state.appeared_at,
        vanished_at: state.vanished_at,
    })
}

/// Whether a source says something else of a fact than is expected.
#[must_use]
pub fn is_drifted(view: &InventoryView, fact: Fact) -> bool {
    view.drift.iter().any(|drift| drift.fact == fact)
}

/// A source as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceView {
    /// The source.
    pub source: InventorySource,
    /// `heard` or `lost`.
    pub status: String,
    /// When it was last noted that it was heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_at: Option<Timestamp>,
    /// Since when it is silent, while it is missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_since: Option<Timestamp>,
}

/// A source as it is shown; none before it was heard.
#[must_use]
pub fn source(state: &SourceState) -> Option<SourceView> {
    let status = if state.lost_since.is_some() { "lost" } else { "heard" };
    Some(SourceView {
        source: state.source?,
        status: status.to_owned(),
        heard_at: state.heard_at,
        lost_since: state.lost_since,
    })
}
