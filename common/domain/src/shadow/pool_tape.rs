//! What a replay takes from the record of one pool.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::Decider;
use hostler_events::pool::{PoolCounts, PoolEvent, ThresholdCrossed};
use hostler_events::signal::ReportThreshold;
use hostler_events::{HostId, ProvisioningId};
use jiff::{SignedDuration, Timestamp};

use super::recording::{Recorded, before};
use crate::host::Phase;
use crate::pool::{PoolDecider, PoolHost, PoolState, Word};

/// What is on record of a pool from the beginning of a replay on.
pub(super) struct PoolTape {
    pub start: PoolState,
    /// Which hosts were in service then.
    pub serving: BTreeSet<HostId>,
    /// What is known of each host of the pool.
    pub members: BTreeMap<HostId, PoolHost>,
    pub signals: Vec<(Timestamp, Crossed)>,
    pub bases: Vec<(Timestamp, Base)>,
    /// How hosts that were asked for have ended, in the order in which they were asked for.
    pub arrivals: Vec<Arrival>,
    /// How long hosts took to leave, in the order in which they were let go.
    pub leaves: Vec<SignedDuration>,
    /// What a person said of each proposal.
    pub words: Vec<Option<PoolWord>>,
}

/// A signal, and how many hosts its value was of.
#[derive(Clone)]
pub(super) struct Crossed {
    pub report: ReportThreshold,
    pub in_service: u32,
}

/// How many hosts the pool would have, had it decided nothing since the beginning.
#[derive(Clone, Copy)]
pub(super) struct Base {
    pub in_service: i64,
    pub free: Option<i64>,
    pub others_in_flight: i64,
    pub not_ready: u32,
}

pub(super) struct Arrival {
    pub provisioning: ProvisioningId,
    pub asked_at: Timestamp,
    /// When it ended: with a host, or in vain for a reason.
    pub end: Option<(Timestamp, Result<HostId, String>)>,
}

pub(super) struct PoolWord {
    pub after: SignedDuration,
    pub approved: bool,
    pub reason: String,
}

/// What a pool's own decisions have changed since the beginning.
#[derive(Default, Clone, Copy)]
pub(super) struct Own {
    pub arrived: i64,
    pub left: i64,
}

impl Own {
    pub(super) fn hear(&mut self, event: &PoolEvent) {
        match event {
            PoolEvent::HostArrived(_) => self.arrived += 1,
            PoolEvent::HostLeft(_) => self.left += 1,
            PoolEvent::ThresholdCrossed(_)
            | PoolEvent::SignalDropped(_)
            | PoolEvent::Decided(_)
            | PoolEvent::Proposed(_)
            | PoolEvent::Approved(_)
            | PoolEvent::Rejected(_)
            | PoolEvent::Suppressed(_)
            | PoolEvent::Completed(_)
            | PoolEvent::ProvisioningFailed(_)
            | PoolEvent::ReleaseStarted(_)
            | PoolEvent::Reclaimed(_)
            | PoolEvent::ReleaseRefused(_) => {}
        }
    }

    /// Hosts in service by these decisions, more than without them.
    pub(super) fn in_service(self, state: &PoolState) -> i64 {
        self.arrived - self.left - size(state.leaving.len())
    }
}

