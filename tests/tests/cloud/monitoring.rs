//! With Prometheus: a host is in service after it was seen well, and is watched for no longer than it serves.

use hostler_localstack::{SiteOptions, lacks_monitoring, needs};
use serde_json::{Value, json};

use crate::world::{World, fleet};

/// What Prometheus looks at, as its hosts.
async fn watched(world: &World) -> Vec<String> {
    let prometheus = world.site.monitoring.as_ref().unwrap().prometheus_url();
    let answer = reqwest::get(format!("{prometheus}/api/v1/targets?state=active")).await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let targets = answer["data"]["activeTargets"].as_array().unwrap().iter();
    targets.map(|target| target["labels"]["host"].as_str().unwrap_or_default().to_owned()).collect()
}

/// One site for all of it, for a Prometheus takes its time. The first host has a system that serves its metrics, and the
/// second one has none: where its labels say that they are, nobody answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_in_service_only_after_prometheus_has_seen_it_well_and_watched_only_while_it_serves() {
    needs!(Functions, Processes, HttpApi);
    if lacks_monitoring() {
        return;
    }
    // Quick attempts: a host that is never well has to be given up in the time of a test.
    let step = json!({ "deadlineSeconds": 30, "attempts": 3, "retrySeconds": 4 });
    let policy = json!({
        "version": 1, "registerMonitoring": step,
        "reserveHost": { "deadlineSeconds": 20, "attempts": 4, "retrySeconds": 2 },
        "deployImage": { "deadlineSeconds": 60, "attempts": 2, "retrySeconds": 1 },
        "applyRole": { "deadlineSeconds": 30, "attempts": 3, "retrySeconds": 1 },
        "deregisterMonitoring": { "deadlineSeconds": 30, "attempts": 5, "retrySeconds": 1 },
        "undeployHost": { "deadlineSeconds": 240, "attempts": 3, "retrySeconds": 2 },
        "releaseReservation": { "deadlineSeconds": 20, "attempts": 10, "retrySeconds": 1 },
    });
    let options = SiteOptions {
        fleet: fleet(2),
        monitoring: true,
        parameters: [("ProvisioningPolicy".to_owned(), policy.to_string())].into(),
        ..SiteOptions::default()
    };
    let world = World::start_with(options).await;
    world.enrol("web").await;
    let (well, mute) = ("h-01", "h-02");
    let nowhere = json!({ "metrics.path": "/metrics/nobody" });
    world.accepted("label-host", &json!({ "host": mute, "set": nowhere })).await;
    assert!(watched(&world).await.is_empty(), "hosts that do not serve are not watched");

    world.request("r-1", "web", 2).await;
    let sagas = world.settled("r-1", 2).await;
    let status = |host: &str| {
        let saga = sagas.iter().find(|saga| saga["host"] == host).unwrap();
        (saga["status"].as_str().unwrap(), saga["reason"].as_str().unwrap_or_default())
    };
    assert_eq!(status(well).0, "completed", "{sagas:#?}");
    let (ended, reason) = status(mute);
    assert!(ended == "compensated" && reason.contains("first sample was not healthy"), "{sagas:#?}");

    // The sample is a real one, from after its installation: Prometheus has it.
    let prometheus = world.site.monitoring.as_ref().unwrap().prometheus_url();
    let query = format!("{prometheus}/api/v1/query?query=up{{host=\"{well}\"}}");
    let answer: Value = reqwest::get(query).await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["result"][0]["value"][1], "1", "{answer}");
    assert_eq!(answer["data"]["result"][0]["metric"]["pool"], "web", "{answer}");
    world
        .until("the one in service alone is watched", async || {
            (watched(&world).await == [well]).then_some(())
        })
        .await;

    world.accepted("release-host", &json!({ "host": well, "reason": "no longer needed" })).await;
    world.until("it is watched no longer", async || watched(&world).await.is_empty().then_some(())).await;
    world
        .until("both are back", async || (world.hosts_in("web", "available").await.len() == 2).then_some(()))
        .await;
}
