//! The way back: what is awaited, what is stopped, and the order of undoing.

use hostler_core::Category;
use hostler_core::saga::{ChildEnd, SagaInput, SagaStatus};

use super::{asked, failed, name, started, succeed, succeeded};

#[test]
fn when_a_branch_fails_the_others_are_awaited_and_then_undone() {
    let mut run = started(10);
    let (reserve, charge) = (run.at("reserve"), run.at("charge"));
    run.tell(&failed(charge, Category::Business));
    assert_eq!(asked(&run), ["do-reserve", "do-charge"], "nothing is undone before the answer");
    run.tell(&succeeded(reserve));
    assert_eq!(asked(&run).last(), Some(&"undo-reserve"));
    succeed(&mut run, &["reserve"]);
    assert!(matches!(run.state.status, SagaStatus::Compensated { .. }));
    assert_eq!(run.undone(), ["reserve"]);
}

#[test]
fn a_branch_that_fails_while_awaited_is_not_tried_again() {
    let mut run = started(10);
    let (reserve, charge) = (run.at("reserve"), run.at("charge"));
    run.tell(&failed(charge, Category::Business));
    run.tell(&failed(reserve, Category::Transient));
    assert!(matches!(run.state.status, SagaStatus::Compensated { .. }));
    assert_eq!(run.undone(), Vec::<String>::new());
}

#[test]
fn a_branch_between_two_tries_is_stopped() {
    let mut run = started(10);
    let (reserve, charge) = (run.at("reserve"), run.at("charge"));
    run.tell(&failed(reserve, Category::Transient));
    run.tell(&failed(charge, Category::Business));
    assert!(matches!(run.state.status, SagaStatus::Compensated { .. }));
}

#[test]
fn a_step_whose_answer_was_lost_is_undone_too() {
    let mut run = started(10);
    succeed(&mut run, &["reserve"]);
    while matches!(run.state.status, SagaStatus::Running) {
        assert!(run.fire_next());
    }
    assert_eq!(asked(&run).last(), Some(&"undo-charge"), "it may have been done");
    succeed(&mut run, &["charge", "reserve"]);
    assert_eq!(run.undone(), ["charge", "reserve"]);
}

#[test]
fn completed_steps_are_undone_in_the_reverse_of_the_order_in_which_they_completed() {
    for order in [["reserve", "charge"], ["charge", "reserve"]] {
        let mut run = started(10);
        succeed(&mut run, &order);
        let step = run.at("ship");
        run.tell(&SagaInput::ChildEnded { step, end: ChildEnd::Compensated { reason: "lost".to_owned() } });
        succeed(&mut run, &[order[1], order[0]]);
        assert_eq!(run.undone(), [order[1], order[0]]);
        assert_eq!(run.effects(), order);
    }
}

#[test]
fn an_undoing_is_tried_again_whatever_its_failure_and_then_stuck_visibly() {
    let mut run = started(10);
    let (reserve, charge) = (run.at("reserve"), run.at("charge"));
    run.tell(&succeeded(reserve));
    run.tell(&failed(charge, Category::Business));
    let first = run.at("reserve");
    run.tell(&failed(first.clone(), Category::Business));
    run.tell(&SagaInput::Timer { name: format!("retry:{first}") });
    let second = run.at("reserve");
    assert_ne!(first, second);
    run.tell(&failed(second, Category::Business));
    let SagaStatus::Stuck { step, .. } = &run.state.status else { panic!("{:?}", run.state.status) };
    assert_eq!(*step, name("reserve"));
}

#[test]
fn an_outsider_is_told_to_stop_and_what_it_may_have_done_is_undone() {
    let mut run = started(10);
    succeed(&mut run, &["reserve", "charge"]);
    let step = run.at("ship");
    run.tell(&SagaInput::ChildEnded { step, end: ChildEnd::Completed });
    let carrier = run.at("carrier");
    let thank = run.at("thank");
    run.tell(&failed(thank, Category::Business));
    assert!(asked(&run).ends_with(&["stop-carrier", "undo-carrier"]), "{:?}", asked(&run));
    assert_eq!(run.tell(&succeeded(carrier)), 0, "its callback comes too late");
}
