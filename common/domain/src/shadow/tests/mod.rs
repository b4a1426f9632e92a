//! Rules of replays. What they replay is recorded by a site of its own: the same deciders, but with messages that take their
//! time, hosts that are faulty, and repairs that help or do not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_core::Decider;
use hostler_core::saga::SagaRef;
use hostler_events::health::{HealthEvent, RemediationOutcome};
use hostler_events::host::{
    BmcAddress, HostCordoned, HostEnrolled, HostInService, HostQuarantined, HostUncordoned,
};
use hostler_events::signal::{SignalHeader, SignalStatus};
use hostler_events::site::{PoliciesApplied, PolicyEvent, Rung, SITE};
use hostler_events::{
    HostEvent, HostId, HostPolicy, Labels, ProvisioningPolicy, RecoverCommand, Signal, SitePolicy,
    StepCommand,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::budget::{BudgetDecider, BudgetInput, BudgetState};
use crate::fault_domain::{FaultDomainDecider, FaultDomainInput, FaultDomainState, MemberReport};
use crate::health::{HealthDecider, HealthInput, HealthState, HostSeen, Seen};
use crate::host::{HostDecider, HostState};
use crate::policies::{PolicyDecider, PolicyState};
use crate::testing::id;

mod hosts;
mod others;
mod pools;
mod properties;

/// How long a message takes.
const MESSAGE: SignedDuration = SignedDuration::from_millis(250);
/// How long a repair takes, and when its host is well by then if it helps.
const REPAIR_SECONDS: i64 = 120;
const WELL_AFTER_SECONDS: i64 = 100;
/// How long it takes a source to notice that a fault has ended.
const NOTICED_SECONDS: i64 = 10;
/// How often a source repeats itself.
const REPEATS_SECONDS: i64 = 300;

pub(super) fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub(super) fn policy(change: impl Fn(&mut Value)) -> SitePolicy {
    let mut policy = json!({
        "topology": { "racks": {
            "rack-0": { "room": "a", "powerDomain": "feed-a", "hosts": 20 },
            "rack-1": { "room": "a", "powerDomain": "feed-a", "hosts": 20 },
        } },
        "faults": {
            "unreachable": { "tolerationSeconds": 60, "runbook": "reboot" },
            "disk": { "tolerationSeconds": 30, "runbook": "reinstall" },
        },
        "runbooks": {
            "reboot": { "autonomy": "auto", "rungs": [
                { "rung": "power-cycle", "attempts": 2, "delaySeconds": 30 },
                { "rung": "reimage", "attempts": 1 },
            ] },
            "reinstall": { "autonomy": "approve", "rungs": [{ "rung": "reimage", "attempts": 2 }] },
        },
        "budget": { "rack": 2, "brakePercent": 90 },
        "pools": { "web": { "role": "web", "image": "debian-13", "hosts": 20 } },
    });
    change(&mut policy);
    let policy: SitePolicy = serde_json::from_value(policy).unwrap();
    policy.check().unwrap();
    policy
}

/// A fault that is to come.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub host: usize,
    /// Seconds after the beginning.
    pub at: i64,
    pub class: &'static str,
    /// What makes the host healthy; without it, nothing does.
    pub heals: Option<Rung>,
    /// After how many seconds it ends by itself, if it does.
    pub ends_after: Option<i64>,
    /// After how many seconds the host is out of use, if it is.
    pub out_of_use_after: Option<i64>,
}

pub(super) fn fault(host: usize, at: i64) -> Fault {
    Fault {
        host,
        at,
        class: "unreachable",
        heals: Some(Rung::PowerCycle),
        ends_after: None,
        out_of_use_after: None,
    }
}

enum Next {
    Says(usize),
    Ends(usize),
    Resolves(usize),
    Timer(HostId, String),
    Asked(StepCommand),
    Repaired(HostId, SagaRef, Option<Rung>, bool),
    Approves(HostId),
    OutOfUse(usize),
}

