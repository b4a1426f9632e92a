//! The inventory: what sources say of hosts, what is missed when they say nothing, and when a host is gone.

use std::time::Duration;

use hostler_domain::inventory::InventoryState;
use hostler_domain::inventory::view::{InventoryView, inventory};
use hostler_domain::{InventoryDecider, SourceDecider};
use hostler_drivers::{At, DriverError};
use hostler_events::InventoryCommand;
use hostler_events::inventory::{Fact, SweepInventory};
use hostler_runtime::ports::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::site::{Site, system_url};

const HOSTS: u32 = 12;
const MINUTE: Duration = Duration::from_secs(60);

/// A site that keeps an inventory, with hosts of which rack and memory are known to its CMDB.
async fn site() -> Site {
    let mut site = Site::new();
    for n in 0..HOSTS {
        site.enrol(&host(n), &[]).await;
    }
    site.run().await;
    let inventory = json!({
        "sources": { "cmdb": { "silentSeconds": 900 }, "redfish": { "silentSeconds": 900 } },
        "records": { "public.hosts": { "host": "hostname", "facts": { "pool": "pool", "faultDomain": "rack" } } },
    });
    let command = json!({ "policies": "site", "policy": { "inventory": inventory }, "reason": "a test" });
    site.accepted("apply-policies", command).await;
    site.settle().await;
    site
}

fn host(n: u32) -> String {
    format!("h-{n:02}")
}

/// The rack that [`Site::enrol`] puts a host into.
fn rack(host: &str) -> String {
    format!("rack-{}", host.bytes().next_back().unwrap() % 3)
}

fn row(host: &str, rack: &str) -> Value {
    json!({ "hostname": host, "pool": "web", "rack": rack })
}

/// A change of the CMDB as Debezium sends it.
fn change(op: &str, before: &Value, after: &Value, at: Timestamp) -> Value {
    let source = json!({ "connector": "postgresql", "schema": "public", "table": "hosts", "ts_ms": at.as_millisecond() });
    json!({ "op": op, "before": before, "after": after, "source": source, "ts_ms": at.as_millisecond() })
}

async fn cmdb(site: &Site, body: &Value) {
    assert_eq!(site.post_signals("debezium", body).await.status, 202, "{body}");
}

/// What a BMC tells of its system, such as `ResourceChanged`.
async fn redfish(site: &Site, host: &str, what: &str) {
    let event = json!({
        "MessageId": format!("ResourceEvent.1.3.0.{what}"), "MessageSeverity": "OK", "EventTimestamp": site.clock.now(),
        "OriginOfCondition": { "@odata.id": "/redfish/v1/Systems/1" },
    });
    let body = json!({ "Context": host, "Events": [event] });
    assert_eq!(site.post_signals("redfish", &body).await.status, 202);
}

/// For so many rounds of five minutes each source says what it says in any case.
async fn as_ever(site: &mut Site, rounds: u32) {
    for round in 0..rounds {
        cmdb(site, &json!({ "ts_ms": site.clock.now().as_millisecond() })).await;
        redfish(site, &host(round % HOSTS), "ResourceChanged").await;
        site.advance(5 * MINUTE).await;
    }
}

/// The schedule is due.
async fn sweep(site: &Site) {
    let sweep = site.clock.now().to_string().parse().unwrap();
    site.send(&InventoryCommand::from(SweepInventory { sweep, after: None })).await;
}

/// Nobody answers at a host's BMC the next times.
fn hangs(site: &Site, host: &str, times: u32) {
    for _ in 0..times {
        let at = At { system: system_url(host), doing: "inspecting the system" };
        site.fleet.bmc(host).fail_next(DriverError::Unreachable { at, source: "connection refused".into() });
    }
}

fn state(site: &Site, host: &str) -> InventoryState {
    site.state::<InventoryDecider>(host)
}

fn view(site: &Site, host: &str) -> InventoryView {
    inventory(&state(site, host)).unwrap()
}

fn is_lost(site: &Site, source: &str) -> bool {
    site.state::<SourceDecider>(source).lost_since.is_some()
}

