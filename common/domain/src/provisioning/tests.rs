//! Rules of provisionings. That every saga ends, retries and undoes in reverse is the engine's, and is tested with it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use hostler_core::saga::{
    Answers, Operation, Outgoing, SagaEvent, SagaInput, SagaRefusal, SagaStatus, StepNames, StepOutcome,
    check,
};
use hostler_core::{Actor, Category, Payload};
use serde_json::json;

use super::*;
use crate::testing::{Run, id, saga_ref};

type Provision = Run<ProvisioningSaga>;
type Input = SagaInput<ProvisioningOrder>;

const HOST: &str = "h-1";
const FORWARD: [ProvisioningStep; 4] = [
    ProvisioningStep::ReserveHost,
    ProvisioningStep::DeployImage,
    ProvisioningStep::ApplyRole,
    ProvisioningStep::RegisterMonitoring,
];

fn start() -> Input {
    let policy = ProvisioningPolicy::default();
    let (request, pool, role, image) = (id("r-1"), id("web"), id("web-server"), id("debian-13"));
    let take_from = Vec::new();
    let order = ProvisioningOrder { request, pool, take_from, role, image, sku: None, traffic: None, policy };
    SagaInput::Start { saga: saga_ref("p-1"), order, parent: None }
}

fn answer(saga: &Provision, outcome: StepOutcome) -> Input {
    let (_, attempt) = saga.state.running.iter().next().unwrap();
    SagaInput::Answer { answers: Answers::Attempt(attempt.id.clone()), outcome }
}

fn succeed(saga: &mut Provision) -> Vec<&'static str> {
    let output = match at(saga).as_str() {
        "reserve-host" => json!({ "host": HOST }),
        "undeploy-host" => json!({ "host": HOST, "quarantined": false }),
        _ => Value::Null,
    };
    let input = answer(saga, StepOutcome::Succeeded { output });
    saga.names(&input)
}

fn fail(saga: &mut Provision, category: Category) {
    let reason = "it broke".to_owned();
    let input = answer(saga, StepOutcome::Failed { category, reason, uncertain: true });
    saga.when(&input).unwrap();
}

fn operate(operation: Operation) -> Input {
    SagaInput::Operate { operation, actor: Actor("ada".to_owned()), reason: "test".to_owned() }
}

/// The step that is at work.
fn at(saga: &Provision) -> String {
    saga.state.running.keys().next().unwrap().to_string()
}

/// A saga at this step.
fn running(step: ProvisioningStep) -> Provision {
    let mut saga = Provision::given([start()]);
    while at(&saga) != step.as_str() {
        succeed(&mut saga);
    }
    saga
}

/// What was undone, in order.
fn undone(saga: &Provision) -> Vec<String> {
    let undone = |event: &SagaEvent<ProvisioningOrder>| match event {
        SagaEvent::StepCompensated { step, .. } => Some(step.to_string()),
        _ => None,
    };
    saga.events.iter().filter_map(undone).collect()
}

#[test]
fn the_definition_can_be_run() {
    check::<Provisioning>().unwrap();
}

#[test]
fn every_step_follows_the_one_before_it_in_one_commit_until_the_host_is_in_service() {
    let mut saga = Provision::given([start()]);
    for step in FORWARD {
        assert_eq!(at(&saga), step.as_str());
        let names = succeed(&mut saga);
        let last = step == ProvisioningStep::RegisterMonitoring;
        let next = if last { "saga.completed" } else { "saga.step-started" };
        assert_eq!(names, ["saga.step-completed", next]);
    }
    assert_eq!(saga.state.status, SagaStatus::Completed);
    assert_eq!(host_of(&saga.state), Some(id(HOST)));
    let names: Vec<_> = saga.commands.iter().map(Payload::type_name).collect();
    assert_eq!(names, ["reserve-host", "deploy-image", "apply-role", "register-monitoring"]);
    let due: Vec<_> = saga.timers.iter().map(|timer| timer.name.as_str()).collect();
    assert_eq!(due[0], "deadline:p-1/reserve-host/1");
}

#[test]
fn the_host_that_was_reserved_is_the_one_that_is_worked_on() {
    let saga = running(ProvisioningStep::DeployImage);
    let Some(Outgoing::Step(StepCommand::Deploy(hostler_events::DeployCommand::DeployImage(deploy)))) =
        saga.commands.last()
    else {
        panic!("{:?}", saga.commands)
    };
    assert_eq!((&deploy.host, &deploy.image), (&id(HOST), &id("debian-13")));
    assert_eq!((&deploy.saga, deploy.step.as_str()), (&saga_ref("p-1"), "p-1/deploy-image/1"));
}

