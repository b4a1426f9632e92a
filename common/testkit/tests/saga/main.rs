//! The rules of sagas, each told with the sample saga, or with a basket where it needs more.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod basket;
mod cancelling;
mod checks;
mod children;
mod deferral;
mod diagram;
mod forward;
mod given_up;
mod lines;
mod operators;
mod outputs;
mod pivot;
mod reads;
mod relatives;
mod siblings;
mod undoing;
mod versions;
mod walks;

use hostler_core::saga::{
    Answers, ChildEnd, Operation, SagaDefinition, SagaInput, SagaRef, StepName, StepOutcome,
};
use hostler_core::{Actor, Category, Payload, StepId};
use hostler_testkit::SagaRun;
use hostler_testkit::sample_saga::{Order, OrderRun};
use serde_json::{Value, json};

fn saga() -> SagaRef {
    SagaRef::new("order", "o-1").unwrap()
}

fn id(step: &str) -> StepId {
    StepId::new(step).unwrap()
}

fn start(amount: u32) -> SagaInput<Order> {
    SagaInput::Start { saga: saga(), order: Order { amount }, parent: None }
}

fn started(amount: u32) -> OrderRun {
    let mut run = OrderRun::new();
    run.tell(&start(amount));
    run
}

fn answer<O>(step: StepId, outcome: StepOutcome) -> SagaInput<O> {
    SagaInput::Answer { answers: Answers::Attempt(step), outcome }
}

fn succeeded<O>(step: StepId) -> SagaInput<O> {
    answer(step, StepOutcome::Succeeded { output: Value::Null })
}

fn with_output<O>(step: StepId, output: Value) -> SagaInput<O> {
    answer(step, StepOutcome::Succeeded { output })
}

/// Certainly nothing was done.
fn failed<O>(step: StepId, category: Category) -> SagaInput<O> {
    answer(step, StepOutcome::Failed { category, reason: "no luck".to_owned(), uncertain: false })
}

/// Something may have been done.
fn failed_half_way<O>(step: StepId) -> SagaInput<O> {
    let (category, reason) = (Category::Business, "broke half way".to_owned());
    answer(step, StepOutcome::Failed { category, reason, uncertain: true })
}

fn alive<O>(step: StepId) -> SagaInput<O> {
    answer(step, StepOutcome::Alive)
}

fn child_completed<O>(step: StepId) -> SagaInput<O> {
    SagaInput::ChildEnded { step, end: ChildEnd::Completed { output: json!("shipped") } }
}

fn child_compensated<O>(step: StepId) -> SagaInput<O> {
    SagaInput::ChildEnded { step, end: ChildEnd::Compensated { reason: "lost".to_owned() } }
}

fn child_stuck<O>(step: StepId) -> SagaInput<O> {
    SagaInput::ChildEnded { step, end: ChildEnd::Stuck { reason: "no way".to_owned() } }
}

fn by() -> Actor {
    Actor("ada".to_owned())
}

fn why() -> String {
    "because".to_owned()
}

fn operate<O>(operation: Operation) -> SagaInput<O> {
    SagaInput::Operate { operation, actor: by(), reason: why() }
}

fn cancel<O>() -> SagaInput<O> {
    operate(Operation::Cancel)
}

fn resume<O>() -> SagaInput<O> {
    operate(Operation::Resume)
}

fn skip<O>(step: &str) -> SagaInput<O> {
    operate(Operation::Skip { step: name(step) })
}

fn edit<O>(step: &str) -> SagaInput<O> {
    operate(Operation::Edit { step: name(step), input: json!("other account") })
}

fn approve<O>(step: Option<&str>) -> SagaInput<O> {
    operate(Operation::Approve { step: step.map(name) })
}

fn name(step: &str) -> StepName {
    StepName::said(step)
}

/// The label of a refusal.
#[track_caller]
fn refused<D: SagaDefinition<Command: Clone>>(run: &SagaRun<D>, input: &SagaInput<D::Order>) -> &'static str {
    run.clone().try_tell(input).unwrap_err().label()
}

/// Has steps, or compensations, succeed, one after the other.
#[track_caller]
fn succeed<D: SagaDefinition>(run: &mut SagaRun<D>, steps: &[&str]) {
    for step in steps {
        let id = run.at(step);
        run.tell(&succeeded(id));
    }
}

/// Lets timers fire until the saga is where it is wanted.
#[track_caller]
fn starve<D: SagaDefinition>(run: &mut SagaRun<D>, until: &str) {
    while run.state.status.name() != until {
        assert!(run.fire_next(), "it waits for ever: {:?}", run.state);
    }
}

fn count<D: SagaDefinition>(run: &SagaRun<D>, type_name: &str) -> usize {
    run.events.iter().filter(|event| event.type_name() == type_name).count()
}

/// Lets nothing come but timers until it ends, or waits for an operator.
#[track_caller]
fn starve_to_the_end<D: SagaDefinition>(run: &mut SagaRun<D>) {
    while run.fire_next() {
        assert!(run.events.len() < 1_000, "it does not end");
    }
    let stuck = run.state.status.name() == "stuck";
    assert!(stuck || run.state.status.is_over(), "it waits for ever: {:?}", run.state);
}
