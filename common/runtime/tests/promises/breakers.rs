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

struct Fixture {
    clock: TestClock,
    control: MemoryControl,
}

impl Fixture {
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
    let fixture = Fixture::new();
    let breakers = fixture.process();
    for n in 0..500 {
        assert!(call(&breakers, (n % 10 == 0).then_some("hiccup")).await);
        fixture.pass(1);
    }
    assert!(fixture.control.entries().is_empty());
}

#[tokio::test]
async fn what_one_process_finds_out_the_fleet_knows_within_seconds() {
    let fixture = Fixture::new();
    let (one, other) = (fixture.process(), fixture.process());
    assert!(call(&other, None).await);
    break_it(&one).await;
    let open = one.admit(SHOP).await.unwrap_err();
    assert!(open.to_string().contains("no answer"), "{open}");
    assert!(matches!(Failure::from(open), Failure::Deferred { .. }));
    fixture.pass(5);
    assert!(!call(&other, None).await);
    let listed = fixture.control.entries()[INDEX].value.clone();
    assert!(listed[SHOP].is_string(), "operators find it: {listed}");
}

#[tokio::test]
async fn one_of_all_is_elected_to_probe_and_its_call_decides() {
    let fixture = Fixture::new();
    let (one, other) = (fixture.process(), fixture.process());
    break_it(&one).await;
    fixture.pass(300);
    let permit = one.admit(SHOP).await.unwrap();
    assert!(other.admit(SHOP).await.is_err(), "one at a time");
    assert!(one.admit(SHOP).await.is_err(), "one at a time");
    one.tell(permit, Some("still no answer")).await;
    assert!(one.admit(SHOP).await.is_err());
    fixture.pass(300);
    let permit = other.admit(SHOP).await.unwrap();
    other.tell(permit, None).await;
    assert!(call(&other, None).await);
    fixture.pass(5);
    assert!(call(&one, Some("what was before does not count")).await);
    assert!(call(&one, None).await);
}

#[tokio::test]
async fn a_probe_that_nobody_hears_of_is_replaced() {
    let fixture = Fixture::new();
    let (one, other) = (fixture.process(), fixture.process());
    break_it(&one).await;
    fixture.pass(300);
    let _lost = one.admit(SHOP).await.unwrap();
    fixture.pass(59);
    assert!(other.admit(SHOP).await.is_err());
    fixture.pass(6);
    assert!(other.admit(SHOP).await.is_ok());
}

#[tokio::test]
async fn calls_are_made_when_control_is_away() {
    let fixture = Fixture::new();
    let breakers = fixture.process();
    fixture.control.faults().fail_reads_next(1_000);
    fixture.control.faults().fail_next(1_000);
    for _ in 0..3 * CALLS_MIN {
        assert!(call(&breakers, Some("no answer")).await);
    }
    fixture.control.faults().clear();
    fixture.pass(5);
    assert!(call(&breakers, Some("no answer")).await);
    assert!(!call(&breakers, None).await, "as soon as it can be shared, it is");
}

#[tokio::test]
async fn an_operator_overrides_what_the_calls_say() {
    let fixture = Fixture::new();
    let breakers = fixture.process();
    let forced = |open| {
        let until = fixture.clock.now() + SignedDuration::from_mins(10);
        let (actor, reason) = ("operator".to_owned(), "maintenance".to_owned());
        Breaker { forced: Some(Override { open, until, actor, reason }), ..Breaker::default() }
    };
    fixture.control.put(&key(SHOP), &json!(forced(true)), 0).await.unwrap();
    let open = breakers.admit(SHOP).await.unwrap_err();
    assert!(open.to_string().contains("operator wants it so: maintenance"), "{open}");
    fixture.control.put(&key(SHOP), &json!(forced(false)), 1).await.unwrap();
    fixture.pass(5);
    for _ in 0..3 * CALLS_MIN {
        assert!(call(&breakers, Some("no answer")).await);
    }
    fixture.pass(600);
    assert!(fixture.stored().unwrap().forced.is_some(), "what an operator said is kept");
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
    let fixture = Fixture::new();
    let queues = MemoryQueues::new(&fixture.clock, ["orders", "orders-dlq"]);
    queues.set_redrive("orders", Redrive { to: "orders-dlq".to_owned(), receives_max: 3 });
    let shopping = Shopping {
        breakers: fixture.process(),
        away: AtomicBool::new(true),
        calls: AtomicU32::new(0),
        served: Mutex::new(0),
    };
    let (clock, ids) = (Arc::new(fixture.clock.clone()), Arc::new(SeededIds::default()));
    let batch = Batch::new("shopping", "orders", Arc::new(queues.clone()), clock, ids);
    let body = serde_json::to_string(&sample::envelope("order#1", "order.placed", json!({}))).unwrap();
    let message = Outbound { body, ..Outbound::default() };
    assert!(queues.send("orders", &vec![message; 100]).await.iter().all(Result::is_ok));
    let back_at = fixture.clock.now() + SignedDuration::from_hours(1);
    let mut sent = 0;
    while let Some(next) = queues.next_visible_at() {
        if queues.len("orders") == 0 {
            break;
        }
        fixture.clock.set(next.max(fixture.clock.now()));
        if fixture.clock.now() >= back_at && shopping.away.swap(false, Ordering::Relaxed) {
            sent = shopping.calls.load(Ordering::Relaxed);
        }
        deliver(&queues, "orders", &batch, &shopping, Duration::from_secs(30)).await;
    }
    assert_eq!(queues.len("orders-dlq"), 0, "nothing that belongs in the queue is a dead letter");
    assert_eq!(*shopping.served.lock().unwrap(), 100);
    assert!(sent < 40, "a hundred messages called the sick shop {sent} times in an hour");
}
