//! What monitoring and other systems say of hosts and pools, in one form.
//!
//! A signal is a claim about a moment. It has a shelf life, and what it claims is looked at again before anything is done
//! because of it.

use std::collections::BTreeMap;

use hostler_core::{contracts, text_id};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{HostId, PoolId};
use crate::recovery::{
    AbandonRecovery, BeginRecovery, ClaimDisruption, ConcludeRecovery, CordonHost, GiveBackHost,
    ReportDomain, ReportMember, ReturnDisruption, UncordonHost,
};

text_id!(
    /// A class of faults, such as `unreachable`: the site's policy says how long it is tolerated and what is done about it.
    FaultClass,
    "fault class"
);
text_id!(
    /// What was measured, such as `load`.
    Metric,
    "metric"
);

/// Whether what a signal claims has begun or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalStatus {
    /// It has begun, and goes on.
    Firing,
    /// Its source says that it has ended. That is no proof of it.
    Resolved,
}

/// What is the same in all signals: who says it, when, and for how long it is worth something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalHeader {
    /// The system that says so, such as `alertmanager`.
    pub source: String,
    /// The source's own name of what it claims: the same for each repeat.
    pub fingerprint: String,
    /// Whether it has begun or ended.
    pub status: SignalStatus,
    /// When it began, as the source says.
    pub starts_at: Timestamp,
    /// When it was last known to be so.
    pub observed_at: Timestamp,
    /// Until when it may be acted on.
    pub expires_at: Timestamp,
}

/// A claim about a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Signal {
    /// Who says so, and when.
    #[serde(flatten)]
    pub header: SignalHeader,
    /// What is wrong.
    pub fault: FaultClass,
    /// How bad the source says it is, such as `critical`; empty where it does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub severity: String,
    /// What it says, for people.
    pub summary: String,
    /// What else the source says, for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// On which side of a threshold a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Above it: the pool needs more hosts.
    Above,
    /// Below it: the pool has too many.
    Below,
}

/// The form in which a system says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignalForm {
    /// A webhook of Prometheus' Alertmanager, version 4.
    Alertmanager,
    /// An event that a BMC pushes, as Redfish has it.
    Redfish,
    /// A heartbeat of an agent on a host.
    Heartbeat,
    /// A change event of Debezium.
    Debezium,
    /// An event of an AWS service, as EventBridge delivers it.
    EventBridge,
    /// A record of a vulnerability, as OSV has it.
    Osv,
    /// The list of what is installed on a host, as its agent sends it.
    Packages,
}

contracts! {
    /// What is asked of `ingest-signals`.
    pub enum IngestCommand as Command {
        "take-signals" v 1 @ "signals" => TakeSignals(TakeSignals),
    }
}

/// A system has said something in a form of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakeSignals {
    /// The form of the body.
    pub form: SignalForm,
    /// When it came.
    pub received_at: Timestamp,
    /// What was said, as it came.
    pub body: Value,
}

contracts! {
    /// What is asked of `recover-hosts`.
    pub enum RecoverCommand as Command {
        "report-signal" v 1 @ "recover-hosts" => ReportSignal(ReportSignal),
        "claim-disruption" v 1 @ "recover-hosts" => ClaimDisruption(ClaimDisruption),
        "return-disruption" v 1 @ "recover-hosts" => ReturnDisruption(ReturnDisruption),
        "report-member" v 1 @ "recover-hosts" => ReportMember(ReportMember),
        "report-domain" v 1 @ "recover-hosts" => ReportDomain(ReportDomain),
        "begin-recovery" v 1 @ "recover-hosts" => BeginRecovery(BeginRecovery),
        "cordon-host" v 1 @ "recover-hosts" => CordonHost(CordonHost),
        "uncordon-host" v 1 @ "recover-hosts" => UncordonHost(UncordonHost),
        "give-back-host" v 1 @ "recover-hosts" => GiveBackHost(GiveBackHost),
        "conclude-recovery" v 1 @ "recover-hosts" => ConcludeRecovery(ConcludeRecovery),
        "abandon-recovery" v 1 @ "recover-hosts" => AbandonRecovery(AbandonRecovery),
    }
}

contracts! {
    /// What is asked of `scale-pools`.
    pub enum ScaleCommand as Command {
        "report-threshold" v 1 @ "scale-pools" => ReportThreshold(ReportThreshold),
        "look-at-pool" v 1 @ "scale-pools" => LookAtPool(LookAtPool),
        "lend-hosts" v 1 @ "scale-pools" => LendHosts(LendHosts),
    }
}

/// A signal about a host has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportSignal {
    /// The host.
    pub host: HostId,
    /// The signal.
    pub signal: Signal,
}

/// A pool's metric has crossed a threshold, or is back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportThreshold {
    /// The pool.
    pub pool: PoolId,
    /// Who says so, and when.
    #[serde(flatten)]
    pub header: SignalHeader,
    /// What was measured.
    pub metric: Metric,
    /// What it was, where the source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The threshold, where the source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// On which side of it the value is.
    pub direction: Direction,
}

/// A person has decided about a pool: see what it needs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LookAtPool {
    /// The pool.
    pub pool: PoolId,
}

/// Have a pool give back hosts in service, so that they are free for a pool of higher priority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LendHosts {
    /// The pool that gives.
    pub pool: PoolId,
    /// The pool that needs them.
    pub to: PoolId,
    /// How many hosts.
    pub hosts: u32,
    /// Until when they are needed at least. Later it is asked anew.
    pub expires_at: Timestamp,
}
