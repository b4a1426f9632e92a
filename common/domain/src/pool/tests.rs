//! Rules of scaling.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

use hostler_core::Payload;
use hostler_events::pool::{MetricReading, ScalingDecided};
use hostler_events::scaling::{CostPolicy, GrowthPolicy, ScalingPolicy};
use hostler_events::signal::{Direction, SignalHeader, SignalStatus};
use hostler_events::site::{Autonomy, PoolPolicy};
use proptest::prelude::*;

use super::*;
use crate::host::Phase;
use crate::testing::{Run, id};

type Pool = Run<PoolDecider>;

/// Two metrics, 2 to 40 hosts, no window for growing, 300 s for shrinking.
fn scaling() -> ScalingPolicy {
    serde_json::from_value(serde_json::json!({
        "autonomy": "auto", "metrics": ["load", "queue"], "min": 2, "max": 40,
    }))
    .unwrap()
}

/// A pool of 100 hosts, of which so many are in service, on four racks, and so many free.
fn facts(in_service: u32, free: u32) -> PoolFacts {
    let policy: PoolPolicy =
        serde_json::from_value(serde_json::json!({ "role": "web", "image": "debian-12", "hosts": 100 }))
            .unwrap();
    let host = |n: u32, phase: Phase| PoolHost {
        host: id(&format!("h-{n:03}")),
        phase,
        rack: id(&format!("r-{}", n % 4)),
        saga: None,
        stays: false,
    };
    let hosts = (0..in_service).map(|n| host(n, Phase::InService));
    let hosts = hosts.chain((in_service..in_service + free).map(|n| host(n, Phase::Available))).collect();
    with(PoolFacts {
        pool: id("web"),
        policy,
        scaling: scaling(),
        budget: hostler_events::site::BudgetPolicy::default(),
        power_domains: std::collections::BTreeMap::new(),
        policy_version: 3,
        provisioning: hostler_events::ProvisioningPolicy::default(),
        hosts,
    })
}

/// The two places where the policy is agree.
fn with(mut facts: PoolFacts) -> PoolFacts {
    facts.policy.scaling = Some(facts.scaling.clone());
    facts
}

fn changed(mut facts: PoolFacts, change: impl Fn(&mut ScalingPolicy)) -> PoolFacts {
    change(&mut facts.scaling);
    with(facts)
}

struct Says<'a> {
    metric: &'a str,
    direction: Direction,
    status: SignalStatus,
    value: Option<(f64, f64)>,
}

fn above(metric: &str, ratio: f64) -> Says<'_> {
    Says { metric, direction: Direction::Above, status: SignalStatus::Firing, value: Some((ratio, 1.0)) }
}

fn below(metric: &str, ratio: f64) -> Says<'_> {
    Says { direction: Direction::Below, ..above(metric, ratio) }
}

