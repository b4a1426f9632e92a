//! Prometheus and Alertmanager: the rules, the configurations, and that what is started watches, and ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use hostler_localstack::fleet::{Condition, Demand, FleetHost};
use hostler_localstack::{
    Fleet, FleetOptions, Monitoring, MonitoringOptions, Watched, group_members, lacks_monitoring,
};
use reqwest::Method;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[track_caller]
fn runs(program: &str, args: &[&str], folder: &Path) {
    let ran = Command::new(program).args(args).current_dir(folder).output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    assert!(ran.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn the_rules_are_valid_and_ring_when_they_should() {
    if lacks_monitoring() {
        return;
    }
    let folder = root().join("infra/monitoring");
    runs("promtool", &["check", "rules", "rules.yaml"], &folder);
    runs("promtool", &["test", "rules", "rules.test.yaml"], &folder);
}

/// As a site fills them in.
#[test]
fn the_configurations_are_valid() {
    if lacks_monitoring() {
        return;
    }
    let (from, filled) = (root().join("infra/monitoring"), tempfile::tempdir().unwrap());
    let values = [
        ("${API}", "https://api.example.org"),
        ("${ALERTMANAGER}", "alertmanager:9093"),
        ("${INTERVAL}", "15s"),
        ("${REFRESH}", "30s"),
        ("${WAIT}", "5s"),
        ("${REPEAT}", "1m"),
    ];
    for name in ["prometheus.yaml", "alertmanager.yaml", "rules.yaml"] {
        let text = std::fs::read_to_string(from.join(name)).unwrap();
        let text = values.iter().fold(text, |text, (name, value)| text.replace(name, value));
        let placeholder =
            text.lines().find(|line| line.contains("${") && !line.trim_start().starts_with('#'));
        assert_eq!(placeholder, None, "{name} has a value that nobody fills in");
        std::fs::write(filled.path().join(name), text).unwrap();
    }
    for name in ["monitoring-token", "signal-token", "alertmanager-password"] {
        std::fs::write(filled.path().join(name), "x").unwrap();
    }
    runs("promtool", &["check", "config", "prometheus.yaml"], filled.path());
    runs("amtool", &["check-config", "alertmanager.yaml"], filled.path());
}

/// Tells the child of a test where to say what it has started.
const CHILD_FILE: &str = "HOSTLER_TEST_MONITORING_FILE";

/// What is killed takes a moment to be gone.
fn wait_until_empty(groups: &[i32]) {
    let begun = Instant::now();
    while groups.iter().any(|group| !group_members(*group).is_empty()) {
        assert!(begun.elapsed() < Duration::from_secs(5), "still running: {groups:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_of_it_survives_a_killed_owner() {
    if lacks_monitoring() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("groups");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owner_of_monitoring_that_gets_killed", "--ignored"])
        .env(CHILD_FILE, &file)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !file.exists() {
        let ended = child.try_wait().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(60) && ended.is_none(), "the owner did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (groups, folders): (Vec<i32>, Vec<PathBuf>) =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert!(groups.iter().all(|group| group_members(*group).len() >= 2), "a wrapper and its server each");
    child.kill().unwrap(); // SIGKILL: nothing in the owner gets to run
    child.wait().unwrap();
    wait_until_empty(&groups);
    assert!(folders.iter().all(|folder| !folder.exists()), "{folders:?} are left");
}

#[tokio::test]
#[ignore = "runs as the child of nothing_of_it_survives_a_killed_owner"]
async fn owner_of_monitoring_that_gets_killed() {
    let Some(file) = std::env::var_os(CHILD_FILE).map(PathBuf::from) else { return };
    let options = MonitoringOptions { root: root(), ..MonitoringOptions::default() };
    let monitoring = Monitoring::start(options).await.unwrap();
    let new = file.with_extension("new");
    std::fs::write(
        &new,
        serde_json::to_string(&(monitoring.process_groups(), monitoring.work_dirs())).unwrap(),
    )
    .unwrap();
    std::fs::rename(new, file).unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
}

/// What asks a Prometheus.
struct Asked {
    client: reqwest::Client,
    url: String,
}

impl Asked {
    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// The value of an instant query with one result.
    async fn value(&self, query: &str) -> Option<String> {
        let answer = self.get(&format!("/api/v1/query?query={query}")).await;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    }

    async fn until(&self, what: &str, ask: impl AsyncFn(&Self) -> bool) {
        let begun = Instant::now();
        while !ask(self).await {
            assert!(begun.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        eprintln!("{:>7.2?} until {what}", begun.elapsed());
    }
}

/// The BMC of the first host.
struct Bmc<'a>(&'a Fleet);

impl Bmc<'_> {
    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let (user, password) = self.0.credentials();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method, format!("{}{path}", self.0.hosts()[0].bmc_url));
        let answer = request.basic_auth(user, Some(password)).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap_or_default()
    }

    async fn power(&self, kind: &str, wanted: &str) {
        self.ask(Method::POST, "/Actions/ComputerSystem.Reset", json!({ "ResetType": kind })).await;
        let begun = Instant::now();
        while self.ask(Method::GET, "", Value::Null).await["PowerState"] != wanted {
            assert!(begun.elapsed() < Duration::from_secs(10), "the power did not go {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn install(&self, image: &str) {
        let insert = "/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia";
        self.ask(Method::POST, insert, json!({ "Image": image })).await;
        let once =
            json!({ "Boot": { "BootSourceOverrideTarget": "Cd", "BootSourceOverrideEnabled": "Once" } });
        self.ask(Method::PATCH, "", once).await;
        self.power("On", "On").await;
    }

    async fn eject(&self) {
        self.ask(Method::POST, "/VirtualMedia/Cd/Actions/VirtualMedia.EjectMedia", json!({})).await;
    }
}

/// Stands for the API of a deployed stack: it tells the targets of a fleet, and takes signals, from who has the tokens.
struct Api {
    url: String,
    signals: Arc<Mutex<Vec<Value>>>,
}

const MONITORING_TOKEN: &str = "a-token-of-this-test";
const SIGNAL_TOKEN: &str = "another-token";

impl Api {
    async fn start(fleet: &Fleet) -> Self {
        let target = |host: &FleetHost| {
            let (name, rack, path) = (&host.host_id, &host.rack, &host.metrics_path);
            let labels = json!({ "host": name, "pool": "web", "rack": rack, "__metrics_path__": path });
            json!({ "targets": [host.metrics_address], "labels": labels })
        };
        let targets = Value::from(fleet.hosts().iter().map(target).collect::<Vec<_>>());
        let tell = async move |headers: HeaderMap| shows(&headers, MONITORING_TOKEN).map(|()| Json(targets));
        let signals: Arc<Mutex<Vec<Value>>> = Arc::default();
        let taken = signals.clone();
        let take = async move |headers: HeaderMap, Json(signal): Json<Value>| {
            shows(&headers, SIGNAL_TOKEN).map(|()| taken.lock().unwrap().push(signal))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app =
            Router::new().route("/monitoring/targets", get(tell)).route("/signals/alertmanager", post(take));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, signals }
    }

    /// What was sent until now.
    fn forget(&self) {
        self.signals.lock().unwrap().clear();
    }

    /// Whether an alert about the first host was sent with this status.
    fn heard(&self, name: &str, status: &str) -> bool {
        let signals = self.signals.lock().unwrap();
        let alerts = signals.iter().flat_map(|signal| signal["alerts"].as_array().unwrap());
        alerts.into_iter().any(|alert| {
            let labels = &alert["labels"];
            labels["alertname"] == name
                && labels["host"] == "h-01"
                && labels["fault"].is_string()
                && alert["status"] == status
        })
    }

    /// Whether an alert about the pool was sent, with this status and this value.
    fn heard_of_pool(&self, direction: &str, status: &str, value: &str) -> bool {
        let signals = self.signals.lock().unwrap();
        let alerts = signals.iter().flat_map(|signal| signal["alerts"].as_array().unwrap());
        alerts.into_iter().any(|alert| {
            let labels = &alert["labels"];
            (&labels["pool"], &labels["metric"]) == (&json!("web"), &json!("load"))
                && labels["direction"] == direction
                && alert["status"] == status
                && alert["annotations"]["value"] == value
        })
    }
}

fn shows(headers: &HeaderMap, token: &str) -> Result<(), StatusCode> {
    let shown = headers.get("authorization").is_some_and(|given| *given == format!("Bearer {token}"));
    shown.then_some(()).ok_or(StatusCode::UNAUTHORIZED)
}

/// One fleet and one Prometheus for all of it, for both take seconds to start.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_watched_from_its_installation_until_something_breaks() {
    if lacks_monitoring() {
        return;
    }
    let fleet = Fleet::start(FleetOptions { hosts: 2, ..FleetOptions::default() }).await.unwrap();
    let log_dir = std::env::var_os("HOSTLER_TEST_LOGS").map(PathBuf::from);
    let options = MonitoringOptions { root: root(), log_dir, ..MonitoringOptions::default() };
    let monitoring = Monitoring::start(options).await.unwrap();
    let api = Api::start(&fleet).await;
    let watched =
        Watched { api_url: &api.url, monitoring_token: MONITORING_TOKEN, signal_token: Some(SIGNAL_TOKEN) };
    monitoring.watch(&watched).unwrap();
    let asked = Asked { client: reqwest::Client::new(), url: monitoring.prometheus_url() };
    let up = async |asked: &Asked, host: &str| asked.value(&format!("up{{host=\"{host}\"}}")).await;

    asked
        .until("both hosts are looked at, and none runs", async |asked| {
            up(asked, "h-01").await.as_deref() == Some("0") && up(asked, "h-02").await.as_deref() == Some("0")
        })
        .await;
    let bmc = Bmc(&fleet);
    bmc.install("http://images/debian-12").await;
    asked
        .until("an installed host is up", async |asked| up(asked, "h-01").await.as_deref() == Some("1"))
        .await;
    let alert = async |asked: &Asked, name: &str| {
        let query = format!("ALERTS{{alertname=\"{name}\",host=\"h-01\",alertstate=\"firing\"}}");
        asked.value(&query).await.is_some()
    };
    asked.until("nothing is wrong with it", async |asked| !alert(asked, "HostDown").await).await;

    // Nothing is said of a pool that was given nothing to do.
    assert!(!api.heard_of_pool("above", "firing", "0.6") && !api.heard_of_pool("below", "firing", "0.6"));
    let loads = fleet.loads();
    for (demand, direction, value) in [(2.0, "above", "2"), (3.0, "above", "3"), (0.25, "below", "0.25")] {
        assert!(loads.set("web", Demand { demand }));
        asked
            .until(&format!("a load of {value} is told, also while its alert goes on"), async |_| {
                api.heard_of_pool(direction, "firing", value)
            })
            .await;
    }
    loads.clear("web");
    asked
        .until("the load is as before", async |asked| {
            asked.value("node_load1{host=\"h-01\"}").await.as_deref() == Some("0.6")
        })
        .await;

    for (condition, name) in [
        (Condition::ServiceDown, "ServiceDown"),
        (Condition::DiskFails, "DiskFailing"),
        (Condition::Hangs, "HostDown"),
    ] {
        api.forget();
        fleet.simulated().set_condition("h-01", condition).unwrap();
        asked.until(&format!("{name} rings"), async |asked| alert(asked, name).await).await;
        asked.until(&format!("{name} is told"), async |_| api.heard(name, "firing")).await;
    }
    let booted = asked.value("max_over_time(node_boot_time_seconds{host=\"h-01\"}[5m])").await.unwrap();
    api.forget();
    bmc.power("ForceOff", "Off").await;
    bmc.eject().await;
    bmc.power("On", "On").await;
    asked
        .until("it is up again, from its disk", async |asked| {
            let now = asked.value("node_boot_time_seconds{host=\"h-01\"}").await;
            up(asked, "h-01").await.as_deref() == Some("1") && now.is_some_and(|now| now != booted)
        })
        .await;
    asked.until("its end is told as well", async |_| api.heard("HostDown", "resolved")).await;
    asked.until("nothing is wrong with it any more", async |asked| !alert(asked, "HostDown").await).await;
    fleet.simulated().set_condition("h-01", Condition::Dead).unwrap();
    asked.until("a dead host is down", async |asked| alert(asked, "HostDown").await).await;

    // Whoever could send alerts here could have hosts repaired.
    let alerts = format!("{}/api/v2/alerts", monitoring.alertmanager_url());
    assert_eq!(asked.client.get(&alerts).send().await.unwrap().status().as_u16(), 401);
    // A page of another origin may send requests, and gets nothing to read.
    let page =
        asked.client.get(format!("{}/api/v1/targets", asked.url)).header("origin", "https://evil.example");
    let answer = page.send().await.unwrap();
    assert_eq!(answer.headers().get("access-control-allow-origin"), None);
    let sent = asked.get("/api/v1/alertmanagers").await;
    assert_eq!(sent["data"]["activeAlertmanagers"].as_array().unwrap().len(), 1, "{sent}");

    let groups = monitoring.process_groups();
    assert!(groups.iter().all(|group| group_members(*group).len() >= 2));
    drop(monitoring);
    wait_until_empty(&groups);
}
