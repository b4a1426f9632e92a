//! The driver of the configuration runner against a server that answers whatever a test says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests may fail loudly

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hostler_drivers::{
    AnsibleConfiguration, AnsiblePackages, ApplyRole, Applying, ChangeOrder, Changing, Checking,
    Configuration, HostAsked, Packages, RunnerSettings, Wanted,
};
use serde_json::{Value, json};

const TOKEN: &str = "a-token-that-nobody-may-see";

/// What the server answers, and what it was asked: the path, the header, the body.
struct Script {
    status: u16,
    body: String,
    silent: bool,
    asked: Vec<(String, Option<String>, Value)>,
}

type Shared = Arc<Mutex<Script>>;

async fn answer(State(script): State<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let header = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let asked = serde_json::from_slice(&to_bytes(body, 1_000_000).await.unwrap()).unwrap();
    let (status, body, silent) = {
        let mut script = script.lock().unwrap();
        script.asked.push((format!("{} {}", head.method, head.uri), header, asked));
        (StatusCode::from_u16(script.status).unwrap(), script.body.clone(), script.silent)
    };
    if silent {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
    (status, Body::from(body)).into_response()
}

async fn world(status: u16, body: impl ToString, silent: bool) -> (AnsibleConfiguration, Shared) {
    let (url, script) = server(status, body, silent).await;
    (driver(&url), script)
}

async fn server(status: u16, body: impl ToString, silent: bool) -> (String, Shared) {
    let script = Arc::new(Mutex::new(Script { status, body: body.to_string(), silent, asked: Vec::new() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/runner/", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, script)
}

fn driver(url: &str) -> AnsibleConfiguration {
    AnsibleConfiguration::new(&settings(url, TOKEN)).unwrap()
}

fn settings(url: &str, token: &str) -> RunnerSettings {
    RunnerSettings { url: url.to_owned(), token: token.to_owned(), timeout: Duration::from_millis(500) }
}

fn order() -> ApplyRole {
    ApplyRole {
        saga: "provisioning#p-1".to_owned(),
        step: "p-1/apply-role/1".to_owned(),
        token: "secret".to_owned(),
        host: "h-01".to_owned(),
        role: "web".to_owned(),
        revision: None,
        labels: [("site".to_owned(), "berlin".to_owned())].into(),
    }
}

#[tokio::test]
async fn a_job_is_handed_in_and_not_waited_for_and_a_repeat_is_the_same_job() {
    let (driver, script) = world(202, json!({ "state": "waiting" }), false).await;
    assert!(driver.calls_back());
    for order in [order(), order(), ApplyRole { revision: Some("r1".to_owned()), ..order() }] {
        assert_eq!(driver.apply_role(&order).await.unwrap(), Applying::Begun);
    }
    let asked = std::mem::take(&mut script.lock().unwrap().asked);
    let (path, header, job) = &asked[0];
    assert_eq!(path, "POST /runner/jobs");
    assert_eq!(header.as_deref(), Some("Bearer a-token-that-nobody-may-see"));
    let expected = json!({
        "id": "provisioning#p-1/p-1/apply-role/1", "mode": "apply", "host": "h-01", "role": "web", "revision": null,
        "labels": { "site": "berlin" }, "callback": { "step": "p-1/apply-role/1", "token": "secret" },
    });
    assert_eq!(*job, expected);
    assert_eq!(asked[1].2, expected);
    assert_eq!(asked[2].2["id"], "provisioning#p-1/p-1/apply-role/1#r1", "another revision is another job");
}

#[tokio::test]
async fn a_check_is_a_job_of_its_own_that_applies_nothing() {
    let (driver, script) = world(202, json!({ "state": "waiting" }), false).await;
    let order = ApplyRole {
        saga: "host#h-01".to_owned(),
        step: "h-01/check/4".to_owned(),
        revision: Some("r1".to_owned()),
        ..order()
    };
    assert_eq!(driver.check_role(&order).await.unwrap(), Checking::Begun);
    let asked = std::mem::take(&mut script.lock().unwrap().asked);
    let (path, _, job) = &asked[0];
    assert_eq!((path.as_str(), &job["mode"]), ("POST /runner/jobs", &json!("check")));
    assert_eq!(job["id"], "host#h-01/h-01/check/4#r1");
    let (refusing, _) = world(422, json!({ "message": "it was never applied" }), false).await;
    assert!(!refusing.check_role(&order).await.unwrap_err().is_transient());
}

/// What the runner says of the job itself is final; whatever else goes wrong is tried again, and counts as an outage.
#[tokio::test]
async fn refusals_are_told_apart_from_a_runner_that_is_away() {
    for (status, is_transient, says) in [
        (400, false, "there is no role"),
        (409, false, "there is no role"),
        (422, false, "there is no role"),
        (401, true, "correct RunnerToken"),
        (302, true, "leads elsewhere"),
        (404, true, "correct RunnerUrl"),
        (503, true, "too many jobs wait"),
        (500, true, "look into its log"),
        (200, true, "look into its log"),
    ] {
        let (driver, _) = world(status, json!({ "message": "there is no role" }), false).await;
        let error = driver.apply_role(&order()).await.unwrap_err();
        let text = hostler_core::failure::error_chain(&error);
        assert_eq!(
            (error.is_transient(), error.is_outage()),
            (is_transient, is_transient),
            "{status}: {text}"
        );
        assert!(text.contains(says) && text.contains("h-01"), "{status}: {text}");
        assert!(!text.contains(TOKEN) && !text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn a_runner_that_does_not_answer_is_away() {
    let (silent, _) = world(202, "", true).await;
    let closed = driver("http://127.0.0.1:1");
    for driver in [silent, closed] {
        let error = driver.apply_role(&order()).await.unwrap_err();
        assert!(error.is_transient() && error.is_outage(), "{error}");
    }
}

async fn packages(status: u16, body: Value) -> (AnsiblePackages, Shared) {
    let (url, script) = server(status, body, false).await;
    (AnsiblePackages::new(&settings(&url, TOKEN)).unwrap(), script)
}

fn change() -> ChangeOrder {
    ChangeOrder {
        saga: "patching#c.h-01".to_owned(),
        step: "c.h-01/install-packages/1".to_owned(),
        token: "secret".to_owned(),
        host: HostAsked {
            host: "h-01".to_owned(),
            labels: [("site".to_owned(), "berlin".to_owned())].into(),
        },
        packages: vec![Wanted { package: "openssl".to_owned(), version: "3.0-2".to_owned() }],
        roll_back: false,
    }
}

#[tokio::test]
async fn packages_are_changed_by_a_job_that_calls_back() {
    let (driver, script) = packages(202, json!({ "state": "waiting" })).await;
    assert_eq!(driver.change(&change()).await.unwrap(), Changing::Begun);
    let asked = std::mem::take(&mut script.lock().unwrap().asked);
    let (path, header, job) = &asked[0];
    assert_eq!(
        (path.as_str(), header.as_deref()),
        ("POST /runner/jobs", Some("Bearer a-token-that-nobody-may-see"))
    );
    let expected = json!({
        "id": "patching#c.h-01/c.h-01/install-packages/1", "mode": "packages", "host": "h-01", "rollBack": false,
        "packages": [{ "package": "openssl", "version": "3.0-2" }], "labels": { "site": "berlin" },
        "callback": { "step": "c.h-01/install-packages/1", "token": "secret" },
    });
    assert_eq!(*job, expected);
    assert!(!format!("{:?}", change()).contains("secret"));
    let (refusing, _) = packages(400, json!({ "message": "a job has packages" })).await;
    assert!(!refusing.change(&change()).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn what_a_host_has_is_answered_at_once() {
    let list = json!({
        "packages": [{
            "name": "libssl3:amd64", "version": "3.0-1", "architecture": "amd64", "source": "openssl", "sourceVersion": "3.0-1"
        }],
        "rebootPending": true, "observedAt": "2026-11-28T18:00:00Z",
    });
    let (driver, script) = packages(200, list).await;
    let host = HostAsked { host: "h-01".to_owned(), ..HostAsked::default() };
    let list = driver.list(&host).await.unwrap();
    assert!(list.reboot_pending);
    assert_eq!(
        (list.packages[0].name.as_str(), list.packages[0].source.as_deref()),
        ("libssl3:amd64", Some("openssl"))
    );
    let asked = std::mem::take(&mut script.lock().unwrap().asked);
    assert_eq!((asked[0].0.as_str(), &asked[0].2), ("POST /runner/packages", &json!({ "host": "h-01" })));
    for (status, transient) in [(422, false), (502, true)] {
        let (driver, _) = packages(status, json!({ "message": "no system is installed there" })).await;
        assert_eq!(driver.list(&host).await.unwrap_err().is_transient(), transient, "{status}");
    }
    let (odd, _) = packages(200, json!({ "packages": 1 })).await;
    assert!(odd.list(&host).await.unwrap_err().to_string().contains("no list of packages"));
}

#[test]
fn settings_that_cannot_be_used_are_told_so_and_no_token_is_shown() {
    for (url, token) in [("", TOKEN), ("runner:80", TOKEN), ("https://u:p@r", TOKEN), ("https://r", "")] {
        assert!(AnsibleConfiguration::new(&settings(url, token)).is_err(), "{url} {token}");
    }
    let settings = settings("https://r", TOKEN);
    let driver = AnsibleConfiguration::new(&settings).unwrap();
    assert!(!format!("{settings:?} {driver:?} {:?}", order()).contains("secret"));
    assert!(!format!("{settings:?} {driver:?}").contains(TOKEN));
}
