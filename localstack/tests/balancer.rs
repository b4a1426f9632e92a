//! HAProxy: what is started sends requests to the host that it names, and ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::Path;

use hostler_localstack::{Balancer, BalancerOptions, Fleet, FleetOptions, group_members, lacks_balancer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn say(balancer: &Balancer, command: &str) -> String {
    let mut connection = TcpStream::connect(balancer.api()).await.unwrap();
    connection.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(balancer: &Balancer) -> (u16, String) {
    let answer = reqwest::get(format!("{}/web/page", balancer.url())).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_reach_the_host_that_the_load_balancer_names() {
    if lacks_balancer() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let backends = vec!["web".to_owned()];
    let options = BalancerOptions { root, backends, ..BalancerOptions::default() };
    let balancer = Balancer::start(options).await.unwrap();
    let fleet = Fleet::start(FleetOptions { hosts: 2, ..FleetOptions::default() }).await.unwrap();
    assert_eq!(get(&balancer).await.0, 503, "no host has joined");
    let address = &fleet.hosts()[1].metrics_address;
    for (name, said) in [("h-02", "no system runs on this host"), ("h-99", "the fleet has no such host")] {
        say(&balancer, &format!("add server web/{name} {address}")).await;
        say(&balancer, &format!("set server web/{name} state ready")).await;
        let (_, body) = get(&balancer).await;
        assert!(body.contains(said), "{name}: {body}");
        say(&balancer, &format!("set server web/{name} state maint")).await;
    }
    let group = balancer.process_group();
    assert!(!group_members(group).is_empty());
    drop(balancer);
    assert!(group_members(group).is_empty(), "it ends with its handle");
    fleet.stop().await;
}
