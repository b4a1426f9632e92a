//! Flow: lag has levels, a change of level is an event and has consumers put to work, and producers choose.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::flow::{Consuming, Level};
use hostler_runtime::operations::flow::{Backpressure, Consumers, Depths, Overload, Produce, Watch};
use hostler_runtime::ports::{Clock, EntryFailure};
use hostler_runtime::state::shell::Shell;
use hostler_testkit::memory::{MemoryControl, MemoryStore};
use hostler_testkit::{SeededIds, TestClock};
use jiff::SignedDuration;
use serde_json::json;

/// Queues that are as long as they are told to be, and consumers that are as many as they are told to be.
#[derive(Clone, Default)]
struct Lambda {
    waiting: Arc<Mutex<BTreeMap<String, u64>>>,
    consumers: Arc<Mutex<Vec<(String, u16)>>>,
    /// What mappings have that nobody has set yet: 20 for orders, 10 for letters.
    mappings: Arc<Mutex<BTreeMap<String, Consuming>>>,
    broken: Arc<Mutex<bool>>,
}

fn away() -> EntryFailure {
    EntryFailure { retryable: true, code: "Away".to_owned(), message: "not now".to_owned() }
}

#[async_trait]
impl Depths for Lambda {
    async fn waiting(&self, queue: &str) -> Result<u64, EntryFailure> {
        self.waiting.lock().unwrap().get(queue).copied().ok_or_else(away)
    }
}

#[async_trait]
impl Consumers for Lambda {
    async fn concurrency(&self, queue: &str) -> Result<Consuming, EntryFailure> {
        if *self.broken.lock().unwrap() {
            return Err(away());
        }
        let maximum = if queue == "orders" { 20 } else { 10 };
        let deployed = Consuming { maximum: Some(maximum), changing: false };
        Ok(self.mappings.lock().unwrap().get(queue).copied().unwrap_or(deployed))
    }

    async fn set_concurrency(&self, queue: &str, consumers: u16) -> Result<(), EntryFailure> {
        self.set(queue, Some(consumers), false);
        self.consumers.lock().unwrap().push((queue.to_owned(), consumers));
        Ok(())
    }
}

impl Lambda {
    fn set(&self, queue: &str, maximum: Option<u16>, changing: bool) {
        self.mappings.lock().unwrap().insert(queue.to_owned(), Consuming { maximum, changing });
    }
}

struct Fixture {
    clock: TestClock,
    store: MemoryStore,
    control: MemoryControl,
    lambda: Lambda,
    watch: Watch,
}

impl Fixture {
    fn new() -> Self {
        let (clock, store, control) =
            (TestClock::default(), MemoryStore::default(), MemoryControl::default());
        let lambda = Lambda::default();
        let (time, ids) = (Arc::new(clock.clone()), Arc::new(SeededIds::default()));
        let shell = Shell::new(Arc::new(store.clone()), time, ids, "test");
        let port = Arc::new(lambda.clone());
        let watch = Watch::new(
            "watch-flow",
            shell,
            port.clone(),
            port,
            Arc::new(control.clone()),
            [("orders", 20), ("letters", 10)],
        );
        let fixture = Self { clock, store, control, lambda, watch };
        fixture.wait("orders", 0);
        fixture.wait("letters", 0);
        fixture
    }

    fn wait(&self, queue: &str, messages: u64) {
        self.lambda.waiting.lock().unwrap().insert(queue.to_owned(), messages);
    }

    fn backpressure(&self) -> Backpressure {
        Backpressure::new(Arc::new(self.control.clone()), Arc::new(self.clock.clone()))
    }

    fn changes(&self) -> Vec<String> {
        let commits = self.store.outbox_since(0);
        let events = commits.iter().flat_map(|commit| &commit.events);
        events
            .map(|event| {
                let data = event.data.to_value();
                format!("{} {}", data["queue"].as_str().unwrap(), data["to"].as_str().unwrap())
            })
            .collect()
    }

