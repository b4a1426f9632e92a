//! The pools of a replay: what each is told, and what comes of the hosts that it asks for and lets go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hostler_core::Decider;
use hostler_core::saga::{SagaDefinition, SagaRef};
use hostler_events::pool::{PoolEvent, ScalingDecided};
use hostler_events::signal::ReportThreshold;
use hostler_events::site::{PolicySet, SITE};
use hostler_events::{FaultDomain, HostId, PoolId, ProvisioningId, ProvisioningPolicy, ScaleCommand};
use jiff::{SignedDuration, Timestamp};

use super::account::{Subject, What};
use super::pool_tape::{Own, PoolTape};
use super::run::{Due, Run};
use crate::deprovisioning::Deprovisioning;
use crate::host::Phase;
use crate::pool::{
    End, HeldByBudget, PoolCommand, PoolDecider, PoolFacts, PoolHost, PoolInput, PoolState, PoolTimer,
    RELEASES, Released, Word,
};

/// How long a host takes to come or to leave where the record has none that did.
const HOST_SECONDS: i64 = 600;

/// A pool of a replay.
pub(super) struct PoolRun<'a> {
    state: PoolState,
    tape: &'a PoolTape,
    own: Own,
    /// Which hosts are in service, as far as the record names them; also those that leave.
    serving: BTreeSet<HostId>,
    /// How many hosts were asked for, were let go, and how often a person was asked.
    asked: usize,
    let_go: usize,
    proposed: usize,
}

/// What is due for a pool.
pub(super) enum PoolDue {
    Signal(usize),
    Look(Option<Timestamp>),
    End(End),
    Word { number: u64, approved: bool, reason: String },
}

impl<'a> PoolRun<'a> {
    pub(super) fn new(tape: &'a PoolTape) -> Self {
        let (state, own, serving) = (tape.start.clone(), Own::default(), tape.serving.clone());
        Self { state, tape, own, serving, asked: 0, let_go: 0, proposed: 0 }
    }

    /// How the hosts are: as many as on record, but for those that came and left by decisions there and not here. Where the
    /// record names fewer, nobody knows who the others are, and in which racks.
    fn hosts(&self, now: Timestamp, all: u32) -> Vec<PoolHost> {
        let known = self.tape.bases.iter().rfind(|(at, _)| *at <= now).or(self.tape.bases.first());
        let Some((_, base)) = known else { return Vec::new() };
        let in_service = base.in_service + self.own.in_service(&self.state);
        let later = self.tape.bases.iter().find_map(|(_, base)| base.free);
        let free = base.free.or(later).unwrap_or(i64::from(all) - base.in_service);
        let free = free - self.own.arrived + self.own.left;
        let named = |n: i64| HostId::new(format!("host-{n:06}")).ok();
        let known = self.serving.iter().filter(|host| !self.state.leaving.contains_key(*host));
        let serving = known.cloned().chain((0..).map_while(named));
        let of = |host: HostId, phase: Phase| {
            let rack = self.rack_of(&host)?;
            let stays = self.tape.members.get(&host).is_some_and(|member| member.stays);
            Some(PoolHost { host, phase, rack, saga: None, stays, is_lent: false })
        };
        let others = [
            (Phase::Available, free),
            (Phase::Reserved, base.others_in_flight),
            (Phase::Quarantined, i64::from(base.not_ready)),
        ];
        let named_by = |phase: Phase, n: i64| HostId::new(format!("{}-{n:06}", phase.name())).ok();
        let others = others
            .into_iter()
            .flat_map(|(phase, hosts)| (0..hosts).filter_map(move |n| of(named_by(phase, n)?, phase)));
        let serving = serving.take(usize::try_from(in_service).unwrap_or(0));
        serving.filter_map(|host| of(host, Phase::InService)).chain(others).collect()
    }

    fn rack_of(&self, host: &HostId) -> Option<FaultDomain> {
        let known = self.tape.members.get(host).map(|member| member.rack.clone());
        known.or_else(|| format!("rack-of-{host}").parse().ok())
    }

    fn hear(&mut self, event: &PoolEvent) {
        self.own.hear(event);
        if let PoolEvent::HostArrived(arrived) = event {
            self.serving.insert(arrived.host.clone());
        } else if let PoolEvent::HostLeft(left) = event {
            self.serving.remove(&left.host);
        }
    }

    /// What is measured is taken to be shared by the hosts: with twice as many of them it is half.
    fn measured(&self, index: usize, now: Timestamp) -> Option<ReportThreshold> {
        let (_, crossed) = self.tape.signals.get(index)?;
        let mut report = crossed.report.clone();
        let here = self.hosts(now, 0).iter().filter(|host| host.phase == Phase::InService).count();
        let here = u32::try_from(here).unwrap_or(u32::MAX);
        if here > 0 && here != crossed.in_service {
            report.value = report.value.map(|value| value * f64::from(crossed.in_service) / f64::from(here));
        }
        Some(report)
    }
}

