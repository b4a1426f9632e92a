//! Rules of recoveries. That every saga ends and tries again is the engine's, and is tested with it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use hostler_core::saga::{Answers, ChildEnd, Outgoing, SagaCommand, SagaInput, StepName, StepOutcome, check};
use hostler_core::{Category, Payload};

use super::*;
use crate::testing::Run;

type Test = Run<RecoverySaga>;

fn started(rung: Option<Rung>, out_of_service: bool) -> Test {
    let order = RecoveryOrder { rung, out_of_service, ..Recovery::examples().remove(0) };
    Run::given([SagaInput::Start { saga: "recovery#h-1.1".parse().unwrap(), order, parent: None }])
}

fn asked(saga: &Test) -> Vec<&'static str> {
    saga.commands.iter().map(Payload::type_name).collect()
}

fn answer(saga: &mut Test, outcome: StepOutcome) {
    let (_, attempt) = saga.state.running.iter().next().unwrap();
    let answers = Answers::Attempt(attempt.id.clone());
    saga.when(&SagaInput::Answer { answers, outcome }).unwrap();
}

fn done(saga: &mut Test) {
    answer(saga, StepOutcome::Succeeded { output: Value::Null });
}

fn looked(saga: &mut Test, healthy: bool) {
    answer(saga, StepOutcome::Succeeded { output: json!({ "healthy": healthy }) });
}

fn fails(saga: &mut Test) {
    let (category, reason) = (Category::Business, "no".to_owned());
    answer(saga, StepOutcome::Failed { category, reason, uncertain: true });
}

fn waits(verify_seconds: u32) -> Vec<u32> {
    let verify = RecoveryOrder { verify_seconds, ..Recovery::examples().remove(0) }.verify();
    (1..verify.attempts).map(|tried| verify.delay_seconds(tried)).collect()
}

#[test]
fn a_repaired_host_is_looked_at_as_often_as_it_may_have_a_new_sample_and_long_enough_to_boot() {
    let waits = waits(RecoveryPolicy::VERIFY_SECONDS);
    assert!(waits.iter().all(|wait| *wait <= 20), "{waits:?}");
    assert!(waits.iter().sum::<u32>() >= 8 * 60, "{waits:?}");
}

#[test]
fn a_repaired_host_has_as_long_as_the_policies_say() {
    for seconds in [5, 20, 60, 500, 3_600] {
        let waits = waits(seconds);
        let waited = waits.iter().sum::<u32>();
        assert!((seconds..seconds + 20).contains(&waited), "{seconds}: {waits:?}");
    }
    assert!(
        waits(20).iter().all(|wait| *wait == 1),
        "a host that boots in a second is not waited for any longer"
    );
}

/// A saga that runs goes by the plan that it started with.
#[test]
fn an_order_from_before_it_was_a_policy_has_the_looks_that_it_had() {
    let mut order = Recovery::examples().remove(0).to_value();
    order.as_object_mut().unwrap().remove("verifySeconds").unwrap();
    let order: RecoveryOrder = serde_json::from_value(order).unwrap();
    let before =
        RetryPolicy { deadline_seconds: 60, attempts: 28, backoff_seconds: 5, backoff_seconds_max: 20 };
    assert_eq!(order.verify(), before);
}

fn concluded(saga: &Test) -> RemediationOutcome {
    let concluded = saga.commands.iter().find_map(|command| match command {
        Outgoing::Step(StepCommand::Recover(hostler_events::RecoverCommand::ConcludeRecovery(command))) => {
            Some(command.outcome)
        }
        _ => None,
    });
    concluded.unwrap()
}

#[test]
fn the_definition_can_be_run() {
    check::<Recovery>().unwrap();
}

#[test]
fn a_power_cycle_looks_first_has_the_host_alone_and_ends_with_a_healthy_sample() {
    let mut saga = started(Some(Rung::PowerCycle), false);
    done(&mut saga);
    looked(&mut saga, false);
    done(&mut saga);
    done(&mut saga);
    looked(&mut saga, true);
    done(&mut saga);
    done(&mut saga);
    assert_eq!(
        asked(&saga),
        [
            "begin-recovery",
            "check-host",
            "cordon-host",
            "power-cycle-host",
            "check-host",
            "uncordon-host",
            "conclude-recovery"
        ]
    );
    assert_eq!((saga.state.status.name(), concluded(&saga)), ("completed", RemediationOutcome::Healed));
}

