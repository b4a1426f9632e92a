//! How pools grow and shrink: what was measured, what was decided and by what, and what came of it. Events on the streams
//! `pool#<pool>`.

use hostler_core::contracts;
use hostler_core::saga::SagaRef;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{HostId, PoolId, ProvisioningId};
use crate::signal::{Direction, Metric, SignalHeader};

contracts! {
    /// What happens to a pool.
    pub enum PoolEvent as Event {
        "pool.threshold-crossed" v 1 => ThresholdCrossed(ThresholdCrossed),
        "pool.signal-dropped" v 1 => SignalDropped(SignalDropped),
        "pool.scaling-decided" v 1 => Decided(ScalingDecided),
        "pool.scaling-proposed" v 1 => Proposed(ScalingProposed),
        "pool.scaling-approved" v 1 => Approved(ScalingApproved),
        "pool.scaling-rejected" v 1 => Rejected(ScalingRejected),
        "pool.scaling-suppressed" v 1 => Suppressed(ScalingSuppressed),
        "pool.scaling-completed" v 1 => Completed(ScalingCompleted),
        "pool.host-arrived" v 1 => HostArrived(PoolHostArrived),
        "pool.provisioning-failed" v 1 => ProvisioningFailed(PoolProvisioningFailed),
        "pool.release-started" v 1 => ReleaseStarted(PoolReleaseStarted),
        "pool.release-refused" v 1 => ReleaseRefused(PoolReleaseRefused),
        "pool.host-left" v 1 => HostLeft(PoolHostLeft),
        "pool.hosts-reclaimed" v 1 => Reclaimed(PoolHostsReclaimed),
    }
}

/// Whether a pool grows or shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScalingDirection {
    /// It grows.
    Out,
    /// It shrinks.
    In,
}

/// A metric of a pool has crossed a threshold, or is back; or a source has confirmed with a new value that it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdCrossed {
    /// The pool.
    pub pool: PoolId,
    /// Who says so, and when.
    #[serde(flatten)]
    pub header: SignalHeader,
    /// What was measured.
    pub metric: Metric,
    /// On which side of the threshold the value is.
    pub direction: Direction,
    /// What it was, where the source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The threshold, where the source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How many hosts were in service, which is what the value is of.
    pub in_service: u32,
    /// How many hosts it asks for. Absent where it names no value: then it asks for one step more or less than there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<u32>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// A signal was not acted on, because what it claims may be over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalDropped {
    /// The pool.
    pub pool: PoolId,
    /// Who said so, and when.
    #[serde(flatten)]
    pub header: SignalHeader,
    /// What was measured.
    pub metric: Metric,
    /// Why it was dropped.
    pub reason: String,
}

/// What a metric says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MetricReading {
    /// More hosts are needed.
    Above,
    /// There are too many hosts.
    Below,
    /// Neither.
    Quiet,
    /// Nothing that still holds.
    Missing,
}

/// What a metric says, and what it asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricSaid {
    /// The metric.
    pub metric: Metric,
    /// What it says.
    pub says: MetricReading,
    /// Its value, where the source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Its threshold, where the source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How many hosts it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<u32>,
}

/// How many hosts of a pool are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolCounts {
    /// In service, without those that are leaving.
    pub in_service: u32,
    /// Asked for, and not in service yet.
    pub in_flight: u32,
    /// Free, and promised to nobody: powered off, clean, the pool's warm reserve.
    pub free: u32,
    /// Leaving.
    pub leaving: u32,
    /// In quarantine, or known to be faulty.
    pub not_ready: u32,
    /// All of them, by the policy.
    pub hosts: u32,
    /// Free in pools of lower priority, from which it may take them.
    #[serde(default, skip_serializing_if = "is_none")]
    pub lendable: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_none(hosts: &u32) -> bool {
    *hosts == 0
}

/// A limit that made a decision smaller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitApplied {
    /// The rule, such as `max`.
    pub rule: String,
    /// How many hosts it allowed to be added or removed.
    pub limit: u32,
    /// How many were to be.
    pub value: u32,
}

/// A pool is to grow or to shrink, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingDecided {
    /// The pool.
    pub pool: PoolId,
    /// The number of the decision in its pool, from 1.
    pub number: u64,
    /// Whether it grows or shrinks.
    pub direction: ScalingDirection,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// What there was.
    pub inputs: PoolCounts,
    /// What each metric said.
    pub per_metric: Vec<MetricSaid>,
    /// How many hosts the metrics ask for, between the pool's minimum and its maximum or not.
    pub recommended: u32,
    /// How many hosts it is to have, within all limits.
    pub chosen: u32,
    /// The limits that made it less.
    pub limits: Vec<LimitApplied>,
    /// The provisionings that are started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provisionings: Vec<ProvisioningId>,
    /// The hosts that are to leave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<HostId>,
    /// The version of the policy that it follows.
    pub policy_version: u64,
    /// When it is looked at again, where something is known to change then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<Timestamp>,
    /// The pool of higher priority for which it shrinks, where it does so for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lends_to: Option<PoolId>,
}

