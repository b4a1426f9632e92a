//! Deferral: a step that waits for what is away gets more time, and uses no attempt.

use hostler_core::StepId;
use hostler_core::saga::{SagaDefinition, SagaEvent, SagaInput, SagaStatus, StepOutcome};
use hostler_testkit::SagaRun;
use jiff::{SignedDuration, Timestamp};

use super::basket::before;
use super::{answer, cancel, starve, succeed};

fn defer<D: SagaDefinition>(run: &mut SagaRun<D>, step: &StepId, seconds: i64) -> Timestamp {
    let until = run.now + SignedDuration::from_secs(seconds);
    let deferred = StepOutcome::Deferred { until, reason: "the bank is away".to_owned() };
    assert_eq!(run.tell(&answer(step.clone(), deferred)), 1);
    until
}

fn timer<O>(name: String) -> SagaInput<O> {
    SagaInput::Timer { name }
}

#[test]
fn a_deferral_moves_the_deadline_and_voids_the_old_timer() {
    let mut run = before("authorize");
    let step = run.at("authorize");
    let until = defer(&mut run, &step, 3_600);
    let moved = (until + SignedDuration::from_secs(60), format!("deadline:{step}:1"));
    assert!(run.timers.contains(&moved), "{:?}", run.timers);
    assert_eq!(run.tell(&timer(format!("deadline:{step}"))), 0, "it was given more time");
    defer(&mut run, &step, 7_200);
    assert_eq!(run.tell(&timer(format!("deadline:{step}:1"))), 0, "and more again");
    assert!(run.tell(&timer(format!("deadline:{step}:2"))) > 0);
}

#[test]
fn a_deferral_uses_no_attempt() {
    let mut run = before("authorize");
    let step = run.at("authorize");
    for _ in 0..50 {
        defer(&mut run, &step, 300);
    }
    assert_eq!(run.at("authorize"), step);
    let timed_out = timer(format!("deadline:{step}:50"));
    run.tell(&timed_out);
    run.tell(&timer(format!("retry:{step}")));
    assert_eq!(run.at("authorize").as_str(), "b-1/authorize/2", "both attempts of its policy are left");
    assert_eq!(run.state.status, SagaStatus::Running);
}

#[test]
fn a_moment_in_the_past_is_now() {
    let mut run = before("authorize");
    let step = run.at("authorize");
    defer(&mut run, &step, -3_600);
    let Some(SagaEvent::StepDeferred { deadline_at, .. }) = run.events.last() else { panic!() };
    assert_eq!(*deadline_at, run.now + SignedDuration::from_secs(60));
}

#[test]
fn compensations_are_deferred_as_well() {
    let mut run = before("authorize");
    run.tell(&cancel());
    let step = run.at("refund");
    for _ in 0..50 {
        defer(&mut run, &step, 300);
    }
    assert_eq!(run.tell(&timer(format!("deadline:{step}"))), 0);
    succeed(&mut run, &["refund", "release.0"]);
    assert!(run.state.status.is_over());
}

#[test]
fn an_awaited_step_that_is_deferred_while_the_saga_turns_back_is_still_awaited_and_ends() {
    let mut run = before("pick");
    let step = run.at("pick");
    run.tell(&cancel());
    defer(&mut run, &step, 300);
    assert!(run.is_at("pick"));
    starve(&mut run, "stuck");
    assert_eq!(run.to_undo(), ["unpick", "refund", "release.0"], "its answer never came");
}

#[test]
fn a_deferred_callback_is_given_more_time_for_its_sign_of_life_too() {
    let mut run = before("delivery");
    let step = run.at("delivery");
    let until = defer(&mut run, &step, 3_600);
    assert_eq!(run.tell(&timer(format!("heartbeat:{step}:0"))), 0, "nobody has been asked yet");
    let moved = run.timers.iter().find(|(_, name)| name.starts_with("heartbeat:") && name.ends_with(":0:1"));
    let (due_at, name) = moved.unwrap().clone();
    assert_eq!(due_at, until + SignedDuration::from_secs(900));
    assert!(run.tell(&timer(name)) > 0);
}
