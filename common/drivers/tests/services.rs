//! The driver of hosts' agents against an agent that answers whatever a test says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests may fail loudly

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hostler_drivers::{AgentServices, AgentSettings, DriverError, RestartService, Services};

const TOKEN: &str = "a-token-that-nobody-may-see";

/// What the agent answers, and what it was asked: method and path, token, order.
struct Script {
    status: StatusCode,
    body: String,
    silent: bool,
    asked: Vec<(Method, String, Option<String>, Option<String>)>,
}

type Shared = Arc<Mutex<Script>>;

async fn answer(State(script): State<Shared>, request: Request) -> Response {
    let silent = {
        let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let mut script = script.lock().unwrap();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        script.asked.push((method, path, header("authorization"), header("idempotency-key")));
        script.silent
    };
    drop(request);
    if silent {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let script = script.lock().unwrap();
    (script.status, script.body.clone()).into_response()
}

async fn agent(status: StatusCode, body: &str) -> (Shared, String) {
    let script = Script { status, body: body.to_owned(), silent: false, asked: Vec::new() };
    let script = Arc::new(Mutex::new(script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/agents/h-1", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (script, url)
}

fn request(agent: Option<&str>) -> RestartService {
    RestartService {
        host: "h-1".to_owned(),
        service: "nginx.service".to_owned(),
        order: "recovery#h-1.1/restart-service".to_owned(),
        agent: agent.map(str::to_owned),
    }
}

async fn restart(token: &str, agent: Option<&str>) -> Result<(), DriverError> {
    let settings = AgentSettings { token: token.to_owned(), timeout: Duration::from_millis(300) };
    AgentServices::new(settings).unwrap().restart(&request(agent)).await
}

const ACTIVE: &str = r#"{ "service": "nginx.service", "state": "active" }"#;

#[tokio::test]
async fn a_service_runs_when_the_agent_says_so_and_each_order_has_its_name() {
    let (script, url) = agent(StatusCode::OK, ACTIVE).await;
    restart(TOKEN, Some(&url)).await.unwrap();
    restart("", Some(&format!("{url}/"))).await.unwrap();
    let path = "/agents/h-1/services/nginx.service/restart";
    let order = Some("recovery#h-1.1/restart-service".to_owned());
    let with = |token: Option<String>| (Method::POST, path.to_owned(), token, order.clone());
    assert_eq!(script.lock().unwrap().asked, [with(Some(format!("Bearer {TOKEN}"))), with(None)]);
}

#[tokio::test]
async fn what_another_attempt_does_not_change_is_said_for_good() {
    let failed = r#"{ "service": "nginx.service", "state": "failed" }"#;
    for (status, body, why) in [
        (StatusCode::NOT_FOUND, "no such unit", "knows no service nginx.service: no such unit"),
        (StatusCode::UNAUTHORIZED, "", "the parameter AgentToken"),
        (StatusCode::FORBIDDEN, "", "the parameter AgentToken"),
        (StatusCode::UNPROCESSABLE_ENTITY, "masked", "refuses (HTTP 422 Unprocessable Entity): masked"),
        (StatusCode::OK, failed, "is \"failed\" instead of active"),
    ] {
        let (_, url) = agent(status, body).await;
        let error = restart(TOKEN, Some(&url)).await.unwrap_err();
        assert!(!error.is_transient() && !error.is_outage(), "{error}");
        assert!(error.to_string().contains(why) && !error.to_string().contains(TOKEN), "{error}");
    }
    for (agent, why) in [
        (None, "give it the label agent.url"),
        (Some("10.0.0.7:9101"), "absolute http(s) URL"),
        (Some("http://a:b@h/"), "absolute"),
    ] {
        let error = restart(TOKEN, agent).await.unwrap_err();
        assert!(!error.is_transient() && error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn what_may_pass_is_worth_another_attempt() {
    let long = "x".repeat(100_000);
    let other = r#"{ "service": "cron.service", "state": "active" }"#;
    for (status, body) in [
        (StatusCode::SERVICE_UNAVAILABLE, "no system runs on this host"),
        (StatusCode::TOO_MANY_REQUESTS, ""),
        (StatusCode::MOVED_PERMANENTLY, ""),
        (StatusCode::OK, "<html>"),
        (StatusCode::OK, &long),
        (StatusCode::OK, other),
    ] {
        let (_, url) = agent(status, body).await;
        let error = restart(TOKEN, Some(&url)).await.unwrap_err();
        assert!(error.is_transient() && error.is_outage(), "{error}");
    }
    let (script, url) = agent(StatusCode::OK, ACTIVE).await;
    script.lock().unwrap().silent = true;
    let error = restart(TOKEN, Some(&url)).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("the host may hang"), "{error}");
    let error = restart(TOKEN, Some("http://127.0.0.1:1")).await.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("check the host's label agent.url"),
        "{error}"
    );
}
