//! Campaigns over the local fleet, with the real `dpkg`: one that patches what is vulnerable, and one whose package no host is
//! healthy on.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use hostler_localstack::{ConfigurationRunner, Configured, SiteOptions, lacks_monitoring, needs};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::world::{World, fleet};

/// The web servers and the databases; a host of each rack after the other.
const WEB: usize = 8;
const DB: usize = 4;
const RACKS: usize = 4;
const BEFORE: &str = "2.1.0-1";
/// The fix, which asks for a reboot, and one of another vulnerability, which keeps the service of a host down.
const FIX: &str = "2.1.1-1";
const BAD_FIX: &str = "2.1.2-1";
const CVE: &str = "CVE-2026-4711";
const OTHER_CVE: &str = "CVE-2026-4712";
const SOAK_SECONDS: i64 = 3;
/// A canary, half of what is left, and the rest; one host of a rack at a time.
const WAVES: [u32; 3] = [1, 4, 3];
/// A vulnerability that an attacker can automate and that gives everything has a deadline, and so a campaign of its own.
const SEVERE: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
const PATIENCE: Duration = Duration::from_secs(400);

/// A host must be healthy on what was installed within so many minutes, which a slow machine needs, and a bad fix is waited for.
fn policy(healthy_minutes: u32) -> Value {
    let pool = json!({ "role": "web", "image": "debian-12", "hosts": WEB + DB, "autonomy": "auto" });
    json!({
        "campaigns": {
            "autonomy": "auto", "canaryPercent": 10, "soakSeconds": SOAK_SECONDS, "waves": [50, 100], "errors": 0,
            "errorsPercent": 0, "emergency": { "canaryPercent": 50, "soakSeconds": 0, "waves": [100] },
        },
        "patching": { "changeMinutes": 5, "healthyMinutes": healthy_minutes },
        "budget": { "site": RACKS, "pool": RACKS, "poolPercent": 50, "rack": 1, "powerDomain": RACKS, "starts": 100,
            "windowSeconds": 600, "brakePercent": 50 },
        "pools": { "web": pool },
    })
}

/// What `dpkg` itself says of the version of the web server; none where it is not installed.
fn version(world: &World, host: &str) -> Option<String> {
    let root = world.site.configuration.as_ref().unwrap().roots().of(host);
    let admin = format!("--admindir={}", root.join("var/lib/dpkg").display());
    let query =
        Command::new("dpkg-query").args([&admin, "-W", "-f=${Version}", "hostler-web"]).output().unwrap();
    query.status.success().then(|| String::from_utf8(query.stdout).unwrap())
}

async fn apply(world: &World, healthy_minutes: u32) {
    let apply = json!({ "policies": "site", "policy": policy(healthy_minutes), "reason": "a test" });
    world.accepted("apply-policies", &apply).await;
}

/// The hosts of a fleet that is spread over racks, by their roles.
async fn start(world: &World) -> (Vec<String>, Vec<String>) {
    apply(world, 3).await;
    world.enrol_in_racks("web", RACKS).await;
    let mut by_role = Vec::new();
    for (request, role, count) in [("r-1", "web", WEB), ("r-2", "db", DB)] {
        let command =
            json!({ "request": request, "pool": "web", "role": role, "image": "debian-12", "count": count });
        world.accepted("request-hosts", &command).await;
        let rows = world.settled_within(PATIENCE, request, count).await;
        let hosts: Vec<String> =
            rows.iter().map(|row| row["host"].as_str().unwrap_or_default().to_owned()).collect();
        assert!(rows.iter().all(|row| row["status"] == "completed"), "{rows:#?}");
        by_role.push(hosts);
    }
    let db = by_role.remove(1);
    (by_role.remove(0), db)
}

/// A vulnerability is published, and all hosts that have it are known.
async fn publish(world: &World, cve: &str, fixed: &str, severity: Option<&str>) {
    let severity: Vec<Value> =
        severity.iter().map(|score| json!({ "type": "CVSS_V3", "score": score })).collect();
    let record = json!({
        "schema_version": "1.7.0", "id": cve, "modified": "2026-11-28T10:40:00Z", "summary": "hostler-web - security update",
        "severity": severity,
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "hostler-web", "purl": "pkg:deb/debian/hostler-web?arch=source" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }],
        }],
    });
    let post = reqwest::Client::new().post(world.api.url("/signals/osv")).json(&record);
    let answer = post.bearer_auth(&world.site.parameters["SignalToken"]).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let known = async || (with_finding(world, cve, "open").await.len() == WEB).then_some(());
    world.until_within(PATIENCE, &format!("{WEB} hosts have {cve}"), known).await;
}

