//! Rules of a host's health: what a signal begins, what holds a remediation back, and how an incident ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use hostler_core::Payload;
use hostler_core::saga::{SagaCommand, SagaDefinition, StepOutcome, StepReply};
use hostler_events::RecoverCommand;
use hostler_events::signal::{SignalHeader, SignalStatus};
use hostler_events::site::Rung;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::recovery::{Recovery, RecoveryOrder};
use crate::testing::{Run, id};

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
    };
    let provisioning = ProvisioningPolicy::default();
    Seen { host: Some(host), policies: policies(autonomy), provisioning }
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

#[test]
fn a_fault_is_tolerated_then_confirmed_and_the_budget_is_asked_before_anything_is_done() {
    let mut host = Host::healthy();
    assert_eq!(host.fires("a1"), ["health.signal-received", "health.suspected"]);
    assert_eq!(host.waits(), 300, "the toleration of this class of faults");
    assert_eq!(host.run.commands[0].type_name(), "report-member", "its rack hears of it at once");
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.disruption-claimed"]);
    assert_eq!(host.run.commands.last().unwrap().type_name(), "claim-disruption");
    assert_eq!(host.granted(), ["health.remediation-started"]);
    let order = host.order();
    assert_eq!(
        (&order["rung"], &order["host"], &order["image"]),
        (&json!("power-cycle"), &json!("h-1"), &json!("debian-13"))
    );
    assert_eq!(host.acts().to_string(), "recovery#h-1.1");
    assert_eq!(host.heals(), ["health.remediation-ended", "health.recovered"]);
    assert_eq!((host.condition(), host.returned()), ("healthy", 1));
    let incident = host.run.state.incident.clone().unwrap();
    let times = [incident.confirmed_at, incident.decided_at, incident.acted_at, incident.closed_at];
    assert!(times.iter().all(Option::is_some), "each time is kept: {incident:?}");
}

#[test]
fn repeats_of_a_signal_are_one_and_a_storm_of_them_grows_no_stream() {
    let mut host = Host::healthy();
    let signal = host.signal("a1", SignalStatus::Firing);
    host.told(signal.clone());
    let events = host.run.events.len();
    for _ in 0..200 {
        assert!(host.told(signal.clone()).is_empty());
    }
    assert_eq!(host.run.events.len(), events);
    host.granted_after_toleration();
    assert!(host.told(signal).is_empty(), "a repair under way is not begun again");
}

#[test]
fn a_signal_that_goes_on_is_renewed_once_in_half_of_its_shelf_life() {
    let mut host = Host::healthy();
    let first = host.signal("a1", SignalStatus::Firing);
    host.told(first.clone());
    let mut renewed = 0;
    for _ in 0..10 {
        host.later(60);
        let mut again = host.signal("a1", SignalStatus::Firing);
        again.header.starts_at = first.header.starts_at;
        renewed += host.told(again).len();
    }
    assert_eq!(renewed, 1);
}

#[test]
fn a_stale_signal_is_dropped_once_and_never_acted_on() {
    let mut host = Host::healthy();
    let signal = host.signal("a1", SignalStatus::Firing);
    host.later(3_600);
    assert_eq!(host.told(signal.clone()), ["health.signal-dropped"]);
    assert!(host.told(signal).is_empty(), "once");
    assert_eq!((host.condition(), host.run.timers.len()), ("healthy", 0));
}

#[test]
fn what_has_become_stale_while_it_was_tolerated_is_not_acted_on() {
    let mut host = Host::healthy();
    host.fires("a1");
    host.later(3_600);
    assert_eq!(host.wakes(), ["health.recovered"]);
    assert!(host.run.events.last().unwrap().to_data().text().contains("shelf life"));
}

#[test]
fn what_has_become_stale_while_it_was_held_back_has_monitoring_asked_before_anything_is_done() {
    let mut host = Host::claiming();
    host.held("rack");
    host.later(3_600);
    assert_eq!(host.wakes(), ["health.disruption-claimed"]);
    host.granted();
    let order: RecoveryOrder = serde_json::from_value(host.order()).unwrap();
    let plan = Recovery::plan(Recovery::VERSION, &order).unwrap();
    let steps: Vec<String> = plan.steps().map(|step| step.full_name().to_string()).collect();
    assert_eq!(steps[..3], ["begin-recovery", "look-again", "cordon-host"]);
    assert!(plan.steps().skip(2).take(4).all(|step| step.condition == Some("the host is still faulty")));
}

