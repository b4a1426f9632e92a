//! A replay: what was an input on record is told to the real deciders, in virtual time, under other policies.
//!
//! Messages take no time here. What the deciders ask of each other is answered at once, and their timers are on time.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_core::Decider;
use hostler_core::saga::SagaDefinition;
use hostler_events::budget::BudgetEvent;
use hostler_events::recovery::{ClaimDisruption, ReportMember};
use hostler_events::site::{PolicyEvent, PolicySet, Rung, SITE};
use hostler_events::{HostId, PoolId, RecoverCommand, SitePolicy, StepCommand};
use jiff::{SignedDuration, Timestamp};

use super::account::{Said, Subject, What};
use super::hosts::{HostDue, HostRun};
use super::pool_tape::PoolTape;
use super::pools::{PoolDue, PoolRun};
use super::recording::{HostTape, Recorded, Recording, before};
use crate::budget::{BudgetDecider, BudgetInput, BudgetState, Claim};
use crate::fault_domain::{FaultDomainDecider, FaultDomainInput, FaultDomainState, MemberReport, rack_key};
use crate::health::{HealthInput, HoldBack};
use crate::policies::{PolicyDecider, PolicyState};
use crate::recovery::Recovery;

/// How long a repair takes of which the record has none.
const REPAIR_SECONDS: i64 = 600;

/// By which policies a replay decides.
pub(super) enum Followed {
    /// By those that held at the time.
    AsRecorded(Vec<(Timestamp, Arc<PolicyState>)>),
    /// By these, all the time.
    Only(Arc<PolicyState>),
}

impl Followed {
    pub(super) fn as_recorded(commits: &[Recorded<PolicyEvent>]) -> Self {
        let (mut state, mut versions) = (PolicyState::default(), vec![]);
        for commit in commits {
            state = commit.events.iter().fold(state, PolicyDecider::evolve);
            versions.push((commit.at, Arc::new(state.clone())));
        }
        Self::AsRecorded(versions)
    }

    /// These policies, as the version that they would be.
    pub(super) fn only(policy: &SitePolicy, commits: &[Recorded<PolicyEvent>]) -> Self {
        let newest = commits.iter().flat_map(|commit| &commit.events);
        let newest = newest.fold(PolicyState::default(), PolicyDecider::evolve);
        let policy_version = newest.policy_version.saturating_add(1);
        Self::Only(Arc::new(PolicyState { policy: policy.clone(), policy_version, ..newest }))
    }

    pub(super) fn at(&self, now: Timestamp) -> Arc<PolicyState> {
        match self {
            Self::Only(state) => state.clone(),
            Self::AsRecorded(versions) => {
                let held = versions.iter().rfind(|(at, _)| *at <= now);
                held.map_or_else(Arc::default, |(_, state)| state.clone())
            }
        }
    }
}

/// What a replay takes from the record.
pub(super) struct Tapes {
    hosts: BTreeMap<HostId, HostTape>,
    pools: BTreeMap<PoolId, PoolTape>,
}

impl Tapes {
    pub(super) fn read(recording: &Recording) -> Self {
        let since = recording.since;
        let hosts = recording.health.iter().map(|(host, health)| {
            let of_host = recording.hosts.get(host).map_or(&[][..], Vec::as_slice);
            (host.clone(), HostTape::read(health, of_host, since))
        });
        let pools = recording.pools.iter();
        let pools = pools.map(|(pool, commits)| {
            let members = recording.members.get(pool).map_or(&[][..], Vec::as_slice);
            (pool.clone(), PoolTape::read(commits, members, since))
        });
        Self { hosts: hosts.collect(), pools: pools.collect() }
    }

    /// When each chapter of a host begins: the last of them that has begun by a moment.
    pub(super) fn chapter_at(&self, host: &HostId, moment: Timestamp) -> Option<Timestamp> {
        let chapters = &self.hosts.get(host)?.chapters;
        chapters.iter().map(|chapter| chapter.at).rfind(|at| *at <= moment)
    }
}

/// What is due at a moment.
pub(super) enum Due {
    Host(HostId, HostDue),
    Pool(PoolId, PoolDue),
    /// Somebody whose decisions are not replayed takes or returns a part of the budget.
    Budget(BudgetEvent),
}

