//! The start of a Lambda function: logging, configuration, clients, and the loop over invocations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::http::{HeaderMap, HeaderName, HeaderValue};
use hostler_core::Failure;
use hostler_core::triage::FAILURES_QUEUE;
use hostler_runtime::batch::Records;
use hostler_runtime::flow::{Consumers, Depths};
use hostler_runtime::relay::{OutboxRecord, Relayed};
use hostler_runtime::telemetry::LogSample;
use hostler_runtime::{
    Backpressure, Batch, Breakers, Clock, Control, EventBus, EventStore, Handler, HttpHandler, Ids,
    Integrity, Lanes, Once, Queues, Request, Response, Shell, Triage, Views,
};
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde_json::Value;
use tracing::Instrument;

use crate::meter::Meter;
use crate::{Aws, SettingsError, SystemClock, UuidV7, outbox_records, telemetry};

pub use lambda_runtime::Error;

/// A message is many small pieces of memory: with this allocator a function handles a tenth more of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What commits say of who wrote them.
const SOURCE: &str = "hostler";

/// A function that has started and can serve.
pub struct Function {
    name: &'static str,
    aws: Aws,
    /// Which invocations log everything.
    sample: LogSample,
    /// Where messages keep their order.
    lanes: Option<Lanes>,
}

impl Function {
    /// Starts logging, reads the environment and warms the clients.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable that is wrong.
    pub async fn start(name: &'static str) -> Result<Self, SettingsError> {
        let sample = telemetry::start()?;
        let aws = Aws::from_env()?;
        aws.warm().await;
        Ok(Self { name, aws, sample, lanes: None })
    }

    /// The shell over the event store.
    ///
    /// # Errors
    /// [`SettingsError`]; so too for the other ports.
    pub fn shell(&self) -> Result<Shell, SettingsError> {
        Ok(Shell::new(self.store()?, self.clock(), self.ids(), SOURCE))
    }

