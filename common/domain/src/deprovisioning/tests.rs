//! Rules of deprovisionings. That every saga ends and tries again is the engine's, and is tested with it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use hostler_core::saga::{
    Answers, Operation, SagaEvent, SagaInput, SagaStatus, StepName, StepNames, StepOutcome, check,
};
use hostler_core::{Actor, Category, Decider, Payload};
use serde_json::json;

use super::*;
use crate::testing::Run;

type Saga = Run<DeprovisioningSaga>;

fn started() -> Saga {
    let order = Deprovisioning::examples().remove(1);
    Saga::given([SagaInput::Start { saga: "deprovisioning#h-01.4".parse().unwrap(), order, parent: None }])
}

fn answer(saga: &Saga, outcome: StepOutcome) -> SagaInput<DeprovisioningOrder> {
    let (_, attempt) = saga.state.running.iter().next().unwrap();
    SagaInput::Answer { answers: Answers::Attempt(attempt.id.clone()), outcome }
}

fn operate(operation: Operation) -> SagaInput<DeprovisioningOrder> {
    SagaInput::Operate { operation, actor: Actor("ada".to_owned()), reason: "test".to_owned() }
}

#[test]
fn the_definition_can_be_run() {
    check::<Deprovisioning>().unwrap();
}

#[test]
fn a_host_leaves_monitoring_then_is_undeployed_and_the_host_itself_ends_the_saga() {
    let mut saga = started();
    assert_eq!(saga.commands[0].type_name(), "deregister-monitoring");
    let output = Value::Null;
    saga.when(&answer(&saga, StepOutcome::Succeeded { output })).unwrap();
    assert_eq!(saga.commands[1].type_name(), "undeploy-host");
    let undeploy = StepName::of(DeprovisioningStep::UndeployHost, None);
    let output = json!({ "host": "h-01", "quarantined": false });
    let back =
        SagaInput::Answer { answers: Answers::Step(undeploy), outcome: StepOutcome::Succeeded { output } };
    saga.when(&back).unwrap();
    assert_eq!(saga.state.status, SagaStatus::Completed);
    assert!(saga.ignores(&back), "told twice");
}

#[test]
fn it_is_not_cancelled_and_what_fails_for_good_waits_for_an_operator() {
    let mut saga = started();
    assert!(saga.when(&operate(Operation::Cancel)).is_err());
    let failed = |reason: &str| StepOutcome::Failed {
        category: Category::Business,
        reason: reason.to_owned(),
        uncertain: false,
    };
    saga.when(&answer(&saga, failed("monitoring does not know the host"))).unwrap();
    assert_eq!(saga.state.status.name(), "stuck");
    let step = StepName::of(DeprovisioningStep::DeregisterMonitoring, None);
    saga.when(&operate(Operation::Skip { step })).unwrap();
    assert_eq!(saga.commands.last().unwrap().type_name(), "undeploy-host");
    saga.when(&answer(&saga, failed("the BMC is gone"))).unwrap();
    let step = StepName::of(DeprovisioningStep::UndeployHost, None);
    let refused = saga.when(&operate(Operation::Skip { step })).unwrap_err();
    assert!(refused.to_string().contains(HELD), "{refused}");
    saga.when(&operate(Operation::Resume)).unwrap();
    assert_eq!(saga.state.status, SagaStatus::Running);
    let commands = saga.commands.iter();
    assert_eq!(commands.count(), 3, "undeploying is asked for again");
    assert_eq!(DeprovisioningStep::ALL.len(), 3);
}

#[test]
fn a_host_in_traffic_leaves_it_before_anything_else() {
    let order = Deprovisioning::examples().remove(0);
    let saga = "deprovisioning#h-01.4".parse().unwrap();
    let mut saga = Saga::given([SagaInput::Start { saga, order, parent: None }]);
    assert_eq!(saga.commands[0].type_name(), "leave-traffic");
    saga.when(&answer(&saga, StepOutcome::Succeeded { output: Value::Null })).unwrap();
    assert_eq!(saga.commands[1].type_name(), "deregister-monitoring");
}

/// Given a saga that began before there was a second version, then it goes on by the first one, and ends.
#[test]
fn one_that_began_by_the_first_version_runs_to_its_end() {
    let begun = json!({
        "saga": "deprovisioning#h-01.4", "version": 1,
        "order": {
            "host": "h-01", "pool": "web", "retire": false, "reason": "scaled in",
            "deregisterMonitoring": { "deadlineSeconds": 300, "attempts": 5, "retrySeconds": 5 },
            "undeployHost": { "deadlineSeconds": 6000, "attempts": 8, "retrySeconds": 30 },
        },
    });
    let begun = SagaEvent::<DeprovisioningOrder>::from_data("saga.started", 1, &begun.into()).unwrap();
    let mut saga = started();
    let events = saga.events.iter().skip(1).cloned();
    let state = std::iter::once(begun)
        .chain(events)
        .fold(Default::default(), |state, event| DeprovisioningSaga::evolve(state, &event));
    saga.state = state;
    saga.when(&answer(&saga, StepOutcome::Succeeded { output: Value::Null })).unwrap();
    assert_eq!(saga.commands.last().unwrap().type_name(), "undeploy-host");
    let output = json!({ "host": "h-01", "quarantined": false });
    saga.when(&answer(&saga, StepOutcome::Succeeded { output })).unwrap();
    assert_eq!(saga.state.status, SagaStatus::Completed);
    let first = Deprovisioning::plan(1, &Deprovisioning::examples().remove(0)).unwrap();
    assert_eq!(Some(first), Deprovisioning::plan(2, &Deprovisioning::examples().remove(1)));
    assert!(Deprovisioning::plan(3, &Deprovisioning::examples().remove(1)).is_none());
}