    fn consumers(&self) -> Vec<(String, u16)> {
        self.lambda.consumers.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_change_of_level_is_an_event_and_scales_the_consumer() {
    let fixture = Fixture::new();
    fixture.watch.look().await.unwrap();
    assert!(
        fixture.changes().is_empty()
            && fixture.consumers().is_empty()
            && fixture.control.entries().is_empty()
    );
    for lag in [1_500, 12_000, 13_000, 60_000, 45_000, 100] {
        fixture.wait("orders", lag);
        fixture.watch.look().await.unwrap();
    }
    let changes = ["orders monitor", "orders scale", "orders emergency", "orders normal"];
    assert_eq!(fixture.changes(), changes);
    let orders = |consumers| ("orders".to_owned(), consumers);
    assert_eq!(fixture.consumers(), [orders(40), orders(100), orders(20)]);
}

#[tokio::test]
async fn what_could_not_be_done_is_done_at_the_next_look_and_keeps_nothing_else_from_it() {
    let fixture = Fixture::new();
    fixture.wait("orders", 20_000);
    fixture.wait("letters", 20_000);
    *fixture.lambda.broken.lock().unwrap() = true;
    assert!(fixture.watch.look().await.is_err());
    assert_eq!(fixture.changes(), ["orders scale", "letters scale"]);
    *fixture.lambda.broken.lock().unwrap() = false;
    fixture.lambda.waiting.lock().unwrap().remove("orders");
    assert!(fixture.watch.look().await.is_err(), "one queue does not answer");
    assert_eq!(fixture.consumers(), [("letters".to_owned(), 20)]);
    fixture.wait("orders", 20_000);
    let flow = fixture.watch.look().await.unwrap();
    assert_eq!((flow["orders"].level, flow["orders"].concurrency), (Level::Scale, 40));
    assert_eq!(fixture.consumers(), [("letters".to_owned(), 20), ("orders".to_owned(), 40)]);
    assert_eq!(fixture.changes().len(), 2, "the level has changed once each");
}

#[tokio::test]
async fn consumers_that_were_changed_by_hand_are_set_right_whatever_was_noted() {
    let fixture = Fixture::new();
    let orders = |consumers| ("orders".to_owned(), consumers);
    // Nothing was ever noted, and somebody has turned the queue down.
    fixture.lambda.set("orders", Some(2), false);
    fixture.watch.look().await.unwrap();
    assert_eq!(fixture.consumers(), [orders(20)]);
    fixture.wait("orders", 12_000);
    fixture.watch.look().await.unwrap();
    // A deployment has set what the template says; the note says 40.
    fixture.lambda.set("orders", Some(20), false);
    fixture.watch.look().await.unwrap();
    assert_eq!(fixture.consumers(), [orders(20), orders(40), orders(40)]);
    // The limit was taken away altogether.
    fixture.lambda.set("orders", None, false);
    fixture.watch.look().await.unwrap();
    fixture.watch.look().await.unwrap();
    assert_eq!(fixture.consumers().len(), 4);
}

#[tokio::test]
async fn a_wrong_or_unreadable_note_changes_nothing() {
    let fixture = Fixture::new();
    let note = json!({ "orders": { "level": "emergency", "concurrency": 100 } });
    let put = async |note, revision| {
        let key = hostler_runtime::operations::flow::KEY;
        hostler_runtime::ports::Control::put(&fixture.control, key, &note, revision).await.unwrap()
    };
    assert!(put(note, 0).await);
    let flow = fixture.watch.look().await.unwrap();
    assert_eq!((flow["orders"].level, flow["orders"].concurrency), (Level::Normal, 20));
    assert_eq!(fixture.consumers(), [], "the mapping has what it should have");
    assert!(put(json!("of another form"), 2).await);
    fixture.wait("orders", 12_000);
    assert!(fixture.watch.look().await.is_err(), "the note cannot be written");
    assert_eq!(fixture.consumers(), [("orders".to_owned(), 40)], "and the consumers work all the same");
}

#[tokio::test]
async fn a_mapping_that_is_being_changed_is_left_for_the_next_look() {
    let fixture = Fixture::new();
    fixture.wait("orders", 12_000);
    fixture.lambda.set("orders", Some(20), true);
    fixture.watch.look().await.unwrap();
    assert_eq!(fixture.consumers(), []);
    fixture.lambda.set("orders", Some(20), false);
    fixture.watch.look().await.unwrap();
    assert_eq!(fixture.consumers(), [("orders".to_owned(), 40)]);
}

#[tokio::test]
async fn a_call_that_fails_keeps_only_its_own_queue_from_it() {
    let fixture = Fixture::new();
    fixture.wait("orders", 12_000);
    *fixture.lambda.broken.lock().unwrap() = true;
    assert!(fixture.watch.look().await.is_err());
    *fixture.lambda.broken.lock().unwrap() = false;
    fixture.watch.look().await.unwrap();
    assert_eq!(fixture.consumers(), [("orders".to_owned(), 40)]);
}

#[tokio::test]
async fn all_queues_together_get_no_more_consumers_than_there_are() {
    let fixture = Fixture::new();
    let watch = fixture.watch.clone().sharing(60);
    fixture.wait("orders", 60_000);
    fixture.wait("letters", 60_000);
    let flow = watch.look().await.unwrap();
    let consumers: Vec<u16> = flow.values().map(|applied| applied.concurrency).collect();
    assert_eq!(consumers, [20, 40], "letters and orders: each five times as many, less their share");
}

#[tokio::test]
async fn producers_choose_what_an_emergency_does_to_them() {
    let fixture = Fixture::new();
    let backpressure = fixture.backpressure();
    let of = async |overload| backpressure.admit(overload).await;
    assert_eq!(of(Overload::Signal).await, Ok(Produce::Send));
    fixture.wait("letters", 50_000);
    fixture.watch.look().await.unwrap();
    fixture.clock.set(fixture.clock.now() + SignedDuration::from_secs(5));
    let told = of(Overload::Signal).await.unwrap_err();
    assert_eq!((told.queue.as_str(), told.retry_after), ("letters", Duration::from_secs(30)));
    assert_eq!(of(Overload::Drop).await, Ok(Produce::Drop));
    assert_eq!(of(Overload::Buffer).await, Ok(Produce::Send));
    fixture.wait("letters", 30_000);
    fixture.watch.look().await.unwrap();
    fixture.clock.set(fixture.clock.now() + SignedDuration::from_secs(5));
    assert_eq!(of(Overload::Signal).await, Ok(Produce::Send));
}

#[tokio::test]
async fn producers_produce_when_nobody_can_tell_them() {
    let fixture = Fixture::new();
    let emergency = json!({ "orders": { "level": "emergency", "concurrency": 100 } });
    hostler_runtime::ports::Control::put(
        &fixture.control,
        hostler_runtime::operations::flow::KEY,
        &emergency,
        0,
    )
    .await
    .unwrap();
    fixture.control.faults().fail_reads_next(1);
    let backpressure = fixture.backpressure();
    assert_eq!(backpressure.admit(Overload::Signal).await, Ok(Produce::Send));
}
