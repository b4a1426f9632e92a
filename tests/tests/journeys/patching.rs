//! One host is patched: looked at again, alone, out of traffic, healthy on what was installed, or as it was before.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use hostler_core::saga::SagaRef;
use hostler_core::{Actor, CommandId, CorrelationId, Decider, StreamId};
use hostler_domain::patching::{PatchOutcome, PatchingSaga, outcome};
use hostler_domain::{BudgetDecider, BudgetInput, Claim, Patching, Undone};
use hostler_drivers::{ControlState, StateStore};
use hostler_events::budget::{Disruption, Unhealthy};
use hostler_events::packages::FindingStatus;
use hostler_events::patching::{Fix, PatchOrder, PatchingPolicy, Reboot};
use hostler_events::site::BudgetPolicy;
use hostler_runtime::ports::Clock;
use hostler_runtime::state::shell::{Cause, Shell};
use hostler_testkit::SeededIds;
use serde_json::{Value, json};

use crate::site::{Setup, Site, WriteFault};

const CVE: &str = "CVE-2026-12345";
const VULNERABLE: &str = "3.0.15-1~deb12u1";
const FIXED: &str = "3.0.16-1~deb12u1";
const SAGA: &str = "april.h-1";

fn policies() -> Value {
    json!({
        "faults": {
            "patching-failed": { "tolerationSeconds": 0, "runbook": "reinstall" },
            "unreachable": { "tolerationSeconds": 0, "runbook": "reinstall" },
        },
        "runbooks": { "reinstall": { "autonomy": "auto", "rungs": [{ "rung": "reimage", "attempts": 1 }] } },
        "pools": { "web": {
            "role": "web-server", "image": "debian-13", "hosts": 20,
            "traffic": { "backend": "web", "port": 80, "drainSeconds": 5 },
        } },
        "patching": { "healthyMinutes": 5 },
    })
}

/// A host in service and in traffic, which has the vulnerable version, and is known to have it.
async fn vulnerable(setup: Setup, labels: &[(&str, &str)], needs_reboot: bool) -> Site {
    let mut site = Site::with(setup);
    let labels: Vec<_> = labels.iter().copied().chain([("traffic.address", "10.0.0.1:80")]).collect();
    let applied = json!({ "policies": "site", "policy": policies(), "reason": "the first" });
    site.accepted("apply-policies", applied).await;
    site.enrol("h-1", &labels).await;
    site.run().await;
    site.request("r-1", 1).await;
    site.run().await;
    let needs = if needs_reboot { vec!["openssl"] } else { Vec::new() };
    let row = json!({
        "installed": { "openssl": VULNERABLE, "bash": "5.2.15-2" }, "reboot_pending": false, "needs_reboot": needs, "changes": 0,
    });
    let store = ControlState(Arc::new(site.control.clone()));
    store.put("packages/h-1", row).await.unwrap();
    let listed = |name: &str, version: &str| json!({ "name": name, "version": version, "source": name, "sourceVersion": version });
    let body = json!({
        "host": "h-1", "ecosystem": "Debian:12", "observedAt": site.clock.now(), "rebootPending": false,
        "packages": [listed("bash", "5.2.15-2"), listed("openssl", VULNERABLE)],
    });
    assert_eq!(site.post_signals("packages", &body).await.status, 202);
    site.settle().await;
    let record = json!({
        "schema_version": "1.7.0", "id": "DSA-6012-1", "modified": "2025-12-31T10:40:00Z", "upstream": [CVE],
        "summary": "openssl - security update",
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "openssl", "purl": "pkg:deb/debian/openssl?arch=source" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": FIXED }] }],
        }],
    });
    assert_eq!(site.post_signals("osv", &record).await.status, 202);
    site.settle().await;
    site
}

fn order(version: &str) -> PatchOrder {
    PatchOrder {
        campaign: "april".parse().unwrap(),
        advisory: CVE.parse().unwrap(),
        host: "h-1".parse().unwrap(),
        pool: "web".parse().unwrap(),
        fixes: vec![Fix { package: "openssl".to_owned(), version: version.to_owned() }],
        reboot: Reboot::WhenNeeded,
        traffic: Some(serde_json::from_value(policies()["pools"]["web"]["traffic"].clone()).unwrap()),
        policy: PatchingPolicy { healthy_minutes: 5, ..PatchingPolicy::default() },
    }
}

fn saga() -> SagaRef {
    SagaRef::new("patching", SAGA).unwrap()
}

