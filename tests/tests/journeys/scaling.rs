//! A pool grows and shrinks by what is measured: signals become decisions, decisions become provisionings and releases.

use std::time::Duration;

use futures::StreamExt;
use hostler_core::{Payload, StreamId};
use hostler_domain::pool::{PoolDecider, PoolState};
use hostler_domain::{BudgetDecider, BudgetState};
use hostler_events::pool::{PoolEvent, ScalingDirection};
use hostler_events::signal::{Direction, ReportSignal, ReportThreshold, Signal, SignalHeader, SignalStatus};
use hostler_events::{RecoverCommand, ScaleCommand};
use hostler_runtime::ports::Clock;
use hostler_runtime::state::history::decode_events;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::site::{Site, WriteFault, system_url};

/// How many runs with a fault are under way at a time.
const AT_ONCE: usize = 32;
/// From this load of a host on it has too much to do, and from the other down too little.
const HIGH: f64 = 0.8;
const LOW: f64 = 0.5;

fn policy(scaling: &Value) -> Value {
    json!({
        "budget": { "site": 4, "poolPercent": 50, "pool": 2, "rack": 1, "powerDomain": 4, "starts": 100, "brakePercent": 60 },
        "pools": { "web": { "role": "web-server", "image": "debian-13", "hosts": 24, "scaling": scaling } },
    })
}

async fn apply(site: &mut Site, scaling: Value) {
    let command = json!({ "policies": "site", "policy": policy(&scaling), "reason": "a test" });
    site.accepted("apply-policies", command).await;
}

fn scaling() -> Value {
    json!({
        "autonomy": "auto", "metrics": ["load"], "min": 4, "max": 16, "spareHosts": 2,
        "downSeconds": 300, "inCooldownSeconds": 300,
    })
}

/// A site with so many hosts, of which so many serve.
async fn site_of(hosts: u32, serving: u32, scaling: Value) -> Site {
    let mut site = Site::new();
    for n in 0..hosts {
        site.enrol(&format!("h-{n:02}"), &[]).await;
    }
    site.run().await;
    apply(&mut site, scaling).await;
    site.request("r-1", serving).await;
    site.run().await;
    assert_eq!(serving_hosts(&site), serving as usize);
    site
}

fn serving_hosts(site: &Site) -> usize {
    site.views.rows("hosts").iter().filter(|row| row.group == "web/in-service").count()
}

fn pool(site: &Site) -> PoolState {
    site.state::<PoolDecider>("web")
}

fn budget(site: &Site) -> BudgetState {
    site.state::<BudgetDecider>("site")
}

fn pool_events(site: &Site) -> Vec<PoolEvent> {
    let commits = site.store.commits(&StreamId::new("pool", "web").unwrap());
    commits.iter().flat_map(|commit| decode_events::<PoolDecider>(commit).unwrap()).collect()
}

/// Whether the pool grew or shrank, decision by decision.
fn directions(site: &Site) -> Vec<ScalingDirection> {
    let decided = pool_events(site).into_iter().filter_map(|event| match event {
        PoolEvent::Decided(decided) => Some(decided.direction),
        _ => None,
    });
    decided.collect()
}

/// What a source says of the load.
struct Alert {
    direction: Direction,
    status: SignalStatus,
    starts_at: Timestamp,
    observed_at: Timestamp,
    value: Option<f64>,
}

async fn say(site: &Site, alert: Alert) {
    let Alert { direction, status, starts_at, observed_at, value } = alert;
    let threshold = if direction == Direction::Above { HIGH } else { LOW };
    let report = ReportThreshold {
        pool: "web".parse().unwrap(),
        header: SignalHeader {
            source: "alertmanager".to_owned(),
            fingerprint: format!("load-{direction:?}"),
            status,
            starts_at,
            observed_at,
            expires_at: observed_at + SignedDuration::from_mins(15),
        },
        metric: "load".parse().unwrap(),
        value,
        threshold: value.map(|_| threshold),
        direction,
    };
    site.send(&ScaleCommand::from(report)).await;
}

