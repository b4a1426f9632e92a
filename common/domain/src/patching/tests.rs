//! Rules of patchings. That every saga ends and tries again is the engine's, and is tested with it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use hostler_core::Payload;
use hostler_core::saga::{Answers, Operation, Outgoing, SagaInput, StepOutcome, check};
use hostler_core::{Actor, Decider};

use super::*;
use crate::testing::{Run, id};

type Test = Run<PatchingSaga>;

fn started(order: PatchOrder) -> Test {
    let saga = patching_of(&order.campaign, &order.host).unwrap();
    Run::given([SagaInput::Start { saga, order, parent: None }])
}

fn in_traffic() -> PatchOrder {
    Patching::examples().into_iter().find(|order| order.traffic.is_some()).unwrap()
}

fn asked(saga: &Test) -> Vec<&'static str> {
    saga.commands.iter().map(Payload::type_name).collect()
}

fn answer(saga: &mut Test, outcome: StepOutcome) {
    let (_, attempt) = saga.state.running.iter().next().unwrap();
    let answers = Answers::Attempt(attempt.id.clone());
    saga.when(&SagaInput::Answer { answers, outcome }).unwrap();
}

fn says(saga: &mut Test, output: Value) {
    answer(saga, StepOutcome::Succeeded { output });
}

fn done(saga: &mut Test, times: usize) {
    for _ in 0..times {
        says(saga, Value::Null);
    }
}

fn fails(saga: &mut Test, reason: &str) {
    let (category, reason) = (Category::Business, reason.to_owned());
    answer(saga, StepOutcome::Failed { category, reason, uncertain: true });
}

/// Begun, cordoned, out of traffic.
fn alone() -> Test {
    let mut saga = started(in_traffic());
    says(&mut saga, json!({ "wanted": true }));
    done(&mut saga, 2);
    saga
}

fn installed(reboot_pending: bool) -> Test {
    let mut saga = alone();
    says(&mut saga, json!({ "changed": [], "rebootPending": reboot_pending }));
    saga
}

#[test]
fn the_definition_can_be_run() {
    check::<Patching>().unwrap();
}

#[test]
fn a_host_is_patched_alone_and_out_of_traffic_and_is_healthy_before_it_is_back() {
    let mut saga = installed(true);
    assert_eq!(outcome(&saga.state), None);
    done(&mut saga, 4);
    says(&mut saga, json!({ "resolved": true, "rebootPending": false }));
    let expected = [
        "begin-patching",
        "cordon-host",
        "leave-traffic",
        "install-packages",
        "power-cycle-host",
        "check-host",
        "join-traffic",
        "uncordon-host",
        "scan-packages",
    ];
    assert_eq!(asked(&saga), expected);
    let fixed = patched(Some(true), false);
    assert_eq!(outcome(&saga.state), Some(fixed));
    let Outgoing::Step(StepCommand::Monitor(command)) = &saga.commands[5] else { panic!() };
    assert!(
        matches!(command, hostler_events::MonitorCommand::CheckHost(look) if look.check == CheckKind::Gate)
    );
}

fn patched(resolved: Option<bool>, reboot_pending: bool) -> PatchOutcome {
    PatchOutcome::Patched { resolved, reboot_pending, missing: Vec::new() }
}

/// The host is healthy with what was installed, and is not rolled back.
#[test]
fn what_is_installed_in_part_is_no_failure() {
    let mut saga = alone();
    says(&mut saga, json!({ "changed": [], "missing": ["libssl3"], "rebootPending": false }));
    done(&mut saga, 3);
    says(&mut saga, json!({ "resolved": false, "rebootPending": false }));
    let Some(PatchOutcome::Patched { resolved, missing, .. }) = outcome(&saga.state) else { panic!() };
    assert_eq!((resolved, missing), (Some(false), vec!["libssl3".to_owned()]));
}

#[test]
fn a_host_is_rebooted_only_where_its_system_asks_for_it_and_the_order_lets_it() {
    assert_eq!(asked(&installed(false))[4..], ["check-host"]);
    let order = PatchOrder { reboot: Reboot::Never, ..in_traffic() };
    let mut saga = started(order);
    says(&mut saga, json!({ "wanted": true }));
    done(&mut saga, 2);
    says(&mut saga, json!({ "changed": [], "rebootPending": true }));
    assert_eq!(asked(&saga)[4..], ["check-host"]);
    done(&mut saga, 3);
    says(&mut saga, json!({ "resolved": false, "rebootPending": true }));
    let pending = patched(Some(false), true);
    assert_eq!(outcome(&saga.state), Some(pending), "installed, reboot pending is not fixed");
}

