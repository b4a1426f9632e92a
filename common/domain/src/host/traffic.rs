//! A host's part in traffic: it joins once it is in service, and leaves before anything is done to it.

use hostler_core::Decision;
use hostler_core::saga::SagaRef;
use hostler_events::traffic::{DrainStarted, HostJoinedTraffic, HostLeftTraffic};
use hostler_events::{HostEvent, StepId, TrafficPolicy};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{HostDecision, HostState, Known, Phase, replies};
use crate::support::after;
use crate::traffic::traffic_address;

/// How a host takes part in traffic, or did so last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Where, and how.
    pub policy: TrafficPolicy,
    /// Where the host takes requests.
    pub address: String,
    /// Whether it gets any.
    pub part: TrafficPart,
}

impl Traffic {
    /// Whether the load balancer may send the host requests, or the host may still have some.
    #[must_use]
    pub fn is_in(&self) -> bool {
        !matches!(self.part, TrafficPart::Out { .. })
    }
}

/// Whether a host gets requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TrafficPart {
    /// It gets new ones.
    In,
    /// It gets no new ones, and may end those that it has.
    Draining {
        /// The saga that takes it out.
        saga: SagaRef,
        /// Until when.
        until: Timestamp,
    },
    /// It gets none.
    Out {
        /// The saga that took it out.
        saga: SagaRef,
    },
}

/// What a host's stream is told of its part in traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrafficInput {
    /// The load balancer sends it requests.
    Joined {
        /// Where, and how.
        policy: TrafficPolicy,
        /// Where the host takes them.
        address: String,
    },
    /// It is about to be drained.
    StartDrain {
        /// Where and how it may take part, where that is not known.
        policy: TrafficPolicy,
    },
    /// It takes no requests any more, or took none.
    Left {
        /// How many it still had, which were cut off.
        sessions_cut: u64,
    },
    /// The saga wants it back in traffic, and has not taken it out. It has its answer all the same.
    NothingToReturn,
}

impl TrafficPart {
    /// The name in views.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::In => "in-traffic",
            Self::Draining { .. } => "draining",
            Self::Out { .. } => "out-of-traffic",
        }
    }
}

impl HostState {
    /// Whether the load balancer may send the host requests, so that it has to leave before it is worked on.
    #[must_use]
    pub fn is_in_traffic(&self) -> bool {
        self.traffic.as_ref().is_some_and(Traffic::is_in)
    }

    /// The drain that this saga has begun and not ended.
    #[must_use]
    pub fn drained_by(&self, saga: &SagaRef) -> Option<(&Traffic, Timestamp)> {
        let traffic = self.traffic.as_ref()?;
        match &traffic.part {
            TrafficPart::Draining { saga: drains, until } if drains == saga => Some((traffic, *until)),
            TrafficPart::Draining { .. } | TrafficPart::In | TrafficPart::Out { .. } => None,
        }
    }

    /// Whether it is this saga that has taken the host out of traffic, or is about to.
    #[must_use]
    pub fn is_taken_out_by(&self, saga: &SagaRef) -> bool {
        match self.traffic.as_ref().map(|traffic| &traffic.part) {
            Some(TrafficPart::Draining { saga: taker, .. } | TrafficPart::Out { saga: taker }) => {
                taker == saga
            }
            Some(TrafficPart::In) | None => false,
        }
    }

    /// Whether the host may get requests by this saga's word: it is in service, nobody else works on it, and the saga has left it
    /// in order.
    #[must_use]
    pub fn may_join_traffic_for(&self, saga: &SagaRef) -> bool {
        let alone = self.cordon.as_ref().is_none_or(|cordon| cordon.saga == *saga);
        let held = self.is_held_by(saga) && !self.undone;
        let serves = self.phase.kind() == Phase::InService && !self.is_left_broken_by(saga);
        serves && alone && (held || self.is_cordoned_by(saga))
    }
}

