//! The Prometheus driver against a server that answers whatever a test says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests may fail loudly

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hostler_drivers::memory::MemoryStore;
use hostler_drivers::{DriverError, Monitoring, PrometheusMonitoring, PrometheusSettings, RegisterHost};
use hostler_runtime::ports::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const TOKEN: &str = "a-token-that-nobody-may-see";

/// A clock that stands still.
#[derive(Debug)]
struct Stopped(Timestamp);

#[async_trait::async_trait]
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }

    async fn sleep(&self, _: Duration) {}
}

/// What the server answers, and what it was asked.
#[derive(Debug)]
struct Script {
    status: StatusCode,
    body: String,
    /// What is answered from the second question on.
    then: Option<String>,
    silent: bool,
    asked: Vec<(String, Option<String>)>,
}

type Shared = Arc<Mutex<Script>>;

struct World {
    driver: PrometheusMonitoring<MemoryStore>,
    script: Shared,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn noon() -> Timestamp {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

fn seconds(after_noon: i64) -> f64 {
    (noon() + SignedDuration::from_secs(after_noon)).as_second() as f64
}

async fn answer(State(script): State<Shared>, request: Request) -> Response {
    let header = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let (status, body, silent) = {
        let mut script = script.lock().unwrap();
        script.asked.push((request.uri().to_string(), header));
        let body = script.body.clone();
        if let Some(then) = script.then.take() {
            script.body = then;
        }
        (script.status, body, script.silent)
    };
    if silent {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
    (status, Body::from(body)).into_response()
}

async fn world(status: u16, body: impl ToString) -> World {
    let script = Script {
        status: StatusCode::from_u16(status).unwrap(),
        body: body.to_string(),
        then: None,
        silent: false,
        asked: Vec::new(),
    };
    let script = Arc::new(Mutex::new(script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(script.clone());
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    World { driver: driver(&url, TOKEN), script, server }
}

fn driver(url: &str, token: &str) -> PrometheusMonitoring<MemoryStore> {
    PrometheusMonitoring::new(&settings(url, token), MemoryStore::default(), Arc::new(Stopped(noon())))
        .unwrap()
}

fn settings(url: &str, token: &str) -> PrometheusSettings {
    PrometheusSettings { url: url.to_owned(), token: token.to_owned(), timeout: Duration::from_millis(500) }
}

fn matrix(series: &[&[(f64, &str)]]) -> Value {
    let series: Vec<Value> =
        series.iter().map(|values| json!({ "metric": { "host": "h-01" }, "values": values })).collect();
    json!({ "status": "success", "data": { "resultType": "matrix", "result": series } })
}

fn request(order: &str) -> RegisterHost {
    let target = Some("10.0.0.7:9100".to_owned());
    RegisterHost { host: "h-01".to_owned(), order: order.to_owned(), target, ..RegisterHost::default() }
}

#[track_caller]
fn says(error: &DriverError, parts: &[&str]) {
    let text = hostler_core::failure::error_chain(error);
    for part in parts {
        assert!(text.contains(part), "it does not say {part:?}: {text}");
    }
    assert!(!text.contains(TOKEN), "{text}");
}

#[tokio::test]
async fn a_host_that_was_seen_well_since_then_is_well() {
    let body = matrix(&[&[(seconds(-30), "0"), (seconds(1), "0"), (seconds(2) + 0.25, "1")]]);
    let world = world(200, body).await;
    let sample = world.driver.first_sample("h-01", noon()).await.unwrap();
    assert!(sample.healthy);
    assert_eq!(sample.observed_at, noon() + SignedDuration::from_millis(2_250));
    let asked = world.script.lock().unwrap();
    let query = "/api/v1/query?query=up%7Bhost%3D%22h-01%22%7D%5B5m%5D";
    assert_eq!(asked.asked, [(query.to_owned(), Some(format!("Bearer {TOKEN}")))]);
}

#[tokio::test]
async fn a_host_whose_newest_sample_is_not_1_is_not_well() {
    for value in ["0", "NaN", "2"] {
        let world = world(200, matrix(&[&[(seconds(1), "1"), (seconds(2), value)]])).await;
        assert!(!world.driver.first_sample("h-01", noon()).await.unwrap().healthy, "{value}");
    }
}

#[tokio::test]
async fn one_of_two_targets_that_is_down_is_enough_to_be_unwell() {
    let world = world(200, matrix(&[&[(seconds(5), "1")], &[(seconds(3), "0")]])).await;
    let sample = world.driver.first_sample("h-01", noon()).await.unwrap();
    assert_eq!((sample.healthy, sample.observed_at), (false, noon() + SignedDuration::from_secs(3)));
}

/// A target that was not looked at since then is that of an earlier registration: it says nothing.
#[tokio::test]
async fn samples_from_before_say_nothing() {
    let old_and_new = matrix(&[&[(seconds(-60), "0")], &[(seconds(3), "1")]]);
    assert!(world(200, old_and_new).await.driver.first_sample("h-01", noon()).await.unwrap().healthy);
    for body in [matrix(&[]), matrix(&[&[]]), matrix(&[&[(seconds(-1), "1")]])] {
        let world = world(200, body).await;
        let error = world.driver.first_sample("h-01", noon()).await.unwrap_err();
        assert!(error.is_transient() && !error.is_outage(), "{error}");
        says(&error, &["no sample of the host since 2026-11-28T12:00:00Z", "metrics.address"]);
    }
}

#[tokio::test]
async fn a_sample_of_the_very_moment_counts() {
    let world = world(200, matrix(&[&[(seconds(0), "1")]])).await;
    assert!(world.driver.first_sample("h-01", noon()).await.unwrap().healthy);
}

#[tokio::test]
async fn what_says_nothing_of_the_host_is_an_outage() {
    let error = json!({ "status": "error", "errorType": "timeout", "error": "query timed out" });
    let vector = json!({ "status": "success", "data": { "resultType": "vector", "result": [] } });
    let texts = json!({ "status": "success", "data": { "resultType": "matrix", "result": [{ "values": [["x", 1]] }] } });
    let numbers = json!({ "status": "success", "data": { "resultType": "matrix", "result": [{ "values": [[1, 1]] }] } });
    let nothing = json!({ "status": "success" });
    let huge = format!("{{\"status\":\"success\",\"x\":\"{}\"}}", "x".repeat(1_100_000));
    let cases: [(u16, String, &str); 14] = [
        (500, "boom".to_owned(), "HTTP 500, look into its log: boom"),
        (503, error.to_string(), "query timed out"),
        (502, "<html>".to_owned(), "HTTP 502"),
        (429, String::new(), "asked too much"),
        (401, "no".to_owned(), "correct PrometheusToken"),
        (403, "no".to_owned(), "correct PrometheusToken"),
        (404, "no".to_owned(), "correct PrometheusUrl"),
        (302, String::new(), "leads elsewhere"),
        (200, "{\"status\":".to_owned(), "not the JSON of the query API"),
        (200, nothing.to_string(), "its status is \"success\""),
        (200, vector.to_string(), "\"vector\" instead of a matrix"),
        (200, texts.to_string(), "not times and numbers"),
        (200, numbers.to_string(), "not times and numbers"),
        (200, huge, "longer than 1000000 bytes"),
    ];
    for (status, body, part) in cases {
        let world = world(status, body).await;
        let error = world.driver.first_sample("h-01", noon()).await.unwrap_err();
        says(&error, &[part, "Prometheus"]);
        assert!(error.is_outage() && error.is_transient(), "{error}");
        assert_eq!(error.label(), "service-failed");
    }
}

/// The sample and the alerts are two questions, which the script answers with one body each.
async fn newest(samples: Value, alerts: Value) -> (bool, Vec<String>) {
    let world = world(200, samples).await;
    world.script.lock().unwrap().then = Some(alerts.to_string());
    let sample = world.driver.newest_sample("h-01", noon()).await.unwrap();
    let asked = world.script.lock().unwrap().asked.iter().map(|(uri, _)| uri.clone()).collect();
    (sample.healthy, asked)
}

fn alerts(count: usize) -> Value {
    let alert = json!({ "metric": { "host": "h-01", "fault": "disk" }, "value": [seconds(1), "1"] });
    json!({ "status": "success", "data": { "resultType": "vector", "result": vec![alert; count] } })
}

#[tokio::test]
async fn a_host_that_answers_is_faulty_while_an_alert_about_it_fires() {
    let well = || matrix(&[&[(seconds(1), "1")]]);
    let (healthy, asked) = newest(well(), alerts(0)).await;
    assert!(healthy && asked.len() == 2 && asked[1].contains("ALERTS"), "{asked:?}");
    assert!(!newest(well(), alerts(1)).await.0, "its disk fails");
    let (healthy, asked) = newest(matrix(&[&[(seconds(1), "0")]]), alerts(0)).await;
    assert!(!healthy && asked.len() == 1, "one that does not answer is faulty anyway");
}

#[tokio::test]
async fn a_question_that_is_refused_is_not_asked_again() {
    for status in [400, 422] {
        let body = json!({ "status": "error", "errorType": "bad_data", "error": "parse error" });
        let error = world(status, body).await.driver.first_sample("h-01", noon()).await.unwrap_err();
        says(&error, &["refuses the request", "parse error"]);
        assert!(!error.is_outage() && !error.is_transient() && error.label() == "service-refused");
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_an_outage() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let error = driver(&url, "").first_sample("h-01", noon()).await.unwrap_err();
    says(&error, &["the connection failed", "PrometheusUrl"]);
    assert!(error.is_outage());
}

#[tokio::test]
async fn no_answer_is_not_waited_for_for_ever() {
    let world = world(200, "").await;
    world.script.lock().unwrap().silent = true;
    let error = world.driver.first_sample("h-01", noon()).await.unwrap_err();
    says(&error, &["none came within 500ms"]);
    assert!(error.is_outage());
}

#[tokio::test]
async fn a_repeat_is_registered_since_the_first_time_and_another_order_anew() {
    let store = MemoryStore::default();
    let settings = settings("http://127.0.0.1:1", "");
    let at = |minutes| {
        let clock = Stopped(noon() + SignedDuration::from_mins(minutes));
        PrometheusMonitoring::new(&settings, store.clone(), Arc::new(clock)).unwrap()
    };
    let first = at(0).register(&request("p-1")).await.unwrap();
    assert!(first.changed && first.since == noon());
    let again = at(1).register(&request("p-1")).await.unwrap();
    assert!(!again.changed && again.since == noon());
    let other = at(2).register(&request("p-2")).await.unwrap();
    assert!(other.changed && other.since == noon() + SignedDuration::from_mins(2));
    assert!(at(3).deregister("h-01").await.unwrap().changed);
    assert!(!at(4).deregister("h-01").await.unwrap().changed);
    let anew = at(5).register(&request("p-2")).await.unwrap();
    assert!(anew.changed && anew.since == noon() + SignedDuration::from_mins(5));
    let row = &store.rows()["prometheus/h-01"];
    assert_eq!(
        (&row["registered"], &row["deregistered"]),
        (&json!(3), &json!(1)),
        "by which effects are counted"
    );
}

#[tokio::test]
async fn a_host_whose_address_nobody_knows_is_not_registered() {
    let request = RegisterHost { target: None, ..request("p-1") };
    let error = driver("http://127.0.0.1:1", "").register(&request).await.unwrap_err();
    says(&error, &["metrics.address", "hostler hosts label"]);
    assert!(!error.is_transient());
}

#[test]
fn settings_are_checked_and_show_no_token() {
    let settings = settings("prometheus:9090", TOKEN);
    let refused =
        PrometheusMonitoring::new(&settings, MemoryStore::default(), Arc::new(Stopped(noon()))).unwrap_err();
    assert!(refused.to_string().contains("\"prometheus:9090\" is not an absolute http(s) URL"));
    assert!(!format!("{settings:?}").contains(TOKEN));
    assert!(!format!("{:?}", driver("http://p", TOKEN)).contains(TOKEN));
}
