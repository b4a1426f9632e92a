//! A flash sale on the local cloud: real load, real alerts, real hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hostler_localstack::fleet::Demand;
use hostler_localstack::{SiteOptions, lacks_monitoring, needs};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{World, fleet};

const HOSTS: usize = 10;
/// How many hosts serve before the sale, each at the lower threshold of infra/monitoring/rules.yaml.
const BEFORE: usize = 2;
const LOAD_BEFORE: f64 = 1.0;
/// What the sale has them do: 300 % more. Five hosts bring that to the upper threshold.
const LOAD_DURING: f64 = 4.0;
const DURING: usize = 5;
/// How many hosts of the pool may be disturbed at once.
const AT_ONCE: usize = 2;

fn policy() -> Value {
    json!({
        "budget": { "site": 4, "poolPercent": 20, "pool": AT_ONCE, "rack": 2, "powerDomain": 4, "starts": 100 },
        "pools": { "web": { "role": "web", "image": "debian-12", "hosts": HOSTS, "scaling": {
            "autonomy": "auto", "metrics": ["load"], "min": BEFORE, "max": 8, "spareHosts": 2,
            "growth": { "percent": 100, "hosts": 4, "seconds": 5 },
            "outCooldownSeconds": 10, "downSeconds": 10, "inCooldownSeconds": 10,
        } } },
    })
}

/// An event of a stream, when it was recorded, and what it says.
struct Recorded {
    at: Timestamp,
    kind: String,
    data: Value,
}

async fn stream(world: &World, path: &str) -> Vec<Recorded> {
    let (status, answer) = world.get(&format!("{path}/timeline")).await;
    assert_eq!(status, 200, "{path}: {answer}");
    let commits = answer["commits"].as_array().unwrap().iter();
    let events = commits.flat_map(|commit| {
        let at = time(&commit["recordedAt"]);
        commit["events"].as_array().cloned().unwrap_or_default().into_iter().map(move |event| Recorded {
            at,
            kind: event["eventType"].as_str().unwrap().to_owned(),
            data: event["data"].clone(),
        })
    });
    events.collect()
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("no time: {value}")).parse().unwrap()
}

async fn in_service(world: &World) -> usize {
    world.hosts_in("web", "in-service").await.len()
}

async fn pool(world: &World) -> Value {
    world.get("/pools/web").await.1
}

/// Whether so many hosts serve, and nothing is under way.
async fn rests_with(world: &World, hosts: usize) -> Option<()> {
    let pool = pool(world).await;
    let empty = |field: &str| pool[field].as_array().is_none_or(Vec::is_empty);
    (in_service(world).await == hosts && empty("inFlight") && empty("leaving")).then_some(())
}