/// A replay that goes on.
pub(super) struct Run<'a> {
    pub(super) policies: &'a Followed,
    pub(super) since: Timestamp,
    pub(super) now: Timestamp,
    pub(super) hosts: BTreeMap<HostId, HostRun<'a>>,
    pub(super) pools: BTreeMap<PoolId, PoolRun<'a>>,
    pub(super) budget: BudgetState,
    pub(super) said: Vec<Said>,
    pub(super) domains: BTreeMap<String, FaultDomainState>,
    queue: BTreeMap<(Timestamp, u64), Due>,
    queued: u64,
    usual: BTreeMap<Rung, SignedDuration>,
}

impl<'a> Run<'a> {
    /// What is decided from the beginning of the recording to its end, in the order of its moments.
    pub(super) fn of(recording: &'a Recording, tapes: &'a Tapes, policies: &'a Followed) -> Vec<Said> {
        let since = recording.since;
        let domains = recording.domains.iter();
        let mut run = Self {
            policies,
            since,
            now: since,
            hosts: tapes.hosts.iter().map(|(host, tape)| (host.clone(), HostRun::new(tape))).collect(),
            pools: BTreeMap::new(),
            budget: before::<BudgetDecider>(&recording.budget, since),
            said: Vec::new(),
            domains: domains
                .map(|(key, commits)| (key.clone(), before::<FaultDomainDecider>(commits, since)))
                .collect(),
            queue: BTreeMap::new(),
            queued: 0,
            usual: usual(&tapes.hosts),
        };
        run.wind_up(recording, tapes);
        while let Some(((at, _), due)) = run.queue.pop_first() {
            if at > recording.until {
                break;
            }
            run.now = run.now.max(at);
            match due {
                Due::Host(host, due) => run.host_due(&host, due),
                Due::Pool(pool, due) => run.pool_due(&pool, due),
                Due::Budget(event) => {
                    run.budget = BudgetDecider::evolve(std::mem::take(&mut run.budget), &event);
                }
            }
        }
        run.said
    }

    fn wind_up(&mut self, recording: &Recording, tapes: &'a Tapes) {
        for (host, tape) in &tapes.hosts {
            self.wind_up_host(host);
            for (index, (at, _)) in tape.entries.iter().enumerate() {
                self.due(*at, Due::Host(host.clone(), HostDue::Entry(index)));
            }
        }
        let mut theirs: Vec<hostler_core::saga::SagaRef> = Vec::new();
        for commit in recording.budget.iter().filter(|commit| commit.at >= recording.since) {
            for event in &commit.events {
                let is_theirs = match event {
                    BudgetEvent::Granted(e) => {
                        let is_theirs = e.saga.kind() != Recovery::KIND
                            && !recording.pools.contains_key(&e.disruption.pool);
                        theirs.extend(is_theirs.then(|| e.saga.clone()));
                        is_theirs
                    }
                    BudgetEvent::Begun(e) => theirs.contains(&e.saga),
                    BudgetEvent::Returned(e) => theirs.contains(&e.saga),
                    BudgetEvent::Expired(e) => theirs.contains(&e.saga),
                };
                if is_theirs {
                    self.due(commit.at, Due::Budget(event.clone()));
                }
            }
        }
        self.wind_up_pools(&tapes.pools);
    }

    pub(super) fn due(&mut self, at: Timestamp, due: Due) {
        self.queued += 1;
        self.queue.insert((at.max(self.now), self.queued), due);
    }

    pub(super) fn say(&mut self, of: Subject, incident_at: Timestamp, what: What) {
        self.said.push(Said { of, incident_at, at: self.now, what });
    }

    /// How long a repair of this kind usually took.
    pub(super) fn usual(&self, rung: Rung) -> SignedDuration {
        self.usual.get(&rung).copied().unwrap_or(SignedDuration::from_secs(REPAIR_SECONDS))
    }