pub(super) fn size(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

impl PoolTape {
    pub(super) fn read(commits: &[Recorded<PoolEvent>], members: &[PoolHost], since: Timestamp) -> Self {
        let start = before::<PoolDecider>(commits, since);
        let early = start.in_flight.iter().map(|(provisioning, of)| Arrival {
            provisioning: provisioning.clone(),
            asked_at: of.since,
            end: None,
        });
        let mut reader = Reader {
            state: start.clone(),
            own: Own::default(),
            let_go: start.leaving.iter().map(|(host, of)| (host.clone(), of.since)).collect(),
            proposed_at: since,
            tape: Self {
                serving: serving_at(since, commits, members),
                members: members.iter().map(|member| (member.host.clone(), member.clone())).collect(),
                arrivals: early.collect(),
                signals: Vec::new(),
                bases: Vec::new(),
                leaves: Vec::new(),
                words: Vec::new(),
                start,
            },
        };
        if reader.state.proposal.as_ref().is_some_and(|proposal| proposal.word == Word::Awaited) {
            reader.tape.words.push(None);
        }
        for commit in commits.iter().filter(|commit| commit.at >= since) {
            for event in &commit.events {
                reader.event(commit.at, event);
            }
        }
        reader.tape
    }
}

struct Reader {
    state: PoolState,
    own: Own,
    let_go: Vec<(HostId, Timestamp)>,
    proposed_at: Timestamp,
    tape: PoolTape,
}

impl Reader {
    fn event(&mut self, at: Timestamp, event: &PoolEvent) {
        match event {
            PoolEvent::ThresholdCrossed(e) => self.crossed(at, e),
            PoolEvent::Decided(e) => {
                self.counts(at, e.inputs);
                let asked = e.provisionings.iter().map(|provisioning| Arrival {
                    provisioning: provisioning.clone(),
                    asked_at: at,
                    end: None,
                });
                self.tape.arrivals.extend(asked);
            }
            PoolEvent::Proposed(e) => {
                self.counts(at, e.decision.inputs);
                self.proposed_at = at;
                self.tape.words.push(None);
            }
            PoolEvent::Suppressed(e) => self.counts(at, e.inputs),
            PoolEvent::Approved(e) => self.word(at, true, &e.reason),
            PoolEvent::Rejected(e) => self.word(at, false, &e.reason),
            PoolEvent::HostArrived(e) => self.arrived(at, &e.provisioning, Ok(e.host.clone())),
            PoolEvent::ProvisioningFailed(e) => self.arrived(at, &e.provisioning, Err(e.reason.clone())),
            PoolEvent::ReleaseStarted(e) => self.let_go.push((e.host.clone(), at)),
            PoolEvent::HostLeft(e) => {
                if let Some(index) = self.let_go.iter().position(|(host, _)| *host == e.host) {
                    let (_, let_go_at) = self.let_go.remove(index);
                    self.tape.leaves.push(at.duration_since(let_go_at));
                }
            }
            PoolEvent::SignalDropped(_)
            | PoolEvent::Completed(_)
            | PoolEvent::Reclaimed(_)
            | PoolEvent::ReleaseRefused(_) => {}
        }
        self.own.hear(event);
        self.state = PoolDecider::evolve(std::mem::take(&mut self.state), event);
    }

    fn crossed(&mut self, at: Timestamp, e: &ThresholdCrossed) {
        let report = ReportThreshold {
            pool: e.pool.clone(),
            header: e.header.clone(),
            metric: e.metric.clone(),
            value: e.value,
            threshold: e.threshold,
            direction: e.direction,
        };
        self.tape.signals.push((at, Crossed { report, in_service: e.in_service }));
        let in_service = i64::from(e.in_service) - self.own.in_service(&self.state);
        let last = self.tape.bases.last().map(|(_, base)| *base);
        let others = Base { in_service, free: None, others_in_flight: 0, not_ready: 0 };
        self.tape.bases.push((at, Base { in_service, ..last.unwrap_or(others) }));
    }

    fn counts(&mut self, at: Timestamp, counts: PoolCounts) {
        let in_flight = size(self.state.in_flight.len());
        let base = Base {
            in_service: i64::from(counts.in_service) - self.own.in_service(&self.state),
            free: Some(i64::from(counts.free) + in_flight + self.own.arrived - self.own.left),
            others_in_flight: i64::from(counts.in_flight) - in_flight,
            not_ready: counts.not_ready,
        };
        self.tape.bases.push((at, base));
    }

    fn word(&mut self, at: Timestamp, approved: bool, reason: &str) {
        let after = at.duration_since(self.proposed_at);
        if let Some(word) = self.tape.words.last_mut() {
            *word = Some(PoolWord { after, approved, reason: reason.to_owned() });
        }
    }

    fn arrived(&mut self, at: Timestamp, provisioning: &ProvisioningId, end: Result<HostId, String>) {
        let arrival = self.tape.arrivals.iter_mut().find(|of| of.provisioning == *provisioning);
        if let Some(arrival) = arrival {
            arrival.end = Some((at, end));
        }
    }
}

/// Who serves now, without who has come since, and with who has left or is about to.
fn serving_at(since: Timestamp, commits: &[Recorded<PoolEvent>], members: &[PoolHost]) -> BTreeSet<HostId> {
    let serves = members.iter().filter(|member| member.phase == Phase::InService);
    let mut serving: BTreeSet<HostId> = serves.map(|member| member.host.clone()).collect();
    let late = commits.iter().rev().filter(|commit| commit.at >= since);
    for event in late.flat_map(|commit| commit.events.iter().rev()) {
        if let PoolEvent::HostArrived(arrived) = event {
            serving.remove(&arrived.host);
        } else if let PoolEvent::ReleaseStarted(released) = event {
            serving.insert(released.host.clone());
        }
    }
    serving
}
