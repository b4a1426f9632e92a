//! Deadlines: whatever stays silent, the saga ends.

use jiff::SignedDuration;

use super::*;

#[test]
fn a_deadline_is_recorded_and_counts_as_a_transient_failure() {
    for kind in StepKind::FORWARD {
        let mut saga = running(kind);
        let (_, _, step) = saga.at_work();
        let names = saga.fire();
        assert_eq!(names[..2], ["provisioning.state-sla-exceeded", "provisioning.step-failed"], "{kind}");
        let Some(ProvisioningEvent::StepFailed(failed)) =
            saga.events.iter().rev().find(|event| matches!(event, ProvisioningEvent::StepFailed(_)))
        else {
            panic!()
        };
        assert_eq!(failed.category, Category::Transient);
        assert!(failed.reason.starts_with("no answer within"), "{}", failed.reason);
        assert_eq!(saga.state.status_name(), "running", "it is tried again");
        assert!(saga.ignores(&success(kind, &step)), "late");
        assert!(saga.ignores(&timer(&format!("deadline:{step}"))), "repeated");
    }
}

#[test]
fn a_deadline_that_was_kept_is_void() {
    for kind in StepKind::FORWARD {
        let mut saga = running(kind);
        let (_, _, step) = saga.at_work();
        saga.succeed();
        assert!(saga.ignores(&timer(&format!("deadline:{step}"))));
    }
}

#[test]
fn a_compensation_has_deadlines_too() {
    for kind in COMPENSATIONS {
        let mut saga = compensating(kind);
        let names = saga.fire();
        assert_eq!(names, ["provisioning.state-sla-exceeded", "provisioning.step-failed"]);
        saga.fire();
        assert_eq!(saga.at_work().1, 2);
    }
}

#[test]
fn when_nobody_ever_answers_the_saga_ends_stuck() {
    for kind in StepKind::FORWARD {
        let mut saga = running(kind);
        let mut fired = 0;
        while saga.state.live_timer().is_some() {
            saga.fire();
            fired += 1;
            assert!(fired < 100, "the saga goes on for ever");
        }
        assert_eq!(saga.state.status_name(), "stuck", "from {kind}");
    }
}

#[test]
fn when_a_host_is_silent_from_the_first_step_on_its_reservation_is_given_back() {
    let mut saga = running(StepKind::ReserveHost);
    let waits = 2 * state::policy_of(&policy(), StepKind::ReserveHost).attempts - 1;
    for _ in 0..waits {
        saga.fire();
    }
    assert_eq!(saga.at_work().0, StepKind::ReleaseReservation);
    saga.succeed();
    assert_eq!(saga.state.status_name(), "compensated");
}

#[test]
fn every_wait_is_as_long_as_its_policy_says() {
    for kind in StepKind::FORWARD.into_iter().chain(COMPENSATIONS) {
        let saga = if StepKind::FORWARD.contains(&kind) { running(kind) } else { compensating(kind) };
        let expected = state::policy_of(&policy(), kind).deadline_seconds;
        let timer = saga.timers.last().unwrap();
        assert_eq!(timer.due_at.duration_since(saga.now).as_secs(), i64::from(expected), "{kind}");
    }
}

#[test]
fn a_step_that_waits_for_its_dependency_has_more_time_and_uses_up_no_attempt() {
    for kind in StepKind::FORWARD.into_iter().skip(1) {
        let mut saga = running(kind);
        let (_, attempt, step) = saga.at_work();
        for number in 1..=3 {
            let until = saga.now + SignedDuration::from_mins(5);
            let decision = saga.when(&deferred(&step, until)).unwrap();
            assert_eq!(decision.events.len(), 1);
            let moved = &decision.timers[0];
            assert!(moved.due_at > until, "{kind}: it is looked at again before it is overdue");
            assert_eq!(moved.name, format!("deadline:{step}:{number}"));
            let earlier = if number == 1 {
                format!("deadline:{step}")
            } else {
                format!("deadline:{step}:{}", number - 1)
            };
            assert!(saga.ignores(&timer(&earlier)), "{kind}: the earlier deadline is void");
        }
        assert_eq!(saga.at_work(), (kind, attempt, step.clone()));
        assert!(saga.ignores(&deferred("p-1/other/1", saga.now)), "{kind}: of another step");
        saga.succeed();
        assert!(saga.ignores(&deferred(&step, saga.now)), "{kind}: late");
    }
}

#[test]
fn a_step_that_waits_and_is_never_heard_of_is_overdue_in_the_end() {
    let mut saga = running(StepKind::ApplyRole);
    let (_, _, step) = saga.at_work();
    saga.when(&deferred(&step, saga.now)).unwrap();
    let names = saga.fire();
    assert_eq!(names[..2], ["provisioning.state-sla-exceeded", "provisioning.step-failed"]);
}