    /// What a host's health asks of others, but for what it starts and answers.
    pub(super) fn ask(&mut self, command: &StepCommand) {
        let StepCommand::Recover(command) = command else { return };
        match command {
            RecoverCommand::ClaimDisruption(command) => self.claim(command),
            RecoverCommand::ReturnDisruption(command) => self.give_back(&command.saga),
            RecoverCommand::ReportMember(command) => self.member(command),
            RecoverCommand::ReportDomain(command) => {
                let report = MemberReport::of_rack(command, &self.policies.at(self.now));
                self.report(report);
            }
            RecoverCommand::ReportSignal(_)
            | RecoverCommand::BeginRecovery(_)
            | RecoverCommand::CordonHost(_)
            | RecoverCommand::UncordonHost(_)
            | RecoverCommand::GiveBackHost(_)
            | RecoverCommand::ConcludeRecovery(_)
            | RecoverCommand::AbandonRecovery(_) => {}
        }
    }

    pub(super) fn member(&mut self, command: &ReportMember) {
        let report = MemberReport::of_host(command, &self.policies.at(self.now));
        self.report(report);
    }

    fn report(&mut self, report: MemberReport) {
        let state = self.domains.entry(report.domain.clone()).or_default();
        let Ok(decision) = FaultDomainDecider::decide(state, &FaultDomainInput::Member(report), self.now);
        *state = decision.events.iter().fold(std::mem::take(state), FaultDomainDecider::evolve);
        for command in decision.commands {
            self.ask(&StepCommand::Recover(command));
        }
    }

    /// Forgets what a rack knows of a host, whose incidents are counted anew.
    pub(super) fn forget_member(&mut self, command: &ReportMember) {
        if let Some(state) = self.domains.get_mut(&rack_key(&command.rack)) {
            state.members.remove(command.host.as_str());
        }
    }

    /// What fails together is looked at first; the budget is asked for what is left.
    fn claim(&mut self, command: &ClaimDisruption) {
        let policies = self.policies.at(self.now);
        let surroundings = self.surroundings(&command.rack);
        let (host, saga) = (command.host.clone(), command.saga.clone());
        if let Some(why) = surroundings.holds_back().filter(|_| !command.passes_brake) {
            return self.tell(&host, &HealthInput::Held { saga, why });
        }
        let Ok(budget) = PolicySet::new(SITE) else { return };
        let of = Claim::disruption_of(command, &policies);
        let unhealthy = surroundings.unhealthy(&of, &self.unhealthy(&of.pool), &policies);
        // A replay has no saga that looks again: what is granted begins at once.
        let claim = Claim::of_recovery(budget, command, false, unhealthy, &policies);
        let input = match self.take(claim) {
            Ok(()) => HealthInput::Granted { saga, seen: self.seen(&host) },
            Err(held) => HealthInput::Held { saga, why: HoldBack::by_budget(&held, policies.policy_version) },
        };
        self.tell(&host, &input);
    }

    /// Takes a part of the budget.
    pub(super) fn take(&mut self, claim: Claim) -> Result<(), crate::budget::Held> {
        let decision = BudgetDecider::decide(&self.budget, &BudgetInput::Claim(Box::new(claim)), self.now)?;
        let state = std::mem::take(&mut self.budget);
        self.budget = decision.events.iter().fold(state, BudgetDecider::evolve);
        Ok(())
    }

    pub(super) fn give_back(&mut self, saga: &hostler_core::saga::SagaRef) {
        self.budget.holders.retain(|holder| holder.saga != *saga);
    }
}

/// How long repairs took on record, by what was done: the middle one of each.
fn usual(tapes: &BTreeMap<HostId, HostTape>) -> BTreeMap<Rung, SignedDuration> {
    let mut took: BTreeMap<Rung, Vec<SignedDuration>> = BTreeMap::new();
    let chapters = tapes.values().flat_map(|tape| &tape.chapters);
    for repair in chapters.flat_map(|chapter| &chapter.repairs) {
        if let (Some(rung), Some(end)) = (repair.rung, &repair.end) {
            took.entry(rung).or_default().push(end.at.duration_since(repair.started_at));
        }
    }
    let middle = |(rung, mut took): (Rung, Vec<SignedDuration>)| {
        took.sort_unstable();
        Some((rung, *took.get(took.len() / 2)?))
    };
    took.into_iter().filter_map(middle).collect()
}
