//! What Prometheus is told to look at.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use answer_queries::Answers;
use hostler_core::StreamVersion;
use hostler_runtime::ports::{Row, Views};
use hostler_runtime::serving::bearer::BearerToken;
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_testkit::memory::{MemoryStore, MemoryViews};
use hostler_testkit::sample;
use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct Fixture {
    views: MemoryViews,
    function: Answers,
}

impl Fixture {
    fn new() -> Self {
        let views = MemoryViews::default();
        let token = BearerToken::new(TOKEN.as_bytes()).unwrap();
        let function = Answers::new(Arc::new(MemoryStore::default()), Arc::new(views.clone()), Some(token));
        Self { views, function }
    }

    async fn put(&self, host: &str, pool: &str, phase: &str, labels: Value) {
        let body = json!({
            "host": host, "pool": pool, "phase": phase, "sku": "cpu", "faultDomain": "r-01", "labels": labels,
            "bmc": { "systemUrl": "https://10.0.0.7/redfish/v1/Systems/1" }, "role": "web",
        });
        let row = sample::row("hosts", host, &format!("{pool}/{phase}"), 1);
        self.views.put(&Row { body, version: StreamVersion(1), ..row }).await.unwrap();
    }

    /// A host that serves its metrics.
    async fn serving(&self, host: &str, pool: &str, phase: &str) {
        self.put(host, pool, phase, json!({ "metrics.address": format!("{host}.example:9100") })).await;
    }

    async fn get(&self, query: &[(&str, &str)], header: Option<&str>) -> Response {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let headers =
            header.map(|header| ("authorization".to_owned(), header.to_owned())).into_iter().collect();
        let (method, path) = ("GET".to_owned(), "/monitoring/targets".to_owned());
        self.function.answer(&Request { method, path, query, headers, ..Request::default() }).await
    }

    async fn targets(&self, query: &[(&str, &str)]) -> Value {
        let answer = self.get(query, Some(&format!("Bearer {TOKEN}"))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }
}

fn hosts(targets: &Value) -> Vec<&str> {
    targets.as_array().unwrap().iter().map(|target| target["labels"]["host"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn hosts_in_service_and_those_about_to_be_are_targets() {
    let fixture = Fixture::new();
    assert_eq!(fixture.targets(&[]).await, json!([]), "no host is an empty list, and no error");
    let phases =
        ["available", "configuring", "registering-monitoring", "in-service", "draining", "quarantined"];
    for (n, phase) in phases.iter().enumerate() {
        fixture.serving(&format!("h-{n}"), "web", phase).await;
    }
    assert_eq!(hosts(&fixture.targets(&[]).await), ["h-2", "h-3"]);
}

#[tokio::test]
async fn a_target_has_the_form_that_prometheus_asks_for() {
    let fixture = Fixture::new();
    fixture.serving("h-1", "web", "in-service").await;
    let labels = json!({ "metrics.address": "127.0.0.1:80", "metrics.path": "/metrics/h-2" });
    fixture.put("h-2", "db", "in-service", labels).await;
    let common = |host, pool| json!({ "host": host, "pool": pool, "rack": "r-01", "role": "web" });
    let mut second = common("h-2", "db");
    second["__metrics_path__"] = json!("/metrics/h-2");
    let expected = json!([
        { "targets": ["h-1.example:9100"], "labels": common("h-1", "web") },
        { "targets": ["127.0.0.1:80"], "labels": second },
    ]);
    assert_eq!(fixture.targets(&[]).await, expected);
}

#[tokio::test]
async fn a_host_whose_labels_name_no_address_is_no_target() {
    let fixture = Fixture::new();
    fixture.put("h-1", "web", "in-service", json!({})).await;
    fixture.put("h-2", "web", "in-service", json!({ "metrics.address": "nowhere" })).await;
    fixture.serving("h-3", "web", "in-service").await;
    assert_eq!(hosts(&fixture.targets(&[]).await), ["h-3"]);
}

/// Prometheus forgets what is not in the answer, so all pages are in it.
#[tokio::test]
async fn the_answer_is_complete_however_many_pages_the_view_has() {
    let fixture = Fixture::new();
    for n in 0..1_203 {
        fixture.serving(&format!("h-{n:04}"), if n % 2 == 0 { "web" } else { "db" }, "in-service").await;
    }
    assert_eq!(hosts(&fixture.targets(&[]).await).len(), 1_203);
    let web = fixture.targets(&[("pool", "web")]).await;
    assert_eq!(hosts(&web).len(), 602);
    assert!(web.as_array().unwrap().iter().all(|target| target["labels"]["pool"] == "web"));
}

/// A part of the truth would have Prometheus forget the rest; on an error it keeps what it had.
#[tokio::test]
async fn what_cannot_be_told_completely_is_an_error() {
    let fixture = Fixture::new();
    for n in 0..600 {
        fixture.serving(&format!("h-{n:04}"), "web", "in-service").await;
    }
    let bearer = format!("Bearer {TOKEN}");
    fixture.views.faults().fail_reads_next(1);
    assert_eq!(fixture.get(&[], Some(&bearer)).await.status, 503);
    fixture.views.put(&sample::row("hosts", "h-9999", "web/in-service", 1)).await.unwrap();
    let malformed = fixture.get(&[], Some(&bearer)).await;
    assert_eq!((malformed.status, &malformed.body["error"]), (500, &json!("malformed-row")));
}

#[tokio::test]
async fn more_than_an_answer_holds_is_an_error_that_says_what_to_do() {
    let fixture = Fixture::new();
    let long = format!("/{}", "m".repeat(60_000));
    for n in 0..80 {
        let labels = json!({ "metrics.address": "h:80", "metrics.path": long });
        fixture.put(&format!("h-{n}"), if n < 20 { "web" } else { "db" }, "in-service", labels).await;
    }
    let answer = fixture.get(&[], Some(&format!("Bearer {TOKEN}"))).await;
    assert_eq!(answer.status, 500);
    assert!(answer.body["message"].as_str().unwrap().contains("?pool="), "{}", answer.body);
    assert_eq!(hosts(&fixture.targets(&[("pool", "web")]).await).len(), 20);
}

#[tokio::test]
async fn only_who_has_the_token_is_told() {
    let fixture = Fixture::new();
    for (header, status) in
        [(None, 401), (Some("AWS4-HMAC-SHA256 Credential=x"), 401), (Some("Bearer x"), 403)]
    {
        assert_eq!(fixture.get(&[], header).await.status, status, "{header:?}");
    }
    let views = Arc::new(fixture.views.clone());
    let closed = Answers::new(Arc::new(MemoryStore::default()), views, None);
    let (method, path) = ("GET".to_owned(), "/monitoring/targets".to_owned());
    let headers = [("authorization".to_owned(), format!("Bearer {TOKEN}"))].into();
    let answer = closed.answer(&Request { method, path, headers, ..Request::default() }).await;
    assert_eq!((answer.status, &answer.body["error"]), (403, &json!("no-token-configured")));
    // A token opens nothing but the targets.
    let (method, path) = ("GET".to_owned(), "/hosts".to_owned());
    let headers = [("authorization".to_owned(), format!("Bearer {TOKEN}"))].into();
    let answer = fixture.function.answer(&Request { method, path, headers, ..Request::default() }).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_pool_that_is_none_is_refused() {
    let answer = Fixture::new().get(&[("pool", "")], Some(&format!("Bearer {TOKEN}"))).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
}
