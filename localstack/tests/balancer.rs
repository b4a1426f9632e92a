//! HAProxy: what is started sends requests to the host that it names, lets nobody else give it commands, and ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use hostler_localstack::{Balancer, BalancerOptions, Fleet, FleetOptions, group_members, lacks_balancer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

async fn start() -> Balancer {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let backends = vec!["web".to_owned()];
    let options = BalancerOptions { root, backends, ..BalancerOptions::default() };
    Balancer::start(options).await.unwrap()
}

async fn say(balancer: &Balancer, command: &str) -> String {
    let mut connection = UnixStream::connect(balancer.socket()).await.unwrap();
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
    let balancer = start().await;
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

/// The addresses on which a process listens by TCP, as the kernel writes them (*proc_pid_net(5)*: state 0A listens, and field 9 is the
/// socket's inode).
fn listens_on(process: u32) -> Vec<String> {
    let open: BTreeSet<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut addresses = Vec::new();
    for table in ["tcp", "tcp6"] {
        // A machine without IPv6 has no such table.
        let text = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields[3] == "0A" && open.contains(fields[9]) {
                addresses.push(fields[1].to_owned());
            }
        }
    }
    addresses
}

/// Given the local HAProxy, when a page in a browser tries each port of loopback, then it finds the frontend, which sends requests to
/// hosts and takes no commands; and the socket that takes commands is for our user alone.
#[tokio::test(flavor = "multi_thread")]
async fn haproxy_listens_on_no_port_but_its_frontend_and_takes_commands_of_our_user_only() {
    if lacks_balancer() {
        return;
    }
    let balancer = start().await;
    let listening: Vec<String> =
        group_members(balancer.process_group()).into_iter().flat_map(listens_on).collect();
    let port: u16 = balancer.url().rsplit_once(':').unwrap().1.parse().unwrap();
    assert_eq!(listening, [format!("0100007F:{port:04X}")], "127.0.0.1, and the frontend's port");

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let socket = balancer.socket();
    assert!(fs::metadata(socket).unwrap().file_type().is_socket());
    assert_eq!(mode(socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);

    let page = reqwest::Client::new().post(balancer.url()).header("Origin", "http://page.invalid");
    let answer = page.body("disable frontend hosts\nshow info\n").send().await.unwrap();
    assert_eq!(answer.status(), 503, "no backend has this path");
    assert!(!answer.text().await.unwrap().contains("Version:"));
    assert!(say(&balancer, "show stat").await.contains("hosts,FRONTEND,"), "our user is heard");
    assert_eq!(get(&balancer).await.0, 503, "the frontend still answers");
}
