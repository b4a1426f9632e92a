//! With the real `dpkg`: a host is patched, and one that is not healthy on the fix is rolled back.

use std::process::Command;

use hostler_localstack::{ConfigurationRunner, Configured, SiteOptions, lacks_monitoring, needs};
use serde_json::{Value, json};

use crate::world::{World, fleet};

const BEFORE: &str = "2.1.0-1";
/// The fix, which asks for a reboot, and one of another vulnerability, which keeps the service of a host down.
const FIX: &str = "2.1.1-1";
const BAD_FIX: &str = "2.1.2-1";

/// What `dpkg` itself says of the version of the web server.
fn version(world: &World, host: &str) -> String {
    let root = world.site.configuration.as_ref().unwrap().roots().of(host);
    let admin = format!("--admindir={}", root.join("var/lib/dpkg").display());
    let query = Command::new("dpkg-query").args([&admin, "-W", "-f=${Version}", "hostler-web"]).output();
    String::from_utf8(query.unwrap().stdout).unwrap()
}

/// An operator creates a campaign for a vulnerability. Gives the end of this host's patching.
async fn patched(world: &World, campaign: &str, cve: &str, host: &str) -> Value {
    let create = json!({ "campaign": campaign, "advisory": cve, "emergency": true, "reason": "a test" });
    world.accepted("create-campaign", &create).await;
    let ended = async || {
        let (status, saga) = world.get(&format!("/patchings/{campaign}.{host}")).await;
        (status == 200 && saga["status"] != "running" && saga["status"] != "compensating").then_some(saga)
    };
    // A campaign waits a minute before it counts hosts.
    let begun = async || (world.get(&format!("/patchings/{campaign}.{host}")).await.0 == 200).then_some(());
    world.until(&format!("campaign {campaign} has begun with {host}"), begun).await;
    world.until(&format!("the patching of {host} by {campaign} has ended"), ended).await
}

/// The events of a campaign, by their names.
async fn events(world: &World, campaign: &str) -> Vec<String> {
    let (_, timeline) = world.get(&format!("/campaigns/{campaign}/timeline?limit=200")).await;
    let commits = timeline["commits"].as_array().cloned().unwrap_or_default();
    let events = commits.iter().flat_map(|commit| commit["events"].as_array().cloned().unwrap_or_default());
    events.map(|event| event["eventType"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn serves(world: &World, host: &str) {
    let (_, row) = world.get(&format!("/hosts/{host}")).await;
    assert_eq!((&row["phase"], &row["cordonedBy"]), (&json!("in-service"), &Value::Null), "{row:#}");
}

/// A vulnerability is published, and the host is known to have it.
async fn publish(world: &World, cve: &str, fixed: &str, host: &str) {
    let record = json!({
        "schema_version": "1.7.0", "id": cve, "modified": "2026-11-28T10:40:00Z", "summary": "hostler-web - security update",
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "hostler-web", "purl": "pkg:deb/debian/hostler-web?arch=source" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }],
        }],
    });
    let post = reqwest::Client::new().post(world.api.url("/signals/osv")).json(&record);
    let answer = post.bearer_auth(&world.site.parameters["SignalToken"]).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let found = async || (finding(world, cve, host).await["status"] == "open").then_some(());
    world.until(&format!("{host} has {cve}"), found).await;
}

/// What is known of a vulnerability of a host.
async fn finding(world: &World, cve: &str, host: &str) -> Value {
    let rows = world.rows("/findings").await;
    let of = |row: &Value| row["advisory"] == cve && row["host"] == host;
    rows.into_iter().find(of).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_patches_by_dpkg_itself_and_is_halted_where_a_host_is_not_healthy_on_the_fix() {
    needs!(Functions, Processes, HttpApi);
    if let Some(missing) = ConfigurationRunner::missing_here() {
        eprintln!("not run: {missing}");
        return;
    }
    if lacks_monitoring() {
        return;
    }
    let options = SiteOptions {
        fleet: fleet(1),
        configuration: Some(Configured::default()),
        monitoring: true,
        ..SiteOptions::default()
    };
    let world = World::start_with(options).await;
    let pool = json!({ "role": "web", "image": "debian-12", "hosts": 10, "autonomy": "auto" });
    let policy = json!({
        "campaigns": { "autonomy": "auto", "emergency": { "canaryPercent": 100, "soakSeconds": 0, "waves": [100] } },
        "patching": { "changeMinutes": 5, "healthyMinutes": 1 },
        "budget": { "site": 1, "pool": 1, "poolPercent": 10, "rack": 1, "powerDomain": 1, "starts": 10, "windowSeconds": 600,
            "brakePercent": 50 },
        "pools": { "web": pool },
    });
    world
        .accepted("apply-policies", &json!({ "policies": "site", "policy": policy, "reason": "a test" }))
        .await;
    world.enrol("web").await;
    world.request("r-1", "web", 1).await;
    let host = world.settled("r-1", 1).await.remove(0)["host"].as_str().unwrap().to_owned();
    assert_eq!(version(&world, &host), BEFORE);

    // The fix is installed, the host is rebooted because the package asks for it, and the scan finds nothing any more.
    publish(&world, "CVE-2026-4711", FIX, &host).await;
    let saga = patched(&world, "april", "CVE-2026-4711", &host).await;
    assert_eq!(saga["status"], "completed", "{saga:#}");
    assert_eq!(version(&world, &host), FIX);
    let resolved =
        async || (finding(&world, "CVE-2026-4711", &host).await["status"] == "resolved").then_some(());
    world.until("the scan has found nothing", resolved).await;
    let boots = world.site.fleet.simulated().boots(&host);
    assert_eq!(boots.power_ons, 3, "cleaned, installed, rebooted: {boots:?}");
    serves(&world, &host).await;

    // The next one keeps the host's service down: it is rolled back, nothing of it is left, and the campaign goes no further.
    publish(&world, "CVE-2026-4712", BAD_FIX, &host).await;
    let saga = patched(&world, "may", "CVE-2026-4712", &host).await;
    assert_eq!(saga["status"], "compensated", "{saga:#}");
    assert!(saga["reason"].as_str().unwrap().contains("unhealthy"), "{saga:#}");
    assert_eq!(version(&world, &host), FIX);
    serves(&world, &host).await;
    let halted = async || {
        let events = events(&world, "may").await;
        events.iter().any(|event| event == "campaign.wave-halted").then_some(())
    };
    world.until("the campaign is halted", halted).await;
}