fn over(of: Says<'_>) -> Says<'_> {
    Says { status: SignalStatus::Resolved, ..of }
}

/// What a source says now. Each metric has one source for each side of its threshold.
fn report(pool: &Pool, of: &Says<'_>) -> ReportThreshold {
    ReportThreshold {
        pool: id("web"),
        header: SignalHeader {
            source: "alertmanager".to_owned(),
            fingerprint: format!("{}-{:?}", of.metric, of.direction),
            status: of.status,
            starts_at: pool.now,
            observed_at: pool.now,
            expires_at: after(pool.now, 900),
        },
        metric: id(of.metric),
        value: of.value.map(|(value, _)| value),
        threshold: of.value.map(|(_, threshold)| threshold),
        direction: of.direction,
    }
}

fn signal(pool: &Pool, of: &Says<'_>, facts: &PoolFacts) -> PoolInput {
    PoolInput::Signal { report: Box::new(report(pool, of)), facts: Box::new(facts.clone()) }
}

fn hears(pool: &mut Pool, of: &Says<'_>, facts: &PoolFacts) -> Vec<&'static str> {
    let input = signal(pool, of, facts);
    pool.names(&input)
}

fn look(facts: &PoolFacts) -> PoolInput {
    PoolInput::Look { due: None, facts: Box::new(facts.clone()) }
}

fn ended(ends: Vec<End>, facts: &PoolFacts) -> PoolInput {
    PoolInput::Ended { pool: id("web"), ends, facts: Some(Box::new(facts.clone())) }
}

fn pass(pool: &mut Pool, seconds: u32) {
    pool.now = after(pool.now, seconds);
}

fn last(pool: &Pool) -> ScalingDecided {
    pool.state.last.clone().unwrap()
}

fn rule(pool: &Pool) -> &str {
    pool.state.held.as_ref().map_or("none", |held| held.rule.as_str())
}

const DECIDED: [&str; 2] = ["pool.threshold-crossed", "pool.scaling-decided"];
const SUPPRESSED: [&str; 2] = ["pool.threshold-crossed", "pool.scaling-suppressed"];

/// Both metrics of a pool of so many hosts have said for the whole window that it has too many.
fn idle(in_service: u32, ratio: f64) -> (Pool, PoolFacts) {
    let facts = facts(in_service, 10);
    let mut pool = Pool::new();
    hears(&mut pool, &below("load", ratio), &facts);
    hears(&mut pool, &below("queue", ratio), &facts);
    pass(&mut pool, 300);
    (pool, facts)
}

/// What came of the provisionings of the last decision: all of them are in service.
fn all_arrive(pool: &mut Pool, facts: &mut PoolFacts) -> Vec<End> {
    let ids: Vec<ProvisioningId> = pool.state.in_flight.keys().cloned().collect();
    let mut ends = Vec::new();
    for provisioning in ids {
        let host = facts.hosts.iter_mut().find(|host| host.phase == Phase::Available).unwrap();
        host.phase = Phase::InService;
        host.saga = Some(crate::testing::saga_ref(provisioning.as_str()));
        ends.push(End::Arrived { provisioning, host: host.host.clone() });
    }
    ends
}

#[test]
fn one_metric_is_enough_to_grow_and_the_decision_holds_its_inputs() {
    let facts = facts(10, 30);
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &above("load", 1.5), &facts), DECIDED);
    let decided = last(&pool);
    assert_eq!((decided.direction, decided.recommended, decided.chosen), (ScalingDirection::Out, 15, 15));
    assert_eq!((decided.inputs.in_service, decided.inputs.free, decided.policy_version), (10, 30, 3));
    assert_eq!(decided.provisionings.len(), 5);
    let says: Vec<_> =
        decided.per_metric.iter().map(|said| (said.metric.as_str(), said.says, said.asks)).collect();
    assert_eq!(says, [("load", MetricReading::Above, Some(15)), ("queue", MetricReading::Missing, None)]);
    // The commit carries what it sets in motion.
    let PoolCommand::Saga(SagaCommand::Start(start)) = &pool.commands[0] else {
        panic!("{:?}", pool.commands)
    };
    assert_eq!((start.saga.to_string().as_str(), pool.commands.len()), ("provisioning#scale-web-1.1", 5));
    assert_eq!(
        (&start.order["image"], &start.order["request"]),
        (&"debian-12".into(), &"scale-web-1".into())
    );
}

#[test]
fn of_several_metrics_the_one_that_asks_for_most_counts() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    let slow = changed(facts, |scaling| scaling.up_seconds = 60);
    hears(&mut pool, &above("load", 1.5), &slow);
    hears(&mut pool, &above("queue", 1.9), &slow);
    assert_eq!(rule(&pool), "stabilisation");
    pass(&mut pool, 60);
    assert_eq!(pool.names(&look(&slow)), ["pool.scaling-decided"]);
    assert_eq!(last(&pool).chosen, 19);
}

#[test]
fn all_metrics_must_agree_to_shrink() {
    let facts = facts(10, 10);
    let mut pool = Pool::new();
    hears(&mut pool, &below("load", 0.5), &facts);
    hears(&mut pool, &over(above("queue", 1.0)), &facts);
    pass(&mut pool, 900);
    // One says so, and the other says nothing of the kind.
    assert!(pool.ignores(&look(&facts)));
    let (mut pool, facts) = idle(10, 0.5);
    assert_eq!(pool.names(&look(&facts)), ["pool.scaling-decided"]);
    assert_eq!((last(&pool).chosen, last(&pool).leaving.len()), (5, 5));
}

#[test]
fn a_missing_metric_blocks_shrinking_and_not_growing() {
    let facts = facts(10, 10);
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &below("load", 0.5), &facts), SUPPRESSED);
    assert_eq!(rule(&pool), "missing-metric");
    assert!(pool.state.held.as_ref().unwrap().lifts.contains("queue"));
    pass(&mut pool, 600);
    assert!(pool.ignores(&look(&facts)));
    // One that was known and was not heard of since its shelf life is missing as well.
    let (mut pool, facts) = idle(10, 0.5);
    let renewed = report(&pool, &below("load", 0.5));
    pass(&mut pool, 650);
    pool.when(&PoolInput::Signal {
        report: Box::new(ReportThreshold {
            header: SignalHeader {
                starts_at: pool.state.edges[0].header.starts_at,
                observed_at: pool.now,
                expires_at: after(pool.now, 900),
                ..renewed.header.clone()
            },
            ..renewed
        }),
        facts: Box::new(facts.clone()),
    })
    .unwrap();
    assert_eq!(rule(&pool), "missing-metric");
    assert_eq!(hears(&mut pool, &above("queue", 1.2), &facts), DECIDED);
}