    /// The event store.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn store(&self) -> Result<Arc<dyn EventStore>, SettingsError> {
        Ok(Arc::new(self.aws.event_store()?))
    }

    /// The read models.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn views(&self) -> Result<Arc<dyn Views>, SettingsError> {
        Ok(Arc::new(self.aws.views()?))
    }

    /// Small hot state.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn control(&self) -> Result<Arc<dyn Control>, SettingsError> {
        Ok(Arc::new(self.aws.control()?))
    }

    /// What does effects once.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn once(&self) -> Result<Once, SettingsError> {
        Ok(Once::new(Arc::new(self.aws.leases()?), self.clock(), self.ids()))
    }

    /// The breakers of its dependencies.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn breakers(&self) -> Result<Breakers, SettingsError> {
        Ok(Breakers::new(self.control()?, self.clock(), self.ids()))
    }

    /// The event bus.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn bus(&self) -> Result<Arc<dyn EventBus>, SettingsError> {
        Ok(Arc::new(self.aws.bus()?))
    }

    /// The queues.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn queues(&self) -> Result<Arc<dyn Queues>, SettingsError> {
        Ok(Arc::new(self.aws.queues()?))
    }

    /// How much waits on the queues.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn depths(&self) -> Result<Arc<dyn Depths>, SettingsError> {
        Ok(Arc::new(self.aws.queues()?))
    }

    /// Who works the queues off.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn consumers(&self) -> Result<Arc<dyn Consumers>, SettingsError> {
        Ok(Arc::new(self.aws.consumers()?))
    }

    /// What producers ask before they produce.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn backpressure(&self) -> Result<Backpressure, SettingsError> {
        Ok(Backpressure::new(self.control()?, self.clock()))
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    /// The source of identifiers.
    #[must_use]
    pub fn ids(&self) -> Arc<dyn Ids> {
        Arc::new(UuidV7)
    }

    /// Types of events that stay off the bus.
    #[must_use]
    pub fn internal_events(&self) -> Vec<String> {
        self.aws.settings().internal_events()
    }

    /// What messages are signed by.
    #[must_use]
    pub fn integrity(&self) -> Arc<Integrity> {
        self.aws.settings().integrity()
    }

    /// Has the messages of its queue keep their order by what [`Handler::key`] says.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn keeping_order(mut self) -> Result<Self, SettingsError> {
        self.lanes = Some(Lanes::new(self.control()?));
        Ok(self)
    }

    fn invocations(&self) -> Invocations {
        Invocations { name: self.name, sample: self.sample, meter: self.aws.meter().cloned() }
    }

    fn batch(&self, queue: &'static str) -> Result<Batch, SettingsError> {
        let batch = Batch::new(self.name, queue, self.queues()?, self.clock(), self.ids())
            .signed_by(self.integrity());
        Ok(match self.lanes.clone() {
            Some(lanes) => batch.in_lanes(lanes),
            None => batch,
        })
    }

    /// Serves a queue.
    ///
    /// # Errors
    /// When the environment lacks the queues, or the Runtime API goes away.
    pub async fn serve_queue(self, queue: &'static str, handler: impl Handler) -> Result<(), Error> {
        let batch = self.batch(queue)?;
        let (batch, handler, invocations) = (&batch, &handler, &self.invocations());
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Records>| async move {
            let work = batch.handle(event.payload, remaining(&event.context), handler);
            Ok::<_, Error>(invocations.run(&event.context, work).await)
        }))
        .await
    }

    /// Serves an HTTP API.
    ///
    /// # Errors
    /// When the Runtime API goes away.
    pub async fn serve_http(self, handler: impl HttpHandler) -> Result<(), Error> {
        let (handler, invocations) = (&handler, &self.invocations());
        lambda_runtime::run(service_fn(move |event: LambdaEvent<ApiGatewayV2httpRequest>| async move {
            Ok::<_, Error>(invocations.run(&event.context, answer(event.payload, handler)).await)
        }))
        .await
    }

    /// Serves a queue and an HTTP API, telling them apart by the form of the event.
    ///
    /// # Errors
    /// As [`Self::serve_queue`].
    pub async fn serve_queue_and_http(
        self,
        queue: &'static str,
        handler: impl Handler + HttpHandler,
    ) -> Result<(), Error> {
        let batch = self.batch(queue)?;
        let (batch, handler, invocations) = (&batch, &handler, &self.invocations());
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
            let work = async {
                if event.payload.get("Records").is_some() {
                    let records: Records = serde_json::from_value(event.payload)?;
                    let response = batch.handle(records, remaining(&event.context), handler).await;
                    Ok::<Value, Error>(serde_json::to_value(response)?)
                } else {
                    let request: ApiGatewayV2httpRequest = serde_json::from_value(event.payload)?;
                    Ok(serde_json::to_value(answer(request, handler).await)?)
                }
            };
            invocations.run(&event.context, work).await
        }))
        .await
    }

    /// Serves the dead-letter queues and the queue of failures.
    ///
    /// # Errors
    /// As [`Self::serve_queue`].
    pub async fn serve_triage(self, triage: Triage) -> Result<(), Error> {
        let batch = self.batch(FAILURES_QUEUE)?;
        let queues = self.queue_names()?;
        let (batch, triage, queues, invocations) = (&batch, &triage, &queues, &self.invocations());
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Records>| async move {
            let remaining = remaining(&event.context);
            let work = async {
                // A mapping's batch is of one queue.
                let arn = event.payload.records.first().and_then(|record| record.event_source_arn.clone());
                let arn = arn.unwrap_or_default();
                let queue = queues.get(last_part(&arn, ':')).map(String::as_str);
                match queue.map(|queue| queue.strip_suffix("-dlq").ok_or(queue)) {
                    Some(Ok(origin)) => Ok(triage.letters(origin, event.payload, remaining).await),
                    Some(Err(_)) => Ok(batch.handle(event.payload, remaining, triage).await),
                    None => Err(Error::from(format!(
                        "{arn} is no queue of QUEUE_URLS: name every queue that this function reads there"
                    ))),
                }
            };
            invocations.run(&event.context, work).await
        }))
        .await
    }

    /// The logical names of the queues, by the names that AWS gave them.
    fn queue_names(&self) -> Result<BTreeMap<String, String>, SettingsError> {
        let urls = self.aws.settings().queue_urls()?;
        Ok(urls.iter().map(|(name, url)| (last_part(url, '/').to_owned(), name.clone())).collect())
    }

    /// Serves a schedule: the work is done at each tick, whatever the tick says.
    ///
    /// # Errors
    /// When the Runtime API goes away.
    pub async fn serve_schedule(self, work: impl AsyncFn()) -> Result<(), Error> {
        let (work, invocations) = (&work, &self.invocations());
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
            invocations.run(&event.context, work()).await;
            Ok::<Value, Error>(Value::Null)
        }))
        .await
    }

    /// Serves the stream of the events table. A failure fails the whole batch, which comes again.
    ///
    /// # Errors
    /// When the Runtime API goes away.
    pub async fn serve_outbox<F>(self, relay: F) -> Result<(), Error>
    where
        F: AsyncFn(&[OutboxRecord]) -> Result<Relayed, Failure>,
    {
        let (relay, invocations) = (&relay, &self.invocations());
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
            let work = async {
                let records = outbox_records(&event.payload)?;
                relay(&records).await.map_err(|failure| Error::from(failure.chain()))?;
                Ok::<Value, Error>(Value::Null)
            };
            invocations.run(&event.context, work).await
        }))
        .await
    }
}

