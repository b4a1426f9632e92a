//! Effects on the outside world happen once.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use hostler_core::Failure;
use hostler_runtime::effects::once::{Fence, NotTried, Once, OnceError};
use hostler_runtime::effects::once::{payload_hash, powertools_key};
use hostler_testkit::memory::MemoryLeases;
use hostler_testkit::{SeededIds, TestClock};
use serde_json::{Value, json};

const KEY: &str = "bmc/h-1/boot";

struct Fixture {
    clock: TestClock,
    leases: MemoryLeases,
    once: Once,
    /// How often the effect was done.
    done: Cell<u32>,
}

impl Fixture {
    fn new() -> Self {
        let (clock, leases) = (TestClock::default(), MemoryLeases::default());
        let ids = Arc::new(SeededIds::default());
        let once = Once::new(Arc::new(leases.clone()), Arc::new(clock.clone()), ids);
        Self { clock, leases, once, done: Cell::new(0) }
    }

    /// Does the effect, whose result is how often it was done.
    async fn run(&self) -> Result<u32, OnceError<&'static str>> {
        self.run_with(&json!({ "image": "debian" }), async |_| Ok(self.effect())).await
    }

    async fn run_with(
        &self,
        payload: &Value,
        effect: impl AsyncFnOnce(Fence) -> Result<u32, &'static str>,
    ) -> Result<u32, OnceError<&'static str>> {
        self.once.run(KEY, payload, effect).await
    }

    fn effect(&self) -> u32 {
        self.done.set(self.done.get() + 1);
        self.done.get()
    }
}

fn is_busy(result: &Result<u32, OnceError<&'static str>>) -> bool {
    matches!(result, Err(OnceError::NotTried(NotTried::InProgress { .. })))
}

/// Given an effect that was done, when it is asked for again, then its recorded result is given and nothing is done.
#[tokio::test]
async fn a_finished_effect_replays_its_result() {
    let fixture = Fixture::new();
    assert_eq!(fixture.run().await.unwrap(), 1);
    fixture.clock.advance_seconds(3_600);
    assert_eq!(fixture.run().await.unwrap(), 1);
    assert_eq!(fixture.done.get(), 1);
}

/// Given a result older than what can ask for it, when it is asked for, then the row is void although nobody removed it.
#[tokio::test]
async fn an_expired_row_is_judged_by_its_time() {
    let fixture = Fixture::new();
    fixture.run().await.unwrap();
    // A message may wait so long, on its queue and among dead letters.
    fixture.clock.advance(Duration::from_hours(14 * 24));
    assert_eq!(fixture.run().await.unwrap(), 1);
    fixture.clock.advance(Duration::from_hours(25));
    assert_eq!(fixture.run().await.unwrap(), 2);
}

/// Given an effect under way, when another worker asks for it, then it waits without using up an attempt.
#[tokio::test]
async fn what_another_worker_is_at_is_left_to_it_and_asked_for_later() {
    let fixture = Fixture::new();
    let payload = json!({ "image": "debian" });
    let inner = fixture.run_with(&payload, async |_| {
        let other = fixture.run().await;
        assert!(is_busy(&other), "{other:?}");
        let Err(OnceError::NotTried(other)) = other else { unreachable!() };
        assert!(matches!(Failure::from(other), Failure::Deferred { .. }));
        Ok(fixture.effect())
    });
    assert_eq!(inner.await.unwrap(), 1);
    assert_eq!(fixture.run().await.unwrap(), 1);
}

/// Given an effect that failed, when it is asked for again, then it is tried again at once.
#[tokio::test]
async fn after_a_failure_the_lease_is_given_back() {
    let fixture = Fixture::new();
    let failed = fixture.run_with(&json!({ "image": "debian" }), async |_| Err("no power")).await;
    assert!(matches!(failed, Err(OnceError::Effect("no power"))));
    assert_eq!(fixture.run().await.unwrap(), 1);
}

/// Given a worker that died before, in or after the effect, when its lease has run out, then another one takes over; not
/// before.
#[tokio::test]
async fn the_lease_of_a_dead_worker_runs_out() {
    let fixture = Fixture::new();
    let payload = json!({ "image": "debian" });
    let dies = fixture.run_with(&payload, async |_| std::future::pending().await);
    assert!(tokio::time::timeout(Duration::from_millis(5), dies).await.is_err());
    fixture.clock.advance_seconds(35);
    assert!(is_busy(&fixture.run().await));
    fixture.clock.advance_seconds(1);
    assert_eq!(fixture.run().await.unwrap(), 1);
}

