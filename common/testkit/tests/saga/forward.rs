//! The way forward: stages, branches, retries, deadlines, callbacks and approvals.

use hostler_core::Category;
use hostler_core::saga::{Answers, Operation, SagaEvent, SagaInput, SagaStatus, StepName, StepOutcome};
use hostler_testkit::sample_saga::OrderRun;
use serde_json::Value;

use super::{
    alive, approve, by, child_completed, count, failed, id, operate, refused, start, started, succeed,
    succeeded,
};

#[test]
fn a_stage_completes_when_all_its_branches_do() {
    let mut run = started(10);
    assert_eq!(run.asked(), ["reserve", "charge"]);
    succeed(&mut run, &["charge"]);
    assert_eq!(run.asked().len(), 2, "the other branch is awaited");
    succeed(&mut run, &["reserve"]);
    assert_eq!(run.asked().last(), Some(&"start-saga"));
}

#[test]
fn a_saga_completes_when_all_its_stages_do() {
    let mut run = started(10);
    succeed(&mut run, &["reserve", "charge"]);
    let step = run.at("ship");
    run.tell(&child_completed(step));
    succeed(&mut run, &["thank", "carrier"]);
    assert_eq!(run.state.status, SagaStatus::Completed);
    assert_eq!(count(&run, "saga.completed"), 1);
    while run.fire_next() {}
    assert_eq!(run.state.status, SagaStatus::Completed, "timers of waits that are over do nothing");
}

#[test]
fn late_repeated_and_foreign_answers_are_ignored_by_their_step_id() {
    let mut run = started(10);
    let first = run.at("reserve");
    run.tell(&failed(first.clone(), Category::Transient));
    assert_eq!(run.tell(&succeeded(first.clone())), 0, "the attempt is over, and its retry waits");
    while run.at("reserve") == first {
        run.fire_next();
    }
    assert_eq!(run.tell(&succeeded(first)), 0, "late");
    assert_eq!(run.tell(&succeeded(id("o-2/reserve/1"))), 0, "of another saga");
    succeed(&mut run, &["reserve"]);
    let done = id("o-1/reserve/2");
    assert_eq!(run.tell(&succeeded(done)), 0, "repeated");
}

#[test]
fn transient_failures_are_tried_again_with_growing_delays_and_others_are_not() {
    let mut run = started(10);
    let mut delays = Vec::new();
    for _ in 0..2 {
        let id = run.at("reserve");
        run.tell(&failed(id, Category::Transient));
        let Some(SagaEvent::StepFailed { retry_at: Some(at), .. }) = run.events.last() else { panic!() };
        delays.push(at.duration_since(run.now).as_secs());
        let name = run.timers.iter().find(|(_, name)| name.starts_with("retry:")).unwrap().1.clone();
        run.timers.retain(|(_, other)| *other != name);
        run.tell(&SagaInput::Timer { name });
    }
    assert_eq!(delays, [1, 2]);
    let id = run.at("charge");
    run.tell(&failed(id, Category::Business));
    assert!(matches!(run.state.status, SagaStatus::Compensating { .. }));
}

#[test]
fn each_attempt_has_a_deadline_of_its_own_and_an_earlier_one_does_not_end_it() {
    let mut run = started(10);
    let first = run.at("reserve");
    run.tell(&failed(first.clone(), Category::Transient));
    run.tell(&SagaInput::Timer { name: format!("retry:{first}") });
    let second = run.at("reserve");
    assert_ne!(first, second);
    assert_eq!(run.tell(&SagaInput::Timer { name: format!("deadline:{first}") }), 0);
    assert!(run.tell(&SagaInput::Timer { name: format!("deadline:{second}") }) > 0);
    assert_eq!(count(&run, "saga.deadline-exceeded"), 1);
}

fn at_carrier() -> OrderRun {
    let mut run = started(10);
    succeed(&mut run, &["reserve", "charge"]);
    let step = run.at("ship");
    run.tell(&child_completed(step));
    succeed(&mut run, &["thank"]);
    run.timers.clear();
    run
}

#[test]
fn a_heartbeat_arms_the_wait_for_the_next_one() {
    let mut run = at_carrier();
    let step = run.at("carrier");
    run.tell(&alive(step.clone()));
    assert_eq!(run.tell(&SagaInput::Timer { name: format!("heartbeat:{step}:0") }), 0, "it was heard");
    assert_eq!(run.timers.len(), 1, "the next is armed");
    run.tell(&SagaInput::Timer { name: format!("heartbeat:{step}:1") });
    assert!(matches!(run.state.status, SagaStatus::Compensating { .. }), "silence ends the wait");
}

#[test]
fn heartbeats_do_not_move_the_deadline() {
    let mut run = at_carrier();
    let step = run.at("carrier");
    run.tell(&alive(step.clone()));
    run.tell(&SagaInput::Timer { name: format!("deadline:{step}") });
    assert!(matches!(run.state.status, SagaStatus::Compensating { .. }));
}

/// Whoever answers for a step, whichever attempt it is at, may do so between two attempts.
#[test]
fn between_two_attempts_success_is_heard_and_nothing_is_told_of_an_attempt_that_is_over() {
    let said =
        |step: &str, outcome| SagaInput::Answer { answers: Answers::Step(StepName::said(step)), outcome };
    let until = "2026-02-01T00:00:00Z".parse().unwrap();
    let reason = || "no luck".to_owned();
    let mut run = started(10);
    let step = run.at("reserve");
    run.tell(&failed(step, Category::Transient));
    let failure = StepOutcome::Failed { category: Category::Business, reason: reason(), uncertain: true };
    assert_eq!(run.tell(&said("reserve", failure)), 0);
    assert_eq!(run.tell(&said("reserve", StepOutcome::Deferred { until, reason: reason() })), 0);
    assert_eq!(run.state.status, SagaStatus::Running);
    assert!(run.tell(&said("reserve", StepOutcome::Succeeded { output: Value::Null })) > 0);
}

#[test]
fn what_is_above_the_amount_waits_for_a_person() {
    let mut run = started(5_000);
    assert_eq!(run.asked(), ["approve"]);
    let step = run.at("approve");
    assert_eq!(run.tell(&succeeded(step.clone())), 0, "a consumer cannot approve");
    run.tell(&approve(None));
    let approved = run.events.iter().any(
        |event| matches!(event, SagaEvent::StepCompleted { approved_by: Some(actor), .. } if *actor == by()),
    );
    assert!(approved, "the approver is recorded");
    assert!(run.is_at("charge"));
}

#[test]
fn a_rejection_needs_a_reason_and_ends_the_saga() {
    let mut run = started(5_000);
    let reject = || Operation::Reject { step: None };
    let silent = SagaInput::Operate { operation: reject(), actor: by(), reason: " ".to_owned() };
    assert_eq!(refused(&run, &silent), "no-reason");
    run.tell(&operate(reject()));
    let SagaStatus::Compensated { reason, .. } = &run.state.status else { panic!("{:?}", run.state.status) };
    assert!(reason.contains("rejected by ada: because"), "{reason}");
    assert_eq!(refused(&run, &approve(None)), "not-waiting");
}

#[test]
fn what_nobody_approves_in_time_is_not_approved() {
    let mut run = started(5_000);
    run.fire_next();
    assert!(matches!(run.state.status, SagaStatus::Compensated { .. }));
    assert_eq!(run.asked(), ["approve"], "nothing else was ever asked for");
}

#[test]
fn a_saga_starts_once() {
    let mut run = started(10);
    assert_eq!(run.tell(&start(10)), 0);
    assert_eq!(refused(&run, &start(11)), "other-order");
}
