//! Versions: a saga keeps the definition that it started with, and a plan that could wait for ever is refused.

use hostler_core::Decider;
use hostler_core::saga::{Direction, SagaEvent, SagaInput, SagaRef};
use hostler_testkit::sample_saga::{Order, OrderRun, Orders};

use super::{id, name, refused, saga, started, succeed};

fn of_version(version: u32) -> OrderRun {
    let mut run = OrderRun::new();
    let started = SagaEvent::Started { saga: saga(), version, order: Order { amount: 5_000 }, parent: None };
    run.state = Orders::evolve(run.state, &started);
    run
}

#[test]
fn a_new_saga_starts_with_the_newest_version() {
    let run = started(5_000);
    assert!(matches!(run.events.first(), Some(SagaEvent::Started { version: 2, .. })));
}

#[test]
fn a_running_saga_keeps_the_version_that_it_started_with() {
    let mut run = of_version(1);
    for (step, attempt) in [("reserve", 1), ("charge", 1)] {
        let began = SagaEvent::StepStarted {
            step: name(step),
            direction: Direction::Forward,
            id: id(&format!("o-1/{step}/{attempt}")),
            attempt,
            deadline_at: run.now,
        };
        run.state = Orders::evolve(run.state, &began);
    }
    succeed(&mut run, &["reserve", "charge"]);
    assert_eq!(run.asked(), ["start-saga"], "version 1 knew no approval, though the amount is above");
}

#[test]
fn a_version_that_is_not_registered_is_a_fault_and_says_which() {
    let run = of_version(9);
    let timer = SagaInput::Timer { name: "any".to_owned() };
    let refusal = Orders::decide(&run.state, &timer, run.now).unwrap_err();
    assert_eq!(refusal.label(), "unknown-version");
    assert!(refusal.is_fault(), "the timer must come again");
    assert!(refusal.to_string().contains("version 9"), "{refusal}");
}

#[test]
fn an_id_that_leaves_no_room_for_ids_of_steps_is_refused_at_the_start() {
    let start = |length| SagaInput::Start {
        saga: SagaRef::new("order", &"x".repeat(length)).unwrap(),
        order: Order { amount: 1 },
        parent: None,
    };
    // The longest step id, `<saga>/<name>.<line>/<attempt>`, has 200 bytes then.
    assert!(OrderRun::new().tell(&start(132)) > 0);
    assert_eq!(refused(&OrderRun::new(), &start(133)), "bad-id");
}
