//! From a request to hosts in service, and back when something fails.

use hostler_localstack::needs;
use serde_json::json;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_brings_hosts_into_service() {
    needs!(Functions, Processes, HttpApi);
    let world = World::start(3).await;
    world.enrol("web").await;
    world.request("r-1", "web", 2).await;
    let sagas = world.settled("r-1", 2).await;
    assert!(sagas.iter().all(|saga| saga["status"] == "completed"), "{sagas:#?}");
    let hosts = world
        .until("views follow", async || {
            let hosts = world.hosts_in("web", "in-service").await;
            (hosts.len() == 2).then_some(hosts)
        })
        .await;
    assert!(hosts.iter().all(|host| host["role"] == "web" && host["power"] == "on"), "{hosts:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_be_configured_goes_back_to_its_pool() {
    needs!(Functions, Processes, HttpApi);
    let world = World::start(1).await;
    world.enrol("lab").await;
    let host = world.site.fleet.hosts()[0].host_id.clone();
    world.accepted("label-host", &json!({ "host": host, "set": { "simulate.configure": "fail" } })).await;
    world.request("r-1", "lab", 1).await;
    let sagas = world.settled("r-1", 1).await;
    assert_eq!(sagas[0]["status"], "compensated", "{sagas:#?}");
    world
        .until("the host is back", async || {
            (world.hosts_in("lab", "available").await.len() == 1).then_some(())
        })
        .await;
}
