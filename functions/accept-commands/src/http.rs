//! From an HTTP request to a command: `POST /commands/{type}` and `POST /callbacks/boot`.

use hostler_core::{Actor, CausationId, CommandId, CorrelationId, Payload, TraceContext};
use hostler_events::OperatorCommand;
use hostler_events::commands::{BootOutcome, ReportBoot};
use hostler_events::{HostId, StepId};
use hostler_runtime::http::BODY_BYTES_MAX;
use hostler_runtime::once::payload_hash;
use hostler_runtime::{Cause, Request, Response, Shell};
use serde::Deserialize;
use serde_json::{Value, json};

/// How much of a hash is enough to keep callers apart.
const SCOPE_CHARS: usize = 12;

/// What a booted host sends. Its identity and its token are in the URL that it was given.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BootCall {
    outcome: BootOutcome,
    #[serde(default)]
    reason: Option<String>,
}

/// Reads a request.
///
/// # Errors
/// The answer that says what is wrong with it.
pub(crate) fn read(request: &Request, shell: &Shell) -> Result<(Cause, OperatorCommand), Response> {
    if request.body.len() > BODY_BYTES_MAX {
        let message = format!(
            "the body is {} bytes, and the limit is {BODY_BYTES_MAX}: send less, or split the command",
            request.body.len()
        );
        return Err(Response::error(413, "too-large", message));
    }
    match request.segments()[..] {
        ["commands", kind] if request.method == "POST" => command(request, kind, shell),
        ["callbacks", "boot"] if request.method == "POST" => callback(request, shell),
        _ => Err(Response::error(
            404,
            "no-such-route",
            format!(
                "{} {} is not served here: POST /commands/<type> or POST /callbacks/boot",
                request.method, request.path
            ),
        )),
    }
}

fn command(request: &Request, kind: &str, shell: &Shell) -> Result<(Cause, OperatorCommand), Response> {
    if !OperatorCommand::NAMES.contains(&kind) {
        let known = OperatorCommand::NAMES.join(", ");
        let message = format!("there is no command {kind:?}: send one of {known}");
        return Err(Response::error(404, "unknown-type", message));
    }
    let data: Value = serde_json::from_str(&request.body).map_err(|error| {
        Response::error(400, "malformed", format!("the body of {kind} is not JSON: {error}"))
    })?;
    let version = match request.headers.get("hostler-schema-version") {
        None => 1,
        Some(text) => text.parse().map_err(|_| {
            let message =
                format!("the header hostler-schema-version is {text:?}: send a whole number, such as 1");
            Response::error(400, "malformed", message)
        })?,
    };
    let command = OperatorCommand::from_data(kind, version, &data.into())
        .map_err(|error| Response::error(400, "invalid", hostler_core::failure::error_chain(&error)))?;
    let actor = Actor(request.caller.clone().unwrap_or_else(|| "unknown".to_owned()));
    Ok((cause(request, shell, actor)?, command))
}

fn callback(request: &Request, shell: &Shell) -> Result<(Cause, OperatorCommand), Response> {
    let call: BootCall = serde_json::from_str(&request.body).map_err(|error| {
        let message =
            format!("the callback's body does not read: {error}; send {{\"outcome\":\"succeeded\"}}");
        Response::error(400, "malformed", message)
    })?;
    let invalid = |error: hostler_core::InvalidId| Response::error(400, "invalid", error.to_string());
    let query = |name: &str| {
        request.query.get(name).cloned().ok_or_else(|| {
            let message =
                format!("the callback's URL has no {name}: call back with the URL that came with the image");
            Response::error(400, "invalid", message)
        })
    };
    let report = ReportBoot {
        host: HostId::new(query("host")?).map_err(invalid)?,
        step: StepId::new(query("step")?).map_err(invalid)?,
        token: query("token")?,
        outcome: call.outcome,
        reason: call.reason,
    };
    let actor = Actor(format!("host:{}", report.host));
    Ok((cause(request, shell, actor)?, OperatorCommand::ReportBoot(report)))
}

/// The cause of a request: the caller's own key where it sends one, so that a repeat is recognised.
fn cause(request: &Request, shell: &Shell, actor: Actor) -> Result<Cause, Response> {
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    let id = match header("idempotency-key") {
        Some(key) => {
            // One caller's keys are not another's, and a key stands for one content.
            let scope = payload_hash(&json!([actor, request.path]));
            let payload = payload_hash(&serde_json::from_str(&request.body).unwrap_or_default());
            CausationId::keyed(&scope[..SCOPE_CHARS], key, &payload)
                .map_err(|error| Response::error(400, "invalid", error.to_string()))?
        }
        None => CommandId(shell.new_id()).into(),
    };
    Ok(Cause {
        id,
        correlation_id: CorrelationId(shell.new_id()),
        trace_context: header("traceparent")
            .and_then(|parent| TraceContext::parse(parent, header("tracestate"))),
        hops: 0,
        actor,
    })
}
