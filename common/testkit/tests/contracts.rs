//! The ports in memory keep the ports' contracts, and their fault switches do what they say.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use hostler_core::{Failure, Incoming};
use hostler_runtime::messages::batch::{Batch, Handler};
use hostler_runtime::messages::relay::Relay;
use hostler_runtime::ports::{Clock, Control, EventBus, EventStore, Outbound, Queues, StoreError, Views};
use hostler_testkit::contract::{self, MemoryInbox, Supports};
use hostler_testkit::faults::Rates;
use hostler_testkit::memory::{
    Delivered, MemoryBus, MemoryControl, MemoryLeases, MemoryQueues, MemorySchedules, MemoryStore,
    MemoryViews, Redrive, deliver,
};
use hostler_testkit::{SeededIds, TestClock, sample};
use serde_json::json;

/// In memory nothing lags; the delivery lag is only what the suites count in.
fn supports() -> Supports {
    Supports { full_size: true, ..Supports::default() }
}

fn inbox() -> MemoryInbox {
    let clock = TestClock::default();
    MemoryInbox { queues: MemoryQueues::new(&clock, ["inbox", "inbox-dlq"]), clock }
}

#[tokio::test]
async fn the_store_keeps_its_contract() {
    contract::event_store(&MemoryStore::default()).await;
}

#[tokio::test]
async fn the_log_keeps_its_contract() {
    let store = MemoryStore::default();
    contract::event_log(&store, &store).await;
}

#[tokio::test]
async fn the_bus_keeps_its_contract() {
    let (bus, inbox) = (MemoryBus::default(), inbox());
    bus.subscribe(&contract::SUBSCRIBED, &inbox.queues, "inbox");
    contract::event_bus(&bus, &inbox, "inbox", supports()).await;
}

#[tokio::test]
async fn the_queues_keep_their_contract() {
    let inbox = inbox();
    contract::queues(&inbox.queues, &inbox, "inbox", supports()).await;
}

#[tokio::test]
async fn the_schedules_keep_their_contract() {
    let clock = TestClock::default();
    let inbox = MemoryInbox { queues: MemoryQueues::new(&clock, ["timers"]), clock: clock.clone() };
    let schedules = MemorySchedules::new(&clock, &inbox.queues);
    contract::schedules(&schedules, &inbox, &clock, "timers", supports()).await;
}

#[tokio::test]
async fn the_views_keep_their_contract() {
    contract::views(&MemoryViews::default(), supports()).await;
}

#[tokio::test]
async fn leases_keep_their_contract() {
    contract::leases(&MemoryLeases::default()).await;
}

#[tokio::test]
async fn control_keeps_its_contract() {
    contract::control(&MemoryControl::default()).await;
}

#[tokio::test]
async fn a_lost_answer_leaves_the_commit_written_and_the_repeat_succeeds() {
    let store = MemoryStore::default();
    let commit = sample::commit("order#1", 1);
    store.faults().fail_next(1);
    store.faults().lose_answer_next(1);
    for outbox in [0, 1] {
        let error = store.append(&commit).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        assert_eq!(store.outbox_since(0).len(), outbox);
    }
    store.append(&commit).await.unwrap();
    assert_eq!(store.take_outbox(), [commit]);
    assert_eq!(store.take_outbox(), []);
}

