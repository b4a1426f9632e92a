//! With the real `dpkg`: a host is patched, and one that is not healthy on the fix is rolled back.

use std::process::Command;

use hostler_localstack::{ConfigurationRunner, Configured, SiteOptions, lacks_monitoring, needs};
use serde_json::{Value, json};

use crate::world::{World, fleet};

const CVE: &str = "CVE-2026-4711";
const BEFORE: &str = "2.1.0-1";
/// The fix, which asks for a reboot, and one that keeps the service of a host down.
const FIX: &str = "2.1.1-1";
const BAD_FIX: &str = "2.1.2-1";

/// What `dpkg` itself says of the version of the web server.
fn version(world: &World, host: &str) -> String {
    let root = world.site.configuration.as_ref().unwrap().roots().of(host);
    let admin = format!("--admindir={}", root.join("var/lib/dpkg").display());
    let query = Command::new("dpkg-query").args([&admin, "-W", "-f=${Version}", "hostler-web"]).output();
    String::from_utf8(query.unwrap().stdout).unwrap()
}

/// Starts the patching of a host, as a campaign does, and gives its end.
async fn patched(world: &World, host: &str, fix: &str) -> Value {
    let order = json!({
        "campaign": "april", "advisory": CVE, "host": host, "pool": "web",
        "fixes": [{ "package": "hostler-web", "version": fix }],
        "policy": { "changeMinutes": 5, "healthyMinutes": 1 },
    });
    let start = json!({ "saga": format!("patching#april.{host}"), "order": order });
    let command = World::signed(crate::bad_input::command("start-saga", 1, start));
    let sqs = aws_sdk_sqs::Client::new(&world.site.account.sdk_config());
    let url = &world.queue_urls()["run-sagas"];
    sqs.send_message().queue_url(url).message_body(command).send().await.unwrap();
    let ended = async || {
        let (status, saga) = world.get(&format!("/patchings/april.{host}")).await;
        (status == 200 && saga["status"] != "running" && saga["status"] != "compensating").then_some(saga)
    };
    world.until(&format!("the patching of {host} has ended"), ended).await
}

async fn serves(world: &World, host: &str) {
    let (_, row) = world.get(&format!("/hosts/{host}")).await;
    assert_eq!((&row["phase"], &row["cordonedBy"]), (&json!("in-service"), &Value::Null), "{row:#}");
}

/// An advisory is published, and both hosts are known to have what it speaks of.
async fn publish(world: &World, hosts: &[&str]) {
    let record = json!({
        "schema_version": "1.7.0", "id": CVE, "modified": "2026-11-28T10:40:00Z", "summary": "hostler-web - security update",
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "hostler-web", "purl": "pkg:deb/debian/hostler-web?arch=source" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": FIX }] }],
        }],
    });
    let post = reqwest::Client::new().post(world.api.url("/signals/osv")).json(&record);
    let answer = post.bearer_auth(&world.site.parameters["SignalToken"]).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let found = async || {
        let rows = world.rows("/findings").await;
        hosts.iter().all(|host| rows.iter().any(|row| row["host"] == *host)).then_some(())
    };
    world.until("both hosts have the finding", found).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_patched_by_dpkg_itself_and_one_that_is_not_healthy_on_the_fix_is_rolled_back() {
    needs!(Functions, Processes, HttpApi);
    if let Some(missing) = ConfigurationRunner::missing_here() {
        eprintln!("not run: {missing}");
        return;
    }
    if lacks_monitoring() {
        return;
    }
    let options = SiteOptions {
        fleet: fleet(2),
        configuration: Some(Configured::default()),
        monitoring: true,
        ..SiteOptions::default()
    };
    let world = World::start_with(options).await;
    world.enrol("web").await;
    world.request("r-1", "web", 2).await;
    let sagas = world.settled("r-1", 2).await;
    let serving: Vec<&str> = sagas.iter().map(|saga| saga["host"].as_str().unwrap()).collect();
    let [good, bad] = serving[..] else { panic!("{serving:?}") };
    assert_eq!([good, bad].map(|host| version(&world, host)), [BEFORE, BEFORE]);
    publish(&world, &[good, bad]).await;

    // The fix is installed, the host is rebooted because the package asks for it, and the scan finds nothing any more.
    let saga = patched(&world, good, FIX).await;
    assert_eq!(saga["status"], "completed", "{saga:#}");
    assert_eq!(version(&world, good), FIX);
    let rows = world.rows("/findings").await;
    let finding = rows.iter().find(|row| row["host"] == good).unwrap();
    assert_eq!(finding["status"], "resolved", "{finding:#}");
    let boots = world.site.fleet.simulated().boots(good);
    assert_eq!(boots.power_ons, 3, "cleaned, installed, rebooted: {boots:?}");
    serves(&world, good).await;

    // The other one keeps the host's service down: it is rolled back, and nothing of it is left.
    let saga = patched(&world, bad, BAD_FIX).await;
    assert_eq!(saga["status"], "compensated", "{saga:#}");
    assert!(saga["reason"].as_str().unwrap().contains("unhealthy"), "{saga:#}");
    assert_eq!(version(&world, bad), BEFORE);
    serves(&world, bad).await;
}