/// Configuration has no undoing of its own: it goes with the deployment, once.
#[test]
fn what_was_done_is_undone_in_reverse_the_failed_step_included() {
    let plans: [(_, &[&str]); 4] = [
        (ProvisioningStep::ReserveHost, &["release-reservation"]),
        (ProvisioningStep::DeployImage, &["undeploy-host", "release-reservation"]),
        (ProvisioningStep::ApplyRole, &["undeploy-host", "release-reservation"]),
        (
            ProvisioningStep::RegisterMonitoring,
            &["deregister-monitoring", "undeploy-host", "release-reservation"],
        ),
    ];
    for (step, plan) in plans {
        let mut saga = running(step);
        fail(&mut saga, Category::Business);
        assert_eq!(saga.state.status.reason(), Some(format!("{} failed: it broke", step.as_str()).as_str()));
        while !saga.state.running.is_empty() {
            succeed(&mut saga);
        }
        assert_eq!(saga.state.status.name(), "compensated");
        assert_eq!(undone(&saga), plan, "{step:?}");
    }
}

#[test]
fn a_cancelled_saga_turns_back_at_once_from_every_step() {
    for step in FORWARD {
        let mut saga = running(step);
        saga.when(&operate(Operation::Cancel)).unwrap();
        let first = if step == ProvisioningStep::ReserveHost { "release-reservation" } else { &at(&saga) };
        assert_eq!(at(&saga), first);
        assert_ne!(at(&saga), step.as_str(), "the step is not awaited");
    }
}

/// Given an undoing between two attempts, when the host itself turns out to be clean, then the undoing is over.
#[test]
fn a_host_that_is_back_ends_the_undeploying_whichever_attempt_asked() {
    for quarantined in [false, true] {
        let mut saga = running(ProvisioningStep::ApplyRole);
        saga.when(&operate(Operation::Cancel)).unwrap();
        fail(&mut saga, Category::Transient);
        let answers = Answers::any_attempt_of(&id("p-1/undeploy-host/1")).unwrap();
        let output = json!({ "host": HOST, "quarantined": quarantined });
        let back = SagaInput::Answer { answers, outcome: StepOutcome::Succeeded { output } };
        assert_eq!(saga.names(&back), ["saga.step-compensated", "saga.step-started"]);
        assert!(saga.ignores(&back), "told twice");
        assert_eq!(is_host_quarantined(&saga.state), quarantined);
    }
}

#[test]
fn nobody_skips_the_reservation_that_all_other_steps_need() {
    let mut saga = running(ProvisioningStep::ReserveHost);
    fail(&mut saga, Category::Transient);
    let skip = operate(Operation::Skip { step: StepName::said("reserve-host") });
    assert!(matches!(saga.when(&skip), Err(SagaRefusal::NeverSkipped { .. })));
}

#[test]
fn nobody_skips_what_gives_the_host_back() {
    let mut saga = running(ProvisioningStep::ApplyRole);
    saga.when(&operate(Operation::Cancel)).unwrap();
    fail(&mut saga, Category::Transient);
    let skip = operate(Operation::Skip { step: StepName::said("undeploy-host") });
    assert!(matches!(saga.when(&skip), Err(SagaRefusal::NeverSkipped { .. })));
}

#[test]
fn a_reservation_without_a_host_is_a_failure_of_its_step() {
    let mut saga = Provision::given([start()]);
    let input = answer(&saga, StepOutcome::Succeeded { output: json!({ "host": "" }) });
    saga.when(&input).unwrap();
    assert_eq!((at(&saga).as_str(), saga.state.status.name()), ("release-reservation", "compensating"));
}

#[test]
fn a_running_saga_keeps_the_policy_that_it_started_with() {
    let mut policy = ProvisioningPolicy::default();
    policy.reserve_host.attempts = 1;
    let SagaInput::Start { saga, mut order, parent } = start() else { panic!() };
    order.policy = policy;
    let mut saga = Provision::given([SagaInput::Start { saga, order, parent }]);
    fail(&mut saga, Category::Transient);
    assert_eq!(saga.state.status.name(), "compensating", "its one attempt is used up");
}

#[test]
fn a_host_of_a_pool_with_traffic_joins_it_last_and_leaves_it_first() {
    use hostler_core::saga::StepName;
    let with_traffic = Provisioning::examples().remove(0);
    let plan = Provisioning::plan(2, &with_traffic).unwrap();
    let last = plan.steps().last().unwrap();
    assert_eq!(StepName::of(last.name, None).as_str(), "join-traffic");
    assert_eq!(last.compensation.unwrap().name, ProvisioningStep::LeaveTraffic);
    // A saga that began by the first version, or whose pool has no traffic, has the plan that it always had.
    let first = Provisioning::plan(1, &with_traffic).unwrap();
    assert_eq!(Some(&first), Provisioning::plan(2, &Provisioning::examples().remove(1)).as_ref());
    let last = first.steps().last().unwrap();
    assert_eq!(StepName::of(last.name, None).as_str(), "register-monitoring");
}
