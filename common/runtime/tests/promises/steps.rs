//! Steps: done once for a saga and step, answered always, and waiting while what they call is away.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use hostler_core::breaker::CALLS_MIN;
use hostler_core::saga::{Answers, SagaCommand, SagaRef, StepOutcome, StepReply};
use hostler_core::{Failure, Payload, StepId, StreamId};
use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::once::Once;
use hostler_runtime::effects::steps::{Call, Effect, EffectCommand, StepError, StepWorker};
use hostler_runtime::state::shell::Shell;
use hostler_testkit::memory::{MemoryControl, MemoryLeases, MemoryStore};
use hostler_testkit::{SeededIds, TestClock};
use serde_json::{Value, json};

use crate::tally::cause_of;

/// What the saga sends, for both directions.
struct Asked {
    saga: SagaRef,
    step: StepId,
}

impl EffectCommand for Asked {
    fn saga(&self) -> &SagaRef {
        &self.saga
    }

    fn step(&self) -> &StepId {
        &self.step
    }
}

/// A payment service that recognises a key that it has charged.
#[derive(Default)]
struct Payments {
    charged: Mutex<BTreeMap<String, u32>>,
    calls: Mutex<Vec<&'static str>>,
    fails: Mutex<VecDeque<StepError>>,
}

impl Payments {
    fn call(&self, name: &'static str) -> Result<(), StepError> {
        self.calls.lock().unwrap().push(name);
        self.fails.lock().unwrap().pop_front().map_or(Ok(()), Err)
    }
}

impl Effect for Payments {
    type Do = Asked;
    type Undo = Asked;
    type Output = String;

    fn dependencies(&self) -> Vec<String> {
        vec!["payments".to_owned()]
    }

    async fn perform(&self, _: &Asked, call: &Call) -> Result<String, StepError> {
        self.call("charge")?;
        self.charged.lock().unwrap().entry(call.key.clone()).or_insert(1);
        Ok(format!("charge of {}", call.key))
    }

    async fn undo(&self, _: &Asked, output: Option<String>, call: &Call) -> Result<(), StepError> {
        self.call("refund")?;
        assert_eq!(output.is_some(), self.charged.lock().unwrap().contains_key(&call.key));
        self.charged.lock().unwrap().remove(&call.key);
        Ok(())
    }
}

struct Shop {
    payments: Payments,
    store: MemoryStore,
    clock: TestClock,
    worker: StepWorker,
}

impl Shop {
    fn new() -> Self {
        let (store, clock, ids) =
            (MemoryStore::default(), TestClock::default(), Arc::new(SeededIds::default()));
        let ports = || Arc::new(clock.clone());
        let shell = Shell::new(Arc::new(store.clone()), ports(), ids.clone(), "shop");
        let once = Once::new(Arc::new(MemoryLeases::default()), ports(), ids.clone());
        let breakers = Breakers::new(Arc::new(MemoryControl::default()), ports(), ids);
        let worker = StepWorker { shell, once, breakers };
        Self { payments: Payments::default(), store, clock, worker }
    }

    fn asked(step: &str) -> Asked {
        Asked { saga: "order#o-1".parse().unwrap(), step: StepId::new(step).unwrap() }
    }

    /// The message `id`, which asks for this attempt.
    async fn charge(&self, id: &str, attempt: u32) -> Result<(), Failure> {
        let command = Self::asked(&format!("o-1/charge/{attempt}"));
        self.worker.perform(&self.payments, &cause_of(id), &command).await
    }

    async fn refund(&self, id: &str, attempt: u32) -> Result<(), Failure> {
        let command = Self::asked(&format!("o-1/undo-charge/{attempt}"));
        self.worker.undo(&self.payments, &cause_of(id), &command).await
    }

    fn calls(&self) -> Vec<&'static str> {
        self.payments.calls.lock().unwrap().clone()
    }

    /// How many cards are charged now.
    fn charged(&self) -> usize {
        self.payments.charged.lock().unwrap().len()
    }

    /// What the saga was answered: the attempt, and how it went.
    fn answers(&self) -> Vec<(String, StepOutcome)> {
        let stream = StreamId::new("effect", "order/o-1/charge").unwrap();
        let commands = self.store.commits(&stream).into_iter().flat_map(|commit| commit.commands);
        let answer = |command: hostler_core::RecordedCommand| {
            assert_eq!(command.queue, "run-sagas");
            let read = SagaCommand::from_data(&command.command_type, 1, &command.data).unwrap();
            let SagaCommand::Answer(StepReply { answers: Answers::Attempt(step), outcome, .. }) = read else {
                panic!("{}", command.command_type)
            };
            (step.to_string(), outcome)
        };
        commands.map(answer).collect()
    }

    async fn payments_go_away(&self) {
        for _ in 0..CALLS_MIN {
            let permit = self.worker.breakers.admit("payments").await.unwrap();
            _ = self.worker.breakers.tell(permit, Some("no answer")).await;
        }
    }
}

fn charged() -> StepOutcome {
    StepOutcome::Succeeded { output: json!("charge of order/o-1/charge") }
}

fn undone() -> StepOutcome {
    StepOutcome::Succeeded { output: Value::Null }
}

