//! Vulnerabilities of the real `dpkg` databases of the local fleet.

use hostler_localstack::{ConfigurationRunner, Configured, SiteOptions, needs};
use serde_json::{Value, json};

use crate::world::{World, fleet};

const CVE: &str = "CVE-2026-20001";

/// Sends what is published of a vulnerability of the package hostler-web.
async fn publish(world: &World) {
    let token = &world.site.parameters["SignalToken"];
    let record = json!({
        "schema_version": "1.7.0", "id": "DSA-7001-1", "modified": "2026-01-31T10:40:00Z", "upstream": [CVE],
        "summary": "hostler-web - security update",
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "hostler-web" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "99:1.0-1" }] }],
        }],
    });
    let request = reqwest::Client::new().post(world.api.url("/signals/osv")).bearer_auth(token).json(&record);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 202);
}

/// The findings of the vulnerability in this status, once there are so many.
async fn findings(world: &World, status: &str, count: usize) -> Vec<Value> {
    let path = format!("/findings?group={CVE}%2F{status}");
    world
        .until(&format!("{count} findings are {status}"), async || {
            let (_, answer) = world.get(&path).await;
            let rows = answer["rows"].as_array().cloned().unwrap_or_default();
            (rows.len() == count).then_some(rows)
        })
        .await
}

/// The agents tell what dpkg says is installed; the advisory finds the one host that has the package, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn an_advisory_finds_the_hosts_whose_dpkg_database_has_the_package() {
    needs!(Functions, Processes, HttpApi);
    if let Some(missing) = ConfigurationRunner::missing_here() {
        eprintln!("not run: {missing}");
        return;
    }
    let configuration = Some(Configured { roles: None });
    let world =
        World::start_with(SiteOptions { fleet: fleet(2), configuration, ..SiteOptions::default() }).await;
    world.enrol("web").await;
    for (id, role) in [("r-1", "web"), ("r-2", "db")] {
        let command = json!({ "request": id, "pool": "web", "role": role, "image": "debian-12", "count": 1 });
        world.accepted("request-hosts", &command).await;
    }
    let web = world.settled("r-1", 1).await.remove(0)["host"].clone();
    world.settled("r-2", 1).await;

    publish(&world).await;
    let open = findings(&world, "open", 1).await;
    assert_eq!(open[0]["host"], web);
    let package = &open[0]["packages"][0];
    assert_eq!((&package["package"], &package["installed"]), (&json!("hostler-web"), &json!("2.1.0-1")));

    // A host that is given back is wiped, and has nothing any more.
    world.accepted("release-host", &json!({ "host": web, "reason": "not needed" })).await;
    let resolved = findings(&world, "resolved", 1).await;
    assert_eq!(resolved[0]["host"], web);
}