/// The budget is asked, or told, as a campaign does.
async fn budget(site: &Site, seed: u64, input: BudgetInput) {
    let ids = Arc::new(SeededIds::new(seed));
    let shell = Shell::new(Arc::new(site.store.clone()), Arc::new(site.clock.clone()), ids, "hostler");
    let cause = Cause {
        id: CommandId(shell.new_id()).into(),
        since: shell.now(),
        correlation_id: CorrelationId(shell.new_id()),
        trace_context: None,
        hops: 0,
        actor: Actor("test".to_owned()),
    };
    let stream = StreamId::new(BudgetDecider::CATEGORY, "site").unwrap();
    shell.execute::<BudgetDecider>(&stream, &cause, &input).await.unwrap();
}

/// Claims the budget and starts the patching, as a campaign does.
async fn start(site: &Site, version: &str) {
    let disruption = Disruption {
        host: "h-1".parse().unwrap(),
        pool: "web".parse().unwrap(),
        rack: "rack-1".parse().unwrap(),
        power_domain: None,
    };
    let claim = Claim {
        budget: "site".parse().unwrap(),
        saga: saga(),
        disruption,
        is_unhealthy: false,
        passes_brake: false,
        waits: false,
        hold_seconds: 6 * 3_600,
        pool_hosts: 20,
        unhealthy: Unhealthy::default(),
        limits: BudgetPolicy::default(),
        policy_version: 1,
    };
    budget(site, 4_711, BudgetInput::Claim(Box::new(claim))).await;
    site.start::<Patching>(SAGA, &order(version)).await;
}

/// To its end, after which the budget has back what was claimed.
async fn patch(site: &mut Site, version: &str) {
    start(site, version).await;
    end(site).await;
}

async fn end(site: &mut Site) {
    let ended = |site: &Site| outcome(&site.state::<PatchingSaga>(SAGA)).is_some();
    assert!(site.run_until(ended).await, "{:?}", site.state::<PatchingSaga>(SAGA).status);
    budget(site, 4_712, BudgetInput::Return { budget: "site".parse().unwrap(), saga: saga() }).await;
    site.run().await;
}

fn came_of(site: &Site) -> PatchOutcome {
    outcome(&site.state::<PatchingSaga>(SAGA)).expect("it goes on")
}

fn installed(site: &Site) -> Value {
    site.control_value("packages/h-1")["installed"]["openssl"].clone()
}

/// Nothing is left of the patching: the host serves, is nobody's alone, and is in traffic.
fn serves(site: &Site) {
    let host = site.host("h-1");
    assert_eq!((host.phase.name(), &host.cordon), ("in-service", &None));
    assert!(host.is_in_traffic(), "{:?}", host.traffic);
}

#[tokio::test]
async fn a_host_is_patched_alone_and_is_back_in_traffic_when_it_is_healthy_on_the_fix() {
    let mut site = vulnerable(Setup::default(), &[], true).await;
    patch(&mut site, FIXED).await;
    site.check();
    assert_eq!(
        came_of(&site),
        PatchOutcome::Patched { resolved: Some(true), reboot_pending: false, missing: Vec::new() }
    );
    assert_eq!(installed(&site), FIXED);
    assert_eq!((site.count("host.packages-installed"), site.count("host.power-cycled")), (1, 1));
    serves(&site);
    let rows = site.views.rows("findings").into_iter();
    let found: Vec<hostler_domain::views::FindingView> =
        rows.map(|row| serde_json::from_value(row.body).unwrap()).collect();
    assert_eq!(found.iter().map(|row| row.status).collect::<Vec<_>>(), [FindingStatus::Resolved]);
}

#[tokio::test]
async fn every_message_twice_changes_nothing_of_the_end() {
    let setup = Setup { duplicates: true, ..Setup::default() };
    let mut site = vulnerable(setup, &[], true).await;
    patch(&mut site, FIXED).await;
    site.check();
    assert_eq!(
        came_of(&site),
        PatchOutcome::Patched { resolved: Some(true), reboot_pending: false, missing: Vec::new() }
    );
    assert_eq!(site.control_value("packages/h-1")["changes"], 1, "it was installed once");
    assert_eq!(site.count("host.power-cycled"), 1);
    serves(&site);
}

#[tokio::test]
async fn a_host_that_is_rid_of_the_package_by_then_is_never_touched() {
    let mut site = vulnerable(Setup::default(), &[], false).await;
    site.advance(Duration::from_secs(60)).await;
    let body = json!({
        "host": "h-1", "ecosystem": "Debian:12", "observedAt": site.clock.now(), "rebootPending": false,
        "packages": [{ "name": "bash", "version": "5.2.15-2", "source": "bash", "sourceVersion": "5.2.15-2" }],
    });
    assert_eq!(site.post_signals("packages", &body).await.status, 202);
    site.settle().await;
    patch(&mut site, FIXED).await;
    site.check();
    assert!(matches!(came_of(&site), PatchOutcome::NothingToDo { .. }), "{:?}", came_of(&site));
    assert_eq!((site.count("host.cordoned"), site.count("host.drain-started")), (0, 0));
    assert_eq!(installed(&site), VULNERABLE);
}

