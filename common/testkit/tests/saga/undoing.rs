//! The way back: what is awaited, what is stopped, and the order of undoing.

use hostler_core::Category;
use hostler_core::saga::{Answers, SagaEvent, SagaInput, SagaStatus, StepOutcome};

use super::basket::before;
use super::{
    cancel, child_compensated, child_completed, failed, failed_half_way, name, started, starve, succeed,
    succeeded,
};

#[test]
fn when_a_branch_fails_the_others_are_awaited_and_then_undone() {
    let mut run = started(10);
    let (reserve, charge) = (run.at("reserve"), run.at("charge"));
    run.tell(&failed(charge, Category::Business));
    assert_eq!(run.asked(), ["reserve", "charge", "stop"], "nothing is undone before the answer");
    run.tell(&succeeded(reserve));
    assert_eq!(run.asked().last(), Some(&"release"));
    succeed(&mut run, &["release"]);
    assert!(matches!(run.state.status, SagaStatus::Compensated { .. }));
    assert_eq!(run.undone(), ["release"]);
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
    starve(&mut run, "compensating");
    assert_eq!(run.asked().last(), Some(&"refund"), "it may have been done");
    succeed(&mut run, &["refund", "release"]);
    assert_eq!(run.undone(), ["refund", "release"]);
}

#[test]
fn completed_steps_are_undone_in_the_reverse_of_the_order_in_which_they_completed() {
    for (order, back) in
        [(["reserve", "charge"], ["refund", "release"]), (["charge", "reserve"], ["release", "refund"])]
    {
        let mut run = started(10);
        succeed(&mut run, &order);
        let step = run.at("ship");
        run.tell(&child_compensated(step));
        succeed(&mut run, &back);
        assert_eq!(run.undone(), back);
        assert_eq!(run.to_undo(), back);
    }
}

#[test]
fn a_failed_step_is_undone_if_something_may_have_been_done() {
    let mut run = started(10);
    succeed(&mut run, &["reserve"]);
    let mut certain = run.clone();
    let charge = run.at("charge");
    run.tell(&failed_half_way(charge.clone()));
    assert!(run.is_at("refund"));
    certain.tell(&failed(charge, Category::Business));
    assert!(certain.is_at("release"), "nothing was charged");
}

#[test]
fn an_earlier_attempt_that_may_have_been_done_is_undone_though_the_last_certainly_failed() {
    let mut run = started(10);
    let (reserve, first) = (run.at("reserve"), run.at("charge"));
    run.tell(&failed(reserve, Category::Transient));
    run.tell(&SagaInput::Timer { name: format!("deadline:{first}") });
    run.tell(&SagaInput::Timer { name: format!("retry:{first}") });
    let second = run.at("charge");
    run.tell(&failed(second, Category::Business));
    assert!(run.is_at("refund"));
}

#[test]
fn an_answer_about_a_compensation_ends_it_whichever_attempt_asked_and_even_between_two() {
    let clean = SagaInput::Answer {
        answers: Answers::Step(name("refund")),
        outcome: StepOutcome::Succeeded { output: serde_json::Value::Null },
    };
    let mut run = started(10);
    succeed(&mut run, &["reserve"]);
    let charge = run.at("charge");
    run.tell(&failed_half_way(charge));
    let first = run.at("refund");
    run.tell(&failed(first.clone(), Category::Business));
    let mut second = run.clone();
    assert!(run.tell(&clean) > 0, "in the delay between two attempts");
    assert!(run.is_at("release"));
    assert_eq!(run.tell(&SagaInput::Timer { name: format!("retry:{first}") }), 0);
    assert_eq!(run.tell(&clean), 0, "it is elsewhere now");
    second.tell(&SagaInput::Timer { name: format!("retry:{first}") });
    assert!(second.tell(&clean) > 0, "while the second attempt waits");
    assert!(second.is_at("release"));
}

#[test]
fn an_undoing_is_tried_again_whatever_its_failure_and_then_stuck_visibly() {
    let mut run = started(10);
    let (reserve, charge) = (run.at("reserve"), run.at("charge"));
    run.tell(&succeeded(reserve));
    run.tell(&failed(charge, Category::Business));
    let first = run.at("release");
    run.tell(&failed(first.clone(), Category::Business));
    run.tell(&SagaInput::Timer { name: format!("retry:{first}") });
    let second = run.at("release");
    assert_ne!(first, second);
    run.tell(&failed(second, Category::Business));
    let SagaStatus::Stuck { step, .. } = &run.state.status else { panic!("{:?}", run.state.status) };
    assert_eq!(*step, name("release"));
}

#[test]
fn an_outsider_is_told_to_stop_and_what_it_may_have_done_is_undone() {
    let mut run = started(10);
    succeed(&mut run, &["reserve", "charge"]);
    let step = run.at("ship");
    run.tell(&child_completed(step));
    let carrier = run.at("carrier");
    let thank = run.at("thank");
    run.tell(&failed(thank, Category::Business));
    assert!(run.asked().ends_with(&["stop", "call-off"]), "{:?}", run.asked());
    assert_eq!(run.tell(&succeeded(carrier)), 0, "its callback comes too late");
}

#[test]
fn a_compensation_that_several_steps_share_says_which_of_them_it_undoes() {
    let undoes = |before_cancel: &str| {
        let mut run = before(before_cancel);
        if before_cancel == "parcel" {
            run.tell(&child_compensated(run.at("parcel")));
            succeed(&mut run, &["void-label", "unpick"]);
        } else {
            run.tell(&cancel());
        }
        succeed(&mut run, &["refund"]);
        run.events.iter().find_map(|event| match event {
            SagaEvent::StepCompensated { step, undoes, .. } if step.as_str() == "refund" => {
                Some(undoes.clone())
            }
            _ => None,
        })
    };
    assert_eq!(undoes("authorize"), Some(vec![name("authorize")]));
    assert_eq!(undoes("parcel"), Some(vec![name("authorize"), name("capture")]));
}