/// The most that were disturbed at once, and how many are at the end.
fn disturbed(budget: &[Recorded]) -> (usize, usize) {
    let (mut holders, mut most) = (BTreeSet::new(), 0);
    for event in budget {
        let saga = event.data["saga"].to_string();
        match event.kind.as_str() {
            "budget.granted" => _ = holders.insert(saga),
            "budget.returned" | "budget.expired" => _ = holders.remove(&saga),
            _ => {}
        }
        most = most.max(holders.len());
    }
    (most, holders.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_sale_is_served_by_more_hosts_and_by_as_few_as_before_when_it_is_over() {
    needs!(Functions, Processes, HttpApi);
    if lacks_monitoring() {
        return;
    }
    let options = SiteOptions { fleet: fleet(HOSTS), monitoring: true, ..SiteOptions::default() };
    let world = World::start_alone_with(options).await;
    let apply = json!({ "policies": "site", "policy": policy(), "reason": "a sale" });
    world.accepted("apply-policies", &apply).await;
    world.enrol("web").await;
    world.request("r-1", "web", BEFORE as u32).await;
    world.settled("r-1", BEFORE).await;
    let loads = world.site.fleet.loads();
    let set = |demand| assert!(loads.set("web", Demand { demand }));
    set(LOAD_BEFORE);
    world
        .until("monitoring looks at both", async || {
            loads.all().iter().any(|pool| pool.hosts.len() == BEFORE).then_some(())
        })
        .await;

    let (begun, began_at) = (Instant::now(), Timestamp::now());
    set(LOAD_DURING);
    let patience = Duration::from_secs(90);
    let served = async || rests_with(&world, DURING).await;
    world.until_within(patience, "the sale is served", served).await;
    let load = loads.all().into_iter().find(|pool| pool.pool == "web").unwrap().load;
    assert!(load <= 0.8, "{load}");
    let eased_at = Timestamp::now();
    set(LOAD_BEFORE);
    let over = async || rests_with(&world, BEFORE).await;
    world.until_within(patience, "it is over", over).await;
    let more = DURING - BEFORE;
    // A view lags: its row may be from before the pool has heard of the last one.
    let all_left = async || {
        let events = stream(&world, "/pools/web").await;
        (events.iter().filter(|event| event.kind == "pool.host-left").count() >= more).then_some(())
    };
    world.until_within(patience, "the pool has heard of all who left", all_left).await;
    world
        .until("those that left are free again", async || {
            (world.hosts_in("web", "available").await.len() == HOSTS - BEFORE).then_some(())
        })
        .await;
    let free = async || (disturbed(&stream(&world, "/budgets/site").await).1 == 0).then_some(());
    world.until("the budget is free", free).await;
    println!("a sale of 300 %, from its begin to the last host that left: {:.1?}", begun.elapsed());

    let events = stream(&world, "/pools/web").await;
    print_hops(&world, &events, began_at, eased_at).await;
    let decided = events.iter().filter(|event| event.kind == "pool.scaling-decided");
    let directions: Vec<&str> = decided.map(|event| event.data["direction"].as_str().unwrap()).collect();
    // Each direction once, and not back and forth: a decision may be carried out in two steps.
    let outs = directions.iter().take_while(|direction| **direction == "out").count();
    let ins = directions.len() - outs;
    assert!((1..=3).contains(&outs) && (1..=3).contains(&ins), "{directions:?}");
    assert!(directions[outs..].iter().all(|direction| *direction == "in"), "{directions:?}");
    let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
    assert_eq!((count("pool.host-arrived"), count("pool.host-left")), (more, more), "{directions:?}");
    assert_eq!(count("pool.provisioning-failed"), 0);

    let (most, _) = disturbed(&stream(&world, "/budgets/site").await);
    assert!((1..=AT_ONCE).contains(&most), "{most} at once");
    let hosts = world.rows("/hosts").await;
    assert!(hosts.iter().all(|host| host["cordonedBy"].is_null()), "{hosts:#?}");
    let mut suppressed: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == "pool.scaling-suppressed") {
        *suppressed.entry(event.data["rule"].as_str().unwrap()).or_default() += 1;
    }
    println!("decisions {directions:?}; at most {most} hosts disturbed at once; held back by {suppressed:?}");
}

/// From the change of the load to the first host: each hop by the streams' own times.
async fn print_hops(world: &World, events: &[Recorded], began_at: Timestamp, eased_at: Timestamp) {
    let first = |kind: &str, is_it: &dyn Fn(&Value) -> bool| {
        events
            .iter()
            .find(|event| event.kind == kind && is_it(&event.data))
            .unwrap_or_else(|| panic!("no {kind}"))
    };
    let crossed = |direction: &str| {
        first("pool.threshold-crossed", &|data| data["direction"] == direction && data["status"] == "firing")
    };
    let (above, out) = (crossed("above"), first("pool.scaling-decided", &|data| data["direction"] == "out"));
    let arrived = first("pool.host-arrived", &|_| true);
    let provisioning = arrived.data["provisioning"].as_str().unwrap();
    let started = stream(world, &format!("/provisionings/{provisioning}")).await[0].at;
    println!("out, from the change of the load on:");
    let alert = time(&above.data["startsAt"]);
    let (told, recorded, decided) = (time(&above.data["observedAt"]), above.at, out.at);
    hops(
        began_at,
        &[
            ("the alert fires", alert),
            ("Hostler is told", told),
            ("it is on record", recorded),
            ("decided", decided),
            ("the first provisioning has started", started),
            ("the first host is in service", arrived.at),
        ],
    );
    let fell = events.iter().filter(|event| event.at > eased_at);
    let below = fell.clone().find(|event| {
        event.kind == "pool.threshold-crossed"
            && event.data["direction"] == "below"
            && event.data["status"] == "firing"
    });
    let shrink = first("pool.scaling-decided", &|data| data["direction"] == "in");
    let left = first("pool.host-left", &|_| true);
    println!("in, from the change of the load on:");
    let alert = below.map(|below| time(&below.data["startsAt"])).unwrap_or(eased_at);
    hops(
        eased_at,
        &[
            ("the alert fires", alert),
            ("decided, after its windows", shrink.at),
            ("the first host has left", left.at),
        ],
    );
}

fn hops(from: Timestamp, moments: &[(&str, Timestamp)]) {
    let mut before = from;
    for (what, at) in moments {
        let (after, all) = (at.duration_since(before), at.duration_since(from));
        println!("  {what:<36} + {:>7.3} s = {:>7.3} s", after.as_secs_f64(), all.as_secs_f64());
        before = *at;
    }
}
