//! The reverse proxy in front of the BMCs: forwards, counts, and does what the faults say.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::fleet::Shared;
use crate::fleet::record::RequestKind;

const BODY_BYTES_MAX: usize = 1_000_000;
const BMC_SECONDS_MAX: u64 = 30;
/// Headers that belong to one connection; lengths are made again.
const OWN_HEADERS: [HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::UPGRADE];

/// A client for the emulator: redirects are passed on, not followed.
pub(crate) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(BMC_SECONDS_MAX))
        .build()
}

/// Handles one Redfish request.
pub(crate) async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let kind = RequestKind::of(&parts.method, parts.uri.path());
    let host = system_of(parts.uri.path()).and_then(|system| shared.host_of(system)).map(str::to_owned);
    let verdict = host.as_ref().map(|host| shared.faults.judge(host, kind)).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(verdict.latency_ms)).await;

    if verdict.busy || verdict.unheard_seconds.is_some() {
        note(&shared, host.as_deref(), |counts| counts.refused += 1);
    }
    if verdict.busy {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "the BMC is busy");
    }
    if let Some(seconds) = verdict.unheard_seconds {
        return silence(seconds).await;
    }
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large for the BMC");
    };
    // On its own task: a BMC does what it was asked also when the caller hangs up meanwhile.
    let sent = tokio::spawn(send(Arc::clone(&shared), host, kind, parts, body)).await;
    let answer = match sent {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return refusal(StatusCode::BAD_GATEWAY, &error.to_string()),
        Err(error) => return refusal(StatusCode::BAD_GATEWAY, &error.to_string()),
    };
    if let Some(seconds) = verdict.unanswered_seconds {
        return silence(seconds).await;
    }
    let body = if verdict.lie { opposite_power(&answer.body) } else { answer.body };
    (answer.status, answer.headers, Body::from(body)).into_response()
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Asks the emulator and counts.
async fn send(
    shared: Arc<Shared>,
    host: Option<String>,
    kind: RequestKind,
    parts: Parts,
    body: Bytes,
) -> reqwest::Result<Answer> {
    let reset = (kind == RequestKind::Reset).then(|| text_field(&body, "ResetType")).flatten();
    note(&shared, host.as_deref(), |counts| {
        *counts.reached.entry(kind.with(&body)).or_default() += 1;
        if let Some(reset) = reset {
            *counts.resets.entry(reset).or_default() += 1;
        }
    });
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let answer = shared
        .client
        .request(parts.method, format!("{}{path}", shared.emulator))
        .headers(passed_on(parts.headers))
        .body(body)
        .send()
        .await?;
    let status = answer.status();
    if status.is_client_error() || status.is_server_error() {
        note(&shared, host.as_deref(), |counts| counts.failed += 1);
    }
    let headers = passed_on(answer.headers().clone());
    Ok(Answer { status, headers, body: answer.bytes().await? })
}

fn note(shared: &Shared, host: Option<&str>, change: impl FnOnce(&mut crate::fleet::Counts)) {
    if let Some(host) = host {
        shared.record.note(host, change);
    }
}

fn passed_on(mut headers: HeaderMap) -> HeaderMap {
    for name in OWN_HEADERS {
        headers.remove(name);
    }
    headers
}

/// The system's UUID in `/redfish/v1/Systems/{uuid}/…` or `/redfish/v1/Managers/{uuid}/…`; the emulator gives a
/// manager its system's UUID.
fn system_of(path: &str) -> Option<&str> {
    let rest =
        path.strip_prefix("/redfish/v1/Systems/").or_else(|| path.strip_prefix("/redfish/v1/Managers/"))?;
    rest.split('/').next()
}

/// No answer for a while.
async fn silence(seconds: u64) -> Response {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    refusal(StatusCode::GATEWAY_TIMEOUT, "the BMC did not answer")
}

/// An error in the form of Redfish.
fn refusal(status: StatusCode, message: &str) -> Response {
    let error = json!({"error": {"code": "Base.1.0.GeneralError", "message": message}});
    (status, Json(error)).into_response()
}

/// The system's answer with the power state turned round; other answers as they are.
fn opposite_power(body: &Bytes) -> Bytes {
    let Ok(mut system) = serde_json::from_slice::<Value>(body) else { return body.clone() };
    let opposite = match system.get("PowerState").and_then(Value::as_str) {
        Some("On") => "Off",
        Some("Off") => "On",
        Some(_) | None => return body.clone(),
    };
    system["PowerState"] = json!(opposite);
    Bytes::from(system.to_string())
}

fn text_field(body: &[u8], name: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get(name)?.as_str().map(str::to_owned)
}