#[tokio::test]
async fn an_outage_of_two_hours_of_the_cmdb_and_of_redfish_events_has_no_host_gone_and_all_converges() {
    let mut site = site().await;
    for n in 0..HOSTS {
        let (host, now) = (host(n), site.clock.now());
        cmdb(&site, &change("r", &Value::Null, &row(&host, &rack(&host)), now)).await;
    }
    as_ever(&mut site, 6).await;
    assert!((0..HOSTS).all(|n| view(&site, &host(n)).status == "as-expected"));
    assert_eq!(site.count("source.subscription-lost"), 0, "a source that is heard is not missed");

    // Nothing comes for two hours. Meanwhile records change, all BMCs hang, and the schedule is due.
    let moved_at = site.clock.now() + Duration::from_secs(1_800);
    (0..HOSTS).for_each(|n| hangs(&site, &host(n), 1));
    site.advance(30 * MINUTE).await;
    sweep(&site).await;
    site.advance(90 * MINUTE).await;
    assert!(is_lost(&site, "cmdb") && is_lost(&site, "redfish"));
    assert_eq!(site.count("source.subscription-lost"), 2, "each is missed once");
    assert_eq!(site.count("inventory.host-vanished"), 0, "silence has no host gone");
    assert!((0..HOSTS).all(|n| view(&site, &host(n)).status == "as-expected"));

    // Both are back. The CMDB's connector goes on where it was, and tells what has changed meanwhile.
    let (moved, deleted) = (host(3), host(5));
    cmdb(&site, &change("u", &row(&moved, &rack(&moved)), &row(&moved, "rack-9"), moved_at)).await;
    cmdb(&site, &change("d", &row(&deleted, &rack(&deleted)), &Value::Null, moved_at)).await;
    as_ever(&mut site, 2).await;
    assert_eq!(site.count("source.subscription-restored"), 2);
    assert_eq!(site.count("sweep.completed"), 3, "all hosts are looked at for each that is back");
    assert_eq!(view(&site, &moved).status, "drifted");
    let drift = view(&site, &deleted).drift;
    assert_eq!((drift.len(), drift[0].fact), (1, Fact::Presence), "it has no record, and is there");
    assert_eq!(site.count("inventory.host-vanished"), 0, "nobody is gone by one word");

    // What is wrong in the CMDB is corrected there.
    let now = site.clock.now();
    cmdb(&site, &change("u", &row(&moved, "rack-9"), &row(&moved, &rack(&moved)), now)).await;
    cmdb(&site, &change("c", &Value::Null, &row(&deleted, &rack(&deleted)), now)).await;
    as_ever(&mut site, 1).await;
    for n in 0..HOSTS {
        let view = view(&site, &host(n));
        assert_eq!((view.status.as_str(), view.drift.len()), ("as-expected", 0), "{view:#?}");
    }
    site.run().await;
    site.check();
}

#[tokio::test]
async fn a_host_that_two_sources_say_is_gone_is_looked_for_and_nothing_is_done_to_it() {
    let mut site = site().await;
    let gone = host(4);
    cmdb(&site, &change("r", &Value::Null, &row(&gone, &rack(&gone)), site.clock.now())).await;
    site.advance(MINUTE).await;
    let before = site.host(&gone);
    cmdb(&site, &change("d", &row(&gone, &rack(&gone)), &Value::Null, site.clock.now())).await;
    site.advance(MINUTE).await;
    assert_eq!(view(&site, &gone).status, "doubted");
    hangs(&site, &gone, 1);
    redfish(&site, &gone, "ResourceRemoved").await;
    site.advance(MINUTE).await;
    assert_eq!(view(&site, &gone).status, "vanished");
    assert_eq!(site.host(&gone), before, "it is known to be gone, and nothing is done about it");
    // It was only moved to another rack: its BMC tells of it there.
    redfish(&site, &gone, "ResourceCreated").await;
    site.advance(MINUTE).await;
    assert_ne!(view(&site, &gone).status, "vanished");
    site.run().await;
    site.check();
}

#[tokio::test]
async fn a_host_that_only_the_cmdb_knows_appears_and_is_enrolled_by_nobody() {
    let mut site = site().await;
    cmdb(&site, &change("c", &Value::Null, &row("h-99", "rack-1"), site.clock.now())).await;
    site.advance(MINUTE).await;
    assert_eq!(view(&site, "h-99").status, "appeared");
    assert!(site.host("h-99").profile.is_none());
    let listed = site.get("/inventory", &[("group", "appeared")]).await;
    assert_eq!(listed.body["rows"][0]["host"], "h-99", "{}", listed.body);
    site.run().await;
    site.check();
}

#[tokio::test]
async fn a_sweep_looks_at_all_hosts_page_by_page_and_a_site_without_an_inventory_looks_at_none() {
    let mut site = Site::new();
    for n in 0..130 {
        site.enrol(&format!("h-{n:03}"), &[]).await;
    }
    site.run().await;
    sweep(&site).await;
    site.run().await;
    assert_eq!((site.count("sweep.started"), site.count("inventory.observed")), (0, 0));
    let command = json!({ "policies": "site", "policy": { "inventory": {} }, "reason": "a test" });
    site.accepted("apply-policies", command).await;
    site.advance(MINUTE).await;
    sweep(&site).await;
    site.run().await;
    assert_eq!((site.count("sweep.paged"), site.count("sweep.completed")), (2, 1));
    assert_eq!(site.count("inventory.observed"), 130);
    // What is as it was leaves nothing behind.
    site.advance(MINUTE).await;
    sweep(&site).await;
    site.run().await;
    assert_eq!((site.count("sweep.completed"), site.count("inventory.observed")), (2, 130));
    site.check();
}

#[tokio::test]
async fn a_record_that_names_no_host_is_a_dead_letter_with_what_to_do() {
    let mut site = site().await;
    cmdb(&site, &change("d", &json!({ "id": 7 }), &Value::Null, site.clock.now())).await;
    site.advance(MINUTE).await;
    let failures = site.failures();
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert!(failures[0].to_string().contains("REPLICA IDENTITY FULL"), "{failures:#?}");
    assert!(!is_lost(&site, "cmdb"), "its source is there");
}
