//! What is known of a host's health, and what is done about it: events on `health#<host>`.

use hostler_core::contracts;
use hostler_core::saga::SagaRef;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{FaultDomain, HostId, PoolId, StepId};
use crate::signal::{FaultClass, Signal, SignalStatus};
use crate::site::{Autonomy, RunbookId, Rung};

contracts! {
    /// What happens to a host's health.
    pub enum HealthEvent as Event {
        "health.signal-received" v 1 => SignalReceived(SignalReceived),
        "health.signal-dropped" v 1 => SignalDropped(SignalDropped),
        "health.suspected" v 1 => Suspected(HostSuspected),
        "health.fault-confirmed" v 1 => Confirmed(FaultConfirmed),
        "health.remediation-suppressed" v 1 => Suppressed(RemediationSuppressed),
        "health.approval-requested" v 1 => ApprovalRequested(RemediationAwaited),
        "health.approved" v 1 => Approved(RemediationApproved),
        "health.disruption-claimed" v 1 => Claimed(DisruptionClaimed),
        "health.remediation-started" v 1 => Started(RemediationStarted),
        "health.host-checked" v 1 => Checked(HostChecked),
        "health.remediation-ended" v 1 => Ended(RemediationEnded),
        "health.recovered" v 1 => Recovered(HostRecovered),
        "health.escalated" v 1 => Escalated(IncidentEscalated),
        "health.incident-closed" v 1 => Closed(IncidentClosed),
    }
}

/// A signal came, or one that goes on was renewed. Repeats are not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalReceived {
    /// The host.
    pub host: HostId,
    /// The signal.
    pub signal: Signal,
    /// When it came.
    pub at: Timestamp,
}

/// A signal is not acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalDropped {
    /// The host.
    pub host: HostId,
    /// The signal.
    pub fingerprint: String,
    /// When what it claims began.
    pub starts_at: Timestamp,
    /// What it claims.
    pub status: SignalStatus,
    /// Until when it could be acted on.
    pub expires_at: Timestamp,
    /// Why it is not acted on.
    pub reason: String,
}

/// An incident begins: a host may be faulty. Nothing is done yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostSuspected {
    /// The host.
    pub host: HostId,
    /// The number of the incident among those of the host, from 1.
    pub incident: u32,
    /// The host's pool.
    pub pool: PoolId,
    /// The host's rack.
    pub rack: FaultDomain,
    /// What seems to be wrong.
    pub fault: FaultClass,
    /// For how many seconds the fault is tolerated.
    pub toleration_seconds: u32,
    /// The version of the policies that say so; 0 for none.
    pub policy_version: u64,
    /// When it was noticed.
    pub at: Timestamp,
    /// When it is looked at again.
    pub until: Timestamp,
}

/// The fault went on for longer than it is tolerated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FaultConfirmed {
    /// The host.
    pub host: HostId,
    /// The incident.
    pub incident: u32,
    /// What is wrong.
    pub fault: FaultClass,
    /// What is done about it, where the policies say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<RunbookId>,
    /// Whose word it takes.
    pub autonomy: Autonomy,
    /// The version of the policies that say so; 0 for none.
    pub policy_version: u64,
    /// When.
    pub at: Timestamp,
}

/// What would be done is not done, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemediationSuppressed {
    /// The host.
    pub host: HostId,
    /// The incident; 0 where a signal began none.
    pub incident: u32,
    /// What would be done, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
    /// The rule that holds it back, such as `correlated`, `observe` or `rack`.
    pub rule: String,
    /// What the rule allows.
    pub limit: String,
    /// What it found.
    pub value: String,
    /// What would lift it.
    pub lifts: String,
    /// Since when this rule holds it back.
    pub since: Timestamp,
    /// How often it was held back in a row.
    pub times: u32,
    /// When it is looked at again.
    pub until: Timestamp,
}