/// A site whose streams are recorded.
pub(super) struct Site {
    pub recording: Recording,
    policies: Arc<PolicyState>,
    now: Timestamp,
    due: BTreeMap<(Timestamp, u64), Next>,
    planned: u64,
    faults: Vec<Fault>,
    over: Vec<bool>,
    health: BTreeMap<HostId, HealthState>,
    domains: BTreeMap<String, FaultDomainState>,
    budget: BudgetState,
    approves_after: i64,
}

pub(super) fn host(number: usize) -> HostId {
    id(&format!("h-{number}"))
}

impl Site {
    /// What is recorded within so many seconds, under a policy, of these faults. A person approves what is asked after a minute.
    pub(super) fn records(policy: &SitePolicy, faults: Vec<Fault>, seconds: i64) -> Recording {
        let applied = PoliciesApplied {
            policies: id(SITE),
            policy_version: 1,
            policy: policy.clone(),
            changes: Vec::new(),
            reason: "the first".to_owned(),
        };
        let mut recording = Recording::between(moment(0), moment(seconds));
        let event = PolicyEvent::Applied(applied.clone());
        let policies = Arc::new(PolicyDecider::evolve(PolicyState::default(), &event));
        recording.policies.push(Recorded { at: moment(-100), events: vec![event] });
        let over = vec![false; faults.len()];
        let mut site = Self {
            recording,
            policies,
            now: moment(-100),
            due: BTreeMap::new(),
            planned: 0,
            faults,
            over,
            health: BTreeMap::new(),
            domains: BTreeMap::new(),
            budget: BudgetState::default(),
            approves_after: 60,
        };
        for number in 0..site.faults.len() {
            site.breaks(number);
        }
        while let Some(((at, _), next)) = site.due.pop_first() {
            if at > moment(seconds) {
                break;
            }
            site.now = at;
            site.happens(next);
        }
        site.recording
    }

    fn breaks(&mut self, number: usize) {
        let Fault { host: of, at, ends_after, .. } = self.faults[number].clone();
        if !self.recording.hosts.contains_key(&host(of)) {
            self.serves(of);
        }
        self.later(moment(at), Next::Says(number));
        if let Some(after) = ends_after {
            self.later(moment(at + after), Next::Ends(number));
        }
        if let Some(after) = self.faults[number].out_of_use_after {
            self.later(moment(at + after), Next::OutOfUse(of));
        }
    }

    fn later(&mut self, at: Timestamp, next: Next) {
        self.planned += 1;
        self.due.insert((at, self.planned), next);
    }

    fn serves(&mut self, number: usize) {
        let enrolled = HostEnrolled {
            host: host(number),
            pool: id("web"),
            sku: id("cpu"),
            fault_domain: id(&format!("rack-{}", number % 2)),
            bmc: BmcAddress { system_url: "https://10.0.0.7/redfish/v1/Systems/1".into() },
            labels: Labels::new(),
            policy: HostPolicy::default(),
            step: id("verify/1"),
        };
        let serves = HostInService {
            host: host(number),
            saga: crate::testing::saga_ref("r-1.1"),
            step: id("r-1.1/register/1"),
            pool: id("web"),
            role: id("web"),
        };
        self.host_event(number, vec![HostEvent::Enrolled(enrolled), HostEvent::InService(serves)]);
    }

    fn host_event(&mut self, number: usize, events: Vec<HostEvent>) {
        let at = self.now;
        self.recording.hosts.entry(host(number)).or_default().push(Recorded { at, events });
    }

    fn seen(&self, host: &HostId) -> Box<Seen> {
        let events = self.recording.hosts[host].iter().flat_map(|commit| &commit.events);
        let state = events.fold(HostState::default(), HostDecider::evolve);
        let policies = self.policies.clone();
        let (host, provisioning) = (HostSeen::of(&state), ProvisioningPolicy::default());
        Box::new(Seen { host, correlated: None, policies, provisioning })
    }

