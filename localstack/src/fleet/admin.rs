//! The admin address: faults, behaviours, loads and counts for another process, as the CLI; and the hosts' metrics and agents.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::error::Error;
use crate::fleet::client::HostStatus;
use crate::fleet::faults::Fault;
use crate::fleet::hosts::{Behaviour, SystemState};
use crate::fleet::inventory::{AGENTS, METRICS, SERVER_HEADER, TRAFFIC};
use crate::fleet::load::{DEMAND_MAX, Demand, PoolLoad};
use crate::fleet::record::Counts;
use crate::fleet::system::{Condition, HANGS_SECONDS, Metrics, Restart};
use crate::fleet::{Shared, guard, proxy};
use crate::http::CallbackRoute;

/// Where it is, at the proxy's address.
pub(crate) const PREFIX: &str = "/_fleet";

/// The longest that a request may take.
const REQUEST_MILLIS_MAX: u64 = 30_000;

type Answer = Result<StatusCode, (StatusCode, String)>;

/// The admin address, with the proxy for all other paths.
pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    let admin = Router::new()
        .route("/hosts", get(hosts))
        .route("/hosts/{id}/faults", post(set_fault).delete(clear_faults))
        .route("/hosts/{id}/behaviour", put(set_behaviour))
        .route("/hosts/{id}/condition", put(set_condition))
        .route("/loads", get(loads))
        .route("/loads/{pool}", put(set_load).delete(clear_load))
        .route("/counts", get(counts).delete(clear_counts))
        .route("/callback-route", put(set_callback_route))
        .route("/notify", put(notify))
        .route_layer(from_fn_with_state(Arc::clone(&shared), guard::require_secret));
    let metrics = format!("{METRICS}/{{id}}");
    let traffic = format!("{TRAFFIC}/{{*path}}");
    let app = Router::new()
        .nest(PREFIX, admin)
        .route(&metrics, get(metrics_of))
        .route(&traffic, get(request_of))
        .route(&format!("{AGENTS}/{{id}}/services/{{service}}/restart"), post(restart_service))
        .fallback(proxy::forward)
        .with_state(shared);
    app.layer(from_fn(guard::refuse_pages))
}

async fn hosts(State(shared): State<Arc<Shared>>) -> Json<Vec<HostStatus>> {
    let status = |host: &crate::fleet::FleetHost| HostStatus {
        faults: shared.faults.of(&host.host_id),
        behaviour: shared.hosts.behaviour(&host.host_id),
        condition: shared.hosts.condition(&host.host_id),
        counts: shared.record.of(&host.host_id),
        boots: shared.hosts.boots(&host.host_id),
        host: host.clone(),
    };
    Json(shared.inventory.iter().map(status).collect())
}

async fn set_fault(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(fault): Json<Fault>,
) -> Answer {
    done(shared.faults.set(&id, fault))
}

async fn clear_faults(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    done(shared.faults.clear(&id))
}

async fn set_behaviour(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(behaviour): Json<Behaviour>,
) -> Answer {
    done(shared.hosts.set_behaviour(&id, behaviour))
}

async fn set_condition(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(condition): Json<Condition>,
) -> Answer {
    done(shared.hosts.set_condition(&id, condition))
}

async fn loads(State(shared): State<Arc<Shared>>) -> Json<Vec<PoolLoad>> {
    Json(shared.loads.all())
}

async fn set_load(
    State(shared): State<Arc<Shared>>,
    Path(pool): Path<String>,
    Json(demand): Json<Demand>,
) -> Answer {
    match shared.loads.set(&pool, demand) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err((StatusCode::BAD_REQUEST, format!("a demand is a number from 0 to {DEMAND_MAX}"))),
    }
}

async fn clear_load(State(shared): State<Arc<Shared>>, Path(pool): Path<String>) -> StatusCode {
    shared.loads.clear(&pool);
    StatusCode::NO_CONTENT
}

/// What monitoring says when it asks for metrics.
#[derive(Debug, Deserialize)]
struct Scrape {
    /// The pool that the host serves.
    #[serde(default)]
    pool: Option<String>,
}

