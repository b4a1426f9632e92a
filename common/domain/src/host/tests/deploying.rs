//! A saga's steps on a host: reserve, deploy, configure, register, release.

use hostler_core::saga::{SagaCommand, StepOutcome};

use super::*;

#[test]
fn a_host_is_held_by_one_saga() {
    let mut host = at("available");
    assert_eq!(host.names(&reserve("p-1", "s/1")), ["host.reserved"]);
    assert!(host.ignores(&reserve("p-1", "s/1")), "the same step again");
    assert_eq!(host.names(&reserve("p-1", "s/2")), ["host.reserved"], "the first answer was lost");
    let refusal = host.when(&reserve("p-2", "t/1")).unwrap_err();
    assert_eq!(refusal, HostRefusal::NotAvailable { host: id("h-1"), phase: "reserved" });
    for phase in ["verifying", "cleaning", "deploying", "in-service", "deprovisioning", "quarantined"] {
        assert_eq!(at(phase).when(&reserve("p-2", "t/1")).unwrap_err().label(), "not-available");
    }
}

#[test]
fn a_late_step_does_not_make_a_saga_look_for_a_second_host() {
    for phase in ["deploying", "configuring", "in-service", "deprovisioning", "cleaning-held"] {
        assert!(at(phase).ignores(&reserve("p-1", "s/9")), "{phase}: held already");
    }
}

#[test]
fn a_clean_host_goes_back_and_never_to_the_same_saga_again() {
    let mut host = at("reserved");
    assert_eq!(host.names(&release("p-1", "r/1")), ["host.released"]);
    assert!(host.state.is_available());
    assert!(host.ignores(&release("p-1", "r/2")));
    assert_eq!(host.when(&reserve("p-1", "s/9")).unwrap_err().label(), "already-released");
    assert_eq!(host.names(&reserve("p-2", "t/1")), ["host.reserved"]);
}

#[test]
fn a_slow_reservation_that_comes_after_the_release_does_not_hold_the_host() {
    let mut host = at("available");
    assert_eq!(host.names(&release("p-1", "r/1")), ["host.released"], "recorded though not held");
    assert!(host.state.is_available());
    assert_eq!(host.when(&reserve("p-1", "s/1")).unwrap_err().label(), "already-released");

    let mut held = at("reserved");
    held.when(&release("p-2", "r/1")).unwrap();
    assert!(held.state.is_held_by(&saga_ref("p-1")), "another saga's release changes nothing for the holder");
    assert_eq!(held.state.phase, HostPhase::Reserved);
}

#[test]
fn a_dirty_host_does_not_go_back() {
    for phase in ["deploying", "configuring", "registering-monitoring", "in-service", "cleaning-held"] {
        assert_eq!(at(phase).when(&release("p-1", "r/1")).unwrap_err().label(), "dirty", "{phase}");
    }
}

#[test]
fn a_deployment_is_recorded_before_it_is_done_and_once() {
    let mut host = at("reserved");
    assert_eq!(host.when(&deploy("p-2", "t/1")).unwrap_err().label(), "not-held");
    assert_eq!(host.names(&deploy("p-1", "s/1")), ["host.deploy-started"]);
    assert!(host.state.waits_for(&id("s/1")));
    assert!(host.ignores(&deploy("p-1", "s/1")));
    assert_eq!(host.names(&deploy("p-1", "s/2")), ["host.deploy-started"], "another attempt");
    assert!(host.ignores(&deploy("p-1", "s/1")), "the first one is late now");
    assert!(!host.state.waits_for(&id("s/1")));
    host.when(&booted("s/2")).unwrap();
    host.when(&deployed("s/2")).unwrap();
    assert!(host.ignores(&deploy("p-1", "s/2")), "a repeat does not boot a configured host again");
}

#[test]
fn a_deployment_may_be_tried_again_from_later_phases_but_not_in_service() {
    for phase in ["deploying", "configuring", "registering-monitoring"] {
        assert_eq!(at(phase).names(&deploy("p-1", "s/deploy/2")), ["host.deploy-started"], "{phase}");
    }
    assert_eq!(at("in-service").when(&deploy("p-1", "s/deploy/2")).unwrap_err().label(), "wrong-phase");
    assert_eq!(at("deprovisioning").when(&deploy("p-1", "s/deploy/2")).unwrap_err().label(), "undone");
}

#[test]
fn the_host_itself_ends_its_deployment() {
    let mut host = at("deploying");
    assert_eq!(host.when(&booted("s/deploy/9")).unwrap_err().label(), "not-waiting");
    assert!(host.ignores(&deployed("s/deploy/1")), "not before the host has called back");
    let decision = host.when(&booted("s/deploy/1")).unwrap();
    assert!(matches!(decision.events[..], [HostEvent::DeployBooted(_)]), "{decision:?}");
    assert!(
        matches!(decision.commands[..], [StepCommand::Deploy(DeployCommand::FinishDeploy(_))]),
        "its image is taken out"
    );
    assert!(host.ignores(&booted("s/deploy/1")), "a repeated report");
    assert_eq!(host.when(&boot_failed("s/deploy/1")).unwrap_err().label(), "not-waiting");
    assert_eq!(host.state.phase.name(), "deploying", "until its image is out");
    assert!(host.ignores(&deployed("s/deploy/9")), "another step's");
    assert_eq!(host.names(&deployed("s/deploy/1")), ["host.deploy-completed"]);
    assert!(host.ignores(&deployed("s/deploy/1")), "a repeat");
    let mut later = at("in-service");
    assert!(later.ignores(&booted("s/deploy/1")), "a repeated report, much later");
}