    fn is_faulty(&self, host: &HostId) -> bool {
        let faults = self.faults.iter().zip(&self.over);
        let mut faults = faults.filter(|(fault, over)| !**over && moment(fault.at) <= self.now);
        faults.any(|(fault, _)| super::tests::host(fault.host) == *host)
    }

    fn signal(&self, number: usize, status: SignalStatus) -> Signal {
        let Fault { at, class, .. } = self.faults[number];
        Signal {
            header: SignalHeader {
                source: "alertmanager".to_owned(),
                fingerprint: format!("fault-{number}"),
                status,
                starts_at: moment(at),
                observed_at: self.now,
                expires_at: self.now + SignedDuration::from_mins(15),
            },
            fault: id(class),
            severity: "critical".to_owned(),
            summary: "it does not answer".to_owned(),
            labels: BTreeMap::new(),
        }
    }

    fn happens(&mut self, next: Next) {
        match next {
            Next::Says(number) if !self.over[number] => {
                self.says(number, SignalStatus::Firing);
                self.later(self.now + SignedDuration::from_secs(REPEATS_SECONDS), Next::Says(number));
            }
            Next::Says(_) => {}
            Next::Ends(number) => {
                if !std::mem::replace(&mut self.over[number], true) {
                    let at = self.now + SignedDuration::from_secs(NOTICED_SECONDS);
                    self.later(at, Next::Resolves(number));
                }
            }
            Next::Resolves(number) => self.says(number, SignalStatus::Resolved),
            Next::Timer(host, name) => {
                let mut seen = self.seen(&host);
                let rack = &seen.host.as_ref().unwrap().rack;
                seen.correlated = self.surroundings(rack).holds_back();
                self.tell(&host, &HealthInput::Timer { name, seen });
            }
            Next::Asked(command) => self.asked(&command),
            Next::Repaired(host, saga, rung, needless) => self.repaired(&host, saga, rung, needless),
            Next::Approves(host) => {
                let reason = "it is night".to_owned();
                self.tell(&host, &HealthInput::Approve { reason });
            }
            Next::OutOfUse(number) => self.out_of_use(number, "it was taken out"),
        }
    }

    fn says(&mut self, number: usize, status: SignalStatus) {
        let (of, signal) = (host(self.faults[number].host), self.signal(number, status));
        let seen = self.seen(&of);
        self.tell(&of, &HealthInput::Signal { signal, seen });
    }

    fn tell(&mut self, host: &HostId, input: &HealthInput) {
        let state = self.health.entry(host.clone()).or_default();
        let Ok(decision) = HealthDecider::decide(state, input, self.now) else { return };
        *state = decision.events.iter().fold(std::mem::take(state), HealthDecider::evolve);
        for event in &decision.events {
            self.follows(host, event);
        }
        for timer in decision.timers {
            self.later(timer.due_at + MESSAGE, Next::Timer(host.clone(), timer.name));
        }
        for command in decision.commands {
            self.later(self.now + MESSAGE, Next::Asked(command));
        }
        if !decision.events.is_empty() {
            let (at, events) = (self.now, decision.events);
            self.recording.health.entry(host.clone()).or_default().push(Recorded { at, events });
        }
    }

    fn follows(&mut self, of: &HostId, event: &HealthEvent) {
        let number: usize = of.as_str()[2..].parse().unwrap();
        match event {
            HealthEvent::Started(e) => {
                let needless = !self.is_faulty(of);
                let takes = if needless || e.rung.is_none() { 5 } else { REPAIR_SECONDS };
                if !needless && let Some(rung) = e.rung {
                    self.cordon(number, &e.saga);
                    for index in 0..self.faults.len() {
                        let fault = self.faults[index].clone();
                        if fault.host == number && fault.heals == Some(rung) && moment(fault.at) <= self.now {
                            let well_at = self.now + SignedDuration::from_secs(WELL_AFTER_SECONDS);
                            self.later(well_at, Next::Ends(index));
                        }
                    }
                }
                let ends_at = self.now + SignedDuration::from_secs(takes);
                self.later(ends_at, Next::Repaired(of.clone(), e.saga.clone(), e.rung, needless));
            }
            HealthEvent::ApprovalRequested(_) => {
                let at = self.now + SignedDuration::from_secs(self.approves_after);
                self.later(at, Next::Approves(of.clone()));
            }
            _ => {}
        }
    }

