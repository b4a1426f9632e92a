//! Parents and children: each end is told to the parent's attempt that waits for it.

use hostler_core::Category;
use hostler_core::saga::{ChildEnd, SagaId, SagaInput, SagaStatus, StepId, child_end};
use hostler_testkit::sample_saga::{Order, OrderRun};

use super::{asked, failed, last, start, started, succeed, succeeded};

fn child_of(parent: &StepId) -> OrderRun {
    let mut child = OrderRun::new();
    child.tell(&SagaInput::Start {
        saga: SagaId::new("c"),
        order: Order { amount: 1 },
        parent: Some(parent.clone()),
    });
    child
}

fn undo(answers: &StepId) -> SagaInput<Order> {
    SagaInput::Undo { answers: Some(answers.clone()), reason: "the parent is undone".to_owned() }
}

#[test]
fn the_end_of_a_child_names_the_attempt_that_waits_for_it() {
    let id = StepId::new("o-1/ship/1");
    let mut child = child_of(&id);
    let (reserve, charge) = (child.at("reserve"), child.at("charge"));
    child.tell(&failed(reserve, Category::Business));
    child.tell(&failed(charge, Category::Business));
    let (answers, end) = child_end(last(&child)).unwrap();
    assert_eq!(answers, id);
    assert_eq!(answers.saga(), Some(SagaId::new("o-1")));
    assert!(matches!(end, ChildEnd::Compensated { .. }));
}

#[test]
fn a_completed_child_is_undone_for_its_parent_and_answers_the_undoing() {
    let mut child = child_of(&StepId::new("o-1/ship/1"));
    succeed(&mut child, &["reserve", "charge"]);
    let step = child.at("ship");
    child.tell(&SagaInput::ChildEnded { step, end: ChildEnd::Completed });
    succeed(&mut child, &["carrier", "thank"]);
    assert_eq!(child_end(last(&child)), Some((StepId::new("o-1/ship/1"), ChildEnd::Completed)));
    let undoing = StepId::new("o-1/undo-ship/1");
    child.tell(&undo(&undoing));
    succeed(&mut child, &["carrier"]);
    let step = child.at("ship");
    child.tell(&SagaInput::ChildEnded { step, end: ChildEnd::Compensated { reason: "undone".to_owned() } });
    succeed(&mut child, &["charge", "reserve"]);
    assert_eq!(child.undone(), ["carrier", "ship", "charge", "reserve"]);
    assert_eq!(child_end(last(&child)).unwrap().0, undoing);
}

#[test]
fn a_child_that_has_ended_answers_again_when_asked_by_another_attempt() {
    let mut child = child_of(&StepId::new("o-1/ship/1"));
    for step in ["reserve", "charge"] {
        let id = child.at(step);
        child.tell(&failed(id, Category::Business));
    }
    let second = StepId::new("o-1/undo-ship/2");
    assert_eq!(child.tell(&undo(&second)), 1);
    assert_eq!(child_end(last(&child)).unwrap().0, second);
    assert_eq!(child.tell(&undo(&second)), 0, "once for each attempt");
}

#[test]
fn a_child_that_is_undone_before_it_starts_never_starts() {
    let mut child = OrderRun::new();
    let id = StepId::new("o-1/undo-ship/1");
    child.tell(&undo(&id));
    assert_eq!(child_end(last(&child)).unwrap().0, id);
    assert_eq!(child.tell(&start(1)), 0);
    assert!(child.commands.is_empty());
}

#[test]
fn a_child_at_work_is_told_to_stop_and_awaited() {
    let mut run = started(10);
    succeed(&mut run, &["reserve", "charge"]);
    let ship = run.at("ship");
    run.tell(&SagaInput::Cancel { actor: super::by(), reason: super::why() });
    assert_eq!(asked(&run).last(), Some(&"stop-ship"));
    run.tell(&SagaInput::ChildEnded { step: ship, end: ChildEnd::Completed });
    assert_eq!(asked(&run).last(), Some(&"undo-ship"), "it was faster: it is undone");
    let undoing = run.at("ship");
    assert_eq!(run.tell(&succeeded(undoing.clone())), 0, "only its end answers for a child");
    run.tell(&SagaInput::ChildEnded {
        step: undoing,
        end: ChildEnd::Compensated { reason: "undone".to_owned() },
    });
    assert_eq!(asked(&run).last(), Some(&"undo-charge"));
}

#[test]
fn a_stuck_child_has_its_parent_undo_it_and_stuck_in_its_turn() {
    let mut run = started(10);
    succeed(&mut run, &["reserve", "charge"]);
    let stuck = || ChildEnd::Stuck { reason: "no way".to_owned() };
    let step = run.at("ship");
    run.tell(&SagaInput::ChildEnded { step, end: stuck() });
    let first = run.at("ship");
    run.tell(&SagaInput::ChildEnded { step: first.clone(), end: stuck() });
    run.tell(&SagaInput::Timer { name: format!("retry:{first}") });
    let step = run.at("ship");
    run.tell(&SagaInput::ChildEnded { step, end: stuck() });
    assert!(matches!(run.state.status, SagaStatus::Stuck { .. }));
}
