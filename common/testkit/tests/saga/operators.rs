//! Operators: cancelling, resuming, skipping and editing, always with a name and a reason.

use hostler_core::Category;
use hostler_core::saga::{Operation, Outgoing, SagaEvent, SagaInput, SagaStatus};
use hostler_testkit::sample_saga::OrderRun;
use serde_json::json;

use super::{
    by, cancel, count, edit, failed, name, refused, resume, skip, started, starve, succeed, succeeded, why,
};

/// Both steps are done, the next is cancelled, and the compensation `refund` is stuck.
fn stuck() -> OrderRun {
    let mut run = started(10);
    succeed(&mut run, &["reserve"]);
    let charge = run.at("charge");
    run.tell(&cancel());
    run.tell(&succeeded(charge));
    starve(&mut run, "stuck");
    run
}

#[test]
fn cancelling_undoes_what_was_done_and_says_by_whom() {
    let mut run = started(10);
    succeed(&mut run, &["reserve"]);
    let charge = run.at("charge");
    run.tell(&cancel());
    assert_eq!(refused(&run, &cancel()), "not-running", "it is on its way back already");
    run.tell(&failed(charge, Category::Business));
    succeed(&mut run, &["release"]);
    let SagaStatus::Compensated { reason, .. } = &run.state.status else { panic!("{:?}", run.state.status) };
    assert_eq!(reason, "cancelled by ada: because");
}

#[test]
fn a_resumed_saga_has_all_its_tries_again() {
    let mut run = stuck();
    let before = count(&run, "saga.step-started");
    run.tell(&resume());
    starve(&mut run, "stuck");
    assert_eq!(count(&run, "saga.step-started") - before, 2, "both tries of its policy");
    run.tell(&resume());
    succeed(&mut run, &["refund", "release"]);
    assert!(matches!(run.state.status, SagaStatus::Compensated { .. }));
}

#[test]
fn a_skipped_step_counts_as_undone_and_is_recorded_with_its_reason() {
    let mut run = stuck();
    run.tell(&skip("refund"));
    succeed(&mut run, &["release"]);
    assert!(matches!(run.state.status, SagaStatus::Compensated { .. }));
    assert!(run.events.contains(&SagaEvent::StepSkipped {
        undoes: vec![name("charge")],
        step: name("refund"),
        actor: by(),
        reason: why()
    }));
}

#[test]
fn an_edited_step_is_tried_again_with_its_new_input() {
    let mut run = stuck();
    run.tell(&edit("refund"));
    let Some(Outgoing::Step(command)) = run.commands.last() else { panic!("{:?}", run.commands) };
    assert_eq!((command.id.as_str(), &command.input), ("o-1/refund/3", &json!("other account")));
}

#[test]
fn a_stuck_saga_that_is_resumed_keeps_the_reason_and_the_category_of_its_turning_back() {
    let mut run = started(10);
    succeed(&mut run, &["reserve"]);
    let charge = run.at("charge");
    run.tell(&failed(charge, Category::Business));
    let before = run.state.status.clone();
    starve(&mut run, "stuck");
    assert_eq!(run.state.status.category(), Some(Category::Transient), "of what is in the way now");
    run.tell(&resume());
    assert_eq!(run.state.status, before);
    succeed(&mut run, &["release"]);
    assert_eq!(run.state.status.category(), Some(Category::Business));
    assert_eq!(run.state.status.reason(), Some("charge failed: no luck"));
}

#[test]
fn a_step_that_waits_for_its_next_attempt_is_skipped_and_its_timer_is_void() {
    let mut run = started(10);
    let reserve = run.at("reserve");
    run.tell(&failed(reserve.clone(), Category::Transient));
    run.tell(&skip("reserve"));
    succeed(&mut run, &["charge"]);
    assert!(run.is_at("ship"), "what is skipped counts as done");
    assert_eq!(run.tell(&SagaInput::Timer { name: format!("retry:{reserve}") }), 0);
    let ship = run.at("ship");
    run.tell(&super::child_compensated(ship));
    succeed(&mut run, &["refund"]);
    assert!(run.state.status.is_over(), "what is skipped and certainly not done is not undone");
}

#[test]
fn a_skipped_step_that_may_have_been_done_is_undone_all_the_same() {
    let mut run = started(10);
    let reserve = run.at("reserve");
    run.tell(&SagaInput::Timer { name: format!("deadline:{reserve}") });
    run.tell(&skip("reserve"));
    let charge = run.at("charge");
    run.tell(&failed(charge, Category::Business));
    assert!(run.is_at("release"));
}

#[test]
fn an_edited_step_that_waits_for_its_next_attempt_is_tried_at_once() {
    let mut run = started(10);
    let reserve = run.at("reserve");
    run.tell(&failed(reserve.clone(), Category::Transient));
    run.tell(&edit("reserve"));
    let Some(Outgoing::Step(command)) = run.commands.last() else { panic!("{:?}", run.commands) };
    assert_eq!((command.id.as_str(), &command.input), ("o-1/reserve/2", &json!("other account")));
    assert_eq!(run.tell(&SagaInput::Timer { name: format!("retry:{reserve}") }), 0);
}

#[test]
fn only_what_is_stuck_or_waits_for_its_next_attempt_is_skipped_or_edited() {
    let run = started(10);
    assert_eq!(refused(&run, &resume()), "not-stuck");
    for input in [skip("charge"), edit("charge"), skip("ship"), skip("nonsense")] {
        assert_eq!(refused(&run, &input), "not-at-step");
    }
    let run = stuck();
    for input in [skip("release"), edit("release"), skip("charge")] {
        assert_eq!(refused(&run, &input), "not-at-step");
    }
    assert_eq!(refused(&run, &cancel()), "not-running");
}

#[test]
fn operators_say_why_and_about_which_saga() {
    let run = stuck();
    let silent = |reason: String| SagaInput::Operate { operation: Operation::Resume, actor: by(), reason };
    assert_eq!(refused(&run, &silent(String::new())), "no-reason");
    assert_eq!(refused(&run, &silent("x".repeat(1_001))), "reason-too-long");
    assert!(run.clone().try_tell(&silent("x".repeat(1_000))).is_ok());
    assert_eq!(refused(&OrderRun::new(), &resume()), "unknown");
}
