//! Figures: how many sagas complete when steps fail.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_runtime::ports::Clock;
use jiff::SignedDuration;

use crate::seeds::{Tally, run_all, run_with};
use crate::site::{Chaos, Rates, Triaged};

/// Seeds of a hundred sagas each that are enough for a share of sagas.
const SEEDS: u64 = 10;

/// Seeds for the other figures: as many as are asked for, or a few.
fn seeds() -> u64 {
    std::env::var("HOSTLER_SIM_FIGURES").ok().and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// Of all calls of step drivers 22 % fail, each by itself, and may work later; there are hosts for everybody.
#[test]
fn with_22_percent_of_step_calls_failing_nearly_all_sagas_complete_and_all_end() {
    let rates = Rates { driver: 2_200, ..Rates::default() };
    let run = |seed| run_with(seed, |chaos| chaos.plan(120, 25, 4, 0), rates);
    let Tally { runs, ended, failed, .. } = run_all(1..SEEDS + 1, Duration::MAX, 2, run);
    assert!(failed.is_empty(), "{failed:?}");
    let sagas = runs * 100;
    println!("{sagas} sagas: {ended:?}");
    assert_eq!(ended.completed + ended.compensated, sagas, "completed or compensated");
    assert!(ended.completed * 1_000 >= sagas * 997, "{} of {sagas} completed", ended.completed);
}

/// Messages are given up after three receives, so that one call in ten which fails makes dead letters. What may pass is
/// retried by triage without anybody's help.
#[test]
fn most_dead_lettered_transients_are_handled_in_the_end_without_an_operator() {
    let rates = Rates { fail: 1_000, fail_read: 1_000, ..Rates::default() };
    let triaged = triaged("one call in ten fails for 6 h", rates, |_| {});
    assert!(triaged.failures > 50 * seeds() / 2, "there is something to retry: {triaged:?}");
    assert!(triaged.by_itself * 100 >= triaged.failures * 78, "{triaged:?}");
}

/// The event store does not answer for half an hour, and every message of that time is given up after three receives.
#[test]
fn an_outage_of_half_an_hour_needs_no_operator_for_most_of_its_dead_letters() {
    let triaged = triaged("the store is away for 30 min", Rates::default(), |chaos| {
        let from = chaos.site.clock.now() + SignedDuration::from_mins(30);
        chaos.site.switch.take_down("store", from, from + SignedDuration::from_mins(30));
    });
    assert!(triaged.failures > 10 * seeds(), "there is something to retry: {triaged:?}");
    assert!(triaged.by_itself * 100 >= triaged.failures * 78, "{triaged:?}");
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut chaos = Chaos::with(seed, Rates::default(), breakers_off);
            chaos.plan(120, 25, 4, 0);
            chaos.give_up_after(30);
            let from = chaos.site.clock.now() + SignedDuration::from_mins(50);
            chaos.site.switch.take_down(dependency, from, from + SignedDuration::from_hours(1));
            let ended = chaos.run().await;
            outage.completed += ended.completed;
            outage.compensated += ended.compensated;
            outage.dead_letters += ended.triaged.failures;
            let calls = chaos.site.switch.calls();
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

/// One message in a hundred is joined by one that nobody can read: what all of that costs beside what the others cost.
#[test]
fn one_percent_of_poison_costs_little_beside_the_healthy_flow() {
    let run = |percent: u8| {
        let (mut calls, mut delivered, mut failures) = (BTreeMap::<&str, u64>::new(), 0, 0);
        for seed in 1..seeds() + 1 {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let mut chaos = Chaos::new(seed, Rates::default());
                chaos.plan(120, 25, 4, 0);
                // A message that is delivered again and again although it was handled is no poison.
                chaos.give_up_after(30);
                chaos.poison(percent);
                let ended = chaos.run().await;
                assert_eq!(ended.completed, 100, "poison costs itself only");
                for (what, count) in &chaos.port_calls {
                    *calls.entry(*what).or_default() += count;
                }
                delivered += chaos.delivered;
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
    let each = |what| {
        (poisoned.get(what).copied().unwrap_or(0) - calls.get(what).copied().unwrap_or(0)) as f64
            / failures as f64
    };
    for what in ["dead letters", "failures", "timers", "outbox", "project-views"] {
        println!("  {what}: {:.1} port calls more for each of them", each(what));
    }
    assert!(flow_poisoned * 100 < flow * 105, "{more:.1} %");
}

fn triaged(what: &str, rates: Rates, prepare: impl Fn(&mut Chaos) + Sync) -> Triaged {
    let run = |seed| {
        let plan = |chaos: &mut Chaos| {
            chaos.plan(40, 25, 4, 0);
            chaos.give_up_after(3);
            prepare(chaos);
        };
        run_with(seed, plan, rates)
    };
    let Tally { ended, failed, .. } = run_all(1..seeds() + 1, Duration::MAX, 2, run);
    assert!(failed.is_empty(), "{failed:?}");
    let triaged = ended.triaged;
    let share = 100.0 * triaged.by_itself as f64 / triaged.failures as f64;
    println!(
        "{what}: {share:.1} % of {} dead letters handled without an operator; {triaged:?}",
        triaged.failures
    );
    triaged
}
