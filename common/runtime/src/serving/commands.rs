//! The edge for operators' commands: `POST /commands/{type}`, and the queue `commands`.

use async_trait::async_trait;
use hostler_core::{
    Actor, Category, CausationId, CommandId, CorrelationId, Data, Failure, Incoming, StepId, TraceContext,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::effects::once::payload_hash;
use crate::messages::batch::Handler;
use crate::operations::flow::{Backpressure, Overload};
use crate::register::{Accepted, CallBack, Operations, Rejected};
use crate::serving::http::{BODY_BYTES_MAX, HttpHandler, Request, Response};
use crate::state::shell::{Cause, Shell};

/// How much of a hash is enough to keep callers apart.
const SCOPE_CHARS: usize = 12;
/// How long an `Idempotency-Key` is sure to be recognised. A caller that repeats a request later than this gets a new
/// command, unless the key is still among the stream's newest causes.
const KEY_WINDOW: SignedDuration = SignedDuration::from_hours(48);

/// Authorises, validates, decides, appends.
pub struct CommandEdge {
    /// Where streams are loaded and appended.
    pub shell: Shell,
    /// What says when there are too many commands.
    pub backpressure: Backpressure,
    /// What operators may ask for.
    pub operations: Operations,
}

#[async_trait]
impl Handler for CommandEdge {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let cause = Cause::of(message);
        let command = match message {
            Incoming::Timer(timer) => return self.operations.fire(&self.shell, &cause, timer).await,
            Incoming::Command(command) => command,
            Incoming::Event(_) => return Err(message.misplaced("a command")),
        };
        match self.accept(&cause, &command.command_type, command.schema_version, &command.data).await {
            Ok(accepted) => {
                tracing::info!(stream = %accepted.stream, version = accepted.version.0, "accepted");
                Ok(())
            }
            // There is nobody to answer: the dead letter tells the sender why.
            Err(Rejected::Refused { reason, .. }) => Err(Failure::terminal(Category::Business, reason)),
            Err(Rejected::Failed(failure)) => Err(failure),
        }
    }

    fn key(&self, message: &Incoming) -> Option<String> {
        let Incoming::Command(command) = message else { return None };
        self.operations.subject(&command.command_type, command.schema_version, &command.data)
    }
}

#[async_trait]
impl HttpHandler for CommandEdge {
    async fn answer(&self, request: &Request) -> Response {
        let is_callback = matches!(request.segments()[..], ["callbacks"]);
        if !is_callback && let Err(refused) = request.verified_caller() {
            return refused;
        }
        if let Err(overloaded) = self.backpressure.admit(Overload::Signal).await {
            let mut response = Response::error(429, "overloaded", overloaded.to_string());
            let seconds = overloaded.retry_after.as_secs().to_string();
            response.headers.insert("retry-after".to_owned(), seconds);
            return response;
        }
        if is_callback {
            return match self.read_callback(request) {
                Ok((cause, call)) => match self.operations.call_back(&self.shell, &cause, call).await {
                    Ok(accepted) => accepted.into(),
                    Err(rejected) => rejected.into(),
                },
                Err(response) => response,
            };
        }
        match self.read(request) {
            Ok((cause, command_type, version, data)) => {
                match self.accept(&cause, command_type, version, &data).await {
                    Ok(accepted) => accepted.into(),
                    Err(rejected) => rejected.into(),
                }
            }
            Err(response) => response,
        }
    }
}

impl CommandEdge {
    /// Decides on a command and records the decision.
    ///
    /// # Errors
    /// [`Rejected`] says why it was not accepted, and what to do.
    pub async fn accept(
        &self,
        cause: &Cause,
        command_type: &str,
        version: u32,
        data: &Data,
    ) -> Result<Accepted, Rejected> {
        self.operations.accept(&self.shell, cause, (command_type, version, data)).await
    }

