//! Steps that run at the same time, while one of them is stuck, skipped or resumed.

use hostler_core::Category;
use hostler_core::saga::{SagaInput, SagaStatus};

use super::basket::{BasketRun, before};
use super::{approve, edit, failed, refused, resume, skip, starve, succeed};

/// The invoice is stuck; the notification and the delivery are under way.
fn stuck() -> BasketRun {
    let mut run = before("invoice");
    let invoice = run.at("invoice");
    run.tell(&failed(invoice, Category::Business));
    run
}

#[test]
fn siblings_of_a_stuck_step_go_on() {
    let mut run = stuck();
    let notify = run.at("notify");
    run.tell(&failed(notify.clone(), Category::Transient));
    run.tell(&SagaInput::Timer { name: format!("retry:{notify}") });
    succeed(&mut run, &["notify", "delivery"]);
    assert_eq!(run.state.status.name(), "stuck");
    run.tell(&resume());
    succeed(&mut run, &["invoice"]);
    assert_eq!(run.state.status, SagaStatus::Completed);
}

#[test]
fn what_was_stuck_is_tried_again_at_once_though_its_siblings_are_under_way() {
    for operator in [resume(), edit("invoice")] {
        let mut run = stuck();
        run.tell(&operator);
        assert_eq!(run.at("invoice").as_str(), "b-1/invoice/2");
        assert_eq!(run.at("delivery").as_str(), "b-1/delivery/1", "and they go on");
        succeed(&mut run, &["invoice", "notify", "delivery"]);
        assert_eq!(run.state.status, SagaStatus::Completed);
    }
}

#[test]
fn a_stuck_step_that_is_skipped_leaves_its_siblings_under_way() {
    let mut run = stuck();
    run.tell(&skip("invoice"));
    assert_eq!(run.state.status, SagaStatus::Running);
    succeed(&mut run, &["notify", "delivery"]);
    assert_eq!(run.state.status, SagaStatus::Completed);
}

#[test]
fn a_best_effort_sibling_of_a_stuck_step_is_passed_over_when_it_fails() {
    let mut run = stuck();
    let notify = run.at("notify");
    run.tell(&failed(notify, Category::Business));
    succeed(&mut run, &["delivery"]);
    run.tell(&resume());
    assert!(!run.is_at("notify"));
    succeed(&mut run, &["invoice"]);
    assert_eq!(run.state.status, SagaStatus::Completed);
}

#[test]
fn two_siblings_that_failed_are_both_resumed_with_all_their_attempts() {
    let mut run = stuck();
    let notify = run.at("notify");
    run.tell(&super::succeeded(notify));
    for _ in 0..20 {
        run.fire_next();
    }
    assert!(run.state.running.is_empty(), "the delivery was given up: {:?}", run.state.running);
    run.tell(&resume());
    for step in ["invoice", "delivery"] {
        let id = run.at(step);
        run.tell(&failed(id.clone(), Category::Transient));
        run.tell(&SagaInput::Timer { name: format!("retry:{id}") });
        assert_ne!(run.at(step), id, "one of two attempts is used");
    }
    succeed(&mut run, &["invoice", "delivery"]);
    assert_eq!(run.state.status, SagaStatus::Completed);
}

#[test]
fn several_approvals_are_told_apart_by_name() {
    let mut run = BasketRun::new();
    run.tell(&super::basket::basket(0, true));
    super::basket::forward(&mut run);
    assert_eq!(refused(&run, &approve(None)), "not-waiting");
    assert_eq!(refused(&run, &approve(Some("pick"))), "not-waiting", "nobody approves that");
    run.tell(&approve(Some("review")));
    run.tell(&approve(None));
    succeed(&mut run, &["pick"]);
    assert!(run.is_at("capture"));
}

#[test]
fn a_veto_keeps_operators_from_skipping() {
    let mut run = before("capture");
    let capture = run.at("capture");
    run.tell(&failed(capture, Category::Transient));
    assert_eq!(refused(&run, &skip("capture")), "never-skipped");
    starve(&mut run, "stuck");
    let SagaStatus::Stuck { step, .. } = run.state.status.clone() else { panic!() };
    run.tell(&skip(step.as_str()));
    let unpick = run.at("unpick");
    run.tell(&failed(unpick, Category::Business));
    assert_eq!(refused(&run, &skip("unpick")), "never-skipped");
}
