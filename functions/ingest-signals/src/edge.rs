//! `POST /signals/<form>`: what came is on the queue before it is answered.
//!
//! Senders are not told to wait in an emergency: Alertmanager sends again after 5xx alone, a BMC never, and what they say is
//! what ends an emergency. The queue holds it.

use async_trait::async_trait;
use hostler_core::{Failure, TraceContext};
use hostler_events::signal::{SignalForm, TakeSignals};
use hostler_runtime::ports::{EntryFailure, Outbound};
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use serde_json::{Value, json};

use crate::IngestSignals;
use crate::forms;
use crate::parts::{PART_BYTES_MAX, Parts, parts};
use crate::send::first;

/// The queue on which everything waits to be read.
pub(crate) const SIGNALS_QUEUE: &str = "signals";
/// The largest body in bytes. Lambda is handed 6 MB, in which the body is escaped.
const BODY_BYTES_MAX: usize = 4_000_000;
/// After how many seconds a sender may try again.
const RETRY_SECONDS: &str = "5";
/// What a sender is told of what is too large.
const PLACES_MAX: usize = 5;

#[async_trait]
impl HttpHandler for IngestSignals {
    async fn answer(&self, request: &Request) -> Response {
        if let Err(refused) = self.token.check(request) {
            return refused;
        }
        let form = match form_of(request) {
            Ok(form) => form,
            Err(refused) => return refused,
        };
        // Debezium's tombstones have no body, or `null`: the deletion has come before them.
        if form == SignalForm::Debezium && matches!(request.body.trim(), "" | "null") {
            return Response::new(202, json!({ "messages": 0 }));
        }
        match read(request) {
            Ok(body) => self.take(request, form, body).await,
            Err(refused) => refused,
        }
    }
}

impl IngestSignals {
    async fn take(&self, request: &Request, form: SignalForm, body: Value) -> Response {
        if form == SignalForm::Heartbeat && self.says_nothing(&body) {
            return Response::new(202, json!({ "messages": 0 }));
        }
        let Parts { parts, too_large } = parts(form, body);
        let messages: Result<Vec<Outbound>, Failure> =
            parts.into_iter().map(|part| self.message(request, form, part)).collect();
        let messages = match messages {
            Ok(messages) => messages,
            Err(failure) => return Response::failure(&failure),
        };
        if let Err(error) = self.put(&messages).await {
            tracing::error!(error = %error, "signals were not taken");
            let message = format!("the signals were not taken, send them again: {error}");
            let mut response = Response::error(503, "unavailable", message);
            response.headers.insert("retry-after".to_owned(), RETRY_SECONDS.to_owned());
            return response;
        }
        if too_large.is_empty() {
            return Response::new(202, json!({ "messages": messages.len() }));
        }
        let some = too_large.iter().take(PLACES_MAX).map(|(place, bytes)| format!("{place} ({bytes} bytes)"));
        let some = some.collect::<Vec<_>>().join(", ");
        tracing::error!(places = some, count = too_large.len(), "signals are too large");
        let message = format!(
            "{} of the signals are larger than {PART_BYTES_MAX} bytes, and were not taken; the others were: {some}; send fewer labels",
            too_large.len()
        );
        Response::error(413, "too-large", message)
    }

    /// Whether a heartbeat says nothing new, as nearly all do: there are too many of those for a message each.
    fn says_nothing(&self, body: &Value) -> bool {
        let received_at = self.clock.now();
        let taken = TakeSignals { form: SignalForm::Heartbeat, received_at, body: body.clone() };
        let reading = forms::read(&taken);
        reading.quiet == reading.len()
    }

    fn message(&self, request: &Request, form: SignalForm, body: Value) -> Result<Outbound, Failure> {
        let now = self.clock.now();
        let taken = TakeSignals { form, received_at: now, body };
        let actor = format!("signals:{}", request.segments().last().copied().unwrap_or_default());
        let mut envelope = first(self.ids.next(), now, actor, taken);
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        envelope.header.trace_context =
            header("traceparent").and_then(|parent| TraceContext::parse(parent, header("tracestate")));
        self.outbound(&envelope)
    }

    async fn put(&self, messages: &[Outbound]) -> Result<(), EntryFailure> {
        let mut answers = self.queues.send(SIGNALS_QUEUE, messages).await.into_iter();
        messages
            .iter()
            .try_for_each(|_| answers.next().unwrap_or_else(|| Err(EntryFailure::no_answer(SIGNALS_QUEUE))))
    }
}

fn form_of(request: &Request) -> Result<SignalForm, Response> {
    let message = match request.segments()[..] {
        ["signals", "alertmanager"] => return posted(request, SignalForm::Alertmanager),
        ["signals", "redfish"] => return posted(request, SignalForm::Redfish),
        ["signals", "heartbeat"] => return posted(request, SignalForm::Heartbeat),
        ["signals", "osv"] => return posted(request, SignalForm::Osv),
        ["signals", "packages"] => return posted(request, SignalForm::Packages),
        ["signals", "debezium"] => return posted(request, SignalForm::Debezium),
        _ => {
            "this is no form of signals: POST /signals/alertmanager, /signals/redfish, /signals/heartbeat, /signals/osv, /signals/packages or /signals/debezium"
        }
    };
    Err(Response::error(404, "no-such-route", message))
}

fn posted(request: &Request, form: SignalForm) -> Result<SignalForm, Response> {
    if request.method == "POST" {
        return Ok(form);
    }
    let message = format!("{} is not served here: POST the signals", request.method);
    Err(Response::error(405, "no-such-method", message))
}

fn read(request: &Request) -> Result<Value, Response> {
    let bytes = request.body.len();
    if bytes > BODY_BYTES_MAX {
        let message =
            format!("the body is {bytes} bytes, and the limit is {BODY_BYTES_MAX}: send less at a time");
        return Err(Response::error(413, "too-large", message));
    }
    let body: Value = serde_json::from_str(&request.body)
        .map_err(|error| Response::error(400, "malformed", format!("the body is not JSON: {error}")))?;
    if body.is_object() {
        return Ok(body);
    }
    let message = "the body is no JSON object: send the form as its vendor documents it";
    Err(Response::error(400, "malformed", message))
}
