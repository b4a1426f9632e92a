//! Breakers: a dependency that is away is left alone by the whole fleet, and messages wait without using up attempts.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::breaker::{Breaker, CALLS_MIN, Override};
use hostler_core::{Failure, Incoming};
use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::breakers::{INDEX, key};
use hostler_runtime::messages::batch::{Batch, Handler};
use hostler_runtime::ports::{Clock, Control, Outbound, Queues};
use hostler_testkit::memory::{MemoryControl, MemoryQueues, Redrive, deliver};
use hostler_testkit::{SeededIds, TestClock, sample};
use jiff::SignedDuration;
use serde_json::json;

const SHOP: &str = "shop";

struct Ground {
    clock: TestClock,
    control: MemoryControl,
}

impl Ground {
    fn new() -> Self {
        Self { clock: TestClock::default(), control: MemoryControl::default() }
    }

    /// The breakers of one process.
    fn process(&self) -> Breakers {
        let ids = Arc::new(SeededIds::default());
        Breakers::new(Arc::new(self.control.clone()), Arc::new(self.clock.clone()), ids)
    }

    fn pass(&self, seconds: i64) {
        self.clock.set(self.clock.now() + SignedDuration::from_secs(seconds));
    }

    fn stored(&self) -> Option<Breaker> {
        let entries = self.control.entries();
        entries.get(&key(SHOP)).map(|entry| serde_json::from_value(entry.value.clone()).unwrap())
    }
}

async fn call(breakers: &Breakers, failure: Option<&str>) -> bool {
    match breakers.admit(SHOP).await {
        Ok(permit) => {
            _ = breakers.tell(permit, failure).await;
            true
        }
        Err(_) => false,
    }
}

async fn break_it(breakers: &Breakers) {
    for _ in 0..CALLS_MIN {
        assert!(call(breakers, Some("no answer")).await);
    }
}

#[tokio::test]
async fn nothing_is_written_while_all_is_well() {
    let ground = Ground::new();
    let breakers = ground.process();
    for n in 0..500 {
        assert!(call(&breakers, (n % 10 == 0).then_some("hiccup")).await);
        ground.pass(1);
    }
    assert!(ground.control.entries().is_empty());
}

#[tokio::test]
async fn what_one_process_finds_out_the_fleet_knows_within_seconds() {
    let ground = Ground::new();
    let (one, other) = (ground.process(), ground.process());
    assert!(call(&other, None).await);
    break_it(&one).await;
    let open = one.admit(SHOP).await.unwrap_err();
    assert!(open.to_string().contains("no answer"), "{open}");
    assert!(matches!(Failure::from(open), Failure::Deferred { .. }));
    ground.pass(5);
    assert!(!call(&other, None).await);
    let listed = ground.control.entries()[INDEX].value.clone();
    assert!(listed[SHOP].is_string(), "operators find it: {listed}");
}

#[tokio::test]
async fn one_of_all_is_elected_to_probe_and_its_call_decides() {
    let ground = Ground::new();
    let (one, other) = (ground.process(), ground.process());
    break_it(&one).await;
    ground.pass(300);
    let permit = one.admit(SHOP).await.unwrap();
    assert!(other.admit(SHOP).await.is_err(), "one at a time");
    assert!(one.admit(SHOP).await.is_err(), "one at a time");
    one.tell(permit, Some("still no answer")).await;
    assert!(one.admit(SHOP).await.is_err());
    ground.pass(300);
    let permit = other.admit(SHOP).await.unwrap();
    other.tell(permit, None).await;
    assert!(call(&other, None).await);
    ground.pass(5);
    assert!(call(&one, Some("what was before does not count")).await);
    assert!(call(&one, None).await);
}

#[tokio::test]
async fn a_probe_that_nobody_hears_of_is_replaced() {
    let ground = Ground::new();
    let (one, other) = (ground.process(), ground.process());
    break_it(&one).await;
    ground.pass(300);
    let _lost = one.admit(SHOP).await.unwrap();
    ground.pass(59);
    assert!(other.admit(SHOP).await.is_err());
    ground.pass(6);
    assert!(other.admit(SHOP).await.is_ok());
}

