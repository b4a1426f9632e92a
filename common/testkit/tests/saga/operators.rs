//! Operators: cancelling, resuming, skipping and editing, always with a name and a reason.

use hostler_core::saga::{SagaEvent, SagaInput, SagaStatus};
use hostler_core::{Category, Decider};
use hostler_testkit::sample_saga::{Order, OrderRun, Orders};
use serde_json::json;

use super::{by, count, failed, name, started, succeed, why};

fn label(run: &OrderRun, input: &SagaInput<Order>) -> &'static str {
    Orders::decide(&run.state, input, run.now).unwrap_err().label()
}

fn cancel() -> SagaInput<Order> {
    SagaInput::Cancel { actor: by(), reason: why() }
}

fn resume() -> SagaInput<Order> {
    SagaInput::Resume { actor: by(), reason: why() }
}

fn skip(step: &str) -> SagaInput<Order> {
    SagaInput::Skip { step: name(step), actor: by(), reason: why() }
}

fn edit(step: &str) -> SagaInput<Order> {
    SagaInput::Edit { step: name(step), input: json!("other account"), actor: by(), reason: why() }
}

/// Both steps are done, the next is cancelled, and the undoing of `charge` is stuck.
fn stuck() -> OrderRun {
    let mut run = started(10);
    succeed(&mut run, &["reserve"]);
    let charge = run.at("charge");
    run.tell(&cancel());
    run.tell(&super::succeeded(charge));
    while !matches!(run.state.status, SagaStatus::Stuck { .. }) {
        assert!(run.fire_next());
    }
    run
}

#[test]
fn cancelling_undoes_what_was_done_and_says_by_whom() {
    let mut run = started(10);
    succeed(&mut run, &["reserve"]);
    let charge = run.at("charge");
    run.tell(&cancel());
    assert_eq!(run.tell(&cancel()), 0, "twice is once");
    run.tell(&failed(charge, Category::Business));
    succeed(&mut run, &["reserve"]);
    let SagaStatus::Compensated { reason } = &run.state.status else { panic!("{:?}", run.state.status) };
    assert_eq!(reason, "cancelled by ada: because");
}

#[test]
fn a_resumed_saga_has_all_its_tries_again() {
    let mut run = stuck();
    let before = count(&run, "saga.step-began");
    run.tell(&resume());
    while !matches!(run.state.status, SagaStatus::Stuck { .. }) {
        assert!(run.fire_next());
    }
    assert_eq!(count(&run, "saga.step-began") - before, 2, "both tries of its policy");
    run.tell(&resume());
    succeed(&mut run, &["charge", "reserve"]);
    assert!(matches!(run.state.status, SagaStatus::Compensated { .. }));
}

#[test]
fn a_skipped_step_counts_as_undone_and_is_recorded_with_its_reason() {
    let mut run = stuck();
    run.tell(&skip("charge"));
    succeed(&mut run, &["reserve"]);
    assert!(matches!(run.state.status, SagaStatus::Compensated { .. }));
    assert!(run.events.contains(&SagaEvent::StepSkipped {
        step: name("charge"),
        actor: by(),
        reason: why()
    }));
}

#[test]
fn an_edited_step_is_tried_again_with_its_new_input() {
    let mut run = stuck();
    run.tell(&edit("charge"));
    let command = run.commands.last().unwrap();
    assert_eq!((command.name, &command.input), ("undo-charge", &json!("other account")));
}

#[test]
fn only_what_is_stuck_is_resumed_or_edited_and_only_where_it_is_stuck() {
    let run = started(10);
    for input in [resume(), skip("charge"), edit("charge")] {
        assert_eq!(label(&run, &input), "not-stuck");
    }
    let run = stuck();
    assert_eq!(label(&run, &skip("reserve")), "stuck-elsewhere");
    assert_eq!(label(&run, &edit("reserve")), "stuck-elsewhere");
    assert_eq!(label(&run, &cancel()), "not-running");
}

#[test]
fn operators_say_why_and_about_which_saga() {
    let run = stuck();
    let silent = SagaInput::Resume { actor: by(), reason: String::new() };
    assert_eq!(label(&run, &silent), "no-reason");
    assert_eq!(label(&OrderRun::new(), &resume()), "unknown");
}
