//! Many seeds: `HOSTLER_SIM_SEEDS=1..1001 cargo test -p hostler-example-orders --test simulation no_seed`.

use std::sync::Arc;

use hostler::testkit::seeds::{Seeds, Tally, in_one_thread};
use hostler::testkit::world::{Chaos, Ended};
use orders::order::OrderSaga;

use crate::shop::Run;

/// The seeds that are run when nobody says which, as long as they are begun within so many seconds.
const SEEDS: std::ops::Range<u64> = 1..9;
const SECONDS: u64 = 15;
const ORDERS: u64 = 20;

fn run(seed: u64) -> Ended {
    in_one_thread(Run::new(Chaos::seeded(seed), ORDERS, |payments| Arc::new(payments)).run())
}

#[test]
fn no_seed_breaks_a_promise_of_the_shop() {
    let tally: Tally<Ended> = Seeds::from_env(SEEDS, SECONDS).run(run);
    tally.report("shop", "cargo test -p hostler-example-orders --test simulation no_seed");
    let ends = tally.sum.of::<OrderSaga>();
    assert_eq!(ends.completed + ends.compensated, tally.runs * ORDERS, "every order has ended: {ends:?}");
    assert!(ends.completed > 0 && ends.compensated > 0, "some of each: {ends:?}");
}

#[test]
fn one_seed_is_one_run_of_the_shop() {
    assert_eq!(run(2), run(2));
    assert_ne!(run(2).hash, run(3).hash);
}