#[tokio::test]
async fn calls_are_made_when_control_is_away() {
    let ground = Ground::new();
    let breakers = ground.process();
    ground.control.faults().fail_reads_next(1_000);
    ground.control.faults().fail_next(1_000);
    for _ in 0..3 * CALLS_MIN {
        assert!(call(&breakers, Some("no answer")).await);
    }
    ground.control.faults().clear();
    ground.pass(5);
    assert!(call(&breakers, Some("no answer")).await);
    assert!(!call(&breakers, None).await, "as soon as it can be shared, it is");
}

#[tokio::test]
async fn an_operator_overrides_what_the_calls_say() {
    let ground = Ground::new();
    let breakers = ground.process();
    let forced = |open| {
        let until = ground.clock.now() + SignedDuration::from_mins(10);
        let (actor, reason) = ("operator".to_owned(), "maintenance".to_owned());
        Breaker { forced: Some(Override { open, until, actor, reason }), ..Breaker::default() }
    };
    ground.control.put(&key(SHOP), &json!(forced(true)), 0).await.unwrap();
    let open = breakers.admit(SHOP).await.unwrap_err();
    assert!(open.to_string().contains("operator wants it so: maintenance"), "{open}");
    ground.control.put(&key(SHOP), &json!(forced(false)), 1).await.unwrap();
    ground.pass(5);
    for _ in 0..3 * CALLS_MIN {
        assert!(call(&breakers, Some("no answer")).await);
    }
    ground.pass(600);
    assert!(ground.stored().unwrap().forced.is_some(), "what an operator said is kept");
}

/// Calls the shop for each message.
struct Shopping {
    breakers: Breakers,
    away: AtomicBool,
    calls: AtomicU32,
    served: Mutex<u32>,
}

#[async_trait]
impl Handler for Shopping {
    async fn handle(&self, _: &Incoming) -> Result<(), Failure> {
        let permit = self.breakers.admit(SHOP).await?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let away = self.away.load(Ordering::Relaxed);
        if let Some(open) = self.breakers.tell(permit, away.then_some("no answer")).await {
            return Err(open.into());
        }
        if away {
            return Err(Failure::retryable("no answer"));
        }
        *self.served.lock().unwrap() += 1;
        Ok(())
    }
}

#[tokio::test]
async fn messages_wait_out_an_hour_without_using_up_attempts_and_the_shop_is_left_alone() {
    let ground = Ground::new();
    let queues = MemoryQueues::new(&ground.clock, ["orders", "orders-dlq"]);
    queues.set_redrive("orders", Redrive { to: "orders-dlq".to_owned(), receives_max: 3 });
    let shopping = Shopping {
        breakers: ground.process(),
        away: AtomicBool::new(true),
        calls: AtomicU32::new(0),
        served: Mutex::new(0),
    };
    let (clock, ids) = (Arc::new(ground.clock.clone()), Arc::new(SeededIds::default()));
    let batch = Batch::new("shopping", "orders", Arc::new(queues.clone()), clock, ids);
    let body = serde_json::to_string(&sample::envelope("order#1", "order.placed", json!({}))).unwrap();
    let message = Outbound { body, ..Outbound::default() };
    assert!(queues.send("orders", &vec![message; 100]).await.iter().all(Result::is_ok));
    let back_at = ground.clock.now() + SignedDuration::from_hours(1);
    let mut sent = 0;
    while let Some(next) = queues.next_visible_at() {
        if queues.len("orders") == 0 {
            break;
        }
        ground.clock.set(next.max(ground.clock.now()));
        if ground.clock.now() >= back_at && shopping.away.swap(false, Ordering::Relaxed) {
            sent = shopping.calls.load(Ordering::Relaxed);
        }
        deliver(&queues, "orders", &batch, &shopping, Duration::from_secs(30)).await;
    }
    assert_eq!(queues.len("orders-dlq"), 0, "nothing that belongs in the queue is a dead letter");
    assert_eq!(*shopping.served.lock().unwrap(), 100);
    assert!(sent < 40, "a hundred messages called the sick shop {sent} times in an hour");
}