impl<'a> Run<'a> {
    pub(super) fn wind_up_pools(&mut self, tapes: &'a BTreeMap<PoolId, PoolTape>) {
        for (pool, tape) in tapes {
            self.pools.insert(pool.clone(), PoolRun::new(tape));
            for (index, (at, _)) in tape.signals.iter().enumerate() {
                self.due(*at, Due::Pool(pool.clone(), PoolDue::Signal(index)));
            }
            if let Some(at) = tape.start.look_at {
                self.due(at, Due::Pool(pool.clone(), PoolDue::Look(Some(at))));
            }
            let coming: Vec<ProvisioningId> = tape.start.in_flight.keys().cloned().collect();
            self.asked_for(pool, &coming);
            let leaving = tape.start.leaving.iter().filter(|(_, of)| of.saga.is_some());
            let leaving: Vec<HostId> = leaving.map(|(host, _)| host.clone()).collect();
            for host in leaving {
                self.leaves(pool, host);
            }
            if let Some(open) = tape.start.proposal.as_ref().filter(|open| open.word == Word::Awaited) {
                self.proposed(pool, open.number);
            }
        }
    }

    fn facts(&self, pool: &PoolId) -> Option<PoolFacts> {
        let policies = self.policies.at(self.now);
        let policy = policies.policy.pools.get(pool)?.clone();
        let hosts = self.pools.get(pool)?.hosts(self.now, policy.hosts);
        let provisioning = ProvisioningPolicy::default();
        let ill = hosts.iter().filter(|host| host.phase == Phase::Quarantined);
        let unhealthy = ill.map(|host| (host.host.clone(), host.rack.clone())).collect();
        PoolFacts::of(pool, &policies, provisioning, hosts, Arc::new(unhealthy))
    }

    pub(super) fn pool_due(&mut self, pool: &PoolId, due: PoolDue) {
        let facts = self.facts(pool).map(Box::new);
        let input = match (due, facts) {
            (PoolDue::Signal(index), Some(facts)) => {
                let Some(report) = self.pools.get(pool).and_then(|run| run.measured(index, self.now)) else {
                    return;
                };
                PoolInput::Signal { report: Box::new(report), facts }
            }
            (PoolDue::Look(due), Some(facts)) => PoolInput::Look { due, facts },
            // A pool that does not scale is not looked at.
            (PoolDue::Signal(_) | PoolDue::Look(_), None) => return,
            (PoolDue::End(end), facts) => return self.pool_ended(pool, end, facts),
            (PoolDue::Word { number, approved, reason }, _) => match approved {
                true => PoolInput::Approve { pool: pool.clone(), number, reason },
                false => PoolInput::Reject { pool: pool.clone(), number, reason },
            },
        };
        self.tell_pool(pool, &input);
        self.release(pool);
    }

    fn pool_ended(&mut self, pool: &PoolId, end: End, facts: Option<Box<PoolFacts>>) {
        if let End::Left { host } = &end
            && let Some(claimant) = claimant(host)
        {
            self.give_back(&claimant);
        }
        self.tell_pool(pool, &PoolInput::Ended { pool: pool.clone(), ends: vec![end.clone()] });
        let is_due = self.pools.get(pool).is_some_and(|run| run.state.is_look_due_after(&end));
        if let Some(facts) = facts.filter(|_| is_due) {
            self.tell_pool(pool, &PoolInput::Look { due: None, facts });
            self.release(pool);
        }
    }

    fn tell_pool(&mut self, pool: &PoolId, input: &PoolInput) {
        let now = self.now;
        let Some(run) = self.pools.get_mut(pool) else { return };
        let Ok(decision) = PoolDecider::decide(&run.state, input, now) else { return };
        for event in &decision.events {
            run.hear(event);
        }
        let state = std::mem::take(&mut run.state);
        run.state = decision.events.iter().fold(state, PoolDecider::evolve);
        for event in &decision.events {
            if let Some(what) = What::of_pool(event) {
                self.say(Subject::Pool(pool.clone()), self.since, what);
            }
            if let PoolEvent::Decided(ScalingDecided { provisionings, .. }) = event {
                self.asked_for(pool, provisionings);
            } else if let PoolEvent::Proposed(proposed) = event {
                self.proposed(pool, proposed.decision.number);
            }
        }
        for timer in decision.timers {
            if let Some(PoolTimer::Look(at)) = PoolTimer::read(&timer.name) {
                self.due(timer.due_at, Due::Pool(pool.clone(), PoolDue::Look(Some(at))));
            }
        }
        for command in &decision.commands {
            if let PoolCommand::Scale(ScaleCommand::LookAtPool(_)) = command {
                self.due(now, Due::Pool(pool.clone(), PoolDue::Look(None)));
            }
        }
    }