async fn say_now(site: &Site, direction: Direction, status: SignalStatus, value: Option<f64>) {
    let now = site.clock.now();
    say(site, Alert { direction, status, starts_at: now, observed_at: now, value }).await;
}

/// A monitoring system with two rules, which it evaluates each minute and repeats while they fire.
#[derive(Default)]
struct Monitoring {
    above: Option<Timestamp>,
    below: Option<Timestamp>,
}

impl Monitoring {
    /// The load of a host is what there is to do, by the hosts that do it.
    async fn evaluate(&mut self, site: &Site, work: f64) {
        let hosts = serving_hosts(site);
        let load = work / hosts as f64;
        let rules = [
            (Direction::Above, load > HIGH, &mut self.above),
            (Direction::Below, load < LOW, &mut self.below),
        ];
        for (direction, fires, since) in rules {
            let (starts_at, status) = match (fires, *since) {
                (true, None) => (site.clock.now(), SignalStatus::Firing),
                (true, Some(since)) => (since, SignalStatus::Firing),
                (false, Some(since)) => (since, SignalStatus::Resolved),
                (false, None) => continue,
            };
            *since = fires.then_some(starts_at);
            let alert =
                Alert { direction, status, starts_at, observed_at: site.clock.now(), value: Some(load) };
            say(site, alert).await;
        }
    }
}

#[tokio::test]
async fn a_flash_sale_is_served_by_more_hosts_which_leave_again_within_the_budget() {
    let mut site = site_of(20, 4, scaling()).await;
    let (mut monitoring, mut most, mut disturbed) = (Monitoring::default(), 0, 0);
    // Two hosts' work, four times that for twenty minutes, and again what it was.
    for minute in 0..120 {
        let work = if (10..30).contains(&minute) { 8.0 } else { 2.0 };
        monitoring.evaluate(&site, work).await;
        for _ in 0..12 {
            site.advance(Duration::from_secs(5)).await;
            let holders = budget(&site).holders;
            disturbed = disturbed.max(holders.len());
            assert!(holders.len() <= 2, "{holders:?}");
            most = most.max(serving_hosts(&site));
        }
        if minute == 29 {
            assert_eq!(serving_hosts(&site), 10, "each at its threshold: {:?}", pool(&site));
        }
    }
    site.run().await;
    site.check();
    assert_eq!((serving_hosts(&site), most, disturbed), (4, 10, 2));
    let state = pool(&site);
    assert!(state.open.is_empty() && state.in_flight.is_empty() && state.leaving.is_empty(), "{state:?}");
    assert_eq!(budget(&site).holders, []);
    // First it grew, then it shrank, and it did not go back and forth.
    let directions = directions(&site);
    let grew = directions.iter().take_while(|of| **of == ScalingDirection::Out).count();
    assert!(grew > 0 && directions[grew..].iter().all(|of| *of == ScalingDirection::In), "{directions:?}");
    assert_eq!(site.count("pool.host-arrived"), 6);
    assert_eq!(site.count("pool.host-left"), 6);
    assert_eq!(site.count("pool.scaling-completed"), directions.len());
    // However often one decision follows another, the chain of causes stays short.
    let commits = site.store.commits(&StreamId::new("pool", "web").unwrap());
    let longest = commits.iter().map(|commit| commit.hops).max();
    assert!(longest < Some(5), "{longest:?}");
    // What was held back says by which rule.
    let rules: Vec<String> = pool_events(&site)
        .into_iter()
        .filter_map(|event| match event {
            PoolEvent::Suppressed(held) => Some(held.rule),
            _ => None,
        })
        .collect();
    for rule in ["stabilisation", "cooldown", "budget-pool"] {
        assert!(rules.iter().any(|of| of == rule), "{rule}: {rules:?}");
    }
    println!("decisions {directions:?}; held back {rules:?}; commits {}", pool_commits(&site));
}

fn pool_commits(site: &Site) -> usize {
    site.store.commits(&StreamId::new("pool", "web").unwrap()).len()
}