    fn read<'a>(&self, request: &'a Request) -> Result<(Cause, &'a str, u32, Data), Response> {
        body_fits(request)?;
        match request.segments()[..] {
            ["commands", command_type] if request.method == "POST" => self.command(request, command_type),
            _ => Err(Response::error(
                404,
                "no-such-route",
                format!("{} {} is not served here: POST /commands/<type>", request.method, request.path),
            )),
        }
    }

    /// The outsider's identity and token are in the URL that it was given; the body is its answer.
    fn read_callback(&self, request: &Request) -> Result<(Cause, CallBack), Response> {
        body_fits(request)?;
        let outcome = serde_json::from_str(&request.body).map_err(|error| {
            let message = format!(
                "the callback's body does not read: {error}; send {{\"result\":\"succeeded\"}}, with an output if there is one"
            );
            Response::error(400, "malformed", message)
        })?;
        let query = |name: &str| {
            request.query.get(name).map(String::as_str).ok_or_else(|| {
                let message =
                    format!("the callback's URL has no {name}: call back with the URL that was given");
                Response::error(400, "invalid", message)
            })
        };
        let invalid = |error: hostler_core::InvalidId| Response::error(400, "invalid", error.to_string());
        let call = CallBack {
            saga: query("saga")?.parse().map_err(invalid)?,
            step: StepId::new(query("step")?).map_err(invalid)?,
            token: query("token")?.to_owned(),
            outcome,
        };
        let actor = Actor(format!("callback:{}", call.saga));
        Ok((cause_of(request, &self.shell, actor)?, call))
    }

    fn command<'a>(
        &self,
        request: &Request,
        command_type: &'a str,
    ) -> Result<(Cause, &'a str, u32, Data), Response> {
        if !self.operations.types().any(|known| known == command_type) {
            let known: Vec<&str> = self.operations.types().collect();
            let message = format!("there is no command {command_type:?}: send one of {}", known.join(", "));
            return Err(Response::error(404, "unknown-type", message));
        }
        let data: Value = serde_json::from_str(&request.body).map_err(|error| {
            Response::error(400, "malformed", format!("the body of {command_type} is not JSON: {error}"))
        })?;
        let version = match request.headers.get("hostler-schema-version") {
            None => 1,
            Some(text) => text.parse().map_err(|_| {
                let message =
                    format!("the header hostler-schema-version is {text:?}: send a whole number, such as 1");
                Response::error(400, "malformed", message)
            })?,
        };
        let actor = Actor(request.verified_caller()?.to_owned());
        Ok((cause_of(request, &self.shell, actor)?, command_type, version, data.into()))
    }
}

/// Whether a request's body is small enough to be read.
///
/// # Errors
/// The answer that says it is not.
pub fn body_fits(request: &Request) -> Result<(), Response> {
    let bytes = request.body.len();
    if bytes <= BODY_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "the body is {bytes} bytes, and the limit is {BODY_BYTES_MAX}: send less, or split the command"
    );
    Err(Response::error(413, "too-large", message))
}

/// The cause of a request: the caller's own key where it sends one, so that a repeat is recognised.
///
/// # Errors
/// The answer that says what is wrong with the key.
pub fn cause_of(request: &Request, shell: &Shell, actor: Actor) -> Result<Cause, Response> {
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    let now = shell.now();
    let (id, since) = match header("idempotency-key") {
        Some(key) => {
            // One caller's keys are not another's, and a key stands for one content.
            let scope = payload_hash(&json!([actor, request.path]));
            let payload = payload_hash(&serde_json::from_str(&request.body).unwrap_or_default());
            let id = CausationId::keyed(&scope[..SCOPE_CHARS], key, &payload)
                .map_err(|error| Response::error(400, "invalid", error.to_string()))?;
            (id, now.saturating_sub(KEY_WINDOW).unwrap_or(Timestamp::MIN))
        }
        None => (CommandId(shell.new_id()).into(), now),
    };
    Ok(Cause {
        id,
        since,
        correlation_id: CorrelationId(shell.new_id()),
        trace_context: header("traceparent")
            .and_then(|parent| TraceContext::parse(parent, header("tracestate"))),
        hops: 0,
        actor,
    })
}