#[test]
fn within_the_tolerance_nothing_changes() {
    let facts = facts(10, 10);
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &above("load", 1.1), &facts), ["pool.threshold-crossed"]);
    let (mut pool, facts) = idle(10, 0.95);
    assert!(pool.ignores(&look(&facts)));
    let (mut pool, facts) = idle(10, 0.85);
    assert_eq!(pool.names(&look(&facts)), ["pool.scaling-decided"]);
    assert_eq!(last(&pool).chosen, 9);
}

#[test]
fn a_signal_without_a_value_asks_for_one_step() {
    let silent = |of: Says<'static>| Says { value: None, ..of };
    let facts = changed(facts(10, 30), |scaling| scaling.step = 3);
    let mut pool = Pool::new();
    hears(&mut pool, &silent(above("load", 1.0)), &facts);
    assert_eq!(last(&pool).chosen, 13);
    // While they are on their way it asks for no more.
    pass(&mut pool, 60);
    assert!(pool.ignores(&look(&facts)));
    // It goes on to fire once they are there: one step more.
    let mut facts = facts;
    let ends = all_arrive(&mut pool, &mut facts);
    pool.when(&ended(ends, &facts)).unwrap();
    assert_eq!(rule(&pool), "cooldown");
    pass(&mut pool, 15);
    assert_eq!(pool.names(&look(&facts)), ["pool.scaling-decided"]);
    assert_eq!(last(&pool).chosen, 16);
}

#[test]
fn capacity_in_flight_counts() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 2.0), &facts);
    assert_eq!((last(&pool).chosen, pool.state.in_flight.len()), (20, 10));
    pass(&mut pool, 60);
    // The same load, measured again while they boot.
    assert_eq!(hears(&mut pool, &above("load", 2.0), &facts), ["pool.threshold-crossed"]);
    // More load: only what is missing.
    pass(&mut pool, 60);
    hears(&mut pool, &above("load", 2.5), &facts);
    assert_eq!((last(&pool).chosen, last(&pool).provisionings.len()), (25, 5));
}

#[test]
fn what_an_operator_has_requested_counts_once_it_holds_a_host() {
    let mut facts = facts(10, 60);
    for host in facts.hosts.iter_mut().filter(|host| host.phase == Phase::Available).take(4) {
        host.phase = Phase::Deploying;
        host.saga = Some(crate::testing::saga_ref("r-1.1"));
    }
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.5), &facts);
    assert_eq!((last(&pool).inputs.in_flight, last(&pool).provisionings.len()), (4, 1));
}

#[test]
fn a_host_counts_once_while_it_comes_into_service() {
    let mut facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.5), &facts);
    let count = |pool: &Pool, facts: &PoolFacts| facts.sizes(&pool.state, pool.now).counts;
    assert_eq!((count(&pool, &facts).in_service, count(&pool, &facts).in_flight), (10, 5));
    assert_eq!(count(&pool, &facts).free, 55, "five are promised");
    // The pool hears of it before a view shows it.
    let before = facts.clone();
    let ends = all_arrive(&mut pool, &mut facts);
    pool.when(&ended(ends, &before)).unwrap();
    assert_eq!((count(&pool, &before).in_service, count(&pool, &before).in_flight), (15, 0));
    assert_eq!((count(&pool, &facts).in_service, count(&pool, &facts).in_flight), (15, 0));
}

#[test]
fn a_pool_at_most_doubles_or_grows_by_four_in_fifteen_seconds() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 4.0), &facts);
    let first = last(&pool);
    assert_eq!((first.recommended, first.chosen), (40, 20));
    assert_eq!(
        (first.limits[0].rule.as_str(), first.limits[0].limit, first.limits[0].value),
        ("growth", 10, 30)
    );
    assert_eq!(first.look_at, Some(after(pool.now, 15)));
    assert_eq!(pool.timers[0].name, format!("look:{}", after(pool.now, 15)));
    pass(&mut pool, 14);
    let due = first.look_at;
    assert_eq!(
        pool.names(&PoolInput::Look { due, facts: Box::new(facts.clone()) }),
        ["pool.scaling-decided"]
    );
    assert_eq!(last(&pool).chosen, 40);
    // Of two hosts, four may come at once.
    let few = changed(super::tests::facts(2, 60), |scaling| scaling.max = 100);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 8.0), &few);
    assert_eq!(last(&pool).chosen, 6);
}

#[test]
fn never_over_the_maximum_and_never_under_the_minimum() {
    let wide = |scaling: &mut ScalingPolicy| {
        scaling.growth = GrowthPolicy { percent: 1_000, hosts: 250, seconds: 15 }
    };
    let facts = changed(facts(38, 60), wide);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 3.0), &facts);
    assert_eq!((last(&pool).chosen, last(&pool).limits[0].rule.as_str()), (40, "max"));
    pass(&mut pool, 60);
    hears(&mut pool, &above("queue", 4.0), &facts);
    assert_eq!(rule(&pool), "max");
    let (mut pool, facts) = idle(6, 0.01);
    pool.when(&look(&facts)).unwrap();
    assert_eq!((last(&pool).recommended, last(&pool).chosen), (2, 2));
    // Fewer than the minimum are too few, whatever is measured.
    let few = super::tests::facts(1, 10);
    assert_eq!(Pool::new().names(&look(&few)), ["pool.scaling-decided"]);
}