#[tokio::test]
async fn a_signal_that_is_hours_old_does_nothing() {
    let mut site = site_of(6, 4, scaling()).await;
    let observed_at = site.clock.now() - SignedDuration::from_hours(3);
    let (direction, status) = (Direction::Above, SignalStatus::Firing);
    for _ in 0..2 {
        say(&site, Alert { direction, status, starts_at: observed_at, observed_at, value: Some(3.2) }).await;
        site.run().await;
    }
    site.check();
    assert_eq!((serving_hosts(&site), site.count("pool.scaling-decided")), (4, 0));
    assert!(site.count("pool.signal-dropped") > 0);
}

/// Four hosts of `web` serve, and seven of the eight of `batch`, which has the lower priority and keeps four.
async fn two_pools(fault: Option<(usize, WriteFault)>) -> Site {
    let mut site = Site::new();
    for n in 0..12 {
        let host = format!("h-{n:02}");
        site.fleet.add(&host);
        let command = json!({
            "host": host, "pool": if n < 4 { "web" } else { "batch" }, "sku": "cpu",
            "faultDomain": format!("rack-{}", n % 3), "bmc": { "systemUrl": system_url(&host) }, "labels": {},
        });
        site.accepted("enrol-host", command).await;
    }
    site.run().await;
    let mut policies = policy(&scaling());
    policies["pools"]["web"]["priority"] = json!(5);
    policies["pools"]["web"]["scaling"]["reclaimFrom"] = json!(["batch"]);
    policies["pools"]["web"]["scaling"]["spareHosts"] = json!(0);
    policies["pools"]["batch"] = json!({ "role": "worker", "image": "debian-13", "hosts": 8, "scaling": {
        "autonomy": "auto", "metrics": ["backlog"], "min": 4, "max": 8,
    } });
    site.accepted("apply-policies", json!({ "policies": "site", "policy": policies, "reason": "a test" }))
        .await;
    site.request("r-1", 4).await;
    let of_batch =
        json!({ "request": "r-2", "pool": "batch", "role": "worker", "image": "debian-13", "count": 7 });
    site.accepted("request-hosts", of_batch).await;
    site.run().await;
    let before = site.switch.writes().len();
    if let Some((n, fault)) = fault {
        site.switch.plan(before + n, fault);
    }
    site
}

fn hosts_in(site: &Site, group: &str) -> usize {
    site.views.rows("hosts").iter().filter(|row| row.group == group).count()
}

/// Two hosts are needed: one is free in the other pool, and one has to be given back there first. When they are needed no more they
/// go home.
async fn lent_and_back(fault: Option<(usize, WriteFault)>) -> Site {
    let mut site = two_pools(fault).await;
    let mut monitoring = Monitoring::default();
    let are_lent =
        |site: &Site| hosts_in(site, "web/in-service") == 6 && hosts_in(site, "batch/available") == 0;
    for _ in 0..120 {
        monitoring.evaluate(&site, 4.8).await;
        site.advance(Duration::from_secs(60)).await;
        if are_lent(&site) {
            break;
        }
    }
    let lent = site.views.rows("hosts").into_iter().filter(|row| row.body["home"] == "batch").count();
    assert_eq!((hosts_in(&site, "web/in-service"), lent), (6, 2), "{:?}", pool(&site));
    assert_eq!((hosts_in(&site, "batch/in-service"), hosts_in(&site, "batch/available")), (6, 0));
    for _ in 0..120 {
        monitoring.evaluate(&site, 2.0).await;
        site.advance(Duration::from_secs(60)).await;
    }
    site.run().await;
    site
}

fn all_are_home(site: &Site) {
    site.check();
    let counts = ["web/in-service", "batch/in-service", "batch/available"].map(|group| hosts_in(site, group));
    assert_eq!(counts, [4, 6, 2], "{:?}", pool(site));
    assert!(site.views.rows("hosts").iter().all(|row| row.body["home"].is_null()), "none is lent any more");
    let state = pool(site);
    assert!(state.open.is_empty() && state.in_flight.is_empty() && state.leaving.is_empty(), "{state:?}");
    assert_eq!(budget(site).holders, []);
}

