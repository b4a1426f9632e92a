//! How hosts take part in traffic: what the policies say of a pool, what is asked of `shift-traffic`, and what happens to a host.

use hostler_core::saga::SagaRef;
use hostler_core::{contracts, text_id};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{HostId, StepId};

text_id!(
    /// What a load balancer spreads requests over: the name of a backend of HAProxy, or of a target group on AWS.
    Backend,
    "backend"
);

/// The longest that a host may be drained.
pub const DRAIN_SECONDS_MAX: u32 = 3_600;

contracts! {
    /// What is asked of `shift-traffic`.
    pub enum TrafficCommand as Command {
        "join-traffic" v 1 @ "shift-traffic" => JoinTraffic(JoinTraffic),
        "leave-traffic" v 1 @ "shift-traffic" => LeaveTraffic(LeaveTraffic),
        "return-traffic" v 1 @ "shift-traffic" => ReturnTraffic(ReturnTraffic),
    }
}

/// How the hosts of a pool take requests. A pool without it has none that a load balancer sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficPolicy {
    /// Where they take part.
    pub backend: Backend,
    /// The port at which they take requests, where their labels name no other.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: u32,
    /// Seconds for which a host may end the requests that it has, before it is taken out all the same.
    #[serde(default = "half_a_minute")]
    #[schemars(range(max = 3_600))]
    pub drain_seconds: u32,
}

const fn half_a_minute() -> u32 {
    30
}

/// Have a host in service take requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinTraffic {
    /// The saga that works on the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// Where, and how.
    pub traffic: TrafficPolicy,
}

/// Have a host take no new requests, end those that it has, and leave. It is answered as failed for now while it has some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeaveTraffic {
    /// The saga that works on the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// Where and how it may take part, where it is not on record.
    pub traffic: TrafficPolicy,
}

/// Have a host take requests again that this saga has taken out of traffic. Any other is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReturnTraffic {
    /// The saga that works on the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// Where, and how.
    pub traffic: TrafficPolicy,
}

/// The load balancer sends the host requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostJoinedTraffic {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// Where, and how.
    pub traffic: TrafficPolicy,
    /// Where the host takes requests, as `10.0.0.7:80`.
    pub address: String,
}

/// The host is to get no new requests, and to end those that it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainStarted {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// Where it takes part.
    pub traffic: TrafficPolicy,
    /// Where it takes requests.
    pub address: String,
    /// When it leaves, whatever it still has.
    pub until: Timestamp,
}

/// The host takes no requests any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostLeftTraffic {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// How many requests it still had when its time was over; they were cut off. 0 also where the load balancer does not count them.
    pub sessions_cut: u64,
}
