//! Mutants of the product: the seeds that must notice the one that is switched on.

use hostler_testkit::seeds;

use crate::seeds::run_with;
use crate::site::{Chaos, ChaosRates, is_patched};

/// Among these are the seeds in which a mutant has to show itself.
const SEEDS: std::ops::Range<u64> = 1..41;

/// Among these are those in which a vulnerability is published, each of which takes longer.
const PATCHED_SEEDS: std::ops::Range<u64> = 1..11;

/// Without a mutant they are quiet. The test of mutants runs this with one switched on, and has it fail.
#[test]
fn the_seeds_that_look_for_mutants_are_quiet_without_one() {
    let rates = ChaosRates { dependency: 3_500, give_way: 3_000, stall: 150, ..ChaosRates::EVERYTHING };
    for seed in SEEDS.filter(|seed| !is_patched(*seed)) {
        let run = || {
            run_with(Chaos { rates, ..Chaos::seeded(seed) }, |site| site.plan(seed, (8, 6, 2), 80));
        };
        if let Some(why) = seeds::notices(run) {
            panic!("seed {seed}: {why}");
        }
    }
}

/// The same for what patches, in small fleets of which little is given back before.
#[test]
fn the_patched_seeds_that_look_for_mutants_are_quiet_without_one() {
    for seed in PATCHED_SEEDS.filter(|seed| is_patched(*seed)) {
        let run = || drop(run_with(Chaos::seeded(seed), |site| site.plan(seed, (12, 11, 1), 2)));
        if let Some(why) = seeds::notices(run) {
            panic!("seed {seed}: {why}");
        }
    }
}
