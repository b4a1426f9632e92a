//! A real HAProxy over a Unix socket, where it is installed: `apt-get install --no-install-recommends haproxy`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use hostler_drivers::{HaproxyLoadBalancer, LoadBalancer, TrafficServer};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::contract::{Subject, holds};

/// A host with a page that answers at once, and one that answers when it is told to.
struct Host {
    address: String,
    release: Arc<Notify>,
    begun: Arc<Notify>,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Page {
    name: &'static str,
    release: Arc<Notify>,
    begun: Arc<Notify>,
}

impl Host {
    async fn start(name: &'static str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (release, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let page = Page { name, release: release.clone(), begun: begun.clone() };
        let slow = async |State(page): State<Page>| {
            page.begun.notify_one();
            page.release.notified().await;
            page.name
        };
        let app = Router::new()
            .route("/", get(async |State(page): State<Page>| page.name))
            .route("/slow", get(slow))
            .with_state(page);
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, release, begun, serving }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Haproxy {
    process: Child,
    files: [PathBuf; 2],
    driver: HaproxyLoadBalancer,
    frontend: String,
    hosts: BTreeMap<&'static str, Host>,
    slow: Mutex<Option<JoinHandle<bool>>>,
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
    }
}

fn is_installed() -> bool {
    let version = Command::new("haproxy").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn start() -> Haproxy {
    let web = free_port();
    let file = |ending: &str| std::env::temp_dir().join(format!("hostler-haproxy-{web}.{ending}"));
    let (config, socket) = (file("cfg"), file("sock"));
    let text = format!(
        "global\n  stats socket unix@{} mode 600 level admin\ndefaults\n  mode http\n  timeout connect 2s\n  \
         timeout client 60s\n  timeout server 60s\nfrontend web\n  bind 127.0.0.1:{web}\n  default_backend web\n\
         backend web\n  balance roundrobin\n",
        socket.display()
    );
    std::fs::write(&config, text).unwrap();
    let process = Command::new("haproxy").args(["-db", "-q", "-f"]).arg(&config).spawn().unwrap();
    let mut hosts = BTreeMap::new();
    for name in ["h-1", "h-2"] {
        hosts.insert(name, Host::start(name).await);
    }
    let address = format!("unix:{}", socket.display()).parse().unwrap();
    let driver = HaproxyLoadBalancer::new(address, HaproxyLoadBalancer::TIMEOUT);
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", web)).is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let frontend = format!("http://127.0.0.1:{web}");
    Haproxy { process, files: [config, socket], driver, frontend, hosts, slow: Mutex::default() }
}

impl Subject for Haproxy {
    fn driver(&self) -> &dyn LoadBalancer {
        &self.driver
    }

    fn server(&self, host: &str) -> TrafficServer {
        let address = self.hosts[host].address.clone();
        TrafficServer { backend: "web".to_owned(), host: host.to_owned(), address }
    }

    fn counts_requests(&self) -> bool {
        true
    }

    /// There are two hosts at most, which take turns.
    async fn takes_requests(&self, host: &str) -> bool {
        let mut said = Vec::new();
        for _ in 0..4 {
            let answer = reqwest::get(&self.frontend).await.unwrap();
            said.push(answer.text().await.unwrap());
        }
        said.iter().any(|text| text == host)
    }

    async fn begin_request(&mut self, host: &str) {
        let url = format!("{}/slow", self.frontend);
        let request = async move {
            match reqwest::get(url).await {
                Ok(answer) => answer.status().is_success() && answer.text().await.is_ok(),
                Err(_cut_off) => false,
            }
        };
        *self.slow.lock().unwrap() = Some(tokio::spawn(request));
        self.hosts[host].begun.notified().await;
    }

    async fn end_request(&mut self, host: &str) -> bool {
        self.hosts[host].release.notify_waiters();
        let slow = self.slow.lock().unwrap().take().unwrap();
        let was_answered = slow.await.unwrap();
        // HAProxy counts it until its own work on it is done.
        tokio::time::sleep(Duration::from_millis(100)).await;
        was_answered
    }
}

#[tokio::test]
async fn haproxy_keeps_the_contract() {
    if !is_installed() {
        eprintln!("not run, for HAProxy is not installed: apt-get install --no-install-recommends haproxy");
        return;
    }
    holds(start().await).await;
}

#[tokio::test]
async fn a_host_that_joins_again_at_another_address_is_reached_there() {
    if !is_installed() {
        eprintln!("not run, for HAProxy is not installed: apt-get install --no-install-recommends haproxy");
        return;
    }
    let haproxy = start().await;
    haproxy.driver.join(&haproxy.server("h-1")).await.unwrap();
    let moved = TrafficServer { address: haproxy.hosts["h-2"].address.clone(), ..haproxy.server("h-1") };
    haproxy.driver.join(&moved).await.unwrap();
    let said = reqwest::get(&haproxy.frontend).await.unwrap().text().await.unwrap();
    assert_eq!(said, "h-2", "the host of that address");
    let nowhere = TrafficServer { address: "no-such-name.invalid:80".to_owned(), ..haproxy.server("h-1") };
    let error = haproxy.driver.join(&nowhere).await.unwrap_err().to_string();
    assert!(error.contains("no-such-name.invalid"), "{error}");
}
