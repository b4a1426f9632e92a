//! The way back: in reverse order, each tried again, and stuck in the open when it cannot succeed.

use super::*;

#[test]
fn what_was_done_is_undone_in_reverse_order() {
    use StepKind::{
        ApplyRole, DeployImage, DeregisterMonitoring, RegisterMonitoring, ReleaseReservation, ReserveHost,
        UndeployHost,
    };
    let plans = [
        (ReserveHost, vec![ReleaseReservation]),
        (DeployImage, vec![UndeployHost, ReleaseReservation]),
        (ApplyRole, vec![UndeployHost, ReleaseReservation]),
        (RegisterMonitoring, vec![DeregisterMonitoring, UndeployHost, ReleaseReservation]),
    ];
    for (kind, plan) in plans {
        let mut saga = running(kind);
        saga.fail(Category::Business);
        saga.finish();
        assert_eq!(saga.compensations(), plan, "stopped at {kind}");
        let Some(ProvisioningEvent::CompensationCompleted(done)) = saga.events.last() else { panic!() };
        assert_eq!(done.reason, format!("{kind} failed: it broke"));
        assert_eq!(done.host, Some(id(HOST)));
        assert!(!done.host_quarantined);
        assert_eq!(saga.state.status_name(), "compensated");
        assert_eq!(saga.state.live_timer(), None);
    }
}

#[test]
fn a_saga_that_never_held_a_host_gives_none_back() {
    let mut saga = running(StepKind::ReserveHost);
    saga.fail(Category::Business);
    let step = id("p-1/release-reservation/1");
    let released = ReservationReleased { provisioning: id("p-1"), step, host: None };
    saga.when(&ProvisioningInput::Reservation(ReservationEvent::Released(released))).unwrap();
    let Some(ProvisioningEvent::CompensationCompleted(done)) = saga.events.last() else { panic!() };
    assert_eq!(done.host, None);
}

#[test]
fn a_host_that_cannot_be_cleaned_is_quarantined_and_the_saga_goes_on() {
    let mut saga = compensating(StepKind::UndeployHost);
    assert!(saga.ignores(&quarantined("h-2")), "not its host");
    assert!(saga.ignores(&cleaned("h-2")), "not its host");
    let names = saga.names(&quarantined(HOST));
    assert_eq!(names, ["provisioning.step-succeeded", "provisioning.step-started"]);
    assert!(saga.state.host_quarantined);
    assert!(saga.ignores(&quarantined(HOST)), "repeated");
    saga.succeed();
    let Some(ProvisioningEvent::CompensationCompleted(done)) = saga.events.last() else { panic!() };
    assert!(done.host_quarantined);
}

#[test]
fn a_host_that_is_not_held_any_more_leaves_nothing_to_undeploy() {
    let mut saga = compensating(StepKind::UndeployHost);
    assert!(saga.ignores(&released_by_host("p-1/undeploy-host/9")), "not this attempt");
    saga.when(&released_by_host("p-1/undeploy-host/1")).unwrap();
    assert_eq!(saga.at_work().0, StepKind::ReleaseReservation);
    assert!(
        saga.ignores(&released_by_host("p-1/release-reservation/1")),
        "the reservation's own answer counts, not the host's"
    );
}

#[test]
fn the_end_of_cleaning_counts_even_in_a_delay() {
    let mut saga = compensating(StepKind::UndeployHost);
    saga.fail(Category::Transient);
    let retry = saga.state.live_timer().unwrap();
    saga.when(&cleaned(HOST)).unwrap();
    assert_eq!(saga.at_work().0, StepKind::ReleaseReservation);
    assert!(saga.ignores(&timer(&retry)), "void");
}

#[test]
fn cleaning_ends_nothing_but_the_undeploying() {
    for (name, mut saga) in everywhere() {
        if saga.state.current().is_none_or(|current| current.kind != StepKind::UndeployHost) {
            assert!(saga.ignores(&cleaned(HOST)), "{name}");
        }
    }
}

#[test]
fn every_failure_of_a_compensation_is_tried_again() {
    for kind in COMPENSATIONS {
        for category in [Category::Transient, Category::Validation, Category::Business, Category::Unknown] {
            let mut saga = compensating(kind);
            assert_eq!(saga.fail(category), ["provisioning.step-failed"]);
            assert_eq!(saga.fire(), ["provisioning.step-started"]);
            assert_eq!(saga.at_work(), (kind, 2, format!("p-1/{kind}/2")));
            saga.finish();
            assert_eq!(saga.state.status_name(), "compensated");
        }
    }
}

#[test]
fn a_compensation_that_cannot_succeed_is_stuck_visible_and_resumed_with_new_ids() {
    for kind in COMPENSATIONS {
        let mut saga = stuck(kind);
        let attempts = state::policy_of(&policy(), kind).attempts;
        let Some(ProvisioningEvent::Stuck(event)) = saga.events.last() else { panic!() };
        assert_eq!(event.kind, kind);
        for hint in ["resume-provisioning", "hostler emit", "it broke", &format!("{attempts} times")] {
            assert!(event.reason.contains(hint), "{hint} in {}", event.reason);
        }
        assert_eq!(saga.state.live_timer(), None);

        let names = saga.names(&ProvisioningInput::Resume);
        assert_eq!(names, ["provisioning.resumed", "provisioning.step-started"]);
        assert_eq!(saga.at_work(), (kind, attempts + 1, format!("p-1/{kind}/{}", attempts + 1)));

        saga.use_up(Category::Unknown);
        assert_eq!(saga.state.status_name(), "stuck", "again, after as many tries as before");
        assert_eq!(saga.state.tries(kind).begun, 2 * attempts);

        saga.when(&ProvisioningInput::Resume).unwrap();
        saga.finish();
        assert_eq!(saga.state.status_name(), "compensated");
        assert_eq!(saga.compensations(), COMPENSATIONS);
        let Some(ProvisioningEvent::CompensationCompleted(done)) = saga.events.last() else { panic!() };
        assert_eq!(done.reason, "cancelled: not needed any more", "why it was undone is not forgotten");
    }
}