    fn cordon(&mut self, number: usize, saga: &SagaRef) {
        let (saga, step) = (saga.clone(), id("r/cordon-host/1"));
        let reason = "it is repaired".to_owned();
        let cordoned = HostCordoned { host: host(number), saga, step, reason };
        self.host_event(number, vec![HostEvent::Cordoned(cordoned)]);
    }

    fn out_of_use(&mut self, number: usize, reason: &str) {
        let quarantined = HostQuarantined { host: host(number), reason: reason.to_owned(), saga: None };
        self.host_event(number, vec![HostEvent::Quarantined(quarantined)]);
    }

    /// What a new installation does not heal is out of use.
    fn repaired(&mut self, of: &HostId, saga: SagaRef, rung: Option<Rung>, needless: bool) {
        let number: usize = of.as_str()[2..].parse().unwrap();
        let (faulty, step) = (self.is_faulty(of), id("r/conclude-recovery/1"));
        if !needless && rung.is_some() {
            let (saga, step) = (saga.clone(), id("r/uncordon-host/1"));
            let uncordoned = HostUncordoned { host: host(number), saga, step };
            self.host_event(number, vec![HostEvent::Uncordoned(uncordoned)]);
            if faulty && rung == Some(Rung::Reimage) {
                self.out_of_use(number, "it does not boot");
            }
        }
        let seen = self.seen(of);
        let input = if faulty {
            let reason = "it did not come back".to_owned();
            HealthInput::Abandoned { saga, step, reason, seen }
        } else {
            let outcome = if needless { RemediationOutcome::Needless } else { RemediationOutcome::Healed };
            HealthInput::Concluded { saga, step, outcome, seen }
        };
        self.tell(of, &input);
    }

    fn asked(&mut self, command: &StepCommand) {
        let StepCommand::Recover(command) = command else { return };
        match command {
            RecoverCommand::ReportMember(report) => {
                let report = MemberReport::of_host(report, &self.policies);
                self.report(&report);
            }
            RecoverCommand::ReportDomain(report) => {
                let report = MemberReport::of_rack(report, &self.policies);
                self.report(&report);
            }
            RecoverCommand::ClaimDisruption(claim) => self.claim(claim),
            RecoverCommand::ReturnDisruption(of) => {
                let input = BudgetInput::Return { budget: id(SITE), saga: of.saga.clone() };
                self.budgeted(&input).unwrap();
            }
            _ => {}
        }
    }

    fn report(&mut self, report: &MemberReport) {
        let state = self.domains.entry(report.domain.clone()).or_default();
        let input = FaultDomainInput::Member(report.clone());
        let Ok(decision) = FaultDomainDecider::decide(state, &input, self.now);
        *state = decision.events.iter().fold(std::mem::take(state), FaultDomainDecider::evolve);
        let (at, events) = (self.now, decision.events);
        self.recording.domains.entry(report.domain.clone()).or_default().push(Recorded { at, events });
        for command in decision.commands {
            self.later(self.now + MESSAGE, Next::Asked(command.into()));
        }
    }

    fn budgeted(&mut self, input: &BudgetInput) -> Result<(), crate::budget::Held> {
        let decision = BudgetDecider::decide(&self.budget, input, self.now)?;
        let state = std::mem::take(&mut self.budget);
        self.budget = decision.events.iter().fold(state, BudgetDecider::evolve);
        self.recording.budget.push(Recorded { at: self.now, events: decision.events });
        Ok(())
    }
}