#[tokio::test]
async fn a_rival_gets_in_between() {
    let store = MemoryStore::default();
    let rival = sample::commit("order#1", 1);
    store.rival_next(rival.clone());
    let error = store.append(&sample::commit("order#1", 1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    assert_eq!(store.load(&rival.stream).await.unwrap(), [rival]);
}

#[tokio::test]
async fn entries_of_a_batch_fail_one_by_one() {
    let inbox = inbox();
    let messages = ["0", "1", "2"].map(|body| Outbound { body: body.to_owned(), ..Outbound::default() });
    inbox.queues.faults().partial_next([1]);
    let results = inbox.queues.send("inbox", &messages).await;
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert!(results[1].clone().unwrap_err().retryable);
    assert_eq!(inbox.queues.len("inbox"), 2);
    inbox.queues.faults().lose_answer_next(1);
    assert!(inbox.queues.send("inbox", &messages).await.iter().all(Result::is_err));
    assert_eq!(inbox.queues.len("inbox"), 5);
}

#[tokio::test]
async fn seeded_faults_are_the_same_each_time() {
    let run = || async {
        let (views, control, bus) = (MemoryViews::default(), MemoryControl::default(), MemoryBus::default());
        let rates =
            Rates { fail_percent: 20, lose_answer_percent: 20, entry_percent: 20, fail_read_percent: 20 };
        views.faults().seed(1, rates);
        control.faults().seed(2, rates);
        bus.faults().seed(3, rates);
        let mut outcomes = Vec::new();
        for version in 1..200 {
            outcomes.push(views.put(&sample::row("v", "k", "g", version)).await.is_ok());
            outcomes.push(control.get("k").await.is_ok());
            outcomes.push(control.put("k", &json!(1), version).await.is_ok());
            let event = sample::envelope("order#1", "order.placed", json!({}));
            outcomes.extend(bus.publish(&[event.clone(), event]).await.iter().map(Result::is_ok));
        }
        outcomes
    };
    let outcomes = run().await;
    assert_eq!(outcomes, run().await);
    assert!(outcomes.contains(&true) && outcomes.contains(&false));
}

#[tokio::test]
async fn a_message_received_too_often_ends_among_the_dead_letters() {
    let inbox = inbox();
    inbox.queues.set_redrive("inbox", Redrive { to: "inbox-dlq".to_owned(), receives_max: 3 });
    inbox.queues.set_visibility("inbox", 60);
    inbox.queues.send("inbox", &[Outbound { body: "{}".to_owned(), ..Outbound::default() }]).await;
    for count in 1..=3 {
        assert_eq!(inbox.queues.receive("inbox", 10)[0].receive_count, count);
        assert!(inbox.queues.receive("inbox", 10).is_empty());
        assert_eq!(inbox.queues.next_visible_at(), Some(inbox.clock.now() + Duration::from_secs(60)));
        inbox.clock.advance_seconds(60);
    }
    assert!(inbox.queues.receive("inbox", 10).is_empty());
    assert_eq!((inbox.queues.len("inbox"), inbox.queues.len("inbox-dlq")), (0, 1));
    assert!(!inbox.queues.is_empty());
}

/// Keeps the first message of each kind for later, and takes the second.
struct Hesitant(std::sync::Mutex<Vec<String>>);

#[async_trait::async_trait]
impl Handler for Hesitant {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let kind = message.type_name().to_owned();
        let mut seen = self.0.lock().unwrap();
        if seen.contains(&kind) {
            return Ok(());
        }
        seen.push(kind);
        Err(Failure::retry_after(Duration::from_secs(5), "not yet"))
    }
}

#[tokio::test]
async fn a_commit_goes_all_the_way_on_virtual_time() {
    let (store, bus, clock) = (MemoryStore::default(), MemoryBus::default(), TestClock::default());
    let queues = MemoryQueues::new(&clock, ["orders", "orders-dlq", "relay-failures"]);
    bus.subscribe_all(&queues, "orders");
    let (shared_bus, shared_queues) = (Arc::new(bus.clone()), Arc::new(queues.clone()));
    let relay = Relay::new(shared_bus, shared_queues.clone(), Arc::new(clock.clone()), "relay-failures");
    store.append(&sample::commit("order#1", 1)).await.unwrap();
    let relayed = relay.relay(&store.take_outbox_records()).await.unwrap();
    assert_eq!((relayed.commits, bus.published().len()), (1, 1));

    let batch = Batch::new(
        "orders",
        "orders",
        shared_queues,
        Arc::new(clock.clone()),
        Arc::new(SeededIds::default()),
    );
    let handler = Hesitant(std::sync::Mutex::default());
    let turn = || deliver(&queues, "orders", &batch, &handler, Duration::from_secs(30));
    assert_eq!(turn().await, Delivered { messages: 1, failed: 1 });
    assert_eq!(turn().await, Delivered::default(), "it was deferred");
    assert_eq!(queues.next_visible_at(), Some(clock.now() + Duration::from_secs(5)));
    clock.advance_seconds(5);
    assert_eq!(turn().await, Delivered { messages: 1, failed: 0 });
    assert!(queues.is_empty());
}
