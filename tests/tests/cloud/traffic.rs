//! With HAProxy: hosts get requests while they are in service, and none is lost when one leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hostler_localstack::fleet::Condition;
use hostler_localstack::{SiteOptions, lacks_balancer, lacks_monitoring, needs};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::world::{World, fleet};

/// How many clients send requests, one after the other.
const CLIENTS: usize = 4;
/// How long each request takes.
const TAKES: &str = "millis=150";

/// A request that was sent: when, and what became of it.
#[derive(Debug, Clone)]
struct Sent {
    at: Instant,
    /// The host that answered, or what went wrong.
    answer: Result<String, String>,
}

/// Clients that send requests until they are stopped.
struct Stream {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Sent>>>,
}

impl Stream {
    fn begin(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (url, stop) = (format!("{url}/web/page?{TAKES}"), stop.clone());
            tokio::spawn(async move {
                let (client, mut sent) = (reqwest::Client::new(), Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let at = Instant::now();
                    sent.push(Sent { at, answer: ask(&client, &url).await });
                }
                sent
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, clients }
    }

    async fn end(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for client in self.clients {
            all.extend(client.await.unwrap());
        }
        all
    }
}

async fn ask(client: &reqwest::Client, url: &str) -> Result<String, String> {
    let answer =
        client.get(url).timeout(Duration::from_secs(30)).send().await.map_err(|error| error.to_string())?;
    let (status, text) = (answer.status(), answer.text().await.map_err(|error| error.to_string())?);
    if status.is_success() { Ok(text) } else { Err(format!("{status}: {text}")) }
}

fn hosts(sent: &[Sent]) -> BTreeSet<&str> {
    sent.iter().filter_map(|sent| sent.answer.as_deref().ok()).collect()
}

fn policies() -> Value {
    json!({
        "topology": { "racks": { "r-01": { "room": "hall-1", "powerDomain": "p-01", "hosts": 8 } } },
        "faults": {
            "unreachable": { "tolerationSeconds": 1, "runbook": "restart" },
            "service": { "tolerationSeconds": 1, "runbook": "restart" },
        },
        "runbooks": { "restart": { "autonomy": "auto", "rungs": [{ "rung": "power-cycle", "attempts": 3, "delaySeconds": 5 }] } },
        "budget": { "site": 3, "poolPercent": 100, "pool": 3, "rack": 3, "powerDomain": 3, "brakePercent": 100 },
        "pools": { "web": {
            "role": "web", "image": "debian-12", "hosts": 3,
            "traffic": { "backend": "web", "port": 80, "drainSeconds": 20 },
        } },
    })
}

/// So many hosts in service that HAProxy sends requests to.
async fn in_traffic(count: usize, monitoring: bool) -> (World, String) {
    let options = SiteOptions {
        fleet: fleet(count),
        backends: vec!["web".to_owned()],
        monitoring,
        ..SiteOptions::default()
    };
    let world = World::start_with(options).await;
    let applied = json!({ "policies": "site", "policy": policies(), "reason": "the first" });
    world.accepted("apply-policies", &applied).await;
    world.enrol("web").await;
    for host in world.site.fleet.hosts() {
        let set = json!({ "traffic.address": host.metrics_address });
        world.accepted("label-host", &json!({ "host": host.host_id, "set": set })).await;
    }
    world.request("r-1", "web", u32::try_from(count).unwrap()).await;
    let sagas = world.settled("r-1", count).await;
    assert!(sagas.iter().all(|saga| saga["status"] == "completed"), "{sagas:#?}");
    let url = world.site.balancer.as_ref().unwrap().url();
    (world, url)
}

/// The names of what happened to a host, oldest first.
async fn happened(world: &World, host: &str) -> Vec<String> {
    let (status, timeline) = world.get(&format!("/hosts/{host}/timeline")).await;
    assert_eq!(status, 200, "{timeline}");
    let commits = timeline["commits"].as_array().unwrap().iter();
    let events = commits.flat_map(|commit| commit["events"].as_array().unwrap());
    events.map(|event| event["eventType"].as_str().unwrap().to_owned()).collect()
}

/// Given a steady stream of requests, when a host is released, then no request fails, and the host has left traffic before its power
/// goes off.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_a_host_is_released_and_it_leaves_traffic_before_its_power() {
    needs!(Functions, Processes, HttpApi);
    if lacks_balancer() {
        return;
    }
    let (world, url) = in_traffic(2, false).await;
    let stream = Stream::begin(&url);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.accepted("release-host", &json!({ "host": "h-01", "reason": "scaled in" })).await;
    world
        .until("it is back in its pool", async || {
            (world.hosts_in("web", "available").await.len() == 1).then_some(())
        })
        .await;
    let is_back = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sent = stream.end().await;

    let failed: Vec<&Sent> = sent.iter().filter(|sent| sent.answer.is_err()).collect();
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), sent.len());
    assert_eq!(hosts(&sent), BTreeSet::from(["h-01", "h-02"]), "both had requests");
    let after: Vec<Sent> = sent.iter().filter(|sent| sent.at > is_back).cloned().collect();
    assert_eq!(hosts(&after), BTreeSet::from(["h-02"]));
    let events = happened(&world, "h-01").await;
    let at = |name: &str| {
        events.iter().position(|event| event == name).unwrap_or_else(|| panic!("{name}: {events:?}"))
    };
    assert!(at("host.drain-started") < at("host.left-traffic"));
    assert!(at("host.left-traffic") < at("host.undeploy-started"), "{events:?}");
    eprintln!("{} requests, none failed", sent.len());
}

/// Given a host whose service has failed, when it is power-cycled, then it has no requests from before its power goes off until monitoring
/// has seen it well again, and has some after that.
#[tokio::test(flavor = "multi_thread")]
async fn a_power_cycled_host_is_out_of_traffic_meanwhile_and_back_after_it() {
    needs!(Functions, Processes, HttpApi);
    if lacks_balancer() || lacks_monitoring() {
        return;
    }
    let (world, url) = in_traffic(2, true).await;
    world.site.fleet.simulated().set_condition("h-01", Condition::Hangs).unwrap();
    world
        .until("its power is off", async || {
            happened(&world, "h-01").await.contains(&"host.power-cycle-started".to_owned()).then_some(())
        })
        .await;
    world
        .until("it is well again", async || {
            let events = happened(&world, "h-01").await;
            (events.last().is_some_and(|event| event == "host.uncordoned")).then_some(())
        })
        .await;
    let events = happened(&world, "h-01").await;
    let of_repair: Vec<&str> = events
        .iter()
        .skip_while(|event| *event != "host.cordoned")
        .map(String::as_str)
        .filter(|event| {
            !["host.step-failed", "host.step-deferred", "host.power-state-changed"].contains(event)
        })
        .collect();
    assert_eq!(
        of_repair,
        [
            "host.cordoned",
            "host.drain-started",
            "host.left-traffic",
            "host.power-cycle-started",
            "host.power-cycled",
            "host.joined-traffic",
            "host.uncordoned"
        ]
    );
    let stream = Stream::begin(&url);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sent = stream.end().await;
    assert_eq!(hosts(&sent), BTreeSet::from(["h-01", "h-02"]), "it has requests again");
    assert!(sent.iter().all(|sent| sent.answer.is_ok()), "{sent:#?}");
}