#[test]
fn no_more_hosts_than_the_cost_ceiling_pays_for() {
    let cost = |scaling: &mut ScalingPolicy| {
        scaling.cost = Some(CostPolicy { cents_per_host_hour: 50, cents_per_hour: 640 });
    };
    let facts = changed(facts(10, 60), cost);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 2.0), &facts);
    assert_eq!((last(&pool).chosen, last(&pool).limits[0].rule.as_str()), (12, "cost"));
    pass(&mut pool, 60);
    hears(&mut pool, &above("load", 3.0), &facts);
    let held = pool.state.held.clone().unwrap();
    assert_eq!((held.rule.as_str(), held.until), ("cost", None));
}

#[test]
fn some_hosts_remain_free_for_others() {
    let facts = changed(facts(10, 6), |scaling| scaling.spare_hosts = 4);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 2.0), &facts);
    assert_eq!((last(&pool).chosen, last(&pool).limits[0].rule.as_str()), (12, "spare"));
    pass(&mut pool, 60);
    hears(&mut pool, &above("load", 3.0), &facts);
    let held = pool.state.held.clone().unwrap();
    assert_eq!((held.rule.as_str(), held.limit), ("spare", 0));
    assert!(held.lifts.contains("4 hosts of the pool are free, and 4 of them are kept"), "{}", held.lifts);
    // It is looked at again by a timer, later each time.
    let mut waits = Vec::new();
    for _ in 0..3 {
        let until = pool.state.look_at.unwrap();
        waits.push(until.duration_since(pool.now).as_secs());
        pool.now = until;
        assert_eq!(
            pool.names(&PoolInput::Look { due: Some(until), facts: Box::new(facts.clone()) }),
            [SUPPRESSED[1]]
        );
    }
    assert_eq!(waits, [30, 60, 120]);
}

#[test]
fn shrinking_waits_for_the_window_and_goes_to_the_most_that_was_asked_for_in_it() {
    let facts = facts(10, 10);
    let mut pool = Pool::new();
    hears(&mut pool, &below("load", 0.7), &facts);
    assert_eq!(hears(&mut pool, &below("queue", 0.3), &facts), SUPPRESSED);
    assert_eq!(rule(&pool), "stabilisation");
    let until = pool.state.look_at.unwrap();
    assert_eq!(until, after(pool.now, 300), "its end is a timer");
    // 7 were asked for when the window began, 4 since.
    pass(&mut pool, 200);
    hears(&mut pool, &below("load", 0.4), &facts);
    pool.now = until;
    assert_eq!(
        pool.names(&PoolInput::Look { due: Some(until), facts: Box::new(facts.clone()) }),
        [DECIDED[1]]
    );
    assert_eq!(last(&pool).chosen, 7);
}

#[test]
fn whoever_asked_for_more_within_the_window_keeps_the_pool_as_it_is() {
    let (mut pool, facts) = idle(10, 0.5);
    hears(&mut pool, &above("load", 1.05), &facts);
    hears(&mut pool, &over(above("load", 1.0)), &facts);
    assert_eq!(rule(&pool), "stabilisation");
    assert_eq!(pool.state.look_at, Some(after(pool.now, 300)));
    let until = pool.state.look_at.unwrap();
    pool.now = until;
    assert_eq!(pool.names(&PoolInput::Look { due: Some(until), facts: Box::new(facts) }), [DECIDED[1]]);
}

#[test]
fn after_it_grew_a_pool_does_not_shrink_within_the_cooldown() {
    let facts = changed(facts(10, 20), |scaling| scaling.down_seconds = 0);
    let mut facts = changed(facts, |scaling| scaling.in_cooldown_seconds = 600);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.2), &facts);
    let grown = pool.state.grown_at().unwrap();
    let ends = all_arrive(&mut pool, &mut facts);
    let names = pool.names(&ended(ends, &facts));
    assert_eq!(names, ["pool.host-arrived", "pool.host-arrived", "pool.scaling-completed"]);
    hears(&mut pool, &over(above("load", 1.2)), &facts);
    hears(&mut pool, &below("load", 0.5), &facts);
    hears(&mut pool, &below("queue", 0.5), &facts);
    assert_eq!((rule(&pool), pool.state.look_at), ("cooldown", Some(after(grown, 600))));
}

