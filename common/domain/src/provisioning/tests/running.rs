//! The way forward: each step working, failing for good, failing and then working, failing to the last try.

use super::*;

#[test]
fn a_saga_starts_by_reserving_a_host() {
    let mut saga = Provisioning::new();
    let decision = saga.when(&start()).unwrap();
    let [StepCommand::ReserveHost(reserve)] = &decision.commands[..] else { panic!() };
    assert_eq!((&reserve.step, &reserve.pool), (&id("p-1/reserve-host/1"), &id("web")));
    assert_eq!(decision.timers[0].name, "deadline:p-1/reserve-host/1");
    assert_eq!(decision.timers[0].due_at.duration_since(saga.now).as_secs(), 30);
    assert_eq!(decision.timers[0].deliver_to, "provision-hosts");
    assert!(saga.ignores(&start()), "started already");
}

#[test]
fn every_step_follows_the_one_before_it_in_one_commit_until_the_host_is_in_service() {
    let mut saga = Provisioning::given([start()]);
    for kind in StepKind::FORWARD {
        assert_eq!(saga.at_work(), (kind, 1, format!("p-1/{kind}/1")));
        let names = saga.succeed();
        if kind == StepKind::RegisterMonitoring {
            assert_eq!(names, ["provisioning.step-succeeded", "provisioning.completed"]);
        } else {
            assert_eq!(names, ["provisioning.step-succeeded", "provisioning.step-started"]);
        }
    }
    assert_eq!(saga.state.status_name(), "completed");
    assert_eq!(saga.state.completed, StepKind::FORWARD);
    assert_eq!(saga.state.host, Some(id(HOST)));
    assert_eq!(saga.state.live_timer(), None);
    let names: Vec<_> = saga.commands.iter().map(Payload::type_name).collect();
    assert_eq!(names, ["reserve-host", "deploy-image", "apply-role", "register-monitoring"]);
    assert_eq!(saga.timers.len(), 4);
}

#[test]
fn the_host_that_was_reserved_is_the_one_that_is_worked_on() {
    let saga = running(StepKind::DeployImage);
    let Some(StepCommand::DeployImage(deploy)) = saga.commands.last() else { panic!() };
    assert_eq!((&deploy.host, &deploy.image), (&id(HOST), &id("debian-13")));
}

#[test]
fn a_failure_that_is_not_transient_is_undone_at_once() {
    for kind in StepKind::FORWARD {
        for category in [Category::Validation, Category::Business, Category::Unknown] {
            let mut saga = running(kind);
            let names = saga.fail(category);
            assert_eq!(
                names,
                [
                    "provisioning.step-failed",
                    "provisioning.compensation-started",
                    "provisioning.step-started",
                ],
                "{kind} {category}"
            );
            let Status::Compensating { reason, .. } = &saga.state.status else { panic!() };
            assert_eq!(*reason, format!("{kind} failed: it broke"));
        }
    }
}

#[test]
fn a_transient_failure_is_tried_again_after_its_delay_under_a_new_id() {
    for kind in [StepKind::ReserveHost, StepKind::DeployImage, StepKind::RegisterMonitoring] {
        let mut saga = running(kind);
        let (_, _, first) = saga.at_work();
        assert_eq!(saga.fail(Category::Transient), ["provisioning.step-failed"]);
        let Some(ProvisioningEvent::StepFailed(failed)) = saga.events.last() else { panic!() };
        assert_eq!(failed.retry_at, Some(saga.timers.last().unwrap().due_at));
        assert_eq!(saga.state.live_timer(), Some(format!("retry:{first}")));
        assert!(saga.ignores(&timer(&format!("deadline:{first}"))), "void");
        assert!(saga.ignores(&success(kind, &first)), "late: the next attempt will be answered");

        assert_eq!(saga.fire(), ["provisioning.step-started"]);
        assert_eq!(saga.at_work(), (kind, 2, format!("p-1/{kind}/2")));
        assert!(saga.ignores(&timer(&format!("retry:{first}"))), "void");
        assert!(saga.ignores(&success(kind, &first)), "late");
        assert!(saga.ignores(&failure(kind, &first, Category::Unknown)), "late");
        saga.succeed();
        assert_eq!(saga.state.completed.last(), Some(&kind));
    }
}

#[test]
fn without_a_delay_it_is_tried_again_at_once() {
    let mut saga = running(StepKind::ApplyRole);
    let names = saga.fail(Category::Transient);
    assert_eq!(names, ["provisioning.step-failed", "provisioning.step-started"]);
    assert_eq!(saga.at_work().1, 2);
    saga.succeed();
    assert_eq!(saga.at_work().0, StepKind::RegisterMonitoring);
}

#[test]
fn after_the_last_try_it_is_undone() {
    for kind in StepKind::FORWARD {
        let mut saga = running(kind);
        saga.use_up(Category::Transient);
        assert_eq!(saga.state.status_name(), "compensating", "{kind}");
        let attempts = state::policy_of(&policy(), kind).attempts;
        assert_eq!(saga.state.tries(kind).begun, attempts);
    }
}

#[test]
fn delays_double() {
    let mut saga = running(StepKind::ReserveHost);
    let mut delays = Vec::new();
    for _ in 0..2 {
        saga.fail(Category::Transient);
        delays.push(saga.timers.last().unwrap().due_at.duration_since(saga.now).as_secs());
        saga.fire();
    }
    assert_eq!(delays, [2, 4]);
}

#[test]
fn a_host_that_is_quarantined_on_the_way_is_given_up() {
    for kind in StepKind::FORWARD {
        let mut saga = running(kind);
        let names = saga.names(&quarantined(HOST));
        assert_eq!(names, ["provisioning.compensation-started", "provisioning.step-started"], "{kind}");
        let mut other = running(kind);
        let ignored = other.ignores(&quarantined("h-2"));
        assert_eq!(ignored, kind != StepKind::ReserveHost, "not its host, once it knows its host");
    }
    let mut delayed = running(StepKind::DeployImage);
    delayed.fail(Category::Transient);
    delayed.when(&quarantined(HOST)).unwrap();
    assert_eq!(delayed.state.status_name(), "compensating");
}

#[test]
fn an_id_that_leaves_no_room_for_step_ids_is_refused() {
    let ProvisioningInput::Start(mut command) = start() else { panic!() };
    command.provisioning = id(&"p".repeat(151));
    let refusal = Provisioning::new().when(&ProvisioningInput::Start(command.clone())).unwrap_err();
    assert_eq!(refusal.label(), "provisioning-id-too-long");
    command.provisioning = id(&"p".repeat(150));
    assert!(Provisioning::new().when(&ProvisioningInput::Start(command)).is_ok());
}
