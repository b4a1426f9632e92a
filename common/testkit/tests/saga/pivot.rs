//! The point of no return: after it a saga goes forward only.

use hostler_core::Category;
use hostler_core::saga::{
    Ask, Plan, RetryPolicy, SagaDefinition, SagaInput, SagaRef, SagaRefusal, SagaStatus, Step,
};
use hostler_testkit::SagaRun;
use serde_json::Value;

use super::basket::{BasketCommand, BasketRun, BasketStep, before, forward};
use super::{cancel, edit, failed, failed_half_way, refused, resume, skip, starve, succeed};

fn is_stuck_forward(run: &BasketRun) -> bool {
    matches!(&run.state.status, SagaStatus::Stuck { compensating: None, .. })
}

#[test]
fn cancelling_is_refused_once_the_pivot_has_begun() {
    let run = before("dispatch");
    assert_eq!(refused(&run, &cancel()), "past-pivot");
    assert_eq!(refused(&before("invoice"), &cancel()), "past-pivot");
}

#[test]
fn a_pivot_between_two_attempts_has_begun() {
    let mut run = before("dispatch");
    let step = run.at("dispatch");
    run.tell(&failed(step, Category::Transient));
    assert_eq!(refused(&run, &cancel()), "past-pivot");
}

#[test]
fn a_pivot_that_certainly_failed_has_everything_undone() {
    let mut run = before("dispatch");
    let step = run.at("dispatch");
    run.tell(&failed(step, Category::Business));
    assert!(run.is_at("recall"));
}

#[test]
fn a_pivot_that_may_have_been_done_is_stuck_and_resumed_forward() {
    let mut run = before("dispatch");
    let step = run.at("dispatch");
    run.tell(&failed_half_way(step));
    assert!(is_stuck_forward(&run));
    assert_eq!(refused(&run, &cancel()), "past-pivot");
    run.tell(&resume());
    succeed(&mut run, &["dispatch", "invoice", "notify", "delivery"]);
    assert_eq!(run.state.status, SagaStatus::Completed);
}

#[test]
fn a_pivot_whose_answers_are_lost_is_stuck() {
    let mut run = before("dispatch");
    starve(&mut run, "stuck");
    assert!(is_stuck_forward(&run));
    assert_eq!(run.asked().iter().filter(|name| **name == "dispatch").count(), 2);
}

#[test]
fn a_step_past_the_pivot_that_fails_is_stuck_and_never_undone() {
    let mut run = before("invoice");
    let invoice = run.at("invoice");
    run.tell(&failed(invoice, Category::Business));
    assert!(is_stuck_forward(&run));
    assert_eq!(run.state.status.category(), Some(Category::Business));
    succeed(&mut run, &["notify", "delivery"]);
    run.tell(&edit("invoice"));
    succeed(&mut run, &["invoice"]);
    assert_eq!(run.state.status, SagaStatus::Completed);
}

#[test]
fn what_is_stuck_past_the_pivot_can_be_skipped() {
    let mut run = before("dispatch");
    let step = run.at("dispatch");
    run.tell(&failed_half_way(step));
    run.tell(&skip("dispatch"));
    while run.state.status == SagaStatus::Running {
        assert_eq!(refused(&run, &cancel()), "past-pivot");
        forward(&mut run);
    }
    assert_eq!(run.state.status, SagaStatus::Completed);
}

/// Invoices, and notifies: neither is ever taken back.
struct Closing;

impl SagaDefinition for Closing {
    const KIND: &'static str = "closing";
    const VERSION: u32 = 1;
    type Order = ();
    type Step = BasketStep;
    type Command = BasketCommand;

    fn plan(_: u32, (): &()) -> Option<Plan<BasketStep>> {
        let ask = |step| Step::ask(step, RetryPolicy::once(60));
        Some(Plan::forward_only().then(ask(BasketStep::Invoice)).then(ask(BasketStep::Notify)))
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<BasketCommand>, SagaRefusal> {
        let (id, input) = (ask.id.clone(), Value::Null);
        Ok(Some(BasketCommand { step: ask.step, action: ask.action, id, input }))
    }

    fn examples() -> Vec<()> {
        vec![()]
    }
}

#[test]
fn a_saga_that_never_goes_back_is_stuck_at_its_first_failure_and_not_cancelled() {
    let mut run = SagaRun::<Closing>::new();
    let saga = SagaRef::new("closing", "c-1").unwrap();
    run.tell(&SagaInput::Start { saga, order: (), parent: None });
    let not_cancelled =
        |run: &mut SagaRun<Closing>| assert_eq!(run.try_tell(&cancel()).unwrap_err().label(), "past-pivot");
    not_cancelled(&mut run);
    let invoice = run.at("invoice");
    run.tell(&failed(invoice, Category::Business));
    assert_eq!(run.state.status.name(), "stuck");
    not_cancelled(&mut run);
    run.tell(&resume());
    succeed(&mut run, &["invoice", "notify"]);
    assert_eq!(run.state.status, SagaStatus::Completed);
}