/// Given a worker that comes back after its lease was taken over, when it records its result, then the newer one's
/// stands; and its fence is the older one.
#[tokio::test]
async fn a_late_owner_cannot_overwrite_a_newer_one() {
    let fixture = Fixture::new();
    let payload = json!({ "image": "debian" });
    let fences = std::cell::RefCell::new(Vec::new());
    let zombie = fixture.run_with(&payload, async |fence| {
        fences.borrow_mut().push(fence);
        fixture.clock.advance_seconds(36);
        let newer = fixture.run_with(&payload, async |fence| {
            fences.borrow_mut().push(fence);
            Ok(7)
        });
        assert_eq!(newer.await.unwrap(), 7);
        Ok(13)
    });
    assert_eq!(zombie.await.unwrap(), 13, "it did what it did");
    assert_eq!(fixture.run().await.unwrap(), 7, "and what is recorded is the newer one's");
    let fences = fences.into_inner();
    assert!(fences[0] < fences[1], "{fences:?}");
}

/// Given a late owner whose effect failed, when it gives its lease back, then the newer owner's stays.
#[tokio::test]
async fn a_late_owner_cannot_give_back_a_newer_ones_lease() {
    let fixture = Fixture::new();
    let payload = json!({ "image": "debian" });
    let zombie = fixture.run_with(&payload, async |_| {
        fixture.clock.advance_seconds(36);
        let newer = fixture.run_with(&payload, async |_| std::future::pending().await);
        assert!(tokio::time::timeout(Duration::from_millis(5), newer).await.is_err());
        Err("too late")
    });
    assert!(matches!(zombie.await, Err(OnceError::Effect("too late"))));
    assert!(is_busy(&fixture.run().await), "the newer one is at it");
}

/// Given a key, when it is used for another payload, then that is an error: while it is done, when it is done, and after
/// its lease ran out.
#[tokio::test]
async fn the_same_key_for_something_else_is_an_error_on_every_path() {
    let mismatch = |result: Result<u32, OnceError<&'static str>>| {
        let Err(OnceError::NotTried(error @ NotTried::PayloadMismatch { .. })) = result else {
            panic!("{result:?}")
        };
        assert!(error.to_string().contains("payload mismatch"));
        assert!(matches!(Failure::from(error), Failure::Terminal { .. }));
    };
    let (fixture, payload, other) =
        (Fixture::new(), json!({ "image": "debian" }), json!({ "image": "fedora" }));
    let first = fixture.run_with(&payload, async |_| {
        mismatch(fixture.run_with(&other, async |_| Ok(0)).await);
        fixture.clock.advance_seconds(36);
        mismatch(fixture.run_with(&other, async |_| Ok(0)).await);
        Ok(1)
    });
    assert_eq!(first.await.unwrap(), 1);
    mismatch(fixture.run_with(&other, async |_| Ok(0)).await);
}

/// Given a table that does not answer, when an effect is asked for, then it is not done, or done and found by the repeat
/// once its lease ran out.
#[tokio::test]
async fn lost_calls_to_the_table_never_do_an_effect_twice_at_once() {
    let fixture = Fixture::new();
    fixture.leases.faults().fail_next(1);
    assert!(matches!(fixture.run().await, Err(OnceError::NotTried(NotTried::Port(_)))));
    fixture.leases.faults().lose_answer_next(1);
    assert!(fixture.run().await.is_err());
    assert_eq!(fixture.done.get(), 0);
    assert!(is_busy(&fixture.run().await), "nobody knows whether the first one is at it");
    fixture.clock.advance_seconds(36);
    // The result is recorded, and its answer is lost.
    fixture.leases.faults().pass_next(1);
    fixture.leases.faults().lose_answer_next(1);
    assert_eq!(fixture.run().await.unwrap(), 1);
    assert_eq!(fixture.run().await.unwrap(), 1);
    assert_eq!(fixture.done.get(), 1);
}

/// Keys and hashes are those that Powertools for Python 3.37 computed for the same values.
#[test]
fn keys_and_hashes_are_those_of_powertools() {
    let identity =
        json!({ "order": 42, "name": "Zoë \"the\" ✓ 🚀", "lines": [1, true, null, { "b": 1, "a": 2 }] });
    assert_eq!(powertools_key("orders", &identity), "orders#3da55e98b243047c7ef10824ea276206");
    assert_eq!(payload_hash(&json!([])), "d751713988987e9331980363e24189ce");
    // What Python escapes and we do not, and floats of all sizes: by Python 3.13's `json.dumps(…, sort_keys=True)`.
    let odd = json!([
        "\u{7f}\u{1f}\0\u{80}é", 1e-7, 1.5e-5, 0.0001, 1e15, 1e16, 1.5e16, 123_456_789_012_345_680.0, 5e-324, f64::MAX, -0.0, 1e22,
        0.1 + 0.2, -2.5e-10, 100.0, { "\u{7f}": 1, "a": 2 },
    ]);
    assert_eq!(payload_hash(&odd), "48f0adcc6d2ffbb2df0a776e9d353066");
}