#[tokio::test]
async fn an_installation_that_fails_leaves_the_host_as_it_was() {
    let mut site = vulnerable(Setup::default(), &[("simulate.install", "fail")], false).await;
    patch(&mut site, FIXED).await;
    site.check();
    let PatchOutcome::Failed { reason, .. } = came_of(&site) else { panic!("{:?}", came_of(&site)) };
    assert!(reason.contains("simulate.install"), "{reason}");
    assert_eq!(installed(&site), VULNERABLE);
    serves(&site);
}

#[tokio::test]
async fn a_host_that_is_not_healthy_on_the_fix_is_rolled_back_and_not_left_cordoned() {
    let mut site = vulnerable(Setup::default(), &[], false).await;
    site.fleet.faults.bad_versions.lock().unwrap().insert(FIXED.to_owned());
    patch(&mut site, FIXED).await;
    site.check();
    assert!(matches!(came_of(&site), PatchOutcome::Failed { .. }), "{:?}", came_of(&site));
    assert_eq!(installed(&site), VULNERABLE);
    assert_eq!((site.count("host.packages-rolled-back"), site.count("host.roll-back-failed")), (1, 0));
    serves(&site);
}

#[tokio::test]
async fn a_host_that_cannot_be_rolled_back_serves_nobody_until_it_is_installed_anew() {
    let mut site = vulnerable(Setup::default(), &[("simulate.roll-back", "fail")], false).await;
    site.fleet.faults.bad_versions.lock().unwrap().insert(FIXED.to_owned());
    start(&site, FIXED).await;
    assert!(site.run_until(|site| site.count("host.roll-back-failed") == 1).await);
    let patched = site.host("h-1").cordon.map(|cordon| cordon.patch.undone);
    assert_eq!(patched, Some(Some(Undone::InVain)));
    assert!(!site.host("h-1").is_in_traffic());
    end(&mut site).await;
    site.check();
    assert!(matches!(came_of(&site), PatchOutcome::Failed { .. }), "{:?}", came_of(&site));
    assert_eq!(site.tried("h-1"), ["Reimage: Healed"]);
    serves(&site);
}

/// What may be broken in the host meanwhile is its health's: nobody repairs it while it is patched.
#[tokio::test]
async fn a_host_that_is_patched_is_not_repaired_meanwhile() {
    let mut site = vulnerable(Setup::default(), &[], false).await;
    // It has a request that does not end, so that draining it takes its time.
    site.fleet.faults.requests.lock().unwrap().insert("h-1".to_owned(), 1);
    start(&site, FIXED).await;
    assert!(site.run_until(|site| site.count("host.cordoned") == 1).await);
    site.fires("h-1").await;
    let ended = |site: &Site| outcome(&site.state::<PatchingSaga>(SAGA)).is_some();
    assert!(site.run_until(ended).await);
    let counts =
        ["health.remediation-suppressed", "health.remediation-started"].map(|event| site.count(event));
    assert!(counts[0] > 0 && counts[1] == 0, "{counts:?}");
    end(&mut site).await;
    site.check();
    assert!(matches!(came_of(&site), PatchOutcome::Patched { .. }), "{:?}", came_of(&site));
    serves(&site);
}

/// A worker dies at each write of the journey, one run for each: the end is the same, and what was installed was installed once.
#[tokio::test]
async fn dying_at_any_write_changes_nothing_of_the_end() {
    async fn journey(fault: Option<(usize, WriteFault)>) -> (usize, Site) {
        let mut site = vulnerable(Setup::default(), &[], true).await;
        let first = site.switch.writes().len();
        if let Some((n, fault)) = fault {
            site.switch.plan(first + n, fault);
        }
        patch(&mut site, FIXED).await;
        (first, site)
    }
    let (first, undisturbed) = journey(None).await;
    let writes = undisturbed.switch.writes().len() - first;
    assert!(writes > 40, "{writes}");
    let faults = [WriteFault::DieBefore, WriteFault::DieAfter];
    let runs = (0..writes).map(|n| {
        let run = journey(Some((n, faults[n % 2])));
        async move { (n, run.await.1) }
    });
    let mut runs = futures::stream::iter(runs).buffer_unordered(32);
    while let Some((n, site)) = runs.next().await {
        println!("{:?} at write {n}", faults[n % 2]);
        site.check();
        assert_eq!(
            came_of(&site),
            PatchOutcome::Patched { resolved: Some(true), reboot_pending: false, missing: Vec::new() }
        );
        assert_eq!(site.control_value("packages/h-1")["changes"], 1, "it was installed once");
        serves(&site);
    }
}
