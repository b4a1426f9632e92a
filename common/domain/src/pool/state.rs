//! What is known of a pool, and how its events add up to it.

use std::collections::BTreeMap;

use hostler_core::saga::SagaRef;
use hostler_events::pool::{
    PoolEvent, PoolHostsReclaimed, ScalingDecided, ScalingDirection, ScalingProposed, ScalingSuppressed,
    ThresholdCrossed,
};
use hostler_events::signal::{Direction, Metric, SignalHeader, SignalStatus};
use hostler_events::{HostId, PoolId, ProvisioningId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{End, LOOK_AGAIN_SECONDS, LOOK_AGAIN_SECONDS_MAX};
use crate::support::after;

/// How many edges are remembered: more than a pool has metrics and sources.
const EDGES_MAX: usize = 64;
/// For how long what an edge asked for is remembered: the longest stabilisation window.
const ASKED_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// How many of what an edge asked for are remembered.
const ASKED_MAX: usize = 64;
/// For how long the pool knows better than a view: a host that came counts although no view shows it, and one that left does
/// not although a view still shows it.
pub(super) const VIEW_LAGS: SignedDuration = SignedDuration::from_mins(5);
/// A pool is looked at again after so many ends of what it has asked for, and after the last of them: a look reads all its hosts, and
/// an end by itself asks for nothing. A host that comes or leaves was counted as such before.
const LOOK_AFTER_ENDS: usize = 25;
/// How many steps of growth are remembered.
const GROWN_MAX: usize = 64;

/// What one source says of one metric on one side of its threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// Who says so, and when it was last heard.
    pub header: SignalHeader,
    /// What was measured.
    pub metric: Metric,
    /// On which side.
    pub direction: Direction,
    /// Its value, where the source says.
    pub value: Option<f64>,
    /// Its threshold, where the source says.
    pub threshold: Option<f64>,
    /// Since when it is known to fire without a gap, or since when it does not.
    pub since: Timestamp,
    /// What it has asked for while it fired, and since when, the newest last. Without a number: one step.
    pub asked: Vec<(Timestamp, Option<u32>)>,
}

impl Edge {
    /// Whether it fires, by what still holds.
    #[must_use]
    pub fn fires(&self, now: Timestamp) -> bool {
        self.header.status == SignalStatus::Firing && self.header.expires_at > now
    }

    /// When it stopped to fire, if it did; it may be nothing but its source's silence.
    pub(super) fn fired_until(&self, now: Timestamp) -> Timestamp {
        match self.header.status {
            SignalStatus::Firing => self.header.expires_at.min(now),
            SignalStatus::Resolved => self.since,
        }
    }
}

/// A host that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InFlight {
    /// The decision.
    pub number: u64,
    /// When it was asked for.
    pub since: Timestamp,
}

/// A host that leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leaving {
    /// The decision.
    pub number: u64,
    /// When it was chosen.
    pub since: Timestamp,
    /// The saga that gives it back; absent until the host has agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaRef>,
}

/// A decision of which not everything has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// Whether the pool grows or shrinks.
    pub direction: ScalingDirection,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// How many hosts are to come or to leave.
    pub requested: u32,
    /// How many did.
    pub done: u32,
    /// How many will not.
    pub failed: u32,
    /// The pool of higher priority for which the hosts leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lends_to: Option<PoolId>,
}

impl Open {
    /// Whether all of it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.done.saturating_add(self.failed) >= self.requested
    }
}

/// What a person has said of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Nothing yet.
    Awaited,
    /// Do it.
    Approved,
    /// Do not.
    Rejected,
}

/// What was proposed to a person last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// Its number.
    pub number: u64,
    /// Whether the pool would grow or shrink.
    pub direction: ScalingDirection,
    /// By how many hosts.
    pub hosts: u32,
    /// How many it would have.
    pub chosen: u32,
    /// Until when it holds.
    pub approve_by: Timestamp,
    /// What was said of it.
    pub word: Word,
}

/// What is known of a pool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolState {
    /// The pool; absent until something was recorded.
    pub pool: Option<PoolId>,
    /// What sources say, the oldest first.
    pub edges: Vec<Edge>,
    /// How many decisions and proposals there were.
    pub decisions: u64,
    /// The newest decision.
    pub last: Option<ScalingDecided>,
    /// Hosts that were asked for and have not come.
    pub in_flight: BTreeMap<ProvisioningId, InFlight>,
    /// Hosts that came, and when: they count although no view shows them yet.
    pub arrived: BTreeMap<HostId, Timestamp>,
    /// Hosts that leave.
    pub leaving: BTreeMap<HostId, Leaving>,
    /// Hosts that left, and when: they do not count although a view still shows them.
    pub left: BTreeMap<HostId, Timestamp>,
    /// Decisions of which not everything has ended.
    pub open: BTreeMap<u64, Open>,
    /// When it grew, and by how many, the newest last.
    pub grown: Vec<(Timestamp, u32)>,
    /// What it has asked other pools for, the newest of each.
    pub reclaimed: BTreeMap<PoolId, PoolHostsReclaimed>,
    /// When it last gave hosts to a pool of higher priority.
    pub lent_at: Option<Timestamp>,
    /// When it last shrank.
    pub shrunk_at: Option<Timestamp>,
    /// How many provisionings in a row have failed.
    pub failures: u32,
    /// When the last one failed.
    pub failed_at: Option<Timestamp>,
    /// What was proposed to a person last.
    pub proposal: Option<Proposal>,
    /// What holds it back now.
    pub held: Option<ScalingSuppressed>,
    /// How often in a row it was held back without an end in sight.
    pub held_times: u32,
    /// When it is looked at next. Another timer of that kind means nothing any more.
    pub look_at: Option<Timestamp>,
}