#[test]
fn resolved_while_it_is_tolerated_is_healthy_again() {
    let mut host = Host::healthy();
    host.fires("a1");
    host.later(60);
    assert_eq!(host.resolves("a1"), ["health.signal-received", "health.recovered"]);
    assert!(host.wakes().is_empty(), "the timer of a wait that is over says nothing");
    assert_eq!(host.condition(), "healthy");
}

#[test]
fn resolved_is_no_proof_of_health_once_a_fault_is_confirmed() {
    let mut host = Host::claiming();
    host.held("rack");
    assert_eq!(host.resolves("a1"), ["health.signal-received", "health.remediation-started"]);
    assert_eq!(host.condition(), "verifying");
    assert_eq!(host.ends(RemediationOutcome::Needless), ["health.remediation-ended", "health.recovered"]);
    assert!(host.run.state.recoveries.is_empty(), "nothing was done, so that it counts for no flapping");
}

#[test]
fn resolved_while_a_saga_acts_changes_nothing() {
    let mut host = Host::acting();
    assert_eq!(host.resolves("a1"), ["health.signal-received"]);
    assert_eq!(host.condition(), "acting");
}

#[test]
fn one_signal_that_ends_is_not_the_end_of_another() {
    let mut host = Host::healthy();
    host.fires("a1");
    host.fires("a2");
    host.resolves("a1");
    assert_eq!(host.condition(), "suspect");
}

#[test]
fn signals_that_a_repair_sets_off_begin_no_other() {
    let mut host = Host::acting();
    host.later(5);
    assert_eq!(host.fires("down"), ["health.signal-received"]);
    host.later(60);
    host.resolves("down");
    host.heals();
    assert_eq!(host.condition(), "healthy");
    assert!(host.wakes().is_empty());
}

#[test]
fn what_goes_on_after_a_repair_has_settled_is_a_fault() {
    let mut host = Host::acting();
    host.later(5);
    host.fires("down");
    host.later(60);
    assert_eq!(host.heals(), ["health.remediation-ended", "health.recovered", "health.suspected"]);
    assert_eq!(host.waits(), 300);
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.disruption-claimed"]);
    assert_eq!(host.run.state.incident.as_ref().unwrap().number, 2);
}

#[test]
fn the_same_is_tried_again_after_a_delay_that_grows_then_the_next_rung() {
    let mut host = Host::acting();
    for delay in [60, 120] {
        assert_eq!(host.fails(), ["health.remediation-ended"]);
        assert_eq!((host.waits(), host.condition()), (delay, "waiting"));
        assert_eq!(host.wakes(), ["health.disruption-claimed"]);
        host.granted();
        assert_eq!(host.order()["rung"], "power-cycle");
    }
    host.fails();
    assert_eq!(host.waits(), 0, "the third attempt was the last");
    host.wakes();
    host.granted();
    assert_eq!(host.order()["rung"], "reimage");
    assert_eq!(host.acts().to_string(), "recovery#h-1.4", "each has a saga of its own");
}

#[test]
fn when_all_was_tried_a_person_gets_the_whole_story_and_nothing_more_is_done() {
    let mut host = Host::acting();
    for _ in 0..4 {
        host.fails();
        host.wakes();
        host.granted();
    }
    assert_eq!(host.order()["rung"], "replace");
    host.fails();
    assert_eq!(host.wakes(), ["health.escalated"]);
    let Some(HealthEvent::Escalated(escalated)) = host.run.events.last().cloned() else { panic!() };
    assert_eq!(escalated.story.tried.len(), 5);
    assert!(escalated.story.tried.iter().all(|tried| tried.ended_at.is_some() && tried.reason.is_some()));
    assert_eq!(escalated.story.signals.len(), 1);
    for fingerprint in ["a1", "a2"] {
        host.later(600);
        assert!(host.fires(fingerprint).is_empty());
    }
    let closed = HealthInput::Close { reason: "a new mainboard".to_owned() };
    assert_eq!(host.names(&closed), ["health.incident-closed"]);
    assert_eq!(host.fires("a3"), ["health.signal-received", "health.suspected"]);
    assert_eq!(host.run.state.attempts_of(Rung::PowerCycle), 0, "from the beginning again");
}

