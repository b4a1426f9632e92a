//! Cancelling and resuming in each state, and late or repeated answers in each state.

use super::*;

#[test]
fn a_running_saga_is_cancelled_from_every_step() {
    for kind in StepKind::FORWARD {
        let mut saga = running(kind);
        let names = saga.names(&cancel());
        assert_eq!(
            names,
            [
                "provisioning.cancel-requested",
                "provisioning.compensation-started",
                "provisioning.step-started",
            ]
        );
        let Status::Compensating { reason, .. } = &saga.state.status else { panic!() };
        assert_eq!(reason, "cancelled: not needed any more");
        saga.finish();
        assert_eq!(saga.state.status_name(), "compensated");
    }
}

#[test]
fn a_saga_is_cancelled_in_a_delay() {
    let mut saga = running(StepKind::DeployImage);
    saga.fail(Category::Transient);
    let retry = saga.state.live_timer().unwrap();
    saga.when(&cancel()).unwrap();
    assert_eq!(saga.at_work().0, StepKind::UndeployHost);
    assert!(saga.ignores(&timer(&retry)), "void");
}

#[test]
fn other_sagas_are_not_cancelled_and_say_what_to_do() {
    let refusals = [
        (Provisioning::new(), "unknown-provisioning", "try again shortly"),
        (compensating(StepKind::UndeployHost), "already-compensating", "wait"),
        (completed(), "already-completed", "scale the pool in"),
        (compensated(), "already-compensated", "request hosts again"),
        (stuck(StepKind::UndeployHost), "is-stuck", "resume"),
    ];
    for (mut saga, label, advice) in refusals {
        let refusal = saga.when(&cancel()).unwrap_err();
        assert_eq!(refusal.label(), label);
        assert!(refusal.to_string().contains(advice), "{refusal}");
    }
}

#[test]
fn a_reason_has_a_limit() {
    let mut saga = running(StepKind::ApplyRole);
    let reason = "r".repeat(CANCEL_REASON_CHARS_MAX + 1);
    let refusal = saga.when(&ProvisioningInput::Cancel { reason }).unwrap_err();
    assert_eq!(refusal.label(), "reason-too-long");
}

#[test]
fn only_a_stuck_saga_is_resumed() {
    assert_eq!(
        Provisioning::new().when(&ProvisioningInput::Resume).unwrap_err(),
        ProvisioningRefusal::Unknown
    );
    for (name, mut saga) in everywhere() {
        let resumed = saga.when(&ProvisioningInput::Resume);
        assert_eq!(resumed.is_ok(), name.starts_with("stuck"), "{name}");
        if let Err(refusal) = resumed {
            assert_eq!(refusal.label(), "not-stuck");
        }
    }
}

fn skip(kind: StepKind, reason: &str) -> ProvisioningInput {
    ProvisioningInput::Skip { kind, reason: reason.to_owned() }
}

#[test]
fn a_stuck_saga_goes_on_without_the_compensation_that_an_operator_has_seen_to() {
    let mut saga = stuck(StepKind::DeregisterMonitoring);
    let names = saga.names(&skip(StepKind::DeregisterMonitoring, "done by hand"));
    assert_eq!(names, ["provisioning.compensation-skipped", "provisioning.step-started"]);
    assert_eq!(saga.at_work().0, StepKind::UndeployHost);
    saga.finish();
    assert_eq!(saga.state.status_name(), "compensated");
    let undone = |event: &ProvisioningEvent| match event {
        ProvisioningEvent::StepSucceeded(done) if COMPENSATIONS.contains(&done.kind) => Some(done.kind),
        _ => None,
    };
    let undone: Vec<StepKind> = saga.events.iter().filter_map(undone).collect();
    assert_eq!(undone, COMPENSATIONS[1..], "the rest is undone in its order");
    let Some(ProvisioningEvent::CompensationCompleted(done)) = saga.events.last() else { panic!() };
    assert_eq!(done.reason, "cancelled: not needed any more");
}

#[test]
fn what_gives_the_host_back_is_never_skipped() {
    for kind in [StepKind::UndeployHost, StepKind::ReleaseReservation] {
        let refusal = stuck(kind).when(&skip(kind, "done by hand")).unwrap_err();
        assert_eq!(refusal.label(), "holds-host");
        assert!(refusal.to_string().contains("resume"), "{refusal}");
    }
}

#[test]
fn only_what_a_saga_is_stuck_at_is_skipped_and_only_with_a_reason() {
    let kind = StepKind::DeregisterMonitoring;
    for (name, mut saga) in everywhere().into_iter().filter(|(name, _)| !name.starts_with("stuck")) {
        assert_eq!(saga.when(&skip(kind, "why")).unwrap_err().label(), "not-stuck", "{name}");
    }
    let mut saga = stuck(kind);
    let other = skip(StepKind::ReleaseReservation, "why");
    assert_eq!(saga.when(&other).unwrap_err().label(), "stuck-elsewhere");
    assert_eq!(saga.when(&skip(kind, " ")).unwrap_err().label(), "no-reason");
    let long = "r".repeat(CANCEL_REASON_CHARS_MAX + 1);
    assert_eq!(saga.when(&skip(kind, &long)).unwrap_err().label(), "reason-too-long");
    let unknown = Provisioning::new().when(&skip(kind, "why")).unwrap_err();
    assert_eq!(unknown, ProvisioningRefusal::Unknown);
}

#[test]
fn nothing_is_heard_before_the_start() {
    for kind in StepKind::FORWARD {
        let mut saga = Provisioning::new();
        assert!(saga.ignores(&success(kind, "p-1/x/1")));
        assert!(saga.ignores(&failure(kind, "p-1/x/1", Category::Unknown)));
        assert!(saga.ignores(&timer("deadline:p-1/x/1")));
    }
}

#[test]
fn late_repeated_and_strange_answers_change_nothing_in_any_state() {
    for (name, mut saga) in everywhere() {
        let (current, live) = (saga.state.current().cloned(), saga.state.live_timer());
        for kind in StepKind::FORWARD.into_iter().chain(COMPENSATIONS) {
            for attempt in [1, 2, 3, 99] {
                let step = format!("p-1/{kind}/{attempt}");
                let is_current = current.as_ref().is_some_and(|current| current.awaits(&id(&step)));
                for timer_name in [format!("deadline:{step}"), format!("retry:{step}"), step.clone()] {
                    if live.as_ref() != Some(&timer_name) {
                        assert!(saga.ignores(&timer(&timer_name)), "{name}: {timer_name}");
                    }
                }
                if is_current {
                    continue;
                }
                if kind != StepKind::UndeployHost {
                    assert!(saga.ignores(&success(kind, &step)), "{name}: success of {step}");
                }
                for category in [Category::Transient, Category::Business] {
                    let failure = failure(kind, &step, category);
                    assert!(saga.ignores(&failure), "{name}: failure of {step}");
                }
            }
        }
        assert!(saga.ignores(&start()), "{name}: started again");
    }
}

#[test]
fn another_sagas_events_change_nothing() {
    let mut saga = running(StepKind::ReserveHost);
    let other = HostReserved { host: id("h-2"), provisioning: id("p-2"), step: id("p-1/reserve-host/1") };
    assert!(saga.ignores(&ProvisioningInput::Host(HostEvent::Reserved(other))));
    let mut saga = compensating(StepKind::UndeployHost);
    for provisioning in [None, Some(id("p-2"))] {
        let other = HostCleaned { host: id(HOST), step: id("h-1/clean/4"), provisioning };
        assert!(saga.ignores(&ProvisioningInput::Host(HostEvent::Cleaned(other))));
    }
}
