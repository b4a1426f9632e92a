//! What an effect says to its saga, told from what happened before.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use serde_json::json;

use super::*;
use crate::payload::Payload;

const SAGA: &str = "order#o-1";

fn asker(step: &str) -> Asker {
    let work = if step.contains("undo-") { Work::Undo } else { Work::Do };
    Asker { saga: SAGA.parse().unwrap(), step: StepId::new(step).unwrap(), work, by_callback: false }
}

fn charge(attempt: u32) -> Asker {
    asker(&format!("o-1/charge/{attempt}"))
}

fn refund(attempt: u32) -> Asker {
    asker(&format!("o-1/undo-charge/{attempt}"))
}

/// One effect, and what its saga was answered.
#[derive(Default)]
struct Run {
    state: EffectState,
    answers: Vec<StepReply>,
}

impl Run {
    /// Tells the effect something; says what happened.
    fn tell(&mut self, asker: Asker, told: Told) -> Vec<&'static str> {
        let Ok(decision) =
            EffectDecider::decide(&self.state, &EffectInput { asker, told }, Timestamp::UNIX_EPOCH);
        for event in &decision.events {
            let back = EffectEvent::from_data(event.type_name(), 1, &event.to_data()).unwrap();
            assert_eq!(back, *event, "the event changes on its way");
            self.state = EffectDecider::evolve(self.state.clone(), event);
        }
        for command in decision.commands {
            let SagaCommand::Answer(reply) = command else { panic!("{command:?}") };
            self.answers.push(reply);
        }
        decision.events.iter().map(Payload::type_name).collect()
    }

    fn last(&self) -> &StepOutcome {
        &self.answers.last().unwrap().outcome
    }
}

fn finished(output: &str) -> Told {
    Told::Finished { output: json!(output) }
}

fn failed(uncertain: bool) -> Told {
    Told::Failed { category: Category::Transient, reason: "no answer".to_owned(), uncertain }
}

fn deferred(called: bool) -> Told {
    Told::Deferred { until: Timestamp::UNIX_EPOCH, reason: "away".to_owned(), called }
}

fn is_uncertain(outcome: &StepOutcome) -> bool {
    let StepOutcome::Failed { uncertain, .. } = outcome else { panic!("{outcome:?}") };
    *uncertain
}

#[test]
fn an_effect_is_named_by_saga_and_step() {
    let key = |step: &str| effect_key(&SAGA.parse().unwrap(), &StepId::new(step).unwrap());
    assert_eq!(key("o-1/charge/1").unwrap(), "order/o-1/charge");
    assert_eq!(key("o-1/charge/2").unwrap(), "order/o-1/charge");
    assert_eq!(key("o-1/undo-charge/7").unwrap(), "order/o-1/charge");
    for other in ["o-2/charge/1", "o-1/charge", "o-1", "o-1//1", "o-1/undo-/1", "o-11/charge/1"] {
        assert!(key(other).is_err(), "{other}");
    }
    assert!(effect_key(&"order#a/b".parse().unwrap(), &StepId::new("a/b/charge/1").unwrap()).is_ok());
}

#[test]
fn a_second_attempt_has_the_recorded_output() {
    let mut run = Run::default();
    assert_eq!(run.tell(charge(1), Told::Begins), ["effect.begun"]);
    assert_eq!(run.tell(charge(1), finished("c-7")), ["effect.finished"]);
    assert!(!run.state.is_to_be_called(Work::Do));
    assert_eq!(run.tell(charge(2), Told::Asked), ["effect.answered"]);
    let step = |attempt| charge(attempt).step;
    let replies = [1, 2].map(|n| StepReply::succeeded(SAGA.parse().unwrap(), step(n), json!("c-7")));
    assert_eq!(run.answers, replies);
}

#[test]
fn what_another_attempt_has_finished_meanwhile_stands() {
    let mut run = Run::default();
    run.tell(charge(1), Told::Begins);
    run.tell(charge(2), finished("first"));
    assert_eq!(run.tell(charge(1), finished("second")), ["effect.answered"]);
    assert_eq!(run.tell(charge(1), failed(true)), ["effect.answered"]);
    assert_eq!(*run.last(), StepOutcome::Succeeded { output: json!("first") });
}

