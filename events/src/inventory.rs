//! What is expected of hosts and what sources say of them: events on `inventory#<host>`, `source#<source>` and `sweep#<sweep>`, the
//! commands of `watch-inventory`, and the part of the policies that is about them.
//!
//! A source that says nothing of a host has not said that it is gone: not observed is not absent.

mod policy;

use std::collections::BTreeMap;

use hostler_core::{contracts, text_id};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::HostId;

pub use policy::{InventoryPolicy, RecordPolicy, SourcePolicy, VanishPolicy};

text_id!(
    /// One look at all hosts, page by page.
    SweepId,
    "sweep"
);

/// Who says something of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InventorySource {
    /// Events that BMCs push.
    Redfish,
    /// The configuration management database, by what changes in it.
    Cmdb,
    /// The host's own agent.
    Agent,
    /// Hostler itself, which looks at the host's BMC.
    Reconcile,
}

impl InventorySource {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Redfish, Self::Cmdb, Self::Agent, Self::Reconcile];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redfish => "redfish",
            Self::Cmdb => "cmdb",
            Self::Agent => "agent",
            Self::Reconcile => "reconcile",
        }
    }
}

/// Something that is expected of a host, and that a source can say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Fact {
    /// Whether it is there at all: `present` or `gone`.
    Presence,
    /// Its own pool.
    Pool,
    /// What it fails together with.
    FaultDomain,
    /// Its model, as the site calls it.
    Sku,
    /// The role that was applied to it.
    Role,
    /// The URL of its BMC's system.
    Bmc,
    /// Who made it.
    Manufacturer,
    /// Its model, as its maker calls it.
    Model,
    /// Its serial number.
    Serial,
    /// How many processors it has.
    Processors,
    /// Its memory in GiB.
    MemoryGib,
}

impl Fact {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Pool => "pool",
            Self::FaultDomain => "faultDomain",
            Self::Sku => "sku",
            Self::Role => "role",
            Self::Bmc => "bmc",
            Self::Manufacturer => "manufacturer",
            Self::Model => "model",
            Self::Serial => "serial",
            Self::Processors => "processors",
            Self::MemoryGib => "memoryGib",
        }
    }
}

/// Facts of a host, each as a text.
pub type Facts = BTreeMap<Fact, String>;

/// Whether a source says that a host is there. Both are its explicit word; silence is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It is there.
    Present,
    /// It is gone.
    Gone,
}

impl Presence {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Gone => "gone",
        }
    }
}

/// What a host is to the site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is not enrolled. Nothing is enrolled because a source tells of it.
    #[default]
    NotEnrolled,
    /// It is enrolled.
    Enrolled,
    /// It was retired: nothing is expected of it any more.
    Retired,
}

contracts! {
    /// What is expected of a host and what is said of it.
    pub enum InventoryEvent as Event {
        "inventory.expected" v 1 => Expected(InventoryExpected),
        "inventory.observed" v 1 => Observed(InventoryObserved),
        "inventory.drift-detected" v 1 => DriftDetected(DriftDetected),
        "inventory.drift-resolved" v 1 => DriftResolved(DriftResolved),
        "inventory.host-appeared" v 1 => HostAppeared(HostAppeared),
        "inventory.host-vanished" v 1 => HostVanished(HostVanished),
    }
}

contracts! {
    /// Whether a source is heard of.
    pub enum SourceEvent as Event {
        "source.heard" v 1 => Heard(SourceHeard),
        "source.subscription-lost" v 1 => Lost(SubscriptionLost),
        "source.subscription-restored" v 1 => Restored(SubscriptionRestored),
    }
}

contracts! {
    /// How far the look at all hosts is.
    pub enum SweepEvent as Event {
        "sweep.started" v 1 => Started(SweepStarted),
        "sweep.paged" v 1 => Paged(SweepPaged),
        "sweep.completed" v 1 => Completed(SweepCompleted),
    }
}

contracts! {
    /// What is asked of `watch-inventory`.
    pub enum InventoryCommand as Command {
        "observe-host" v 1 @ "watch-inventory" => ObserveHost(ObserveHost),
        "observe-record" v 1 @ "watch-inventory" => ObserveRecord(ObserveRecord),
        "hear-source" v 1 @ "watch-inventory" => HearSource(HearSource),
        "look-for-host" v 1 @ "watch-inventory" => LookForHost(LookForHost),
        "sweep-inventory" v 1 @ "watch-inventory" => SweepInventory(SweepInventory),
    }
}

/// What is expected of a host has changed: the site has enrolled, changed or retired it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryExpected {
    /// The host.
    pub host: HostId,
    /// What it is to the site.
    pub standing: Standing,
    /// What is expected of it: all of it.
    pub facts: Facts,
    /// When that was seen.
    pub at: Timestamp,
}