/// What a host's own system says of itself: no secret, as with a real one's exporter.
async fn metrics_of(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(scrape): Query<Scrape>,
) -> Response {
    let answers = shared.hosts.answers(&id);
    let load = shared.loads.scraped(scrape.pool.as_deref(), &id, answers, Instant::now());
    match shared.hosts.metrics(&id, load) {
        Some(Metrics::Told(text)) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Some(Metrics::Silence) => {
            tokio::time::sleep(Duration::from_secs(HANGS_SECONDS)).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(Metrics::Nobody) => {
            (StatusCode::SERVICE_UNAVAILABLE, "no system runs on this host").into_response()
        }
        None => (StatusCode::NOT_FOUND, "the fleet has no such host").into_response(),
    }
}

/// How long a request takes.
#[derive(Debug, Default, Deserialize)]
struct Takes {
    #[serde(default)]
    millis: u64,
}

/// A request that the load balancer sends to a host. Its name is the answer, if its system runs from the beginning to the end; the
/// query `millis` says how long that takes.
async fn request_of(
    State(shared): State<Arc<Shared>>,
    Query(takes): Query<Takes>,
    headers: HeaderMap,
) -> Response {
    let named = headers.get(SERVER_HEADER).and_then(|name| name.to_str().ok()).unwrap_or_default();
    // Only whether its system answers matters here, and its load does not change that.
    let answer = || shared.hosts.metrics(named, 0.0);
    if let Some(Metrics::Told(_)) = answer() {
        tokio::time::sleep(Duration::from_millis(takes.millis.min(REQUEST_MILLIS_MAX))).await;
    }
    match answer() {
        Some(Metrics::Told(_)) if shared.hosts.condition(named) == Condition::ServiceDown => {
            (StatusCode::SERVICE_UNAVAILABLE, "the host's service has failed").into_response()
        }
        Some(Metrics::Told(_)) => named.to_owned().into_response(),
        Some(Metrics::Silence) => {
            tokio::time::sleep(Duration::from_secs(HANGS_SECONDS)).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(Metrics::Nobody) => {
            (StatusCode::SERVICE_UNAVAILABLE, "no system runs on this host").into_response()
        }
        None => (StatusCode::NOT_FOUND, "the fleet has no such host").into_response(),
    }
}

/// What the agent on a host does, as docs/operations.md describes it.
async fn restart_service(
    State(shared): State<Arc<Shared>>,
    Path((id, service)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = text("authorization").strip_prefix("Bearer ").unwrap_or_default();
    if token != shared.agent_token {
        return (StatusCode::UNAUTHORIZED, "the agent asks for its token").into_response();
    }
    let order = text("idempotency-key");
    if order.is_empty() {
        return (StatusCode::BAD_REQUEST, "give each order a name: Idempotency-Key").into_response();
    }
    match shared.hosts.restart(&id, &service, order) {
        Some(Restart::Active) => Json(json!({ "service": service, "state": "active" })).into_response(),
        Some(Restart::Unknown) => (StatusCode::NOT_FOUND, "the host has no such service").into_response(),
        Some(Restart::Silence) => {
            tokio::time::sleep(Duration::from_secs(HANGS_SECONDS)).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(Restart::Nobody) => {
            (StatusCode::SERVICE_UNAVAILABLE, "no system runs on this host").into_response()
        }
        None => (StatusCode::NOT_FOUND, "the fleet has no such host").into_response(),
    }
}

async fn counts(State(shared): State<Arc<Shared>>) -> Json<Counts> {
    Json(shared.record.total())
}

async fn clear_counts(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.record.clear();
    StatusCode::NO_CONTENT
}

async fn set_callback_route(
    State(shared): State<Arc<Shared>>,
    Json(route): Json<CallbackRoute>,
) -> StatusCode {
    shared.hosts.set_route(route);
    StatusCode::NO_CONTENT
}

/// Called by the emulator.
async fn notify(State(shared): State<Arc<Shared>>, Json(system): Json<SystemState>) -> StatusCode {
    shared.hosts.notify(&system);
    StatusCode::NO_CONTENT
}

fn done(result: Result<(), Error>) -> Answer {
    match result {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err((StatusCode::NOT_FOUND, error.to_string())),
    }
}