#[test]
fn a_service_is_restarted_on_a_cordoned_host_and_nothing_else_is_done_to_it() {
    let mut saga = started(Some(Rung::RestartService), false);
    done(&mut saga);
    looked(&mut saga, false);
    done(&mut saga);
    done(&mut saga);
    looked(&mut saga, true);
    done(&mut saga);
    done(&mut saga);
    assert_eq!(
        asked(&saga),
        [
            "begin-recovery",
            "check-host",
            "cordon-host",
            "restart-service",
            "check-host",
            "uncordon-host",
            "conclude-recovery"
        ]
    );
    assert_eq!((saga.state.status.name(), concluded(&saga)), ("completed", RemediationOutcome::Healed));
}

/// The agent knows no such service: what it says once it says again.
#[test]
fn what_an_agent_refuses_is_not_asked_again() {
    let mut saga = started(Some(Rung::RestartService), false);
    done(&mut saga);
    looked(&mut saga, false);
    done(&mut saga);
    fails(&mut saga);
    assert_eq!(asked(&saga)[3..], ["restart-service", "uncordon-host"]);
}

#[test]
fn a_host_that_is_healthy_by_now_is_not_touched() {
    for rung in [Rung::RestartService, Rung::PowerCycle, Rung::Reimage, Rung::Replace] {
        let mut saga = started(Some(rung), false);
        done(&mut saga);
        looked(&mut saga, true);
        assert_eq!(asked(&saga), ["begin-recovery", "check-host", "conclude-recovery"], "{rung:?}");
        assert_eq!(concluded(&saga), RemediationOutcome::Needless);
    }
}

#[test]
fn without_an_answer_of_monitoring_nothing_is_done() {
    let mut saga = started(Some(Rung::PowerCycle), false);
    done(&mut saga);
    fails(&mut saga);
    assert_eq!(asked(&saga), ["begin-recovery", "check-host", "abandon-recovery"]);
}

#[test]
fn a_repair_that_does_not_help_lifts_the_cordon_and_tells_so() {
    let mut saga = started(Some(Rung::PowerCycle), false);
    done(&mut saga);
    looked(&mut saga, false);
    done(&mut saga);
    done(&mut saga);
    fails(&mut saga);
    done(&mut saga);
    done(&mut saga);
    assert_eq!(asked(&saga)[4..], ["check-host", "uncordon-host", "abandon-recovery"]);
    assert_eq!(saga.state.status.name(), "compensated");
}

#[test]
fn a_new_installation_that_fails_leaves_a_clean_host_that_nobody_watches() {
    let mut saga = started(Some(Rung::Reimage), false);
    done(&mut saga);
    looked(&mut saga, false);
    done(&mut saga);
    fails(&mut saga);
    for _ in 0..4 {
        done(&mut saga);
    }
    let undone = ["undeploy-host", "uncordon-host", "deregister-monitoring", "abandon-recovery"];
    assert_eq!(asked(&saga)[4..], undone);
    assert_eq!(saga.state.status.name(), "compensated");
}

fn child_ends(saga: &mut Test, end: ChildEnd) {
    let (name, attempt) = saga.state.running.iter().next().unwrap();
    assert_eq!(*name, StepName::of(RecoveryStep::ProvideHost, None));
    saga.when(&SagaInput::ChildEnded { step: attempt.id.clone(), end }).unwrap();
}

#[test]
fn another_host_is_in_service_before_the_old_one_leaves() {
    let mut saga = started(Some(Rung::Replace), false);
    done(&mut saga);
    looked(&mut saga, false);
    done(&mut saga);
    let Some(Outgoing::Saga(SagaCommand::Start(child))) = saga.commands.last().cloned() else { panic!() };
    assert_eq!(child.saga.to_string(), "provisioning#h-1.1.provide-host");
    assert_eq!(child.order["request"], "recovery.h-1.1");
    child_ends(&mut saga, ChildEnd::Completed { output: Value::Null });
    done(&mut saga);
    done(&mut saga);
    assert_eq!(asked(&saga)[3..], ["start-saga", "uncordon-host", "give-back-host", "conclude-recovery"]);
    assert_eq!(concluded(&saga), RemediationOutcome::Replaced);
}

#[test]
fn without_another_host_the_old_one_stays() {
    let mut saga = started(Some(Rung::Replace), false);
    done(&mut saga);
    looked(&mut saga, false);
    done(&mut saga);
    child_ends(&mut saga, ChildEnd::Compensated { reason: "no host is free".to_owned() });
    done(&mut saga);
    done(&mut saga);
    assert_eq!(asked(&saga)[3..], ["start-saga", "uncordon-host", "abandon-recovery"]);
}