/// A person's word is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemediationAwaited {
    /// The host.
    pub host: HostId,
    /// The incident.
    pub incident: u32,
    /// The runbook.
    pub runbook: RunbookId,
    /// What is to be done.
    pub rung: Rung,
    /// When it was asked for.
    pub at: Timestamp,
    /// Until when it waits.
    pub until: Timestamp,
}

/// A person approved it. Who it was is the commit's actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemediationApproved {
    /// The host.
    pub host: HostId,
    /// The incident.
    pub incident: u32,
    /// What is to be done.
    pub rung: Rung,
    /// Why.
    pub reason: String,
}

/// What is to be done is known; the disruption budget is asked whether it may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisruptionClaimed {
    /// The host.
    pub host: HostId,
    /// The incident.
    pub incident: u32,
    /// The runbook.
    pub runbook: RunbookId,
    /// What is to be done.
    pub rung: Rung,
    /// The number of the attempt at this rung, from 1.
    pub attempt: u32,
    /// Why this rung, where it is not simply the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The saga that will do it.
    pub saga: SagaRef,
    /// The version of the policies that say so.
    pub policy_version: u64,
    /// When.
    pub at: Timestamp,
    /// When it is asked again if no answer came.
    pub until: Timestamp,
}

/// A saga begins to do something about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemediationStarted {
    /// The host.
    pub host: HostId,
    /// The incident.
    pub incident: u32,
    /// The runbook, where something is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<RunbookId>,
    /// What is done; absent where the host is only looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
    /// The number of the attempt at this rung, from 1; 0 where nothing is done.
    pub attempt: u32,
    /// Why the host is looked at, where nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The saga.
    pub saga: SagaRef,
    /// When.
    pub at: Timestamp,
}

/// Why a host is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// Before anything is done to it: it may be healthy by now.
    Before,
    /// After that: it must be healthy.
    After,
    /// After something else than a repair, by the saga that has cordoned the host: it must be healthy.
    Gate,
}

/// A host was looked at, in band by monitoring and out of band by its BMC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostChecked {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// Why it was looked at.
    pub check: CheckKind,
    /// How it is; absent where this only marks the moment from which on a sample counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// What is wrong with it, where it is not healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// How a remediation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemediationOutcome {
    /// The host is healthy, and monitoring has seen it.
    Healed,
    /// The host was healthy before anything was done.
    Needless,
    /// Another host serves in its place.
    Replaced,
    /// It is out of traffic, and not healed.
    Redirected,
    /// It did not help, or could not be done.
    Failed,
}

/// A saga has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemediationEnded {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// How it ended.
    pub outcome: RemediationOutcome,
    /// Why, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// When the next attempt is made, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
}

/// An incident is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostRecovered {
    /// The host.
    pub host: HostId,
    /// The incident.
    pub incident: u32,
    /// How it is known.
    pub reason: String,
    /// Whether something was done to the host.
    pub remediated: bool,
    /// When.
    pub at: Timestamp,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// What; absent where the host was only looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
    /// The number of the attempt.
    pub attempt: u32,
    /// The saga that did it.
    pub saga: SagaRef,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RemediationOutcome>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The whole of an incident, for the person who takes it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Story {
    /// What is wrong.
    pub fault: FaultClass,
    /// When it was noticed.
    pub detected_at: Timestamp,
    /// When it had gone on for longer than it is tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// The signals, as their sources put it.
    pub signals: Vec<String>,
    /// What was tried.
    pub tried: Vec<Tried>,
    /// What held it back last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back_by: Option<String>,
}

/// Nothing more is done until a person has looked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentEscalated {
    /// The host.
    pub host: HostId,
    /// The incident.
    pub incident: u32,
    /// Why.
    pub reason: String,
    /// All that happened.
    pub story: Story,
    /// When.
    pub at: Timestamp,
}

/// A person closed an incident. Who it was is the commit's actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentClosed {
    /// The host.
    pub host: HostId,
    /// The incident.
    pub incident: u32,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}