/// What is done around every invocation.
struct Invocations {
    name: &'static str,
    sample: LogSample,
    meter: Option<Meter>,
}

impl Invocations {
    /// Does an invocation's work: whether it is one of the log's sample, the span that it happens in, what it costs.
    async fn run<T>(&self, context: &Context, work: impl Future<Output = T>) -> T {
        self.sample.begin(&context.request_id);
        let span = telemetry::invocation_span(self.name, &context.request_id);
        let Some(meter) = &self.meter else { return work.instrument(span).await };
        let begun = Instant::now();
        meter.begin();
        let done = work.instrument(span).await;
        meter.end(self.name, begun.elapsed());
        done
    }
}

fn last_part(text: &str, separator: char) -> &str {
    text.rsplit(separator).next().unwrap_or_default()
}

/// The time left to this invocation. None left means none.
fn remaining(context: &Context) -> Duration {
    context.deadline().duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)
}

async fn answer(event: ApiGatewayV2httpRequest, handler: &impl HttpHandler) -> ApiGatewayV2httpResponse {
    match request(event) {
        Ok(request) => response(handler.answer(&request).await),
        Err(refused) => response(refused),
    }
}

fn request(event: ApiGatewayV2httpRequest) -> Result<Request, Response> {
    let body = event.body.unwrap_or_default();
    let body = if event.is_base64_encoded { decode_body(&body)? } else { body };
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let query = event.query_string_parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let authorizer = event.request_context.authorizer;
    Ok(Request {
        method: event.request_context.http.method.as_str().to_owned(),
        path: event.raw_path.unwrap_or_default(),
        query: query.collect(),
        headers: event.headers.iter().filter_map(text).collect(),
        body,
        caller: authorizer.and_then(|authorizer| authorizer.iam).and_then(|iam| iam.user_arn),
    })
}

fn decode_body(body: &str) -> Result<String, Response> {
    // The same decoder that the gateway's own types use.
    let bytes: Result<aws_lambda_events::encodings::Base64Data, _> = serde_json::from_value(body.into());
    bytes
        .ok()
        .and_then(|bytes| String::from_utf8(bytes.0).ok())
        .ok_or_else(|| Response::error(400, "malformed", "the body is not UTF-8 text: send JSON"))
}

fn response(response: Response) -> ApiGatewayV2httpResponse {
    let pair = |(name, value): (String, String)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    let json = ("content-type".to_owned(), "application/json".to_owned());
    let headers: BTreeMap<String, String> = response.headers.into_iter().chain([json]).collect();
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = i64::from(response.status);
    answer.headers = headers.into_iter().filter_map(pair).collect::<HeaderMap>();
    answer.body = Some(Body::Text(response.body.to_string()));
    answer
}