    /// A host that is asked for comes like the one that was asked for as the same on record: the first like the first.
    fn asked_for(&mut self, pool: &PoolId, provisionings: &[ProvisioningId]) {
        for provisioning in provisionings {
            let Some(run) = self.pools.get_mut(pool) else { return };
            let nth = run.asked;
            run.asked += 1;
            let on_record = run.tape.arrivals.get(nth);
            let end = on_record.and_then(|of| of.end.as_ref().map(|(at, end)| (of.asked_at, at, end)));
            let (took, came) = match end {
                Some((asked_at, at, end)) => (at.duration_since(asked_at), end.clone()),
                // One that is on its way when the recording ends is on its way here, too.
                None if on_record.is_some() => continue,
                None => {
                    let Ok(host) = HostId::new(format!("new-{nth:06}")) else { continue };
                    (usual_arrival(run.tape), Ok(host))
                }
            };
            let begun = run.state.in_flight.get(provisioning).map_or(self.now, |of| of.since);
            let at = begun.checked_add(took).unwrap_or(self.now);
            let provisioning = provisioning.clone();
            let end = match came {
                Ok(host) => End::Arrived { provisioning, host },
                Err(reason) => End::Failed { provisioning, reason },
            };
            self.due(at, Due::Pool(pool.clone(), PoolDue::End(end)));
        }
    }

    fn proposed(&mut self, pool: &PoolId, number: u64) {
        let Some(run) = self.pools.get_mut(pool) else { return };
        let word = run.tape.words.get(run.proposed).and_then(Option::as_ref);
        run.proposed += 1;
        let Some(word) = word else { return };
        let due = PoolDue::Word { number, approved: word.approved, reason: word.reason.clone() };
        let at = self.now.checked_add(word.after).unwrap_or(self.now);
        self.due(at, Due::Pool(pool.clone(), due));
    }

    /// Asks the budget for the hosts that are to leave, as `scale-pools` does.
    fn release(&mut self, pool: &PoolId) {
        let Some(run) = self.pools.get(pool).filter(|run| run.state.is_asking()) else { return };
        let Some(facts) = self.facts(pool) else { return };
        let chosen = run.state.leaving.iter().filter(|(_, of)| of.saga.is_none());
        let chosen: Vec<HostId> = chosen.map(|(host, _)| host.clone()).collect();
        let (mut released, mut first) = (Vec::new(), None);
        for host in chosen {
            let (Some(saga), Ok(budget)) = (claimant(&host), PolicySet::new(SITE)) else { continue };
            let Some(rack) = self.pools.get(pool).and_then(|run| run.rack_of(&host)) else { continue };
            let disruption = facts.disruption(&host, &rack);
            let policies = self.policies.at(self.now);
            let unhealthy = self.surroundings(&rack).unhealthy(&disruption, &facts.unhealthy, &policies);
            released.push(match self.take(facts.claim(budget, saga, disruption, unhealthy)) {
                Ok(()) => {
                    let Ok(saga) = SagaRef::new(Deprovisioning::KIND, &format!("{host}.1")) else { continue };
                    Released::By { host, saga }
                }
                Err(held) => {
                    let reason = held.to_string();
                    first.get_or_insert(held);
                    Released::Refused { host, reason }
                }
            });
        }
        let leaving = released.iter().filter_map(|of| match of {
            Released::By { host, .. } => Some(host.clone()),
            Released::Refused { .. } => None,
        });
        let leaving: Vec<HostId> = leaving.collect();
        let held = first.map(HeldByBudget::from);
        self.tell_pool(pool, &PoolInput::Released { pool: pool.clone(), released, held });
        for host in leaving {
            self.leaves(pool, host);
        }
    }

    fn leaves(&mut self, pool: &PoolId, host: HostId) {
        let Some(run) = self.pools.get_mut(pool) else { return };
        let on_record = run.tape.leaves.get(run.let_go).or(run.tape.leaves.first()).copied();
        run.let_go += 1;
        let took = on_record.unwrap_or(SignedDuration::from_secs(HOST_SECONDS));
        let at = self.now.checked_add(took).unwrap_or(self.now);
        self.due(at, Due::Pool(pool.clone(), PoolDue::End(End::Left { host })));
    }
}

fn claimant(host: &HostId) -> Option<SagaRef> {
    SagaRef::new(RELEASES, host.as_str()).ok()
}

/// How long hosts took to come on record: the middle one.
fn usual_arrival(tape: &PoolTape) -> SignedDuration {
    let ended = tape.arrivals.iter().filter_map(|of| Some((of.asked_at, of.end.as_ref()?)));
    let came = ended.filter(|(_, (_, end))| end.is_ok());
    let mut took: Vec<SignedDuration> = came.map(|(asked_at, (at, _))| at.duration_since(asked_at)).collect();
    took.sort_unstable();
    let middle = took.get(took.len() / 2).copied();
    middle.unwrap_or(SignedDuration::from_secs(HOST_SECONDS))
}