#[tokio::test]
async fn a_pool_takes_hosts_from_one_of_lower_priority_which_go_home_when_they_are_given_back() {
    let site = lent_and_back(None).await;
    all_are_home(&site);
    // One in the other pool was disturbed for it, two of its own when the load was over.
    assert_eq!(site.count("host.release-requested"), 3);
    assert_eq!((site.count("pool.hosts-reclaimed"), site.count("host.moved")), (1, 4));
    let lender = site.state::<PoolDecider>("batch");
    assert_eq!(lender.last.unwrap().lends_to, Some("web".parse().unwrap()));
    let shown = site.views.rows("pools").into_iter().find(|row| row.key == "web").unwrap();
    assert_eq!(shown.body["reclaimed"][0]["from"], "batch", "{}", shown.body);
}

#[tokio::test]
async fn a_pool_of_lower_priority_is_never_left_under_its_minimum() {
    let mut site = two_pools(None).await;
    // Fourteen hosts are asked for: four more than there are in both pools above the minimum.
    say_now(&site, Direction::Above, SignalStatus::Firing, Some(2.8)).await;
    for _ in 0..30 {
        site.advance(Duration::from_secs(60)).await;
        assert!(hosts_in(&site, "batch/in-service") >= 4);
        say_now(&site, Direction::Above, SignalStatus::Firing, Some(2.8)).await;
    }
    assert_eq!((hosts_in(&site, "web/in-service"), hosts_in(&site, "batch/in-service")), (8, 4));
}

#[tokio::test]
async fn dying_after_a_write_while_hosts_are_lent_changes_nothing_of_the_end() {
    let undisturbed = lent_and_back(None).await;
    let writes = undisturbed.switch.writes().len() - two_pools(None).await.switch.writes().len();
    let chosen = (0..writes).step_by(7);
    let runs = chosen.map(|n| async move { (n, lent_and_back(Some((n, WriteFault::DieAfter))).await) });
    let mut runs = futures::stream::iter(runs).buffer_unordered(AT_ONCE);
    while let Some((n, site)) = runs.next().await {
        println!("died after write {n}");
        all_are_home(&site);
    }
}

/// Nearly half of what serves is known to be faulty: the lack is not of hosts, and more of them do not help.
#[tokio::test]
async fn hosts_that_are_faulty_in_service_stop_scaling_like_those_in_quarantine() {
    let mut site = site_of(12, 4, scaling()).await;
    let mut policies = policy(&scaling());
    policies["faults"] = json!({ "unreachable": { "tolerationSeconds": 60, "runbook": "look" } });
    policies["runbooks"] = json!({ "look": { "autonomy": "observe", "rungs": [{ "rung": "power-cycle" }] } });
    site.accepted("apply-policies", json!({ "policies": "site", "policy": policies, "reason": "a test" }))
        .await;
    site.advance(Duration::from_secs(15)).await;
    let serving = site.views.rows("hosts").into_iter().filter(|row| row.group == "web/in-service");
    let serving: Vec<String> = serving.map(|row| row.key).collect();
    let breaks = async |site: &mut Site, host: &str| {
        let now = site.clock.now();
        let header = SignalHeader {
            source: "alertmanager".to_owned(),
            fingerprint: format!("down-{host}"),
            status: SignalStatus::Firing,
            starts_at: now,
            observed_at: now,
            expires_at: now + SignedDuration::from_mins(15),
        };
        let signal = Signal {
            header,
            fault: "unreachable".parse().unwrap(),
            severity: "critical".to_owned(),
            summary: "no metrics".to_owned(),
            labels: std::collections::BTreeMap::new(),
        };
        let host = host.parse().unwrap();
        site.send(&RecoverCommand::ReportSignal(ReportSignal { host, signal })).await;
        site.advance(Duration::from_secs(90)).await;
    };
    breaks(&mut site, &serving[0]).await;
    breaks(&mut site, &serving[1]).await;
    say_now(&site, Direction::Above, SignalStatus::Firing, Some(1.6)).await;
    site.advance(Duration::from_secs(1)).await;
    let held = pool(&site).held.unwrap();
    assert_eq!(
        (held.rule.as_str(), held.inputs.not_ready, site.count("pool.scaling-decided")),
        ("not-ready", 2, 0)
    );
    // Nobody says so any more a quarter of an hour later, and the pool grows.
    site.advance(Duration::from_secs(1_500)).await;
    say_now(&site, Direction::Above, SignalStatus::Firing, Some(1.6)).await;
    site.advance(Duration::from_secs(60)).await;
    assert!(site.count("pool.scaling-decided") > 0, "{:?}", pool(&site).held);
}