#[test]
fn a_failed_image_is_told_to_the_saga() {
    let mut host = at("deploying");
    let decision = host.when(&boot_failed("s/deploy/1")).unwrap();
    let [HostEvent::StepFailed(failed)] = &decision.events[..] else { panic!() };
    assert_eq!(failed.category, Category::Transient);
    assert!(failed.reason.contains("disk is gone"));
    assert_eq!(host.state.phase.name(), "deploying", "the saga decides");
}

/// What the saga is told of a failure that says that nothing was done.
fn told_uncertain(phase: &str, step: &str) -> bool {
    let mut host = at(phase);
    let decision = host.when(&step_failed("p-1", step)).unwrap();
    let [HostEvent::StepFailed(failed)] = &decision.events[..] else { panic!() };
    let [StepCommand::Saga(SagaCommand::Answer(reply))] = &decision.commands[..] else { panic!() };
    let StepOutcome::Failed { uncertain, .. } = reply.outcome else { panic!("{reply:?}") };
    assert_eq!(failed.uncertain, uncertain, "the event says the same");
    uncertain
}

#[test]
fn a_failure_of_which_it_is_certain_that_nothing_was_done_says_so_to_the_saga() {
    assert!(!told_uncertain("configuring", "s/apply/1"));
    assert!(!told_uncertain("deprovisioning", "s/undeploy/1"));
}

#[test]
fn a_deployment_that_has_begun_may_have_been_done_whatever_its_step_says() {
    assert!(told_uncertain("deploying", "s/deploy/1"));
    let mut host = at("deploying");
    host.when(&deploy("p-1", "s/deploy/2")).unwrap();
    let decision = host.when(&step_failed("p-1", "s/deploy/1")).unwrap();
    let [HostEvent::StepFailed(failed)] = &decision.events[..] else { panic!() };
    assert!(failed.uncertain, "nor does a later attempt change that");
}

#[test]
fn a_report_that_nobody_waits_for_is_refused() {
    for phase in ["verifying", "cleaning", "available", "reserved", "deploying", "in-service", "quarantined"]
    {
        assert_eq!(at(phase).when(&booted("x/1")).unwrap_err().label(), "not-waiting", "{phase}");
    }
}

#[test]
fn power_states_are_recorded_when_they_change() {
    let mut host = at("deploying");
    assert_eq!(host.state.power, Some(PowerState::Off));
    let record = |power_states: &[PowerState]| HostInput::RecordPower {
        step: id("s/deploy/1"),
        power_states: power_states.to_vec(),
    };
    use PowerState::{Off, On};
    assert_eq!(host.names(&record(&[Off, On])), ["host.power-state-changed"]);
    assert!(host.ignores(&record(&[On])));
    assert_eq!(host.names(&record(&[Off, Off, On])).len(), 2);
}

#[test]
fn configuration_and_monitoring_bring_the_host_into_service() {
    let mut host = at("configuring");
    assert!(host.ignores(&monitored("p-1", "s/r/1")), "not configured yet");
    assert!(host.ignores(&configured("p-2", "t/1")), "not its saga");
    assert_eq!(host.names(&configured("p-1", "s/a/1")), ["host.configuration-applied"]);
    assert_eq!(host.names(&configured("p-1", "s/a/2")), ["host.configuration-applied"], "asked again");
    assert_eq!(host.state.revision.as_deref(), Some("r-7"));
    assert!(host.ignores(&monitored("p-2", "t/1")), "not its saga");
    assert_eq!(host.names(&monitored("p-1", "s/r/1")), ["host.monitoring-registered", "host.in-service"]);
    assert!(host.ignores(&monitored("p-1", "s/r/1")), "the same step again");
    let again = host.names(&monitored("p-1", "s/r/2"));
    assert_eq!(again, ["host.monitoring-registered", "host.in-service"], "the first answer was lost");
    assert!(host.ignores(&configured("p-1", "s/a/1")), "late");
}

#[test]
fn failures_and_deregistrations_are_told_to_the_saga() {
    assert_eq!(at("configuring").names(&step_failed("p-1", "s/1")), ["host.step-failed"]);
    assert!(at("configuring").ignores(&step_failed("p-2", "t/1")));
    for phase in ["available", "registering-monitoring", "in-service", "quarantined"] {
        let mut host = at(phase);
        let before = host.state.phase.clone();
        assert_eq!(host.names(&deregistered("p-1", "s/d/1")), ["host.monitoring-deregistered"]);
        assert_eq!(host.state.phase, before, "the host itself does not change");
    }
}

#[test]
fn a_host_that_is_on_its_way_back_does_not_come_into_service_late() {
    let mut host = at("registering-monitoring");
    host.when(&deregistered("p-1", "s/d/1")).unwrap();
    assert!(host.ignores(&monitored("p-1", "s/r/1")), "a late registration");
    assert!(host.ignores(&configured("p-1", "s/a/2")), "a late configuration");
    assert_eq!(host.names(&undeploy("p-1", "s/u/1")), ["host.undeploy-started"]);
}
