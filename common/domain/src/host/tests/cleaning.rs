//! Cleaning.

use super::*;

fn fail(step: &str) -> HostInput {
    HostInput::FailCleaning { step: id(step), category: Category::Unknown, reason: "BMC said no".into() }
}

#[test]
fn a_host_is_clean_once_its_image_said_so_and_it_rests() {
    let mut host = at("cleaning");
    assert!(host.ignores(&cleaned("h-1/clean/2")), "the image has not reported yet");
    let decision = host.when(&booted("h-1/clean/2")).unwrap();
    let StepCommand::Deploy(DeployCommand::FinishCleaning(finish)) = &decision.commands[0] else { panic!() };
    assert_eq!(finish.step, id("h-1/clean/2"));
    assert!(host.ignores(&booted("h-1/clean/2")), "a repeated report");
    assert_eq!(host.names(&cleaned("h-1/clean/2")), ["host.cleaned"]);
    assert!(host.state.is_available());
    assert!(host.ignores(&booted("h-1/clean/2")), "a repeated report after the end");
    assert!(host.ignores(&cleaned("h-1/clean/2")));
    assert!(host.ignores(&timer("h-1/clean/2")), "its deadline is void");
    assert!(host.ignores(&fail("h-1/clean/2")), "late");
}

#[test]
fn a_failed_cleaning_is_tried_again_after_its_delay() {
    let mut host = at("cleaning");
    let failed = host.when(&boot_failed("h-1/clean/2")).unwrap();
    assert_eq!((failed.events.len(), failed.commands.len()), (1, 0));
    assert_eq!(failed.timers[0].name, "retry:h-1/clean/3");
    assert_eq!(host.when(&booted("h-1/clean/2")).unwrap_err().label(), "not-waiting");
    assert!(host.ignores(&timer("h-1/clean/3")), "nobody was asked yet");

    let again = host.when(&timer("retry:h-1/clean/3")).unwrap();
    assert_eq!((again.events.len(), again.commands.len()), (1, 1));
    assert_eq!(again.timers[0].name, "h-1/clean/3");
    assert!(host.ignores(&timer("retry:h-1/clean/3")), "begun already");
    host.when(&booted("h-1/clean/3")).unwrap();
    host.when(&cleaned("h-1/clean/3")).unwrap();
    assert!(host.state.is_available());
}

#[test]
fn without_a_delay_it_is_tried_again_at_once() {
    let mut host =
        Host::given([HostInput::Enrol { command: command(), policy: policy(0) }, facts("h-1/verify/1")]);
    assert_eq!(host.names(&fail("h-1/clean/2")), ["host.cleaning-failed", "host.cleaning-started"]);
    assert_eq!(host.state.own_steps, 3);
}

#[test]
fn what_cannot_be_cleaned_never_returns_to_the_pool() {
    let mut host = at("cleaning");
    for step in 2..=4 {
        host.when(&fail(&format!("h-1/clean/{step}"))).unwrap();
        assert!(!host.state.is_available());
        host.when(&timer(&format!("retry:h-1/clean/{}", step + 1))).unwrap();
    }
    assert_eq!(host.state.phase.name(), "quarantined");
    assert!(host.ignores(&cleaned("h-1/clean/4")));
    assert_eq!(host.when(&booted("h-1/clean/4")).unwrap_err().label(), "not-waiting");
    assert_eq!(host.when(&reserve("p-1", "s/1")).unwrap_err().label(), "not-available");
}

#[test]
fn a_quarantine_on_the_way_back_names_the_saga_and_drops_the_reservation() {
    let host = at("quarantined");
    let Some(HostEvent::Quarantined(event)) = host.events.last() else { panic!() };
    assert_eq!(event.saga, Some(saga_ref("p-1")));
    assert_eq!(host.state.reservation, None);
    assert_eq!(host.state.role, None);
}

#[test]
fn a_host_that_reported_but_does_not_come_to_rest_is_cleaned_again() {
    let mut host = at("cleaning");
    host.when(&booted("h-1/clean/2")).unwrap();
    assert_eq!(host.names(&timer("h-1/clean/2")), ["host.cleaning-failed"]);
    assert!(host.ignores(&cleaned("h-1/clean/2")), "late: the host will be booted again");
}

#[test]
fn a_permanent_reason_is_not_tried_again() {
    for category in [Category::Business, Category::Validation] {
        let mut host = at("cleaning");
        let reason = "this BMC offers no way to boot".to_owned();
        let failed = HostInput::FailCleaning { step: id("h-1/clean/2"), category, reason };
        assert_eq!(host.names(&failed), ["host.cleaning-failed", "host.quarantined"], "{category}");
        let HostPhase::Quarantined { reason } = &host.state.phase else { panic!() };
        assert!(reason.contains("offers no way to boot") && reason.contains("requalify"), "{reason}");
        assert!(host.timers.iter().all(|timer| !timer.name.starts_with("retry:")));
    }
}