/// A source says something of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryObserved {
    /// The host.
    pub host: HostId,
    /// Who says so.
    pub source: InventorySource,
    /// When it was so.
    pub observed_at: Timestamp,
    /// Whether it is there.
    pub presence: Presence,
    /// What is not as the source has said before; empty where all is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changed: Facts,
}

/// What a source says of a host is not what is expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftDetected {
    /// The host.
    pub host: HostId,
    /// Who says so.
    pub source: InventorySource,
    /// What it is about.
    pub fact: Fact,
    /// What is expected.
    pub expected: String,
    /// What the source says.
    pub actual: String,
    /// When.
    pub at: Timestamp,
}

/// What a source says of a host is what is expected again, or nothing is expected any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftResolved {
    /// The host.
    pub host: HostId,
    /// Who had said so.
    pub source: InventorySource,
    /// What it was about.
    pub fact: Fact,
    /// Since when it had been so.
    pub since: Timestamp,
    /// When it was over.
    pub at: Timestamp,
}

/// A source tells of a host that is not enrolled, or that was declared gone. Nothing else is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostAppeared {
    /// The host.
    pub host: HostId,
    /// Who says so.
    pub source: InventorySource,
    /// What it says of it.
    pub facts: Facts,
    /// When.
    pub at: Timestamp,
}

/// A host is gone: several sources have said so, and it was looked for and not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostVanished {
    /// The host.
    pub host: HostId,
    /// Who has said so, and when.
    pub words: BTreeMap<InventorySource, Timestamp>,
    /// How many of them it takes.
    pub limit: u32,
    /// The version of the policies that say so.
    pub policy_version: u64,
    /// When it was looked for.
    pub looked_at: Timestamp,
    /// When it was declared gone.
    pub at: Timestamp,
}

/// A source is there. This is recorded now and then, not each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceHeard {
    /// The source.
    pub source: InventorySource,
    /// When it was heard.
    pub at: Timestamp,
}

/// A source has said nothing for longer than is tolerated. Until it is back no host is declared gone because of its word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionLost {
    /// The source.
    pub source: InventorySource,
    /// Since when nothing was heard.
    pub silent_since: Timestamp,
    /// How many seconds of silence are tolerated.
    pub silent_seconds: u32,
    /// The version of the policies that say so.
    pub policy_version: u64,
    /// When that was noticed.
    pub at: Timestamp,
}

/// A source is heard again. All hosts are looked at, for what it would have said meanwhile may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionRestored {
    /// The source.
    pub source: InventorySource,
    /// Since when nothing had been heard.
    pub silent_since: Timestamp,
    /// When it was heard again.
    pub at: Timestamp,
}

/// All hosts are to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SweepStarted {
    /// The sweep.
    pub sweep: SweepId,
    /// When.
    pub at: Timestamp,
}

/// Another page of hosts is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SweepPaged {
    /// The sweep.
    pub sweep: SweepId,
    /// The last host of the page; the next page begins behind it.
    pub last: HostId,
    /// How many hosts it has.
    pub hosts: u32,
}

/// All hosts were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SweepCompleted {
    /// The sweep.
    pub sweep: SweepId,
    /// How many hosts there were.
    pub hosts: u64,
    /// When.
    pub at: Timestamp,
}

/// A source has said something of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObserveHost {
    /// The host.
    pub host: HostId,
    /// Who says so.
    pub source: InventorySource,
    /// When it was so.
    pub observed_at: Timestamp,
    /// When it was told.
    pub received_at: Timestamp,
    /// Whether the host is there.
    pub presence: Presence,
    /// What is said of it. Of what is left out the source says nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: Facts,
    /// Whether something of the host has changed that only a look at it tells.
    #[serde(default)]
    pub look: bool,
}

/// What was done to a record of the CMDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecordChange {
    /// It is there: it was created, changed, or read by a snapshot.
    Written,
    /// It was deleted.
    Deleted,
}

/// A record of the CMDB has changed. Which of its columns mean what is in the site's policies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObserveRecord {
    /// The table, as `<schema or database>.<table>`.
    pub table: String,
    /// What was done.
    pub change: RecordChange,
    /// The record before, where it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The record now, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// When it was changed.
    pub observed_at: Timestamp,
    /// When it was told.
    pub received_at: Timestamp,
}

/// A source has said something that is about no host, or that another function is told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HearSource {
    /// The source.
    pub source: InventorySource,
    /// When.
    pub received_at: Timestamp,
}

/// Look for a host by its BMC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LookForHost {
    /// The host.
    pub host: HostId,
}

/// Look at all hosts, a page at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SweepInventory {
    /// The sweep.
    pub sweep: SweepId,
    /// The host behind which the page begins; the first page where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<HostId>,
}