/// The hosts whose finding of a vulnerability has this status.
async fn with_finding(world: &World, cve: &str, status: &str) -> BTreeSet<String> {
    let rows = world.rows(&format!("/findings?group={cve}%2F{status}")).await;
    rows.iter().map(|row| row["host"].as_str().unwrap().to_owned()).collect()
}

/// A campaign, once it has this status.
async fn campaign(world: &World, campaign: &str, status: &str) -> Value {
    let is_so = async || {
        let (found, view) = world.get(&format!("/campaigns/{campaign}")).await;
        (found == 200 && view["status"] == status).then_some(view)
    };
    world.until_within(PATIENCE, &format!("campaign {campaign} is {status}"), is_so).await
}

/// A campaign, once all its waves have ended.
async fn waves_ended(world: &World, campaign: &str) -> Value {
    let ended = async || {
        let (_, view) = world.get(&format!("/campaigns/{campaign}")).await;
        let waves = view["waves"].as_array()?;
        let all = waves.len() == WAVES.len() && waves.iter().all(|wave| wave["completedAt"].is_string());
        all.then_some(view)
    };
    world.until_within(PATIENCE, &format!("the waves of campaign {campaign} have ended"), ended).await
}

/// When a saga had hosts to itself: from each cordon to its end.
async fn cordons(world: &World, host: &str) -> Vec<(Timestamp, Timestamp)> {
    let (_, timeline) = world.get(&format!("/hosts/{host}/timeline?limit=200")).await;
    let (mut cordons, mut begun) = (Vec::new(), None);
    for commit in timeline["commits"].as_array().unwrap() {
        let at: Timestamp = commit["recordedAt"].as_str().unwrap().parse().unwrap();
        for event in commit["events"].as_array().unwrap() {
            match event["eventType"].as_str().unwrap() {
                "host.cordoned" => begun = Some(at),
                "host.uncordoned" => cordons.extend(begun.take().map(|begun| (begun, at))),
                _other => {}
            }
        }
    }
    assert_eq!(begun, None, "{host} is still cordoned");
    cordons
}

/// Every host serves, none is cordoned, and nobody holds a part of the budget.
async fn all_serve(world: &World) -> BTreeMap<String, Vec<String>> {
    let mut racks = BTreeMap::<String, Vec<String>>::new();
    for row in world.rows("/hosts").await {
        assert_eq!((&row["phase"], &row["cordonedBy"]), (&json!("in-service"), &Value::Null), "{row:#}");
        let [rack, host] = ["faultDomain", "host"].map(|field| row[field].as_str().unwrap().to_owned());
        racks.entry(rack).or_default().push(host);
    }
    let returned = async || {
        let (status, budget) = world.get("/budgets/site").await;
        assert_eq!(status, 200, "{budget}");
        budget["holders"].as_array().is_none_or(Vec::is_empty).then_some(())
    };
    world.until("the budget is given back", returned).await;
    racks
}