fn is_deferred(result: &Result<(), Failure>) -> bool {
    matches!(result, Err(Failure::Deferred { .. }))
}

/// Given an effect that is done, when its message comes twice and another attempt asks again, then nothing is done, and the
/// new attempt has the recorded output.
#[tokio::test]
async fn a_second_attempt_has_the_recorded_output() {
    let shop = Shop::new();
    for (id, attempt) in [("m-1", 1), ("m-1", 1), ("m-2", 2), ("m-2", 2)] {
        shop.charge(id, attempt).await.unwrap();
    }
    assert_eq!(shop.calls(), ["charge"]);
    let answers = [("o-1/charge/1".to_owned(), charged()), ("o-1/charge/2".to_owned(), charged())];
    assert_eq!(shop.answers(), answers);
}

/// Given a worker that dies between the call and its record, when the message comes again, then the call is repeated with
/// the same key, and the saga is answered once.
#[tokio::test]
async fn a_worker_that_dies_before_the_record_repeats_the_call_with_its_key() {
    let shop = Shop::new();
    // What is written down first passes, the record does not.
    shop.store.faults().pass_next(1);
    shop.store.faults().fail_next(1);
    assert!(matches!(shop.charge("m-1", 1).await, Err(Failure::Retryable { .. })));
    assert!(shop.answers().is_empty());
    shop.charge("m-1", 1).await.unwrap();
    assert_eq!((shop.calls(), shop.charged()), (vec!["charge", "charge"], 1));
    assert_eq!(shop.answers(), [("o-1/charge/1".to_owned(), charged())]);
}

/// Given that same death, when the saga undoes the step instead, then it is undone, for it may have been done.
#[tokio::test]
async fn what_may_have_been_done_is_undone() {
    let shop = Shop::new();
    shop.payments.fails.lock().unwrap().push_back(StepError::unavailable("no answer"));
    shop.charge("m-1", 1).await.unwrap();
    shop.refund("m-2", 1).await.unwrap();
    assert_eq!(shop.calls(), ["charge", "refund"]);
    assert_eq!(shop.answers()[1], ("o-1/undo-charge/1".to_owned(), undone()));
}

/// Given an effect that was undone before it was asked for, when its command comes late, then it is not done.
#[tokio::test]
async fn a_late_effect_after_its_undo_is_never_done() {
    let shop = Shop::new();
    shop.refund("m-2", 1).await.unwrap();
    shop.charge("m-1", 1).await.unwrap();
    shop.charge("m-1", 1).await.unwrap();
    assert!(shop.calls().is_empty());
    let answers = shop.answers();
    assert_eq!(answers[0], ("o-1/undo-charge/1".to_owned(), undone()));
    assert!(matches!(answers[1].1, StepOutcome::Failed { uncertain: false, .. }), "{answers:?}");
    assert_eq!(answers.len(), 2);
}

/// Given an effect that is done, when it is undone by two attempts, then it is undone once, and never done again.
#[tokio::test]
async fn a_finished_effect_is_undone_once() {
    let shop = Shop::new();
    shop.charge("m-1", 1).await.unwrap();
    shop.refund("m-2", 1).await.unwrap();
    shop.refund("m-3", 2).await.unwrap();
    shop.charge("m-4", 2).await.unwrap();
    assert_eq!((shop.calls(), shop.charged()), (vec!["charge", "refund"], 0));
}

/// Given payments that are away for an hour, when the saga gives up waiting and asks again and again, then each attempt
/// waits and is told so, and the card is charged once.
#[tokio::test]
async fn after_an_hour_without_payments_the_card_is_charged_once() {
    let shop = Shop::new();
    shop.payments_go_away().await;
    for attempt in 1..=3 {
        assert!(is_deferred(&shop.charge(&format!("m-{attempt}"), attempt).await));
    }
    assert!(shop.calls().is_empty());
    assert_eq!(shop.answers().len(), 3);
    assert!(shop.answers().iter().all(|(_, outcome)| matches!(outcome, StepOutcome::Deferred { .. })));
    shop.clock.advance_seconds(3_600);
    for attempt in [3, 1, 2] {
        shop.charge(&format!("m-{attempt}"), attempt).await.unwrap();
    }
    assert_eq!((shop.calls(), shop.charged()), (vec!["charge"], 1));
    assert_eq!(shop.answers()[3..].iter().filter(|(_, outcome)| *outcome == charged()).count(), 3);
}

/// Given an effect that only ever waited, when it is undone while payments are away, then nothing has to be called.
#[tokio::test]
async fn what_only_waited_is_undone_at_once() {
    let shop = Shop::new();
    shop.payments_go_away().await;
    assert!(is_deferred(&shop.charge("m-1", 1).await));
    shop.refund("m-2", 1).await.unwrap();
    shop.clock.advance_seconds(3_600);
    shop.charge("m-1", 1).await.unwrap();
    assert!(shop.calls().is_empty());
}

/// Given a command whose step is not its saga's, then it is a dead letter.
#[tokio::test]
async fn a_step_of_another_saga_is_refused() {
    let shop = Shop::new();
    let command = Shop::asked("o-2/charge/1");
    let refused = shop.worker.perform(&shop.payments, &cause_of("m-1"), &command).await;
    assert!(matches!(refused, Err(Failure::Terminal { .. })));
}