/// Monitoring refuses the only free host for good: the provisioning is undone, and is no capacity.
#[tokio::test]
async fn a_provisioning_that_failed_does_not_count_as_capacity() {
    let mut site =
        site_of(4, 4, json!({ "autonomy": "auto", "metrics": ["load"], "min": 1, "max": 16 })).await;
    site.enrol("sick", &[("simulate.monitor", "fail")]).await;
    site.run().await;
    say_now(&site, Direction::Above, SignalStatus::Firing, None).await;
    assert!(site.run_until(|site| site.count("pool.provisioning-failed") > 0).await);
    assert_eq!(pool(&site).in_flight.len(), 0);
    assert_eq!(pool(&site).held.unwrap().rule, "failures");
    site.enrol("well", &[]).await;
    site.accepted("retire-host", json!({ "host": "sick", "reason": "sick" })).await;
    site.advance(Duration::from_secs(600)).await;
    assert!(serving_hosts(&site) >= 5, "{:?}", pool(&site));
    site.run().await;
    site.check();
}

#[tokio::test]
async fn a_protected_host_stays_and_a_host_is_looked_at_again_before_it_leaves() {
    let quick = json!({
        "autonomy": "auto", "metrics": ["load"], "min": 1, "max": 16, "downSeconds": 0, "inCooldownSeconds": 0,
    });
    let mut site = site_of(2, 2, quick).await;
    for host in ["h-00", "h-01"] {
        site.accepted("label-host", json!({ "host": host, "set": { "protect": "scale-in" } })).await;
    }
    // The view does not know of it yet when the pool decides.
    say_now(&site, Direction::Below, SignalStatus::Firing, Some(0.1)).await;
    site.run().await;
    site.check();
    assert_eq!((serving_hosts(&site), site.count("host.release-requested")), (2, 0));
    assert_eq!(budget(&site).holders, []);
}

#[tokio::test]
async fn a_person_approves_what_a_pool_proposes() {
    let mut asking = scaling();
    asking["autonomy"] = json!("approve");
    let mut site = site_of(8, 4, asking).await;
    say_now(&site, Direction::Above, SignalStatus::Firing, Some(1.2)).await;
    site.settle().await;
    assert_eq!((site.count("pool.scaling-proposed"), serving_hosts(&site)), (1, 4));
    let row = site.views.rows("pools").remove(0);
    assert_eq!((row.group.as_str(), &row.body["proposal"]["number"]), ("awaits-approval", &json!(1)));
    let refused = site.post("approve-scaling", json!({ "pool": "web", "number": 7, "reason": "ok" })).await;
    assert_eq!((refused.status, &refused.body["error"]), (409, &json!("not-proposed")));
    let refused = site.post("reject-scaling", json!({ "pool": "web", "number": 1, "reason": " " })).await;
    assert_eq!((refused.status, &refused.body["error"]), (400, &json!("no-reason")));
    site.accepted("approve-scaling", json!({ "pool": "web", "number": 1, "reason": "the sale" })).await;
    site.run().await;
    site.check();
    assert_eq!((serving_hosts(&site), site.count("pool.scaling-completed")), (6, 1));
}

/// A store bills the rows that are read. A pool lists its hosts for a decision, and free hosts are listed once for a burst of
/// reservations: not for each host that is asked for, and not for each that comes.
#[tokio::test]
async fn a_pool_that_grows_by_dozens_is_not_listed_for_each_of_its_hosts() {
    let mut scaling = scaling();
    scaling["max"] = json!(20);
    scaling["growth"] = json!({ "percent": 0, "hosts": 20, "seconds": 60 });
    let mut site = site_of(24, 4, scaling).await;
    let (before, all) = (site.views.rows_listed(), site.views.rows("hosts").len() as u64);
    say_now(&site, Direction::Above, SignalStatus::Firing, Some(5.0 * HIGH)).await;
    site.run().await;
    site.check();
    let listed = site.views.rows_listed() - before;
    assert_eq!(serving_hosts(&site), 20, "16 have come");
    assert!(listed < 12 * all, "{listed} rows were read of a pool of {all} hosts");
}

