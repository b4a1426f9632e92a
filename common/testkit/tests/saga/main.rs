//! The rules of sagas, each told with the sample saga.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod children;
mod forward;
mod operators;
mod undoing;
mod versions;
mod walks;

use hostler_core::saga::{SagaEvent, SagaId, SagaInput, StepId, StepName};
use hostler_core::{Actor, Category, Payload};
use hostler_testkit::sample_saga::{Order, OrderRun};
use serde_json::json;

fn start(amount: u32) -> SagaInput<Order> {
    SagaInput::Start { saga: SagaId::new("o-1"), order: Order { amount }, parent: None }
}

fn started(amount: u32) -> OrderRun {
    let mut run = OrderRun::new();
    run.tell(&start(amount));
    run
}

fn succeeded(step: StepId) -> SagaInput<Order> {
    SagaInput::Succeeded { step, output: json!("done") }
}

fn failed(step: StepId, category: Category) -> SagaInput<Order> {
    SagaInput::Failed { step, category, reason: "no luck".to_owned() }
}

fn by() -> Actor {
    Actor("ada".to_owned())
}

fn why() -> String {
    "because".to_owned()
}

fn name(step: &str) -> StepName {
    StepName::said(step)
}

/// Has steps succeed, one after the other.
fn succeed(run: &mut OrderRun, steps: &[&str]) {
    for step in steps {
        let id = run.at(step);
        run.tell(&succeeded(id));
    }
}

fn asked(run: &OrderRun) -> Vec<&'static str> {
    run.commands.iter().map(|command| command.name).collect()
}

fn count(run: &OrderRun, type_name: &str) -> usize {
    run.events.iter().filter(|event| event.type_name() == type_name).count()
}

fn last(run: &OrderRun) -> &SagaEvent<Order> {
    run.events.last().unwrap()
}
