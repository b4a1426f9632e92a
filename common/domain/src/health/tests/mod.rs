//! Rules of a host's health: what a signal begins, what holds a remediation back, and how an incident ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use hostler_core::Payload;
use hostler_core::saga::{SagaCommand, SagaDefinition, StepOutcome, StepReply};
use hostler_events::RecoverCommand;
use hostler_events::health::RemediationSuppressed;
use hostler_events::signal::{SignalHeader, SignalStatus};
use hostler_events::site::Rung;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::recovery::{Recovery, RecoveryOrder};
use crate::testing::{Run, id};

mod acting;
mod climbing;
mod correlated;
mod holding;
mod redirecting;
mod signals;

struct Host {
    run: Run<HealthDecider>,
    seen: Seen,
}

fn policies(autonomy: &str) -> Arc<PolicyState> {
    let policy = serde_json::from_value(json!({
        "faults": { "unreachable": { "tolerationSeconds": 300, "runbook": "reboot" } },
        "runbooks": { "reboot": { "autonomy": autonomy, "rungs": [
            { "rung": "power-cycle", "attempts": 3, "delaySeconds": 60 },
            { "rung": "reimage", "attempts": 1 },
            { "rung": "replace", "attempts": 1 },
        ] } },
        "pools": { "web": { "role": "web-server", "image": "debian-13", "hosts": 100 } },
    }));
    let (policy, policy_version) = (policy.unwrap(), 7);
    Arc::new(PolicyState { policy, policy_version, ..PolicyState::default() })
}

fn seen(autonomy: &str) -> Seen {
    let host = HostSeen {
        host: id("h-1"),
        phase: Phase::InService,
        pool: id("web"),
        rack: id("rack-1"),
        cordoned_by: None,
        traffic: None,
    };
    let provisioning = ProvisioningPolicy::default();
    Seen { host: Some(host), correlated: None, policies: policies(autonomy), provisioning }
}

impl Host {
    fn healthy() -> Self {
        Self::with("auto")
    }

    fn with(autonomy: &str) -> Self {
        Self { run: Run::new(), seen: seen(autonomy) }
    }

    /// Its toleration is over, and the budget is asked.
    fn claiming() -> Self {
        let mut host = Self::healthy();
        host.fires("a1");
        host.wakes();
        host
    }

    /// A saga acts on it.
    fn acting() -> Self {
        let mut host = Self::claiming();
        host.granted();
        host
    }

    fn seen(&self) -> Box<Seen> {
        Box::new(self.seen.clone())
    }

    fn is(&mut self, phase: Phase) {
        self.seen.host.as_mut().unwrap().phase = phase;
    }

    fn later(&mut self, seconds: i64) {
        self.run.now += SignedDuration::from_secs(seconds);
    }

    fn names(&mut self, input: &HealthInput) -> Vec<&'static str> {
        self.run.names(input)
    }

    /// A signal that began now, is seen now, and is worth something for 15 minutes.
    fn signal(&self, fingerprint: &str, status: SignalStatus) -> Signal {
        Signal {
            header: SignalHeader {
                source: "alertmanager".to_owned(),
                fingerprint: fingerprint.to_owned(),
                status,
                starts_at: self.run.now,
                observed_at: self.run.now,
                expires_at: self.run.now + SignedDuration::from_mins(15),
            },
            fault: id("unreachable"),
            severity: "critical".to_owned(),
            summary: "h-1 does not answer".to_owned(),
            labels: std::collections::BTreeMap::new(),
        }
    }

    fn told(&mut self, signal: Signal) -> Vec<&'static str> {
        let seen = self.seen();
        self.names(&HealthInput::Signal { signal, seen })
    }

    fn fires(&mut self, fingerprint: &str) -> Vec<&'static str> {
        self.told(self.signal(fingerprint, SignalStatus::Firing))
    }

    fn resolves(&mut self, fingerprint: &str) -> Vec<&'static str> {
        self.told(self.signal(fingerprint, SignalStatus::Resolved))
    }

    /// The newest timer is due.
    fn wakes(&mut self) -> Vec<&'static str> {
        let timer = self.run.timers.last().unwrap().clone();
        self.run.now = self.run.now.max(timer.due_at);
        let seen = self.seen();
        self.names(&HealthInput::Timer { name: timer.name, seen })
    }

    /// How long the newest timer waits.
    fn waits(&self) -> i64 {
        self.run.timers.last().unwrap().due_at.duration_since(self.run.now).as_secs()
    }

    fn claim(&self) -> SagaRef {
        let mut claims = self.run.commands.iter().filter_map(|command| match command {
            StepCommand::Recover(RecoverCommand::ClaimDisruption(claim)) => Some(claim.saga.clone()),
            _ => None,
        });
        claims.next_back().unwrap()
    }

    fn granted(&mut self) -> Vec<&'static str> {
        let (saga, seen) = (self.claim(), self.seen());
        self.names(&HealthInput::Granted { saga, seen })
    }

    fn acts(&self) -> SagaRef {
        self.run.state.acting().unwrap().clone()
    }

    fn fails(&mut self) -> Vec<&'static str> {
        let (saga, seen) = (self.acts(), self.seen());
        let reason = "it did not come back".to_owned();
        self.names(&HealthInput::Abandoned { saga, step: id("r/abandon-recovery/1"), reason, seen })
    }

    fn ends(&mut self, outcome: RemediationOutcome) -> Vec<&'static str> {
        let (saga, seen) = (self.acts(), self.seen());
        self.names(&HealthInput::Concluded { saga, step: id("r/conclude-recovery/1"), outcome, seen })
    }

    fn heals(&mut self) -> Vec<&'static str> {
        self.ends(RemediationOutcome::Healed)
    }

    fn condition(&self) -> &'static str {
        self.run.state.condition.name()
    }

    fn order(&self) -> Value {
        let mut starts = self.run.commands.iter().filter_map(|command| match command {
            StepCommand::Saga(SagaCommand::Start(start)) => Some(start.order.clone()),
            _ => None,
        });
        starts.next_back().unwrap()
    }

    fn reply(&self) -> StepOutcome {
        let mut replies = self.run.commands.iter().filter_map(|command| match command {
            StepCommand::Saga(SagaCommand::Answer(StepReply { outcome, .. })) => Some(outcome.clone()),
            _ => None,
        });
        replies.next_back().unwrap()
    }

    fn returned(&self) -> usize {
        let returned = |command: &&StepCommand| {
            matches!(command, StepCommand::Recover(RecoverCommand::ReturnDisruption(_)))
        };
        self.run.commands.iter().filter(returned).count()
    }

    /// From a signal through a power cycle to health.
    fn is_healed_by_a_power_cycle(&mut self, fingerprint: &str) {
        self.fires(fingerprint);
        self.wakes();
        assert_eq!(self.condition(), "claiming", "{:?}", self.run.state.condition);
        self.granted();
        assert_eq!(self.order()["rung"], "power-cycle");
        self.heals();
    }
}

impl Host {
    fn granted_after_toleration(&mut self) {
        self.wakes();
        self.granted();
    }

    fn held(&mut self, rule: &str) -> Vec<&'static str> {
        let why = HoldBack {
            rule: rule.to_owned(),
            limit: "8".to_owned(),
            value: "9".to_owned(),
            lifts: "wait".to_owned(),
        };
        let saga = self.claim();
        self.names(&HealthInput::Held { saga, why })
    }
}