#[test]
fn attempts_are_counted_over_incidents_until_the_host_was_healthy_for_an_hour() {
    let mut host = Host::healthy();
    host.is_healed_by_a_power_cycle("a1");
    host.later(1_800);
    host.fires("a2");
    assert_eq!(host.run.state.attempts_of(Rung::PowerCycle), 1);
    host.wakes();
    host.granted();
    host.heals();
    host.later(3_601);
    host.fires("a3");
    assert_eq!(host.run.state.attempts_of(Rung::PowerCycle), 0);
}

#[test]
fn a_host_that_recovers_three_times_in_ten_minutes_is_not_repaired_the_same_way_again() {
    let mut host = Host::healthy();
    let mut quick = policies("auto").as_ref().clone();
    quick.policy.faults.get_mut(&id("unreachable")).unwrap().toleration_seconds = 0;
    host.seen.policies = Arc::new(quick);
    for fingerprint in ["a1", "a2", "a3"] {
        host.is_healed_by_a_power_cycle(fingerprint);
    }
    assert!(host.run.state.is_flapping(host.run.now));
    host.fires("a4");
    host.wakes();
    let Some(HealthEvent::Claimed(claimed)) = host.run.events.last().cloned() else { panic!() };
    assert_eq!(claimed.rung, Rung::Replace);
    assert!(claimed.reason.unwrap().contains("recovered 3 times"));
    host.granted();
    assert_eq!(host.order()["rung"], "replace", "another host takes its place, and it goes out of use");
}

#[test]
fn a_flapping_host_without_a_replacement_is_a_persons() {
    let mut host = Host::healthy();
    let mut short = policies("auto").as_ref().clone();
    short.policy.runbooks.get_mut(&id("reboot")).unwrap().rungs.truncate(1);
    host.seen.policies = Arc::new(short);
    host.fires("a1");
    host.run.state.recoveries = vec![host.run.now + SignedDuration::from_mins(4); 3];
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.escalated"]);
}

#[test]
fn a_host_that_is_not_in_service_is_not_repaired_and_that_is_recorded_once() {
    for phase in [Phase::Deploying, Phase::Cleaning, Phase::Draining, Phase::Available, Phase::Quarantined] {
        let mut host = Host::healthy();
        host.is(phase);
        let signal = host.signal("a1", SignalStatus::Firing);
        let said = host.told(signal.clone());
        assert_eq!(said, ["health.remediation-suppressed", "health.signal-dropped"], "{phase:?}");
        assert!(host.told(signal.clone()).is_empty());
        host.is(Phase::InService);
        assert_eq!(
            host.told(signal),
            ["health.signal-received", "health.suspected"],
            "it goes on in service"
        );
    }
}

#[test]
fn a_host_that_leaves_service_while_it_is_tolerated_or_claimed_for_is_left_alone() {
    let mut host = Host::healthy();
    host.fires("a1");
    host.is(Phase::Draining);
    assert_eq!(host.wakes(), ["health.recovered"]);
    let mut host = Host::claiming();
    host.is(Phase::Draining);
    assert_eq!(host.granted(), ["health.recovered"]);
    assert_eq!(host.returned(), 1, "the budget is given back");
}

#[test]
fn a_host_that_a_repair_has_left_out_of_service_can_only_be_replaced() {
    let mut host = Host::acting();
    host.is(Phase::Retired);
    host.fails();
    host.wakes();
    host.granted();
    let order = host.order();
    assert_eq!((&order["rung"], &order["outOfService"]), (&json!("replace"), &json!(true)));
}