#[test]
fn one_that_has_left_service_is_only_replaced() {
    let mut saga = started(Some(Rung::Replace), true);
    done(&mut saga);
    child_ends(&mut saga, ChildEnd::Completed { output: Value::Null });
    assert_eq!(asked(&saga), ["begin-recovery", "start-saga", "conclude-recovery"]);
}

#[test]
fn a_look_alone_touches_nothing() {
    let mut saga = started(None, false);
    done(&mut saga);
    looked(&mut saga, true);
    assert_eq!(asked(&saga), ["begin-recovery", "check-host", "conclude-recovery"]);
    assert_eq!(concluded(&saga), RemediationOutcome::Needless);
}

fn started_in_traffic(rung: Option<Rung>, out_of_traffic: bool) -> Test {
    let with_traffic = Recovery::examples().into_iter().find(|order| order.traffic.is_some()).unwrap();
    let order = RecoveryOrder { rung, out_of_traffic, ..with_traffic };
    Run::given([SagaInput::Start { saga: "recovery#h-1.1".parse().unwrap(), order, parent: None }])
}

#[test]
fn a_host_is_out_of_traffic_while_it_is_repaired_and_back_once_it_is_well() {
    let mut saga = started_in_traffic(Some(Rung::PowerCycle), false);
    done(&mut saga);
    looked(&mut saga, false);
    for _ in 0..3 {
        done(&mut saga);
    }
    looked(&mut saga, true);
    for _ in 0..3 {
        done(&mut saga);
    }
    let expected = [
        "cordon-host",
        "leave-traffic",
        "power-cycle-host",
        "check-host",
        "join-traffic",
        "uncordon-host",
        "conclude-recovery",
    ];
    assert_eq!(asked(&saga)[2..], expected);
    assert_eq!(concluded(&saga), RemediationOutcome::Healed);
}

#[test]
fn a_repair_that_does_not_help_puts_the_host_back_where_it_was() {
    let mut saga = started_in_traffic(Some(Rung::PowerCycle), false);
    done(&mut saga);
    looked(&mut saga, false);
    done(&mut saga);
    done(&mut saga);
    fails(&mut saga);
    for _ in 0..3 {
        done(&mut saga);
    }
    assert_eq!(asked(&saga)[5..], ["return-traffic", "uncordon-host", "abandon-recovery"]);
}

#[test]
fn redirecting_takes_the_host_out_of_traffic_and_leaves_it_there() {
    let mut saga = started_in_traffic(Some(Rung::RedirectTraffic), false);
    done(&mut saga);
    looked(&mut saga, false);
    for _ in 0..4 {
        done(&mut saga);
    }
    let expected = ["cordon-host", "leave-traffic", "uncordon-host", "conclude-recovery"];
    assert_eq!(asked(&saga)[2..], expected);
    assert_eq!((saga.state.status.name(), concluded(&saga)), ("completed", RemediationOutcome::Redirected));
}

#[test]
fn a_host_that_was_redirected_and_is_well_by_itself_is_put_back() {
    for rung in [None, Some(Rung::PowerCycle)] {
        let mut saga = started_in_traffic(rung, true);
        done(&mut saga);
        looked(&mut saga, true);
        for _ in 0..4 {
            done(&mut saga);
        }
        let expected = ["cordon-host", "join-traffic", "uncordon-host", "conclude-recovery"];
        assert_eq!(asked(&saga)[2..], expected, "{rung:?}");
        assert_eq!(concluded(&saga), RemediationOutcome::Needless);
    }
}

#[test]
fn a_replacement_joins_traffic_and_the_old_one_has_left_it() {
    let mut saga = started_in_traffic(Some(Rung::Replace), false);
    done(&mut saga);
    looked(&mut saga, false);
    done(&mut saga);
    done(&mut saga);
    assert_eq!(asked(&saga)[2..], ["cordon-host", "leave-traffic", "start-saga"]);
    let Some(Outgoing::Saga(SagaCommand::Start(child))) = saga.commands.last().cloned() else { panic!() };
    assert_eq!(child.order["traffic"]["port"], 80);
}

#[test]
fn one_that_began_by_the_first_version_has_the_plan_that_it_had() {
    for with_traffic in Recovery::examples() {
        let without = RecoveryOrder { traffic: None, ..with_traffic.clone() };
        assert_eq!(Recovery::plan(1, &with_traffic), Recovery::plan(2, &without));
    }
    assert!(Recovery::plan(3, &Recovery::examples().remove(0)).is_none());
}