#[test]
fn an_undo_before_the_effect_leaves_a_tombstone() {
    let mut run = Run::default();
    assert!(!run.state.is_to_be_called(Work::Undo));
    assert_eq!(run.tell(refund(1), Told::Asked), ["effect.revoked"]);
    assert_eq!(*run.last(), StepOutcome::Succeeded { output: Value::Null });
    assert!(!run.state.is_to_be_called(Work::Do));
    assert_eq!(run.tell(charge(1), Told::Asked), ["effect.refused"]);
    assert!(!is_uncertain(run.last()));
    assert_eq!(run.tell(refund(2), Told::Asked), ["effect.answered"]);
}

#[test]
fn a_finished_effect_is_undone_once() {
    let mut run = Run::default();
    run.tell(charge(1), Told::Begins);
    run.tell(charge(1), finished("c-7"));
    assert!(run.state.is_to_be_called(Work::Undo));
    assert_eq!(run.tell(refund(1), Told::Begins), ["effect.begun"]);
    assert!(!run.state.is_to_be_called(Work::Do), "it is never done again");
    assert_eq!(run.tell(refund(1), failed(true)), ["effect.failed"]);
    assert!(run.state.is_to_be_called(Work::Undo));
    assert_eq!(run.tell(refund(2), finished("")), ["effect.undone"]);
    assert!(!run.state.is_to_be_called(Work::Undo));
    assert_eq!(run.tell(refund(3), Told::Asked), ["effect.answered"]);
    assert_eq!(run.tell(charge(2), Told::Asked), ["effect.refused"]);
}

#[test]
fn whether_something_was_done_is_remembered_over_attempts() {
    let mut run = Run::default();
    run.tell(charge(1), Told::Begins);
    run.tell(charge(1), failed(false));
    assert!(!is_uncertain(run.last()) && !run.state.may_be_done());
    run.tell(charge(2), Told::Begins);
    run.tell(charge(2), failed(true));
    assert!(is_uncertain(run.last()));
    run.tell(charge(3), Told::Begins);
    run.tell(charge(3), failed(false));
    assert!(is_uncertain(run.last()), "the second attempt may have done it");
    assert!(run.state.is_to_be_called(Work::Undo));
}

#[test]
fn a_worker_that_died_may_have_done_it() {
    let mut run = Run::default();
    run.tell(charge(1), Told::Begins);
    assert!(run.state.may_be_done());
    run.tell(charge(1), Told::Begins);
    run.tell(charge(1), failed(false));
    assert!(run.state.may_be_done(), "the first call may have done it");
}

#[test]
fn what_only_waited_was_not_done() {
    let mut run = Run::default();
    run.tell(charge(1), Told::Begins);
    assert_eq!(run.tell(charge(1), deferred(false)), ["effect.deferred"]);
    let outcome = StepOutcome::Deferred { until: Timestamp::UNIX_EPOCH, reason: "away".to_owned() };
    assert_eq!(*run.last(), outcome);
    assert!(!run.state.may_be_done());
    run.tell(charge(1), Told::Begins);
    run.tell(charge(1), deferred(true));
    assert!(run.state.may_be_done());
}

#[test]
fn what_was_done_while_it_was_undone_is_to_be_undone_again() {
    let mut run = Run::default();
    run.tell(charge(1), Told::Begins);
    run.tell(refund(1), Told::Begins);
    run.tell(refund(1), finished(""));
    assert_eq!(run.tell(charge(1), finished("late")), ["effect.finished"]);
    assert!(is_uncertain(run.last()));
    assert!(run.state.is_to_be_called(Work::Undo) && !run.state.is_to_be_called(Work::Do));
}

#[test]
fn an_effect_that_a_callback_ends_gives_a_sign_of_life() {
    let mut run = Run::default();
    let asker = |attempt| Asker { by_callback: true, ..charge(attempt) };
    run.tell(asker(1), Told::Begins);
    run.tell(asker(1), finished("asked"));
    assert_eq!(*run.last(), StepOutcome::Alive);
    run.tell(asker(2), Told::Asked);
    assert_eq!(*run.last(), StepOutcome::Alive);
}