/// The campaign's waves are as the policies say, with a soak between them, and hosts of a rack one after the other.
async fn went_in_waves(world: &World, view: &Value, racks: &BTreeMap<String, Vec<String>>) {
    let waves = view["waves"].as_array().unwrap();
    let field =
        |field: &str| -> Vec<u64> { waves.iter().map(|wave| wave[field].as_u64().unwrap()).collect() };
    assert_eq!(field("hosts"), WAVES.map(u64::from), "{view:#}");
    assert_eq!(field("patched"), WAVES.map(u64::from), "{view:#}");
    let time = |wave: &Value, field: &str| -> Timestamp { wave[field].as_str().unwrap().parse().unwrap() };
    for pair in waves.windows(2) {
        let soak = time(&pair[1], "startedAt").duration_since(time(&pair[0], "completedAt"));
        assert!(soak >= SignedDuration::from_secs(SOAK_SECONDS), "{soak}: {view:#}");
    }
    for (rack, hosts) in racks {
        let mut of_rack = Vec::new();
        for host in hosts {
            of_rack.extend(cordons(world, host).await);
        }
        of_rack.sort();
        assert!(of_rack.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{rack}: {of_rack:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_advisory_is_patched_in_waves_and_a_fix_that_no_host_is_healthy_on_is_halted() {
    needs!(Functions, Processes, HttpApi);
    if let Some(missing) = ConfigurationRunner::missing_here() {
        eprintln!("not run: {missing}");
        return;
    }
    if lacks_monitoring() {
        return;
    }
    let options = SiteOptions {
        fleet: fleet(WEB + DB),
        configuration: Some(Configured::default()),
        monitoring: true,
        ..SiteOptions::default()
    };
    let world = World::start_alone_with(options).await;
    let (web, db) = start(&world).await;
    let versions = |hosts: &[String]| -> BTreeSet<Option<String>> {
        hosts.iter().map(|host| version(&world, host)).collect()
    };
    let all_have = |version: &str| BTreeSet::from([Some(version.to_owned())]);
    assert_eq!((versions(&web), versions(&db)), (all_have(BEFORE), BTreeSet::from([None])));

    let boots = |hosts: &[String]| -> Vec<_> {
        hosts.iter().map(|host| world.site.fleet.simulated().boots(host).power_ons).collect()
    };
    let (web_boots, db_boots) = (boots(&web), boots(&db));

    // Nobody asks for a campaign: it is urgent enough. Every host has the fix, and the scan of each finds nothing any more.
    publish(&world, CVE, FIX, Some(SEVERE)).await;
    let view = waves_ended(&world, &format!("{CVE}.1")).await;
    assert_eq!(versions(&web), all_have(FIX));
    let hosts: BTreeSet<String> = web.iter().cloned().collect();
    let resolved = async || (with_finding(&world, CVE, "resolved").await == hosts).then_some(());
    world.until("the scan of every host has found nothing", resolved).await;
    let racks = all_serve(&world).await;
    assert_eq!(racks.len(), RACKS);
    went_in_waves(&world, &view, &racks).await;
    // Each was rebooted, because the package asks for it.
    assert_eq!(boots(&web), web_boots.iter().map(|before| before + 1).collect::<Vec<_>>());
    // A host that lacks the package is left as it is.
    assert_eq!(boots(&db), db_boots);
    for host in &db {
        assert_eq!(world.get(&format!("/patchings/{CVE}.1.{host}")).await.0, 404);
        assert!(cordons(&world, host).await.is_empty(), "{host} was cordoned");
    }

    // The next fix keeps the service of a host down: the wave is halted, and each of its hosts has what it had before.
    apply(&world, 1).await;
    publish(&world, OTHER_CVE, BAD_FIX, None).await;
    let create = json!({ "campaign": "may", "advisory": OTHER_CVE, "emergency": true, "reason": "a test" });
    world.accepted("create-campaign", &create).await;
    // A minute after its last wave the first one looks for hosts once more, and another one counts its hosts.
    campaign(&world, &format!("{CVE}.1"), "completed").await;
    let view = campaign(&world, "may", "halted").await;
    let stop = &view["stop"];
    assert_eq!((&stop["rule"], &stop["limit"]), (&json!("errors"), &json!(0)), "{view:#}");
    assert!(stop["lifts"].as_str().unwrap().contains("hostler campaigns resume may"), "{view:#}");
    rolled_back(&world, &web).await;
    assert_eq!(versions(&web), all_have(FIX));
    // A view lags: a host's row may be from before its rollback was scanned.
    let all_open = async || (with_finding(&world, OTHER_CVE, "open").await == hosts).then_some(());
    world.until("every host has the finding still", all_open).await;
    all_serve(&world).await;
}

/// The hosts of the halted wave that were begun have failed because they were not healthy, and no other host is begun.
async fn rolled_back(world: &World, web: &[String]) {
    let mut begun = 0;
    for host in web {
        let path = format!("/patchings/may.{host}");
        if world.get(&path).await.0 == 404 {
            continue;
        }
        begun += 1;
        let ended = async || {
            let (_, saga) = world.get(&path).await;
            (saga["status"] != "running" && saga["status"] != "compensating").then_some(saga)
        };
        let saga = world.until_within(PATIENCE, &format!("the patching of {host} has ended"), ended).await;
        assert_eq!(saga["status"], "compensated", "{saga:#}");
        assert!(saga["reason"].as_str().unwrap().contains("unhealthy"), "{saga:#}");
    }
    assert!((1..=RACKS).contains(&begun), "{begun} hosts of the first wave were begun");
    let told = async || {
        let campaign_racks = world.rows("/lanes").await;
        let of_may = campaign_racks.iter().filter(|campaign_rack| campaign_rack["campaign"] == "may");
        let not_patched = of_may
            .flat_map(|campaign_rack| campaign_rack["notPatched"].as_array().cloned().unwrap_or_default());
        let failed = not_patched
            .filter(|of| of["end"] == "failed" && of["reason"].as_str().unwrap().contains("unhealthy"));
        (failed.count() == begun).then_some(())
    };
    world.until("the campaign tells which hosts failed and why", told).await;
}
