//! One loop over invocations, and the kinds of them: a queue, an HTTP API, both, dead letters, a schedule, the outbox.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hostler_core::Failure;
use hostler_core::triage::FAILURES_QUEUE;
use hostler_runtime::messages::batch::{Batch, Handler};
use hostler_runtime::messages::relay::{OutboxRecord, Relayed};
use hostler_runtime::operations::telemetry::LogSample;
use hostler_runtime::operations::triage::Triage;
use hostler_runtime::ports::Clock;
use hostler_runtime::serving::http::HttpHandler;
use jiff::Timestamp;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::Instrument;

use super::http::answer;
use super::shapes::{self, BatchOrRequest};
use super::{Error, Function};
use crate::meter::Meter;
use crate::{SettingsError, outbox_records, telemetry};

impl Function {
    /// Serves a queue.
    ///
    /// # Errors
    /// When the environment lacks the queues, or the Runtime API goes away.
    pub async fn serve_queue(self, queue: &'static str, handler: impl Handler) -> Result<(), Error> {
        let batch = self.batch(queue)?;
        self.serve(async |event: &RawValue, remaining| {
            Ok(batch.handle(shapes::batch(event)?, remaining, &handler).await)
        })
        .await
    }

    /// Serves an HTTP API.
    ///
    /// # Errors
    /// When the Runtime API goes away.
    pub async fn serve_http(self, handler: impl HttpHandler) -> Result<(), Error> {
        self.serve(async |event: &RawValue, _| Ok(answer(shapes::request(event)?, &handler).await)).await
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
        self.serve(async |event: &RawValue, remaining| match shapes::batch_or_request(event)? {
            BatchOrRequest::Batch(records) => {
                Ok(serde_json::to_value(batch.handle(records, remaining, &handler).await)?)
            }
            BatchOrRequest::Request(request) => Ok(serde_json::to_value(answer(*request, &handler).await)?),
        })
        .await
    }

    /// Serves the dead-letter queues and the queue of failures.
    ///
    /// # Errors
    /// As [`Self::serve_queue`].
    pub async fn serve_triage(self, triage: Triage) -> Result<(), Error> {
        let batch = self.batch(FAILURES_QUEUE)?;
        let queues = self.queue_names()?;
        self.serve(async |event: &RawValue, remaining| {
            let records = shapes::batch(event)?;
            // A mapping's batch is of one queue.
            let first = records.records.first();
            let arn = first.and_then(|record| record.event_source_arn.clone()).unwrap_or_default();
            let queue = queues.get(last_part(&arn, ':')).map(String::as_str);
            match queue.map(|queue| queue.strip_suffix("-dlq").ok_or(queue)) {
                Some(Ok(origin)) => Ok(triage.dead_letters(origin, records, remaining).await),
                Some(Err(_)) => Ok(batch.handle(records, remaining, &triage).await),
                None => Err(Error::from(format!(
                    "{arn} is no queue of QUEUE_URLS: name every queue that this function reads there"
                ))),
            }
        })
        .await
    }

    /// Serves a schedule: the work is done at each tick.
    ///
    /// # Errors
    /// When the Runtime API goes away.
    pub async fn serve_schedule(self, work: impl AsyncFn()) -> Result<(), Error> {
        self.serve(async |event: &RawValue, _| {
            shapes::tick(event)?;
            work().await;
            Ok(Value::Null)
        })
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
        self.serve(async |event: &RawValue, _| {
            let records = outbox_records(&shapes::stream(event)?)?;
            relay(&records).await.map_err(|failure| Error::from(failure.chain()))?;
            Ok(Value::Null)
        })
        .await
    }

    /// The loop over invocations, whatever kind they are of: `answer` is handed the event as it came and the time that is
    /// left. An error that it returns is the invocation's.
    async fn serve<A: Serialize>(
        self,
        answer: impl AsyncFn(&RawValue, Duration) -> Result<A, Error>,
    ) -> Result<(), Error> {
        let clock = self.clock();
        let around = Around { name: self.name, sample: self.sample, meter: self.aws.meter().cloned() };
        let (answer, clock, around) = (&answer, &clock, &around);
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
            let remaining = remaining(&**clock, &event.context);
            around.invocation(&event.context, answer(&event.payload, remaining)).await
        }))
        .await
    }

    fn batch(&self, queue: &'static str) -> Result<Batch, SettingsError> {
        let batch = Batch::new(self.name, queue, self.queues()?, self.clock(), self.ids())
            .signed_by(self.integrity());
        let batch = match self.adopt {
            Some(adopt) => batch.adopting(adopt),
            None => batch,
        };
        Ok(match self.ordering.clone() {
            Some(ordering) => batch.in_order(ordering),
            None => batch,
        })
    }

    /// The logical names of the queues, by the names that AWS gave them.
    fn queue_names(&self) -> Result<BTreeMap<String, String>, SettingsError> {
        let urls = self.aws.settings().queue_urls()?;
        Ok(urls.iter().map(|(name, url)| (last_part(url, '/').to_owned(), name.clone())).collect())
    }
}

/// The time that is left to an invocation. Past its deadline it is zero.
fn remaining(clock: &dyn Clock, context: &Context) -> Duration {
    let ends = Timestamp::try_from(context.deadline()).unwrap_or(Timestamp::MIN);
    Duration::try_from(ends.duration_since(clock.now())).unwrap_or(Duration::ZERO)
}

/// What is done around every invocation.
struct Around {
    name: &'static str,
    /// Which invocations log everything.
    sample: LogSample,
    /// Present where calls are counted.
    meter: Option<Meter>,
}

impl Around {
    async fn invocation<T>(&self, context: &Context, work: impl Future<Output = T>) -> T {
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