impl PoolState {
    /// When to look again at what is held back without an end in sight: later each time.
    pub(super) fn look_again_at(&self, now: Timestamp) -> Timestamp {
        let delay =
            LOOK_AGAIN_SECONDS.saturating_mul(1 << self.held_times.min(10)).min(LOOK_AGAIN_SECONDS_MAX);
        after(now, delay)
    }

    /// Whether there are hosts that were chosen to leave and have not been asked yet.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.leaving.values().any(|leaving| leaving.saga.is_none())
    }

    /// Whether the pool, which knows of this end by now, is to be looked at again: as many hosts are on their way as makes a
    /// difference to what it may ask for, or to whether it may shrink; a first provisioning has failed, so that there are fewer hosts
    /// than were asked for; or hosts were chosen to leave and not asked.
    #[must_use]
    pub fn is_look_due_after(&self, end: &End) -> bool {
        let is_due = match end {
            End::Arrived { .. } => self.in_flight.len().is_multiple_of(LOOK_AFTER_ENDS),
            End::Failed { .. } => self.failures == 1 || self.in_flight.len().is_multiple_of(LOOK_AFTER_ENDS),
            End::Left { .. } => self.leaving.len().is_multiple_of(LOOK_AFTER_ENDS),
        };
        is_due || self.is_asking()
    }

    /// When the pool last grew.
    #[must_use]
    pub fn grown_at(&self) -> Option<Timestamp> {
        self.grown.last().map(|(at, _)| *at)
    }
}

pub(super) fn evolve(mut state: PoolState, event: &PoolEvent) -> PoolState {
    match event {
        PoolEvent::ThresholdCrossed(e) => {
            state.pool = Some(e.pool.clone());
            crossed(&mut state, e);
        }
        // It changes nothing but the record.
        PoolEvent::SignalDropped(e) => state.pool = Some(e.pool.clone()),
        PoolEvent::Decided(e) => decided(&mut state, e),
        PoolEvent::Proposed(e) => proposed(&mut state, e),
        PoolEvent::Approved(e) => said(&mut state, e.number, Word::Approved),
        PoolEvent::Rejected(e) => said(&mut state, e.number, Word::Rejected),
        PoolEvent::Suppressed(e) => {
            state.pool = Some(e.pool.clone());
            // What a decision has tried in vain goes on as the same wait.
            let same = state.held.as_ref().map_or(state.held_times > 0, |held| held.rule == e.rule);
            state.held_times = if same { state.held_times.saturating_add(1) } else { 1 };
            state.look_at = e.until;
            state.held = Some(e.clone());
        }
        PoolEvent::Completed(e) => {
            state.open.remove(&e.number);
        }
        PoolEvent::HostArrived(e) => {
            if let Some(part) = state.in_flight.remove(&e.provisioning) {
                done(&mut state, part.number);
            }
            state.failures = 0;
            state.left.remove(&e.host);
            state.arrived.retain(|_, at| e.arrived_at.duration_since(*at) < VIEW_LAGS);
            state.arrived.insert(e.host.clone(), e.arrived_at);
        }
        PoolEvent::ProvisioningFailed(e) => {
            if let Some(part) = state.in_flight.remove(&e.provisioning) {
                failed(&mut state, part.number);
            }
            state.failures = state.failures.saturating_add(1);
            state.failed_at = Some(e.failed_at);
        }
        PoolEvent::Reclaimed(e) => {
            state.pool = Some(e.pool.clone());
            state.reclaimed.insert(e.from.clone(), e.clone());
        }
        PoolEvent::ReleaseStarted(e) => {
            if let Some(leaving) = state.leaving.get_mut(&e.host) {
                leaving.saga = Some(e.saga.clone());
            }
            state.shrunk_at = Some(e.started_at);
            forget_held(&mut state);
        }
        PoolEvent::ReleaseRefused(e) => {
            if let Some(part) = state.leaving.remove(&e.host) {
                failed(&mut state, part.number);
            }
        }
        PoolEvent::HostLeft(e) => {
            if let Some(part) = state.leaving.remove(&e.host) {
                done(&mut state, part.number);
            }
            state.arrived.remove(&e.host);
            state.left.retain(|_, at| e.left_at.duration_since(*at) < VIEW_LAGS);
            state.left.insert(e.host.clone(), e.left_at);
        }
    }
    state
}