/// What would be done waits for a person's word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingProposed {
    /// What would be done. What is done after approval is decided anew, and is never more.
    #[serde(flatten)]
    pub decision: ScalingDecided,
    /// Until when it can be approved. Nothing like it is proposed before.
    pub approve_by: Timestamp,
}

/// A person approved a proposal. Who it was is in the event's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingApproved {
    /// The pool.
    pub pool: PoolId,
    /// The proposal.
    pub number: u64,
    /// Why.
    pub reason: String,
}

/// A person rejected a proposal. Who it was is in the event's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRejected {
    /// The pool.
    pub pool: PoolId,
    /// The proposal.
    pub number: u64,
    /// Why.
    pub reason: String,
}

/// A pool does not grow or shrink, although its metrics ask for it. It is recorded once for each change of the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingSuppressed {
    /// The pool.
    pub pool: PoolId,
    /// Whether it would grow or shrink.
    pub direction: ScalingDirection,
    /// The rule that holds it back, such as `cooldown`.
    pub rule: String,
    /// What the rule allows.
    pub limit: u32,
    /// What there is, or would be.
    pub value: u32,
    /// What would lift it.
    pub lifts: String,
    /// When it was held back.
    pub since: Timestamp,
    /// When it is looked at again; absent where that waits for something to happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What there was.
    pub inputs: PoolCounts,
    /// What each metric said.
    pub per_metric: Vec<MetricSaid>,
    /// The version of the policy that it follows.
    pub policy_version: u64,
}

/// All that a decision set in motion has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingCompleted {
    /// The pool.
    pub pool: PoolId,
    /// The decision.
    pub number: u64,
    /// Whether it grew or shrank.
    pub direction: ScalingDirection,
    /// How many hosts were to come or to leave.
    pub requested: u32,
    /// How many did.
    pub done: u32,
    /// How many did not.
    pub failed: u32,
    /// Seconds from the decision to the last of them.
    pub seconds: u64,
}

/// A host that the pool asked for is in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolHostArrived {
    /// The pool.
    pub pool: PoolId,
    /// The provisioning.
    pub provisioning: ProvisioningId,
    /// The host.
    pub host: HostId,
    /// When that was recorded.
    pub arrived_at: Timestamp,
}

/// A host that the pool asked for does not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolProvisioningFailed {
    /// The pool.
    pub pool: PoolId,
    /// The provisioning.
    pub provisioning: ProvisioningId,
    /// Why.
    pub reason: String,
    /// When that was recorded.
    pub failed_at: Timestamp,
}

/// A host of the pool is given back by a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolReleaseStarted {
    /// The pool.
    pub pool: PoolId,
    /// The host.
    pub host: HostId,
    /// The saga that gives it back.
    pub saga: SagaRef,
    /// When that was recorded.
    pub started_at: Timestamp,
}

/// A host that was to leave stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolReleaseRefused {
    /// The pool.
    pub pool: PoolId,
    /// The host.
    pub host: HostId,
    /// Why.
    pub reason: String,
    /// When that was recorded.
    pub refused_at: Timestamp,
}

/// A host has left the pool's service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolHostLeft {
    /// The pool.
    pub pool: PoolId,
    /// The host.
    pub host: HostId,
    /// When that was recorded.
    pub left_at: Timestamp,
}

/// A pool lacks free hosts, and a pool of lower priority is asked to give back hosts in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolHostsReclaimed {
    /// The pool.
    pub pool: PoolId,
    /// The pool that is asked.
    pub from: PoolId,
    /// For how many hosts.
    pub hosts: u32,
    /// When.
    pub asked_at: Timestamp,
}

/// Have a pool grow or shrink as it was proposed, as far as that is still needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveScaling {
    /// The pool.
    pub pool: PoolId,
    /// The number of the proposal.
    pub number: u64,
    /// Why.
    pub reason: String,
}

/// Have a pool not grow or shrink as it was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejectScaling {
    /// The pool.
    pub pool: PoolId,
    /// The number of the proposal.
    pub number: u64,
    /// Why.
    pub reason: String,
}
