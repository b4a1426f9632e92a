//! Parents and children: each end is told to the parent's attempt that waits for it.

use hostler_core::saga::{
    AnswerChild, ChildEnd, CompensateSaga, Outgoing, Parent, SagaCommand, SagaInput, SagaRef, SagaStatus,
    StartSaga,
};
use hostler_core::{Category, StepId};
use hostler_testkit::sample_saga::{Order, OrderRun};
use serde_json::json;

use super::{
    cancel, child_compensated, child_completed, child_stuck, failed, id, resume, saga, start, started,
    starve, succeed, succeeded,
};

fn parent(step: &str) -> Parent {
    Parent { saga: SagaRef::new("shop", "s-1").unwrap(), step: id(step) }
}

fn start_for(step: &str) -> SagaInput<Order> {
    SagaInput::Start { saga: saga(), order: Order { amount: 1 }, parent: Some(parent(step)) }
}

fn child_of(step: &str) -> OrderRun {
    let mut child = OrderRun::new();
    child.tell(&start_for(step));
    child
}

fn undo(step: &str) -> SagaInput<Order> {
    SagaInput::Compensate { parent: Some(parent(step)), reason: "the parent is undone".to_owned() }
}

/// The parent's attempts that were answered, and how.
fn told(child: &OrderRun) -> Vec<(StepId, ChildEnd)> {
    let answers = child.commands.iter().filter_map(|command| match command {
        Outgoing::Saga(SagaCommand::AnswerChild(AnswerChild { saga, step, end })) => {
            assert_eq!(saga.kind(), "shop");
            Some((step.clone(), end.clone()))
        }
        _ => None,
    });
    answers.collect()
}

fn complete(child: &mut OrderRun) {
    succeed(child, &["reserve", "charge"]);
    let step = child.at("ship");
    child.tell(&child_completed(step));
    succeed(child, &["carrier", "thank"]);
}

/// Both steps of its first stage fail.
fn fail(child: &mut OrderRun) {
    for step in ["reserve", "charge"] {
        let id = child.at(step);
        child.tell(&failed(id, Category::Business));
    }
}

#[test]
fn the_end_of_a_child_is_told_to_the_attempt_that_waits_for_it() {
    let mut child = child_of("s-1/order/1");
    fail(&mut child);
    let reason = "reserve failed: no luck".to_owned();
    assert_eq!(told(&child), [(id("s-1/order/1"), ChildEnd::Compensated { reason })]);
}

#[test]
fn a_completed_child_is_undone_for_its_parent_and_answers_the_undoing() {
    let mut child = child_of("s-1/order/1");
    complete(&mut child);
    let completed = (id("s-1/order/1"), ChildEnd::Completed { output: json!({ "paid": 1 }) });
    assert_eq!(told(&child), [completed], "with what came of it");
    child.tell(&undo("s-1/undo-order/1"));
    succeed(&mut child, &["call-off"]);
    let step = child.at("recall");
    child.tell(&child_compensated(step));
    succeed(&mut child, &["refund", "release"]);
    assert_eq!(child.undone(), ["call-off", "recall", "refund", "release"]);
    let reason = "the parent is undone".to_owned();
    assert_eq!(told(&child)[1..], [(id("s-1/undo-order/1"), ChildEnd::Compensated { reason })]);
}

#[test]
fn a_child_that_has_ended_answers_again_when_asked_by_another_attempt() {
    let mut child = child_of("s-1/order/1");
    fail(&mut child);
    assert_eq!(child.tell(&undo("s-1/undo-order/2")), 1);
    assert_eq!(told(&child)[1].0, id("s-1/undo-order/2"));
    assert_eq!(child.tell(&undo("s-1/undo-order/2")), 0, "once for each attempt");
    assert_eq!(told(&child).len(), 2);
}

#[test]
fn a_child_that_is_undone_before_it_starts_answers_and_never_starts() {
    let mut child = OrderRun::new();
    child.tell(&undo("s-1/undo-order/1"));
    assert_eq!(told(&child).len(), 1);
    assert_eq!(child.tell(&start(1)), 0);
    child.tell(&undo("s-1/undo-order/2"));
    assert_eq!(told(&child)[1].0, id("s-1/undo-order/2"));
    assert_eq!(child.commands.len(), 2);
}

#[test]
fn the_engine_starts_a_child_with_its_order_and_waits_for_it() {
    let mut run = started(10);
    succeed(&mut run, &["reserve", "charge"]);
    let (child, step) = (SagaRef::new("shipment", "o-1.ship").unwrap(), run.at("ship"));
    let order = json!({ "parcelOf": "order#o-1" });
    let parent = Some(Parent { saga: saga(), step });
    let start = SagaCommand::Start(StartSaga { saga: child, order, parent });
    assert_eq!(run.commands.last(), Some(&Outgoing::Saga(start)));
}

#[test]
fn what_came_of_a_child_is_known_to_later_steps() {
    let mut run = started(10);
    succeed(&mut run, &["reserve", "charge"]);
    let step = run.at("ship");
    run.tell(&child_completed(step));
    assert_eq!(run.state.outputs[&super::name("ship")], json!("shipped"));
}

#[test]
fn a_child_at_work_is_told_to_stop_and_awaited() {
    let mut run = started(10);
    succeed(&mut run, &["reserve", "charge"]);
    let ship = run.at("ship");
    run.tell(&cancel());
    let Some(Outgoing::Saga(SagaCommand::Compensate(CompensateSaga { parent: Some(parent), .. }))) =
        run.commands.last()
    else {
        panic!("{:?}", run.commands)
    };
    assert_eq!(parent.step, ship, "the end is told to the attempt that waits");
    run.tell(&child_completed(ship));
    assert!(run.is_at("recall"), "it was faster: it is undone");
    let recall = run.at("recall");
    assert_eq!(run.tell(&succeeded(recall.clone())), 0, "only its end answers for a child");
    assert_eq!(run.tell(&child_completed(recall.clone())), 0, "it has not heard yet");
    run.tell(&child_compensated(recall));
    assert!(run.is_at("refund"));
}

#[test]
fn a_stuck_child_has_its_parent_undo_it_and_stuck_in_its_turn() {
    let mut run = started(10);
    succeed(&mut run, &["reserve", "charge"]);
    let step = run.at("ship");
    run.tell(&child_stuck(step));
    let first = run.at("recall");
    run.tell(&child_stuck(first.clone()));
    run.tell(&SagaInput::Timer { name: format!("retry:{first}") });
    let step = run.at("recall");
    run.tell(&child_stuck(step));
    assert!(matches!(run.state.status, SagaStatus::Stuck { .. }));
}

#[test]
fn a_child_that_is_resumed_after_it_was_stuck_tells_its_parent_in_the_end() {
    let mut child = child_of("s-1/order/1");
    succeed(&mut child, &["reserve"]);
    let charge = child.at("charge");
    child.tell(&failed(charge, Category::Business));
    starve(&mut child, "stuck");
    child.tell(&undo("s-1/undo-order/1"));
    child.tell(&resume());
    succeed(&mut child, &["release"]);
    let ends: Vec<_> = told(&child).into_iter().map(|(step, end)| (step.to_string(), end)).collect();
    let [
        (first, ChildEnd::Stuck { .. }),
        (again, ChildEnd::Stuck { .. }),
        (last, ChildEnd::Compensated { .. }),
    ] = ends.as_slice()
    else {
        panic!("{ends:?}")
    };
    assert_eq!([first, again, last], ["s-1/order/1", "s-1/undo-order/1", "s-1/undo-order/1"]);
}