/// The events that say how provisionings end are lost on their way.
#[tokio::test]
async fn an_end_that_nobody_tells_is_found_all_the_same() {
    let mut site = site_of(8, 4, scaling()).await;
    say_now(&site, Direction::Above, SignalStatus::Firing, Some(1.2)).await;
    assert!(site.run_until(|site| site.count("pool.scaling-decided") > 0).await);
    let mut lost = 0;
    while lost < 2 && site.go_on().await {
        for message in site.queues.receive("scale-pools", 10) {
            if message.body.contains("saga.completed") {
                site.queues.delete("scale-pools", &message.receipt);
                lost += 1;
            }
        }
    }
    assert_eq!((lost, pool(&site).in_flight.len()), (2, 2));
    site.run().await;
    site.check();
    assert_eq!((pool(&site).in_flight.len(), site.count("pool.scaling-completed")), (0, 1));
}

/// One host more, and then one fewer.
async fn there_and_back(fault: Option<(usize, WriteFault)>) -> Site {
    let quick = json!({
        "autonomy": "auto", "metrics": ["load"], "min": 1, "max": 2, "downSeconds": 60, "inCooldownSeconds": 60,
    });
    let mut site = site_of(2, 1, quick).await;
    let before = site.switch.writes().len();
    if let Some((n, fault)) = fault {
        site.switch.plan(before + n, fault);
    }
    say_now(&site, Direction::Above, SignalStatus::Firing, Some(1.2)).await;
    site.advance(Duration::from_secs(600)).await;
    say_now(&site, Direction::Above, SignalStatus::Resolved, None).await;
    say_now(&site, Direction::Below, SignalStatus::Firing, Some(0.2)).await;
    site.run().await;
    site
}

fn came_and_left(site: &Site) {
    site.check();
    let state = pool(site);
    assert_eq!(serving_hosts(site), 1, "{state:?}");
    assert!(state.open.is_empty() && state.in_flight.is_empty() && state.leaving.is_empty(), "{state:?}");
    assert_eq!(budget(site).holders, []);
    // On the bus an event may come twice; on the stream it is once.
    let names: Vec<&str> = pool_events(site).iter().map(Payload::type_name).collect();
    let count = |name: &str| names.iter().filter(|of| **of == name).count();
    let counts = ["pool.host-arrived", "pool.release-started", "pool.host-left", "pool.scaling-completed"];
    assert_eq!(counts.map(count), [1, 1, 1, 2], "{names:?}");
    assert_eq!(site.views.rows("deprovisionings").len(), 1);
    assert_eq!(site.sagas().len(), 2, "each host that was asked for is asked for once");
}

async fn at_every_write(fault: WriteFault) {
    let undisturbed = there_and_back(None).await;
    came_and_left(&undisturbed);
    let before =
        site_of(2, 1, json!({ "metrics": ["load"], "min": 1, "max": 2 })).await.switch.writes().len();
    let writes = undisturbed.switch.writes().split_off(before);
    assert!(writes.len() > 40, "the journey writes: {writes:?}");
    let runs = (0..writes.len()).map(|n| async move { (n, there_and_back(Some((n, fault))).await) });
    let mut runs = futures::stream::iter(runs).buffer_unordered(AT_ONCE);
    while let Some((n, site)) = runs.next().await {
        println!("{fault:?} at write {n} ({})", writes[n]);
        came_and_left(&site);
    }
}

#[tokio::test]
async fn dying_before_any_write_while_scaling_changes_nothing_of_the_end() {
    at_every_write(WriteFault::DieBefore).await;
}

#[tokio::test]
async fn dying_after_any_write_while_scaling_changes_nothing_of_the_end() {
    at_every_write(WriteFault::DieAfter).await;
}

#[tokio::test]
async fn a_lost_answer_to_any_write_while_scaling_changes_nothing_of_the_end() {
    at_every_write(WriteFault::LoseAnswer).await;
}