#[test]
fn without_policies_nothing_is_done_and_what_would_be_done_is_recorded_where_it_is_known() {
    let mut host = Host::with("observe");
    host.fires("a1");
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.remediation-suppressed"]);
    let Some(HealthEvent::Suppressed(held)) = host.run.events.last().cloned() else { panic!() };
    assert_eq!((held.rule.as_str(), held.rung), ("observe", Some(Rung::PowerCycle)));
    assert_eq!(host.resolves("a1"), ["health.signal-received", "health.recovered"]);

    let mut host = Host::healthy();
    host.seen.policies = Arc::default();
    host.fires("a1");
    host.wakes();
    let Some(HealthEvent::Suppressed(held)) = host.run.events.last().cloned() else { panic!() };
    assert_eq!((held.rule.as_str(), held.rung), ("observe", None));
    assert!(host.run.commands.iter().all(|command| command.type_name() == "report-member"));
}

#[test]
fn a_person_approves_each_rung_and_a_rejection_is_a_persons_incident() {
    let approve = HealthInput::Approve { reason: "go on".to_owned() };
    let mut host = Host::with("approve");
    host.fires("a1");
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.approval-requested"]);
    let refused = host.run.when(&HealthInput::Approve { reason: " ".to_owned() }).unwrap_err();
    assert_eq!(refused.label(), "no-reason");
    assert_eq!(host.names(&approve), ["health.approved"]);
    assert_eq!(host.run.when(&approve).unwrap_err().label(), "not-awaited", "once");
    assert!(host.waits() <= 0, "at once");
    assert_eq!(host.wakes(), ["health.disruption-claimed"]);
    let mut host = Host::with("approve");
    host.fires("a1");
    host.wakes();
    let reject = HealthInput::Reject { reason: "it is being moved".to_owned() };
    assert_eq!(host.names(&reject), ["health.escalated"]);
}

#[test]
fn what_nobody_approves_in_a_day_is_escalated() {
    let mut host = Host::with("approve");
    host.fires("a1");
    host.wakes();
    assert_eq!(host.waits(), 24 * 3_600);
    assert_eq!(host.wakes(), ["health.escalated"]);
}

#[test]
fn what_is_held_back_says_why_and_is_asked_for_again_ever_more_seldom() {
    let mut host = Host::claiming();
    for delay in [30, 60, 120, 240] {
        assert_eq!(host.held("rack"), ["health.remediation-suppressed"]);
        assert_eq!(host.waits(), delay);
        let renewed = host.signal("a1", SignalStatus::Firing);
        host.told(renewed);
        assert_eq!(host.wakes(), ["health.disruption-claimed"]);
    }
    assert_eq!(host.held("brake"), ["health.remediation-suppressed"]);
    assert_eq!(host.waits(), 30, "another rule");
    let held = host.run.state.incident.as_ref().unwrap().held_back.clone().unwrap();
    assert!(held.why.contains("brake: 9, and the limit is 8; wait"), "{}", held.why);
}

#[test]
fn what_the_budget_holds_back_for_a_day_is_a_persons_and_a_lost_rack_is_waited_for() {
    let mut host = Host::claiming();
    for rule in ["rack", CORRELATED] {
        host.held(rule);
        host.later(25 * 3_600);
        host.fires("a2");
        host.wakes();
        let said = host.held(rule);
        assert_eq!(
            said,
            [if rule == CORRELATED { "health.remediation-suppressed" } else { "health.escalated" }]
        );
        host = Host::claiming();
    }
}

/// A message at the end of a chain of a thousand causes is not handled any more.
#[test]
fn a_fault_that_is_held_back_for_days_has_few_causes_in_a_row() {
    let mut host = Host::claiming();
    let (mut hops, began) = (0, host.run.now);
    while host.run.now.duration_since(began).as_hours() < 7 * 24 {
        host.held(CORRELATED);
        assert_eq!(host.wakes(), ["health.disruption-claimed"]);
        hops += 2;
    }
    assert!(hops < 500, "{hops} hops in a week");
}

#[test]
fn a_claim_without_an_answer_is_made_again_and_a_late_grant_is_given_back() {
    let mut host = Host::claiming();
    let first = host.claim();
    assert_eq!(host.wakes(), ["health.disruption-claimed"]);
    assert_ne!(host.claim(), first);
    let seen = host.seen();
    assert!(host.names(&HealthInput::Granted { saga: first, seen }).is_empty());
    assert_eq!((host.returned(), host.condition()), (1, "claiming"));
    host.granted();
    let (saga, seen) = (host.acts(), host.seen());
    assert!(host.names(&HealthInput::Granted { saga, seen }).is_empty(), "granted twice");
    assert_eq!(host.returned(), 1);
}