pub(super) fn told(known: Known<'_>, saga: &SagaRef, step: &StepId, told: &TrafficInput) -> HostDecision {
    match told {
        TrafficInput::Joined { policy, address } => record_joined(known, saga, step, policy, address),
        TrafficInput::StartDrain { policy } => start_drain(known, saga, step, policy),
        TrafficInput::Left { sessions_cut } => record_left(known, saga, step, *sessions_cut),
        TrafficInput::NothingToReturn => Decision::nothing().command(replies::done(saga, step)),
    }
}

/// A host that is sent requests is recorded as such; the record of a saga that may not do so any more would be a lie by the
/// time it is taken back.
fn record_joined(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    policy: &TrafficPolicy,
    address: &str,
) -> HostDecision {
    if !known.state.may_join_traffic_for(saga) {
        return Decision::nothing();
    }
    let answer = replies::done(saga, step);
    let joined = Traffic { policy: policy.clone(), address: address.to_owned(), part: TrafficPart::In };
    if known.state.traffic.as_ref() == Some(&joined) {
        return Decision::nothing().command(answer);
    }
    let (host, saga, step) = (known.host(), saga.clone(), step.clone());
    let (traffic, address) = (joined.policy, joined.address);
    let joined = HostJoinedTraffic { host, saga, step, traffic, address };
    Decision::events([HostEvent::JoinedTraffic(joined)]).command(answer)
}

/// Since when a host is drained is recorded first, so that each attempt waits until the same moment. A saga that holds a host which
/// is not known to have joined may have sent it there without a record.
fn start_drain(known: Known<'_>, saga: &SagaRef, step: &StepId, policy: &TrafficPolicy) -> HostDecision {
    if !known.state.is_worked_on_by(saga) || known.state.drained_by(saga).is_some() {
        return Decision::nothing();
    }
    let (policy, address) = match &known.state.traffic {
        Some(traffic) if known.state.is_in_traffic() => (traffic.policy.clone(), traffic.address.clone()),
        Some(_) | None if known.state.is_held_by(saga) && !known.state.undone => {
            match traffic_address(&known.profile.labels, policy.port) {
                Some(address) => (policy.clone(), address),
                None => return Decision::nothing(),
            }
        }
        Some(_) | None => return Decision::nothing(),
    };
    let until = after(known.now, policy.drain_seconds);
    let (host, saga, step, traffic) = (known.host(), saga.clone(), step.clone(), policy);
    let started = DrainStarted { host, saga, step, traffic, address, until };
    Decision::events([HostEvent::DrainStarted(started)])
}

/// The saga always has its answer. For one that holds the host it is the first step back, which is recorded even where there was
/// nothing to leave: nothing brings the host forward for this saga after it.
fn record_left(known: Known<'_>, saga: &SagaRef, step: &StepId, sessions_cut: u64) -> HostDecision {
    let answer = replies::done(saga, step);
    let turns_back = known.state.is_held_by(saga) && !known.state.undone;
    if known.state.drained_by(saga).is_none() && !turns_back {
        return Decision::nothing().command(answer);
    }
    let (host, saga, step) = (known.host(), saga.clone(), step.clone());
    let left = HostLeftTraffic { host, saga, step, sessions_cut };
    Decision::events([HostEvent::LeftTraffic(left)]).command(answer)
}

pub(super) fn joined(state: &mut HostState, e: &HostJoinedTraffic) {
    let (policy, address) = (e.traffic.clone(), e.address.clone());
    state.traffic = Some(Traffic { policy, address, part: TrafficPart::In });
}

pub(super) fn drain_started(state: &mut HostState, e: &DrainStarted) {
    let (policy, address) = (e.traffic.clone(), e.address.clone());
    let part = TrafficPart::Draining { saga: e.saga.clone(), until: e.until };
    state.traffic = Some(Traffic { policy, address, part });
    state.undone |= state.is_held_by(&e.saga);
}

pub(super) fn left(state: &mut HostState, e: &HostLeftTraffic) {
    if let Some(traffic) = &mut state.traffic {
        traffic.part = TrafficPart::Out { saga: e.saga.clone() };
    }
    state.undone |= state.is_held_by(&e.saga);
}