fn crossed(state: &mut PoolState, e: &ThresholdCrossed) {
    let is_it = |edge: &Edge| {
        (&edge.header.source, &edge.header.fingerprint) == (&e.header.source, &e.header.fingerprint)
    };
    let known = state.edges.iter().position(is_it).map(|index| state.edges.remove(index));
    let fires = e.header.status == SignalStatus::Firing;
    // What went on without a gap is as old as it was.
    let goes_on = |edge: &&Edge| {
        let same =
            (edge.header.status, &edge.metric, edge.direction) == (e.header.status, &e.metric, e.direction);
        same && (!fires || edge.header.expires_at > e.recorded_at)
    };
    let before = known.as_ref().filter(goes_on);
    let since = before.map_or(e.recorded_at, |edge| edge.since);
    let mut asked = before.map(|edge| edge.asked.clone()).unwrap_or_default();
    if fires {
        asked.push((e.recorded_at, e.asks));
        // The last one before the window still held when it began.
        let old = asked.iter().rposition(|(at, _)| e.recorded_at.duration_since(*at) > ASKED_KEPT);
        let first = old.unwrap_or(0).max(asked.len().saturating_sub(ASKED_MAX));
        asked.drain(..first);
    }
    if state.edges.len() >= EDGES_MAX {
        let oldest = state.edges.iter().position(|edge| !edge.fires(e.recorded_at)).unwrap_or(0);
        state.edges.remove(oldest);
    }
    state.edges.push(Edge {
        header: e.header.clone(),
        metric: e.metric.clone(),
        direction: e.direction,
        value: e.value,
        threshold: e.threshold,
        since,
        asked,
    });
    forget_held(state);
}

fn decided(state: &mut PoolState, e: &ScalingDecided) {
    state.pool = Some(e.pool.clone());
    state.decisions = state.decisions.max(e.number);
    let requested = match e.direction {
        ScalingDirection::Out => e.provisionings.len(),
        ScalingDirection::In => e.leaving.len(),
    };
    let requested = u32::try_from(requested).unwrap_or(u32::MAX);
    let (number, since) = (e.number, e.decided_at);
    for provisioning in &e.provisionings {
        state.in_flight.insert(provisioning.clone(), InFlight { number, since });
    }
    for host in &e.leaving {
        state.leaving.insert(host.clone(), Leaving { number, since, saga: None });
    }
    let (direction, decided_at) = (e.direction, e.decided_at);
    state.open.insert(
        number,
        Open { direction, decided_at, requested, done: 0, failed: 0, lends_to: e.lends_to.clone() },
    );
    if e.lends_to.is_some() {
        state.lent_at = Some(decided_at);
    }
    if direction == ScalingDirection::Out {
        if state.grown.len() >= GROWN_MAX {
            state.grown.remove(0);
        }
        state.grown.push((since, requested));
    }
    state.proposal = None;
    state.last = Some(e.clone());
    let (rule, times) = (state.held.take().map(|held| held.rule), state.held_times);
    // What the budget held back is asked again by the next decision: it is the same wait that goes on.
    let by_budget = rule.is_some_and(|rule| rule.starts_with("budget-"));
    state.held_times = if by_budget { times } else { 0 };
    state.look_at = e.look_at;
}

fn proposed(state: &mut PoolState, e: &ScalingProposed) {
    let decision = &e.decision;
    state.pool = Some(decision.pool.clone());
    state.decisions = state.decisions.max(decision.number);
    let hosts =
        decision.chosen.abs_diff(decision.inputs.in_service.saturating_add(decision.inputs.in_flight));
    state.proposal = Some(Proposal {
        number: decision.number,
        direction: decision.direction,
        hosts,
        chosen: decision.chosen,
        approve_by: e.approve_by,
        word: Word::Awaited,
    });
    forget_held(state);
    state.look_at = Some(e.approve_by);
}

fn said(state: &mut PoolState, number: u64, word: Word) {
    if let Some(proposal) = state.proposal.as_mut().filter(|proposal| proposal.number == number) {
        proposal.word = word;
    }
}

fn done(state: &mut PoolState, number: u64) {
    if let Some(open) = state.open.get_mut(&number) {
        open.done = open.done.saturating_add(1);
    }
}

fn failed(state: &mut PoolState, number: u64) {
    if let Some(open) = state.open.get_mut(&number) {
        open.failed = open.failed.saturating_add(1);
    }
}

fn forget_held(state: &mut PoolState) {
    state.held = None;
    state.held_times = 0;
}