#[test]
fn a_host_that_another_saga_works_on_is_left_to_it() {
    let mut host = Host::healthy();
    host.fires("a1");
    host.seen.host.as_mut().unwrap().cordoned_by = Some("patching#p-1".parse().unwrap());
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.remediation-suppressed"]);
}

#[test]
fn a_saga_that_is_not_wanted_any_more_is_told_so_before_it_begins() {
    let mut host = Host::acting();
    let begin = |host: &Host, saga: &SagaRef| HealthInput::Begin {
        saga: saga.clone(),
        step: id("r/begin-recovery/1"),
        seen: host.seen(),
    };
    let saga = host.acts();
    host.run.when(&begin(&host, &saga)).unwrap();
    assert!(matches!(host.reply(), StepOutcome::Succeeded { .. }));
    host.is(Phase::Draining);
    host.run.when(&begin(&host, &saga)).unwrap();
    assert!(matches!(host.reply(), StepOutcome::Failed { .. }));
    let other: SagaRef = "recovery#h-1.9".parse().unwrap();
    host.run.when(&begin(&host, &other)).unwrap();
    assert!(
        matches!(host.reply(), StepOutcome::Failed { uncertain: true, .. }),
        "so that it is undone and tells so"
    );
}

#[test]
fn a_sample_counts_from_when_monitoring_was_first_asked_and_only_health_ends_a_repair() {
    let mut host = Host::acting();
    let (saga, step) = (host.acts(), id::<StepId>("r/verify-recovery/1"));
    let check = CheckKind::After;
    let begin = HealthInput::BeginCheck { saga: saga.clone(), step: step.clone(), check };
    assert_eq!(host.names(&begin), ["health.host-checked"]);
    host.later(30);
    assert!(host.run.ignores(&begin), "a later attempt asks for samples since the first");
    let checked = |healthy| HealthInput::Checked { saga: saga.clone(), step: step.clone(), check, healthy };
    host.names(&checked(false));
    assert!(matches!(host.reply(), StepOutcome::Failed { .. }));
    host.names(&checked(true));
    assert!(matches!(host.reply(), StepOutcome::Succeeded { .. }));
    assert!(host.run.state.incident.as_ref().unwrap().verified_at.is_some());
    let before = HealthInput::Checked { saga, step, check: CheckKind::Before, healthy: false };
    host.names(&before);
    assert!(matches!(host.reply(), StepOutcome::Succeeded { .. }), "before a repair it may be faulty");
}

#[test]
fn a_saga_that_ends_late_is_answered_and_gives_the_budget_back() {
    let mut host = Host::acting();
    let saga = host.acts();
    host.heals();
    let seen = host.seen();
    let (step, reason) = (id("r/abandon-recovery/1"), "late".to_owned());
    assert!(host.names(&HealthInput::Abandoned { saga, step, reason, seen }).is_empty());
    assert_eq!((host.condition(), host.returned()), ("healthy", 2));
}

#[test]
fn a_person_closes_an_incident_but_not_while_a_saga_acts() {
    let close = HealthInput::Close { reason: "planned".to_owned() };
    let mut host = Host::acting();
    let refused = host.run.when(&close).unwrap_err();
    assert!(refused.to_string().contains("recovery#h-1.1 works on host h-1"), "{refused}");
    let mut host = Host::claiming();
    assert_eq!(host.names(&close), ["health.incident-closed"]);
    host.granted();
    assert_eq!((host.condition(), host.returned()), ("healthy", 1), "a grant that comes late is given back");
    assert_eq!(Host::healthy().run.when(&close).unwrap_err().label(), "no-incident");
}

#[test]
fn a_signal_of_a_host_that_nobody_has_enrolled_is_refused_with_its_reason() {
    let mut host = Host::healthy();
    host.seen.host = None;
    let (signal, seen) = (host.signal("a1", SignalStatus::Firing), host.seen());
    let refused = host.run.when(&HealthInput::Signal { signal, seen }).unwrap_err();
    assert_eq!(refused.label(), "unknown-host");
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
