//! What is asked for wrongly, and answers at their limits.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use answer_queries::Answers;
use hostler_runtime::ports::{EventStore, Views};
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_testkit::memory::{MemoryStore, MemoryViews};
use hostler_testkit::sample;
use serde_json::{Value, json};

struct Fixture {
    store: MemoryStore,
    views: MemoryViews,
    function: Answers,
}

impl Fixture {
    fn new() -> Self {
        let (store, views) = (MemoryStore::default(), MemoryViews::default());
        let function = Answers::new(Arc::new(store.clone()), Arc::new(views.clone()), None);
        Self { store, views, function }
    }

    /// With this many rows of the view `hosts`, in two groups.
    async fn with_rows(n: usize) -> Self {
        let fixture = Self::new();
        for n in 0..n {
            let group = if n % 2 == 0 { "web/available" } else { "web/in-service" };
            fixture.views.put(&sample::row("hosts", &format!("h-{n:04}"), group, 3)).await.unwrap();
        }
        fixture
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Response {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (method, path, caller) = ("GET".to_owned(), path.to_owned(), Some("ada".to_owned()));
        let request = Request { method, path, query, caller, ..Request::default() };
        self.function.answer(&request).await
    }
}

#[track_caller]
fn refused(answer: &Response, status: u16, says: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    let message = answer.body["message"].as_str().unwrap();
    assert!(message.contains(says), "it does not say {says:?}: {message}");
}

fn keys(answer: &Response) -> Vec<String> {
    let rows = answer.body["rows"].as_array().unwrap();
    rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn one_answer_has_500_rows_at_most_and_says_where_to_go_on() {
    let fixture = Fixture::with_rows(501).await;
    let first = fixture.get("/hosts", &[]).await;
    assert_eq!((keys(&first).len(), &first.body["next"]), (500, &json!("h-0499")));
    let rest = fixture.get("/hosts", &[("after", "h-0499")]).await;
    assert_eq!((keys(&rest), &rest.body["next"]), (vec!["h-0500".to_owned()], &Value::Null));
}

#[tokio::test]
async fn a_group_is_listed_page_by_page() {
    let fixture = Fixture::with_rows(10).await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let mut query = vec![("group", "web/in-service"), ("limit", "2")];
        if !after.is_empty() {
            query.push(("after", &after));
        }
        let page = fixture.get("/hosts", &query).await;
        assert!(keys(&page).len() <= 2);
        seen.extend(keys(&page));
        match page.body["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["h-0001", "h-0003", "h-0005", "h-0007", "h-0009"]);
}

#[tokio::test]
async fn a_row_is_shown_with_its_version() {
    let fixture = Fixture::with_rows(1).await;
    let row = fixture.get("/hosts/h-0000", &[]).await;
    assert_eq!((row.status, &row.body["version"], &row.body["key"]), (200, &json!(3), &json!("h-0000")));
}

#[tokio::test]
async fn wrong_parameters_are_named_with_what_is_right() {
    let fixture = Fixture::with_rows(1).await;
    for limit in ["0", "501", "-1", "ten", ""] {
        refused(&fixture.get("/hosts", &[("limit", limit)]).await, 400, "from 1 to 500");
    }
    refused(&fixture.get("/hosts/h-1/timeline", &[("limit", "0")]).await, 400, "from 1 to 500");
    refused(&fixture.get("/hosts/h-1/timeline", &[("after", "x")]).await, 400, "such as 3");
    refused(&fixture.get("/hosts/h-1", &[("version", "x")]).await, 400, "such as 3");
    refused(&fixture.get("/hosts/h-1", &[("version", "-1")]).await, 400, "such as 3");
    refused(&fixture.get("/hosts/h-1", &[("at", "yesterday")]).await, 400, "2026-01-31T12:00:00Z");
    let both = [("version", "1"), ("at", "2026-01-01T00:00:00Z")];
    refused(&fixture.get("/hosts/h-1", &both).await, 400, "one of them");
    refused(&fixture.get("/hosts/h 1/timeline", &[]).await, 400, "h 1");
}

#[tokio::test]
async fn what_is_not_there_is_404_with_where_to_look() {
    let fixture = Fixture::new();
    refused(&fixture.get("/hosts/h-9", &[]).await, 404, "GET /hosts");
    refused(&fixture.get("/hosts/h-9/timeline", &[]).await, 404, "GET /hosts");
    refused(&fixture.get("/provisionings/p-9", &[("version", "1")]).await, 404, "timeline");
    refused(&fixture.get("/racks", &[]).await, 404, "GET /hosts");
    refused(&fixture.get("/", &[]).await, 404, "GET /hosts");
    let (method, path, caller) = ("POST".to_owned(), "/hosts".to_owned(), Some("ada".to_owned()));
    let post = Request { method, path, caller, ..Request::default() };
    refused(&fixture.function.answer(&post).await, 404, "POST /hosts");
}

#[tokio::test]
async fn who_is_nobody_is_told_nothing() {
    let fixture = Fixture::with_rows(1).await;
    for caller in [None, Some(String::new())] {
        let (method, path) = ("GET".to_owned(), "/hosts".to_owned());
        let asked = Request { method, path, caller, ..Request::default() };
        refused(&fixture.function.answer(&asked).await, 401, "no caller");
    }
}

#[tokio::test]
async fn ids_may_hold_slashes_and_the_word_timeline() {
    let fixture = Fixture::new();
    fixture.views.put(&sample::row("hosts", "dc1/rack-2/h-3", "web/available", 1)).await.unwrap();
    fixture.views.put(&sample::row("hosts", "timeline", "web/available", 1)).await.unwrap();
    assert_eq!(fixture.get("/hosts/dc1/rack-2/h-3", &[]).await.status, 200);
    assert_eq!(fixture.get("/hosts/timeline", &[]).await.body["key"], "timeline");
    fixture.store.append(&sample::commit("host#dc1/rack-2/h-3", 1)).await.unwrap();
    let timeline = fixture.get("/hosts/dc1/rack-2/h-3/timeline", &[]).await;
    assert_eq!((timeline.status, &timeline.body["stream"]), (200, &json!("host#dc1/rack-2/h-3")));
}

#[tokio::test]
async fn a_timeline_is_read_page_by_page_to_its_end() {
    let fixture = Fixture::new();
    for version in 1..=7 {
        fixture.store.append(&sample::commit("host#h-1", version)).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), "0".to_owned());
    for _ in 0..10 {
        let page = fixture.get("/hosts/h-1/timeline", &[("limit", "3"), ("after", &after)]).await;
        assert_eq!(page.status, 200);
        let commits = page.body["commits"].as_array().unwrap();
        seen.extend(commits.iter().map(|commit| commit["version"].as_u64().unwrap()));
        match page.body["next"].as_u64() {
            Some(next) => after = next.to_string(),
            None => break,
        }
    }
    assert_eq!(seen, (1..=7).collect::<Vec<_>>());
    let past = fixture.get("/hosts/h-1/timeline", &[("version", "2")]).await;
    assert_eq!(past.body["commits"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_history_that_newer_code_wrote_is_503_and_its_timeline_is_shown_all_the_same() {
    let fixture = Fixture::new();
    fixture.store.append(&sample::commit("host#h-1", 1)).await.unwrap();
    let state = fixture.get("/hosts/h-1", &[("version", "1")]).await;
    refused(&state, 503, "order.placed");
    assert_eq!(fixture.get("/hosts/h-1/timeline", &[]).await.status, 200);
}

#[tokio::test]
async fn what_may_pass_is_503_with_a_time_to_come_back() {
    let fixture = Fixture::with_rows(1).await;
    for path in ["/hosts", "/hosts/h-0000"] {
        fixture.views.faults().fail_reads_next(1);
        let answer = fixture.get(path, &[]).await;
        assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true), "{path}");
    }
    for (path, query) in [("/hosts/h-1/timeline", ("limit", "5")), ("/hosts/h-1", ("version", "1"))] {
        fixture.store.faults().fail_reads_next(1);
        assert_eq!(fixture.get(path, &[query]).await.status, 503, "{path}");
    }
}

#[tokio::test]
async fn the_application_tells_what_it_consists_of() {
    let told = Fixture::new().get("/register", &[]).await;
    assert_eq!(told.status, 200, "{}", told.body);
    let has = |list: &str, one: Value| told.body[list].as_array().unwrap().contains(&one);
    assert!(has("sagas", json!({ "kind": "provisioning", "view": "provisionings" })), "{}", told.body);
    assert!(has("views", json!({ "view": "hosts", "category": "host" })), "{}", told.body);
    assert!(has("commands", json!("request-hosts")), "{}", told.body);
    assert!(has("dependencies", json!("monitoring")), "{}", told.body);
    assert_eq!(told.body["viewsQueue"], "project-views");
    assert_eq!(told.body["relayFailures"], "relay-outbox-dlq");
}
