//! What becomes of a step that is under way when the saga turns back, and best effort.

use hostler_core::Category;
use hostler_core::saga::{OnCancel, SagaDefinition, SagaEvent, SagaStatus};

use super::basket::{Basket, BasketSaga, BasketStep, before, forward};
use super::{cancel, failed, failed_half_way, id, starve, succeed, succeeded};

#[test]
fn a_step_that_stops_is_left_alone_at_once_and_undone_as_if_it_had_been_done() {
    let mut run = before("authorize");
    let step = run.at("authorize");
    run.tell(&cancel());
    assert!(run.asked().ends_with(&["stop", "refund"]), "{:?}", run.asked());
    assert_eq!(run.tell(&succeeded(step)), 0, "its answer comes too late");
}

#[test]
fn a_step_that_is_awaited_tells_by_its_answer_what_there_is_to_undo() {
    for (done, back) in [(true, "unpick"), (false, "refund")] {
        let mut run = before("pick");
        let step = run.at("pick");
        run.tell(&cancel());
        assert_eq!(run.asked().last(), Some(&"stop"), "it is told, and awaited");
        run.tell(&if done { succeeded(step) } else { failed(step, Category::Transient) });
        assert!(run.is_at(back));
    }
}

#[test]
fn asks_are_awaited_and_callbacks_and_approvals_stopped_unless_the_plan_says_otherwise() {
    let plan = BasketSaga::plan(1, &Basket { lines: 1, approvals: true }).unwrap();
    let stopped: Vec<_> = plan.steps().filter(|step| step.on_cancel == OnCancel::Stop).collect();
    let names: Vec<_> = stopped.iter().map(|step| step.name).collect();
    use BasketStep::{Approve, Authorize, Delivery, Review};
    assert_eq!(names, [Authorize, Approve, Review, Delivery]);
}

#[test]
fn a_shared_compensation_runs_once_when_what_was_built_on_the_first_step_is_undone() {
    let mut run = before("capture");
    succeed(&mut run, &["capture", "label"]);
    let parcel = run.at("parcel");
    run.tell(&super::child_compensated(parcel));
    succeed(&mut run, &["void-label", "unpick", "refund", "release.0"]);
    assert_eq!(run.undone(), ["void-label", "unpick", "refund", "release.0"]);
    assert_eq!(run.to_undo(), run.undone(), "the test kit agrees");
    assert!(run.state.status.is_over() && run.state.effects.is_empty());
}

#[test]
fn the_saga_goes_on_without_a_best_effort_step() {
    let mut run = before("label");
    let label = run.at("label");
    run.tell(&failed(label, Category::Business));
    assert!(matches!(run.events.last(), Some(SagaEvent::StepPassedOver { .. })));
    assert_eq!(run.state.status, SagaStatus::Running);
    succeed(&mut run, &["capture"]);
    let parcel = run.at("parcel");
    run.tell(&super::child_compensated(parcel));
    assert!(run.is_at("unpick"), "the label was certainly not made");
}

#[test]
fn a_best_effort_step_that_may_have_been_done_is_undone_with_the_rest() {
    let mut run = before("label");
    let label = run.at("label");
    run.tell(&failed_half_way(label));
    succeed(&mut run, &["capture"]);
    let parcel = run.at("parcel");
    run.tell(&super::child_compensated(parcel));
    assert!(run.is_at("void-label"), "{:?}", run.state.running);
}

#[test]
fn a_best_effort_step_that_fails_while_the_saga_turns_back_is_not_passed_over() {
    let mut run = before("label");
    let (label, capture) = (run.at("label"), run.at("capture"));
    run.tell(&failed(capture, Category::Business));
    run.tell(&failed(label, Category::Business));
    assert!(!run.events.iter().any(|event| matches!(event, SagaEvent::StepPassedOver { .. })));
    assert!(run.is_at("unpick"));
}

#[test]
fn a_basket_that_nobody_answers_is_undone_and_stuck_where_nobody_undoes_it() {
    let mut run = before("parcel");
    starve(&mut run, "stuck");
    assert_eq!(run.to_undo().first().map(String::as_str), Some("recall"));
    assert_eq!(run.undone(), Vec::<String>::new());
}

#[test]
fn a_completed_basket_is_never_undone() {
    let mut run = before("dispatch");
    while run.state.status == SagaStatus::Running {
        forward(&mut run);
    }
    assert_eq!(run.state.status, SagaStatus::Completed);
    assert_eq!(super::refused(&run, &cancel()), "not-running");
    assert_eq!(run.tell(&succeeded(id("b-1/dispatch/1"))), 0);
}