#[test]
fn a_host_without_the_finding_is_never_touched() {
    let mut saga = started(in_traffic());
    says(&mut saga, json!({ "wanted": false, "why": "openssl is not installed any more" }));
    assert_eq!(asked(&saga), ["begin-patching"]);
    let why = "openssl is not installed any more".to_owned();
    assert_eq!(outcome(&saga.state), Some(PatchOutcome::NothingToDo { why }));
}

#[test]
fn a_failed_installation_is_rolled_back_and_the_host_is_back_in_traffic_and_uncordoned() {
    let mut saga = alone();
    fails(&mut saga, "the archive is damaged");
    done(&mut saga, 3);
    assert_eq!(
        asked(&saga)[3..],
        ["install-packages", "roll-back-packages", "return-traffic", "uncordon-host"]
    );
    let Some(PatchOutcome::Failed { reason, category }) = outcome(&saga.state) else { panic!() };
    assert!(reason.contains("the archive is damaged"), "{reason}");
    assert_eq!(category, Some(Category::Business));
}

#[test]
fn a_host_that_is_not_healthy_on_what_was_installed_is_rolled_back() {
    let mut saga = installed(false);
    fails(&mut saga, "monitoring still sees it unhealthy");
    done(&mut saga, 3);
    assert_eq!(asked(&saga)[4..], ["check-host", "roll-back-packages", "return-traffic", "uncordon-host"]);
    assert!(matches!(outcome(&saga.state), Some(PatchOutcome::Failed { .. })));
}

/// Slow is not failed: the host has the policy's minutes, however often it is looked at until then.
#[test]
fn a_slow_reboot_is_no_failure_before_its_minutes_are_over() {
    let policy = PatchingPolicy { healthy_minutes: 90, ..PatchingPolicy::default() };
    let plan = Patching::plan(1, &PatchOrder { policy, ..in_traffic() }).unwrap();
    let look = plan.step(&StepName::of(PatchingStep::CheckHost, None)).unwrap().policy;
    let waited: u32 = (1..look.attempts).map(|tried| look.delay_seconds(tried)).sum();
    assert!((5_400..5_430).contains(&waited), "{waited}");
}

#[test]
fn a_finding_that_nobody_could_look_at_again_undoes_nothing() {
    let mut saga = installed(false);
    done(&mut saga, 3);
    fails(&mut saga, "the runner does not know the host");
    let unknown = patched(None, false);
    assert_eq!(outcome(&saga.state), Some(unknown));
}

#[test]
fn one_that_is_cancelled_while_it_installs_waits_for_the_answer_and_rolls_back() {
    let mut saga = alone();
    let (actor, reason) = (Actor("ada".to_owned()), "test".to_owned());
    saga.when(&SagaInput::Operate { operation: Operation::Cancel, actor, reason }).unwrap();
    assert_eq!(asked(&saga)[3..], ["install-packages"], "only the answer tells what there is to undo");
    says(&mut saga, json!({ "changed": [], "rebootPending": false }));
    assert_eq!(asked(&saga)[4..], ["roll-back-packages"]);
}

/// Given nothing but its timers, it ends: nothing waits for ever, and nothing stays cordoned without an operator being asked.
#[test]
fn fed_with_its_timers_alone_it_ends() {
    let mut saga = alone();
    for _ in 0..500 {
        let Some(timer) = saga.timers.last().cloned() else { break };
        saga.now = saga.now.max(timer.due_at);
        saga.when(&SagaInput::Timer { name: timer.name }).unwrap();
        if outcome(&saga.state).is_some() {
            break;
        }
    }
    assert!(matches!(outcome(&saga.state), Some(PatchOutcome::Stuck { .. })), "{:?}", saga.state.status);
}

#[test]
fn the_saga_of_a_host_in_a_campaign_has_one_name_and_its_order_reads() {
    let order = in_traffic();
    assert_eq!(patching_of(&id("c-1"), &id("h-1")).unwrap().to_string(), "patching#c-1.h-1");
    assert_eq!(serde_json::from_value::<PatchOrder>(order_value(&order)).unwrap(), order);
    assert!(Patching::plan(2, &order).is_none());
    assert_eq!(PatchingSaga::CATEGORY, Patching::KIND);
}