#[test]
fn while_hosts_are_on_their_way_a_pool_does_not_shrink() {
    let facts = changed(facts(10, 20), |scaling| scaling.down_seconds = 0);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.5), &facts);
    hears(&mut pool, &over(above("load", 1.5)), &facts);
    hears(&mut pool, &below("load", 0.5), &facts);
    hears(&mut pool, &below("queue", 0.5), &facts);
    assert_eq!(rule(&pool), "in-flight");
}

#[test]
fn hosts_leave_from_the_fullest_rack_and_never_protected_ones() {
    let (mut pool, mut facts) = idle(10, 0.6);
    // Racks r-0 and r-1 have three hosts each, the others two.
    pool.when(&look(&facts)).unwrap();
    let leaving: Vec<String> = last(&pool).leaving.iter().map(ToString::to_string).collect();
    assert_eq!(
        leaving,
        ["h-000", "h-001", "h-004", "h-005"],
        "the racks of three first, and then as even as it was"
    );
    let (mut pool, _) = idle(10, 0.6);
    for host in facts.hosts.iter_mut().filter(|host| host.rack.as_str() != "r-3") {
        host.stays = true;
    }
    pool.when(&look(&facts)).unwrap();
    let decided = last(&pool);
    assert_eq!(decided.leaving, [id("h-003"), id("h-007")]);
    assert_eq!((decided.limits[0].rule.as_str(), decided.limits[0].limit), ("protected", 2));
    let (mut pool, _) = idle(10, 0.6);
    facts.hosts.iter_mut().for_each(|host| host.stays = true);
    pool.when(&look(&facts)).unwrap();
    assert_eq!(rule(&pool), "protected");
    let labels = |value: &str| [("protect".to_owned(), value.to_owned())].into();
    assert!(PoolHost::is_protected(&labels("scale-in")) && !PoolHost::is_protected(&labels("no")));
}

#[test]
fn a_pool_of_which_too_much_is_not_ready_neither_grows_nor_shrinks() {
    let mut facts = facts(11, 20);
    for host in facts.hosts.iter_mut().filter(|host| host.phase == Phase::Available).take(9) {
        host.phase = Phase::Quarantined;
    }
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &above("load", 2.0), &facts), SUPPRESSED);
    let held = pool.state.held.clone().unwrap();
    assert_eq!((held.rule.as_str(), held.limit, held.value), ("not-ready", 9, 9));
}

#[test]
fn a_stale_signal_does_nothing_and_says_so() {
    let facts = facts(10, 20);
    let mut pool = Pool::new();
    let old = report(&pool, &above("load", 4.0));
    pass(&mut pool, 3 * 3_600);
    let input = PoolInput::Signal { report: Box::new(old), facts: Box::new(facts.clone()) };
    assert_eq!(pool.names(&input), ["pool.signal-dropped"]);
    assert!(pool.state.edges.is_empty() && pool.commands.is_empty() && pool.timers.is_empty());
    // So is one about something that the pool does not scale by.
    assert_eq!(hears(&mut pool, &above("humidity", 4.0), &facts), ["pool.signal-dropped"]);
}

#[test]
fn a_repeat_writes_nothing_and_a_late_one_neither() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    let first = report(&pool, &above("load", 1.5));
    let say = |report: &ReportThreshold| PoolInput::Signal {
        report: Box::new(report.clone()),
        facts: Box::new(facts.clone()),
    };
    pool.when(&say(&first)).unwrap();
    assert!(pool.ignores(&say(&first)));
    // The same end twice; and its beginning, which comes after it.
    let mut end = first.clone();
    end.header.status = SignalStatus::Resolved;
    assert_eq!(pool.names(&say(&end)), ["pool.threshold-crossed"]);
    assert!(pool.ignores(&say(&end)));
    assert!(pool.ignores(&say(&first)));
    let mut older = first.clone();
    older.header.starts_at = first.header.starts_at.checked_sub(SignedDuration::from_secs(60)).unwrap();
    assert!(pool.ignores(&say(&older)));
}

#[test]
fn what_goes_on_is_renewed_when_half_of_its_shelf_life_is_over() {
    let facts = changed(facts(10, 60), |scaling| scaling.max = 11);
    let mut pool = Pool::new();
    let first = report(&pool, &above("load", 1.1));
    let again = |pool: &Pool| {
        let mut again = first.clone();
        again.header.observed_at = pool.now;
        again.header.expires_at = after(pool.now, 900);
        PoolInput::Signal { report: Box::new(again), facts: Box::new(facts.clone()) }
    };
    pool.when(&again(&pool.clone())).unwrap();
    pass(&mut pool, 300);
    let input = again(&pool);
    assert!(pool.ignores(&input));
    pass(&mut pool, 300);
    let input = again(&pool);
    assert_eq!(pool.names(&input), ["pool.threshold-crossed"]);
}

