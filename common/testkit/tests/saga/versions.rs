//! Versions: a saga keeps the definition that it started with, and a plan that could wait for ever is refused.

use hostler_core::Decider;
use hostler_core::saga::{Plan, RetryPolicy, SagaEvent, SagaId, SagaInput, Step};
use hostler_testkit::sample_saga::{Order, OrderRun, Orders};

use super::{asked, name, started, succeed};

fn of_version(version: u32) -> OrderRun {
    let mut run = OrderRun::new();
    let (saga, order) = (SagaId::new("o-1"), Order { amount: 5_000 });
    let began = SagaEvent::Started { saga, version, order, parent: None };
    run.state = Orders::evolve(run.state, &began);
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
        let began = SagaEvent::StepBegan {
            step: name(step),
            direction: hostler_core::saga::Direction::Forward,
            id: hostler_core::saga::StepId::new(format!("o-1/{step}/{attempt}")),
            attempt,
            deadline_at: run.now,
        };
        run.state = Orders::evolve(run.state, &began);
    }
    succeed(&mut run, &["reserve", "charge"]);
    assert_eq!(asked(&run), ["do-ship"], "version 1 knew no approval, though the amount is above");
}

#[test]
fn a_version_that_is_not_registered_is_refused_by_name() {
    let run = of_version(9);
    let timer = SagaInput::Timer { name: "any".to_owned() };
    let refusal = Orders::decide(&run.state, &timer, run.now).unwrap_err();
    assert_eq!(refusal.label(), "unknown-version");
    assert!(refusal.to_string().contains("version 9"), "{refusal}");
}

#[test]
fn a_plan_that_could_wait_for_ever_is_refused() {
    let once = RetryPolicy::once(1);
    let good = Plan::default().then(Step::ask("a", once)).then(Step::child("b", 1));
    assert_eq!(good.check(), Ok(()));
    let bad = [
        Plan::default(),
        Plan::default().then(Step::ask("a", once)).then(Step::ask("a", once)),
        Plan::default().then(Step::ask("a", RetryPolicy::once(0))),
        Plan::default().then(Step::ask("a", RetryPolicy::tries(0, 1))),
        Plan::default().then(Step::ask("a", once).undone_by(RetryPolicy::once(0))),
        Plan::default().then(Step::callback("a", once, 0)),
        Plan::default().then(Step { policy: RetryPolicy::tries(2, 1), ..Step::child("a", 1) }),
        Plan::default().then(Step::ask("undo-a", once)),
        Plan::default().then(Step::ask("a/b", once)),
    ];
    for plan in bad {
        assert!(plan.check().is_err(), "{plan:?}");
    }
}
