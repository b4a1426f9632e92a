//! Many seeds, on all cores, each seed in one thread.

use hostler_domain::Provisioning;
use hostler_testkit::seeds::{Seeds, Tally, in_one_thread};

use crate::site::{Chaos, Ended, Site};

/// How long seeds are begun when nobody says so.
const SECONDS: u64 = 60;

/// One run of a hundred sagas over forty hosts: faults for six hours, then calm until all has settled.
pub fn run(seed: u64) -> Ended {
    run_with(Chaos::seeded(seed), |site| site.plan(seed, (40, 25, 4), 20))
}

/// One run of what is planned.
pub fn run_with(chaos: Chaos, plan: impl FnOnce(&mut Site)) -> Ended {
    in_one_thread(async {
        let mut site = Site::in_chaos(chaos, false);
        plan(&mut site);
        site.run_and_check().await
    })
}

#[test]
fn no_seed_breaks_a_promise() {
    let tally: Tally<Ended> = Seeds::from_env(1..u64::MAX, SECONDS).run(run);
    tally.report("simulation", "cargo test -p hostler-tests --test simulation no_seed");
    assert_eq!(tally.sum.of::<Provisioning>().all(), tally.runs * 100, "every saga has ended");
}

#[test]
fn one_seed_is_one_run() {
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).hash, run(8).hash);
}