#[test]
fn a_provisioning_that_failed_does_not_count_and_is_tried_again_later_each_time() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.1001), &facts);
    let mut waits = Vec::new();
    for _ in 0..3 {
        let (provisioning, _) = pool.state.in_flight.first_key_value().unwrap();
        let end = End::Failed { provisioning: provisioning.clone(), reason: "no host".to_owned() };
        let other = pool.state.in_flight.keys().nth(1).cloned();
        let mut ends = vec![end];
        ends.extend(
            other.map(|provisioning| End::Arrived { provisioning, host: id("h-010") }).filter(|_| false),
        );
        let names = pool.names(&ended(ends, &facts));
        assert!(names.contains(&"pool.provisioning-failed"), "{names:?}");
        assert_eq!(rule(&pool), "failures");
        let until = pool.state.look_at.unwrap();
        waits.push(until.duration_since(pool.now).as_secs());
        pool.now = until;
        let names = pool.names(&PoolInput::Look { due: Some(until), facts: Box::new(facts.clone()) });
        assert_eq!(names, ["pool.scaling-decided"]);
    }
    assert_eq!(waits, [30, 60, 120]);
    assert_eq!(facts.sizes(&pool.state, pool.now).capacity(), 12);
}

#[test]
fn all_ends_of_a_decision_complete_it_once() {
    let mut facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.2), &facts);
    let mut ends = all_arrive(&mut pool, &mut facts);
    let second = ends.pop().unwrap();
    let End::Arrived { provisioning, .. } = second else { panic!() };
    let first = ended(ends, &facts);
    assert_eq!(pool.names(&first), ["pool.host-arrived"]);
    assert!(pool.ignores(&first), "told twice");
    let failed = End::Failed { provisioning, reason: "undone".to_owned() };
    let names = pool.names(&ended(vec![failed], &facts));
    assert_eq!(names, ["pool.provisioning-failed", "pool.scaling-completed"]);
    let completed = pool.events.iter().find_map(|event| match event {
        PoolEvent::Completed(completed) => Some(completed.clone()),
        _ => None,
    });
    let completed = completed.unwrap();
    assert_eq!((completed.requested, completed.done, completed.failed), (2, 1, 1));
    assert!(pool.state.open.is_empty() && pool.state.in_flight.is_empty());
}

#[test]
fn an_end_that_nobody_told_is_looked_for_until_its_decision_is_over() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.2), &facts);
    let timer = pool.timers.iter().find(|timer| timer.name.starts_with("reconcile:")).unwrap().clone();
    assert_eq!(PoolTimer::read(&timer.name), Some(PoolTimer::Reconcile(1)));
    assert_eq!(timer.due_at, after(pool.now, 900));
    let decision = pool.when(&PoolInput::StillOpen { number: 1 }).unwrap();
    assert_eq!((decision.events.len(), decision.timers.len()), (0, 1));
    assert!(pool.ignores(&PoolInput::StillOpen { number: 2 }));
}

#[test]
fn a_host_that_was_asked_to_leave_leaves_or_stays_and_the_budget_says_why() {
    let (mut pool, mut facts) = idle(10, 0.8);
    pool.when(&look(&facts)).unwrap();
    let saga = SagaRef::new("deprovisioning", "h-000.3").unwrap();
    let released = vec![
        Released::By { host: id("h-000"), saga: saga.clone() },
        Released::Refused { host: id("h-001"), reason: "held back by the rule rack".to_owned() },
    ];
    let held = HeldByBudget { rule: "budget-rack".to_owned(), limit: 1, value: 1, lifts: "x".to_owned() };
    let input = PoolInput::Released { pool: id("web"), released, held: Some(held) };
    let names = pool.names(&input);
    assert_eq!(names, ["pool.release-started", "pool.release-refused", "pool.scaling-suppressed"]);
    assert_eq!((rule(&pool), pool.state.leaving.len()), ("budget-rack", 1));
    assert!(pool.ignores(&input), "told twice");
    facts.hosts[0].phase = Phase::Available;
    let left = ended(vec![End::Left { host: id("h-000") }], &facts);
    let names = pool.names(&left);
    assert_eq!(names, ["pool.host-left", "pool.scaling-completed", "pool.scaling-suppressed"]);
    assert_eq!(rule(&pool), "cooldown");
}

#[test]
fn what_the_budget_holds_back_is_asked_again_later_each_time() {
    let (mut pool, facts) = idle(10, 0.8);
    pool.when(&look(&facts)).unwrap();
    let mut waits = Vec::new();
    for _ in 0..3 {
        let stays = |host: &HostId| Released::Refused { host: host.clone(), reason: "held".to_owned() };
        let released = last(&pool).leaving.iter().map(stays).collect();
        let held = HeldByBudget { rule: "budget-rack".to_owned(), limit: 1, value: 1, lifts: "x".to_owned() };
        pool.when(&PoolInput::Released { pool: id("web"), released, held: Some(held) }).unwrap();
        let until = pool.state.look_at.unwrap();
        waits.push(until.duration_since(pool.now).as_secs());
        pool.now = until;
        let due = PoolInput::Look { due: Some(until), facts: Box::new(facts.clone()) };
        assert_eq!(pool.names(&due), ["pool.scaling-decided"]);
    }
    assert_eq!(waits, [30, 60, 120]);
}

