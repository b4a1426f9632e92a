//! Figures: how many sagas complete when steps fail.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_domain::Provisioning;
use hostler_testkit::seeds::{Seeds, Tally, in_one_thread};

use crate::seeds::run_with;
use crate::site::{Chaos, ChaosRates, Ended, STORE, Site, Triaged};

const MINUTE: Duration = Duration::from_secs(60);

/// Seeds of a hundred sagas each that are enough for a share of sagas.
const SEEDS: u64 = 10;

/// Seeds for the other figures: as many as are asked for, or a few.
fn seeds() -> u64 {
    std::env::var("HOSTLER_SIM_FIGURES").ok().and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// Of all calls of step drivers 22 % fail, each by itself, and may work later; there are hosts for everybody.
#[test]
fn with_22_percent_of_step_calls_failing_nearly_all_sagas_complete_and_all_end() {
    let rates = ChaosRates { dependency: 2_200, ..ChaosRates::CALM };
    let run =
        |seed| run_with(Chaos { rates, ..Chaos::seeded(seed) }, |site| site.plan(seed, (120, 25, 4), 0));
    let Tally { runs, sum, failed, .. }: Tally<Ended> = Seeds::of(1..SEEDS + 1).run(run);
    assert!(failed.is_empty(), "{failed:?}");
    let (sagas, ended) = (runs * 100, sum.of::<Provisioning>());
    println!("{sagas} sagas: {ended:?}");
    assert_eq!(ended.completed + ended.compensated, sagas, "completed or compensated");
    assert!(ended.completed * 1_000 >= sagas * 997, "{} of {sagas} completed", ended.completed);
}

/// Messages are given up after three receives, so that one call in ten which fails makes dead letters. What may pass is
/// retried by triage without anybody's help.
#[test]
fn most_dead_lettered_transients_are_handled_in_the_end_without_an_operator() {
    let rates = ChaosRates { fail: 1_000, fail_read: 1_000, ..ChaosRates::CALM };
    let triaged = triaged("one call in ten fails for 6 h", rates, |_| {});
    assert!(triaged.failures > 50 * seeds() / 2, "there is something to retry: {triaged:?}");
    assert!(triaged.by_itself * 100 >= triaged.failures * 78, "{triaged:?}");
}

/// The event store does not answer for half an hour, and every message of that time is given up after three receives.
#[test]
fn an_outage_of_half_an_hour_needs_no_operator_for_most_of_its_dead_letters() {
    let triaged = triaged("the store is away for 30 min", ChaosRates::CALM, |site| {
        site.outages.take_away_in(30 * MINUTE, STORE, 30 * MINUTE);
    });
    assert!(triaged.failures > 10 * seeds(), "there is something to retry: {triaged:?}");
    assert!(triaged.by_itself * 100 >= triaged.failures * 78, "{triaged:?}");
}

/// Nothing goes wrong by chance, and no message is given up soon: not one that is delivered again and again although it was
/// handled, either.
fn calm(seed: u64) -> Chaos {
    Chaos { rates: ChaosRates::CALM, receives_max: 30, ..Chaos::seeded(seed) }
}

/// What an hour without one dependency came to.
#[derive(Debug, Default)]
struct Outage {
    completed: u64,
    compensated: u64,
    dead_letters: u64,
    calls: u64,
    failed_calls: u64,
}

/// One dependency is down for an hour, while a hundred sagas of a seed are at work.
fn outage(dependency: &'static str, breakers_off: bool) -> Outage {
    let mut outage = Outage::default();
    for seed in 1..seeds() + 1 {
        in_one_thread(async {
            let mut site = Site::in_chaos(calm(seed), breakers_off);
            site.plan(seed, (120, 25, 4), 0);
            site.outages.take_away_in(50 * MINUTE, dependency, 60 * MINUTE);
            let ended = site.run_and_check().await;
            let ends = ended.of::<Provisioning>();
            outage.completed += ends.completed;
            outage.compensated += ends.compensated;
            outage.dead_letters += ended.triaged.failures;
            let calls = site.switch.calls();
            outage.calls += calls.get(dependency).map_or(0, |calls| calls.0);
            outage.failed_calls += calls.get(dependency).map_or(0, |calls| calls.1);
        });
    }
    println!(
        "{dependency} is down for an hour, breakers {}: {outage:?}",
        if breakers_off { "off" } else { "on" }
    );
    outage
}

#[test]
fn an_hour_without_a_dependency_is_waited_out_and_the_sick_one_is_left_alone() {
    for dependency in ["configuration", "monitoring", "bmc"] {
        let (on, off) = (outage(dependency, false), outage(dependency, true));
        assert_eq!(on.completed, seeds() * 100, "{dependency}: all complete after it returns");
        assert_eq!(
            on.dead_letters, 0,
            "{dependency}: nothing in a dead-letter queue that belongs in its queue"
        );
        assert!(on.failed_calls < off.failed_calls, "{dependency}: {on:?} {off:?}");
    }
}

/// The stream lags again and again, minutes at a time, so that questions and their deadlines come late, and together: a deadline
/// counts from when its question goes out. Only an answer that lags for longer than its step has costs an attempt.
#[test]
fn a_stream_that_lags_again_and_again_costs_few_sagas_their_steps() {
    // A few sagas fail together, when four lags in a row hit one step: a few runs say little.
    let runs_wanted = 10 * seeds();
    let rates = ChaosRates { lag: 1_000, ..ChaosRates::CALM };
    let run = |seed| run_with(Chaos { rates, ..calm(seed) }, |site| site.plan(seed, (120, 25, 4), 0));
    let Tally { runs, sum, failed, .. }: Tally<Ended> = Seeds::of(1..runs_wanted + 1).run(run);
    assert!(failed.is_empty(), "{failed:?}");
    let count = |what: &str| sum.reached.0.get(what).copied().unwrap_or_default();
    let (lags, lost) = (count("the stream lags"), count("provisioning: saga.deadline-exceeded"));
    let ended = sum.of::<Provisioning>();
    println!("the stream lags {lags} times in {runs} runs: {lost} attempts were lost, {ended:?}");
    assert!(lags > 20 * runs, "{lags}");
    assert!(ended.completed * 1_000 >= runs * 100 * 995, "at least 99.5 % complete: {ended:?}");
    assert_eq!(ended.stuck, 0);
    // No step of a provisioning has fewer than four tries.
    assert!(
        lost >= 4 * ended.compensated,
        "what is undone lost its tries to lags: {lost} were lost, {ended:?}"
    );
}

/// One message in a hundred is joined by one that nobody can read: what all of that costs beside what the others cost.
#[test]
fn one_percent_of_poison_costs_little_beside_the_healthy_flow() {
    let run = |percent: u8| {
        let (mut calls, mut delivered, mut failures) = (BTreeMap::<&str, u64>::new(), 0, 0);
        for seed in 1..seeds() + 1 {
            in_one_thread(async {
                let mut site = Site::in_chaos(Chaos { poison_percent: percent, ..calm(seed) }, false);
                site.plan(seed, (120, 25, 4), 0);
                let ended = site.run_and_check().await;
                assert_eq!(ended.of::<Provisioning>().completed, 100, "poison costs itself only");
                for (what, count) in &site.port_calls {
                    *calls.entry(*what).or_default() += count;
                }
                delivered += site.delivered;
                failures += ended.triaged.failures;
            });
        }
        (calls, delivered, failures)
    };
    let (calls, delivered, none) = run(0);
    let (poisoned, _, failures) = run(1);
    assert_eq!(none, 0);
    assert!(failures * 150 > delivered, "about one in a hundred: {failures}");
    let triage =
        |what: &str| ["failures", "dead letters", "timers", "project-views", "outbox"].contains(&what);
    let sum = |calls: &BTreeMap<&str, u64>, of_triage: bool| -> u64 {
        calls.iter().filter(|(what, _)| triage(what) == of_triage).map(|(_, count)| count).sum()
    };
    let (flow, flow_poisoned) = (sum(&calls, false), sum(&poisoned, false));
    let more = 100.0 * (flow_poisoned as f64 / flow as f64 - 1.0);
    println!(
        "{failures} poison messages beside {delivered}: the functions themselves make {flow} port calls without, {flow_poisoned} with them ({more:.1} % more)"
    );
    let of = |calls: &BTreeMap<&str, u64>, what| calls.get(what).copied().unwrap_or(0) as f64;
    // It may be fewer: the two runs differ in what goes together in a batch.
    let each = |what| (of(&poisoned, what) - of(&calls, what)) / failures as f64;
    for what in ["dead letters", "failures", "timers", "outbox", "project-views"] {
        println!("  {what}: {:.1} port calls more for each of them", each(what));
    }
    assert!(flow_poisoned * 100 < flow * 105, "{more:.1} %");
}

fn triaged(what: &str, rates: ChaosRates, prepare: impl Fn(&mut Site) + Sync) -> Triaged {
    let run = |seed| {
        run_with(Chaos { rates, receives_max: 3, ..Chaos::seeded(seed) }, |site| {
            site.plan(seed, (40, 25, 4), 0);
            prepare(site);
        })
    };
    let Tally { sum, failed, .. }: Tally<Ended> = Seeds::of(1..seeds() + 1).run(run);
    assert!(failed.is_empty(), "{failed:?}");
    let triaged = sum.triaged;
    let share = 100.0 * triaged.by_itself as f64 / triaged.failures as f64;
    println!(
        "{what}: {share:.1} % of {} dead letters handled without an operator; {triaged:?}",
        triaged.failures
    );
    triaged
}