#[test]
fn a_host_that_left_does_not_count_although_a_view_still_shows_it() {
    let (mut pool, facts) = idle(10, 0.91);
    let quick = changed(facts, |scaling| scaling.tolerance_percent = 0);
    let quick = changed(quick, |scaling| scaling.in_cooldown_seconds = 0);
    hears(&mut pool, &below("load", 0.9), &quick);
    hears(&mut pool, &below("queue", 0.9), &quick);
    pass(&mut pool, 300);
    pool.when(&look(&quick)).unwrap();
    let host = last(&pool).leaving[0].clone();
    let saga = SagaRef::new("deprovisioning", "h-000.3").unwrap();
    let released = vec![Released::By { host: host.clone(), saga }];
    pool.when(&PoolInput::Released { pool: id("web"), released, held: None }).unwrap();
    let names = pool.names(&ended(vec![End::Left { host: host.clone() }], &quick));
    assert_eq!(names, ["pool.host-left", "pool.scaling-completed"], "nine are what was asked for");
    assert_eq!(quick.sizes(&pool.state, pool.now).counts.in_service, 9);
    // Once a view has had its time, it is believed.
    pass(&mut pool, 300);
    assert_eq!(quick.sizes(&pool.state, pool.now).counts.in_service, 10);
}

#[test]
fn a_choice_of_hosts_is_not_followed_for_ever() {
    let now = Timestamp::UNIX_EPOCH;
    assert!(may_release(now, after(now, 899)) && !may_release(now, after(now, 900)));
}

#[test]
fn a_pool_that_only_observes_records_what_it_would_do_once() {
    let facts = changed(facts(10, 20), |scaling| scaling.autonomy = Autonomy::Observe);
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &above("load", 1.5), &facts), SUPPRESSED);
    let held = pool.state.held.clone().unwrap();
    assert_eq!((held.rule.as_str(), held.value), ("observe", 5));
    assert!(pool.ignores(&look(&facts)) && pool.commands.is_empty());
}

#[test]
fn a_proposal_waits_for_a_person_and_is_decided_anew_then() {
    let facts = changed(facts(10, 20), |scaling| scaling.autonomy = Autonomy::Approve);
    let mut pool = Pool::new();
    let names = hears(&mut pool, &above("load", 1.3), &facts);
    assert_eq!(names, ["pool.threshold-crossed", "pool.scaling-proposed"]);
    assert!(pool.ignores(&look(&facts)) && pool.commands.is_empty());
    let approve =
        |number, reason: &str| PoolInput::Approve { pool: id("web"), number, reason: reason.to_owned() };
    assert_eq!(pool.when(&approve(2, "ok")).unwrap_err().label(), "not-proposed");
    assert_eq!(pool.when(&approve(1, " ")).unwrap_err().label(), "no-reason");
    let decision = pool.when(&approve(1, "ok")).unwrap();
    assert_eq!(decision.events[0].type_name(), "pool.scaling-approved");
    assert!(matches!(&decision.commands[..], [PoolCommand::Scale(ScaleCommand::LookAtPool(_))]));
    // By now more is needed: what was approved is done, and no more.
    hears(&mut pool, &above("load", 1.8), &facts);
    assert_eq!((last(&pool).chosen, last(&pool).provisionings.len()), (13, 3));
    assert_eq!(last(&pool).limits.last().unwrap().rule, "approved");
    assert_eq!(pool.when(&approve(1, "ok")).unwrap_err().label(), "not-proposed");
}

#[test]
fn what_was_rejected_is_not_proposed_again_for_an_hour() {
    let facts = changed(facts(10, 20), |scaling| scaling.autonomy = Autonomy::Approve);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.3), &facts);
    let reject = PoolInput::Reject { pool: id("web"), number: 1, reason: "a test runs".to_owned() };
    assert_eq!(pool.names(&reject), ["pool.scaling-rejected"]);
    assert!(pool.ignores(&look(&facts)));
    let at = pool.state.look_at;
    pass(&mut pool, 3_600);
    hears(&mut pool, &above("load", 1.3), &facts);
    assert_eq!(pool.state.proposal.as_ref().map(|proposal| proposal.number), Some(2));
    assert!(pool.state.look_at > at);
}

#[test]
fn a_timer_that_is_not_waited_for_any_more_means_nothing() {
    let (mut pool, facts) = idle(10, 0.5);
    let due = pool.state.look_at.map(|at| after(at, 1));
    assert!(pool.ignores(&PoolInput::Look { due, facts: Box::new(facts) }));
    let name = format!("look:{}", pool.now);
    assert_eq!(PoolTimer::read(&name), Some(PoolTimer::Look(pool.now)));
    assert_eq!((PoolTimer::read("look:soon"), PoolTimer::read("else")), (None, None));
}

#[test]
fn a_provisioning_says_which_pool_has_asked_for_it() {
    assert_eq!(pool_of("scale-web-1.2"), Some(id("web")));
    assert_eq!(pool_of("scale-web-eu-17.2"), Some(id("web-eu")));
    assert_eq!((pool_of("r-1.1"), pool_of("scale-web")), (None, None));
}

#[derive(Debug, Clone)]
enum Happens {
    Says {
        metric: usize,
        above: bool,
        fires: bool,
        ratio: f64,
    },
    Arrives,
    Fails,
    Leaves,
    Passes(u32),
    /// Both metrics say for a while that there is too little to do.
    Idles(f64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0_usize..2, any::<bool>(), any::<bool>(), 0_u32..320)
            // Sixty-fourths are the same number after their way through JSON.
            .prop_map(|(metric, above, fires, ratio)| Happens::Says { metric, above, fires, ratio: f64::from(ratio) / 64.0 }),
        2 => Just(Happens::Arrives),
        1 => Just(Happens::Fails),
        2 => Just(Happens::Leaves),
        4 => (1_u32..900).prop_map(Happens::Passes),
        2 => (0_u32..64).prop_map(|ratio| Happens::Idles(f64::from(ratio) / 64.0)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is measured and whatever comes of it: never over the maximum or the spare hosts, never under the minimum, never
    /// shrinking on a missing metric or soon after growing, and never a host twice.
    #[test]
    fn no_decision_breaks_a_rule(all in proptest::collection::vec(happens(), 1..60)) {
        let mut facts = changed(facts(6, 24), |scaling| {
            scaling.spare_hosts = 5;
            scaling.down_seconds = 60;
            scaling.in_cooldown_seconds = 600;
        });
        let mut pool = Pool::new();
        let mut decided = 0;
        for of in all {
            let input = match of {
                Happens::Says { metric, above: is_above, fires, ratio } => {
                    let metric = ["load", "queue"][metric];
                    let said = if is_above { above(metric, ratio) } else { below(metric, ratio) };
                    let said = if fires { said } else { over(said) };
                    signal(&pool, &said, &facts)
                }
                Happens::Arrives => {
                    let ends = all_arrive(&mut pool, &mut facts);
                    ended(ends, &facts)
                }
                Happens::Fails => {
                    let ends = pool.state.in_flight.keys().take(1).map(|provisioning| End::Failed {
                        provisioning: provisioning.clone(),
                        reason: "no".to_owned(),
                    });
                    ended(ends.collect(), &facts)
                }
                Happens::Leaves => {
                    let hosts: Vec<HostId> = pool.state.leaving.keys().cloned().collect();
                    for host in facts.hosts.iter_mut().filter(|host| hosts.contains(&host.host)) {
                        prop_assert_eq!(host.phase, Phase::InService);
                        host.phase = Phase::Available;
                        host.saga = None;
                    }
                    let ends = hosts.into_iter().map(|host| End::Left { host }).collect();
                    ended(ends, &facts)
                }
                Happens::Idles(ratio) => {
                    for metric in ["load", "queue"] {
                        hears(&mut pool, &over(above(metric, 1.0)), &facts);
                        hears(&mut pool, &below(metric, ratio), &facts);
                    }
                    decided = pool.state.decisions;
                    pass(&mut pool, 65);
                    look(&facts)
                }
                Happens::Passes(seconds) => {
                    pass(&mut pool, seconds);
                    look(&facts)
                }
            };
            let before = pool.state.clone();
            pool.when(&input).unwrap();
            let sizes = facts.sizes(&pool.state, pool.now);
            if let Some(last) = pool.state.last.clone().filter(|last| last.number > decided) {
                decided = last.number;
                match last.direction {
                    ScalingDirection::Out => {
                        prop_assert!(last.chosen <= 40, "{last:?}");
                        prop_assert!(sizes.counts.free >= 5, "{last:?}");
                        prop_assert!(!last.provisionings.is_empty());
                    }
                    ScalingDirection::In => {
                        prop_assert!(last.chosen >= 2, "{last:?}");
                        prop_assert!(last.per_metric.iter().all(|said| said.says == MetricReading::Below), "{last:?}");
                        let since = before.grown_at().map(|at| last.decided_at.duration_since(at).as_secs());
                        prop_assert!(since.is_none_or(|since| since >= 600), "{last:?}");
                        prop_assert!(last.leaving.iter().all(|host| !before.leaving.contains_key(host)));
                        prop_assert_eq!(last.inputs.in_flight, 0);
                    }
                }
            }
            prop_assert!(sizes.capacity() <= 40);
        }
    }
}
