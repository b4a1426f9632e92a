//! A batch of queue records, each decoded and handled alone.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_lambda_events::event::sqs::{
    BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage, SqsMessageAttribute,
};
use futures::{FutureExt, StreamExt};
use hostler_core::envelope::HOPS_MAX;
use hostler_core::{Category, Failure, Incoming};
use tracing::Instrument;

use jiff::{SignedDuration, Timestamp};

use crate::ports::{Clock, EntryFailure, Ids, Outbound, Queues, attribute_text};
use crate::timers::HOP_SECONDS_MAX;

/// How many records of one batch are handled at a time.
const CONCURRENCY: usize = 10;
/// What is kept of an invocation's time for answering.
const MARGIN: Duration = Duration::from_millis(500);
/// The longest wait before a record is tried again.
const BACKOFF_SECONDS_MAX: u32 = 300;
/// The longest that a message waits without using up attempts.
const DEFERRAL_MAX: SignedDuration = SignedDuration::from_hours(12);
/// The attribute that says since when a message waits.
const DEFERRED_SINCE: &str = "deferredSince";
/// The attribute of a message that is replayed: it tells of what happened before, and nothing may come of it but read
/// models.
pub const REPLAY: &str = "replay";
/// What is told of why a message is a dead letter.
const REASON_CHARS_MAX: usize = 2_000;

/// What a function does with one message.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles one message. It may come twice, late and out of order.
    ///
    /// # Errors
    /// [`Failure::Retryable`] sends the message back to its queue, [`Failure::Terminal`] to the dead letters.
    async fn handle(&self, message: &Incoming) -> Result<(), Failure>;

    /// Whether handling changes read models and nothing else. Only then are replayed messages handled: of what
    /// happened long ago nothing must be done again.
    fn replays(&self) -> bool {
        false
    }
}

/// The ground that a function's batches are handled on.
#[derive(Clone)]
pub struct Batch {
    function: &'static str,
    /// The logical name of the queue; its dead letters are `<queue>-dlq`.
    queue: &'static str,
    queues: Arc<dyn Queues>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl Batch {
    /// The batches that one function reads off one queue.
    pub fn new(
        function: &'static str,
        queue: &'static str,
        queues: Arc<dyn Queues>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self { function, queue, queues, clock, ids }
    }

    /// Handles a batch within `remaining`, and reports the records that must be seen again. Records of a FIFO
    /// group keep their order: after a failure the rest of the group is returned untouched.
    pub async fn handle(
        &self,
        event: SqsEvent,
        remaining: Duration,
        handler: &dyn Handler,
    ) -> SqsBatchResponse {
        let ends = Instant::now() + remaining.saturating_sub(MARGIN);
        let lanes = lanes(event.records);
        let failed: Vec<String> = futures::stream::iter(lanes)
            .map(|lane| self.run_lane(lane, ends, handler))
            .buffer_unordered(CONCURRENCY)
            .concat()
            .await;
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = failed.into_iter().map(item_failure).collect();
        response
    }

    /// The ids of a lane's records that must be seen again.
    async fn run_lane(&self, lane: Vec<SqsMessage>, ends: Instant, handler: &dyn Handler) -> Vec<String> {
        let mut records = lane.into_iter();
        while let Some(record) = records.next() {
            if !self.run_record(&record, ends, handler).await {
                let rest = std::iter::once(record).chain(records);
                return rest.map(|record| record.message_id.unwrap_or_default()).collect();
            }
        }
        Vec::new()
    }

    /// Whether a record is done with.
    async fn run_record(&self, record: &SqsMessage, ends: Instant, handler: &dyn Handler) -> bool {
        let decoded = decode(record);
        let span = tracing::info_span!(
            "message",
            message_id = record.message_id.as_deref().unwrap_or_default(),
            message_type = decoded.as_ref().map_or("undecodable", Incoming::type_name),
            correlation_id = decoded.as_ref().map(|m| m.correlation_id().to_string()).unwrap_or_default(),
        );
        async {
            let result = match decoded {
                Ok(_) if is_replay(record) && !handler.replays() => {
                    tracing::info!(
                        replays_left_alone = 1,
                        "replayed message is none of this function's business"
                    );
                    Ok(())
                }
                Ok(message) => within(ends, survive(handler.handle(&message))).await,
                Err(failure) => Err(failure),
            };
            match result {
                Ok(()) => true,
                Err(Failure::Retryable { after, source }) => {
                    let failure = Failure::Retryable { after, source };
                    let seconds = self.backoff_seconds(record, after);
                    tracing::warn!(error = failure.chain(), retry_in_seconds = seconds, "message goes back");
                    self.defer(record, seconds).await;
                    false
                }
                Err(Failure::Deferred { after, source }) => {
                    let reason = Failure::deferred(after, source).chain();
                    self.hold_back(record, after, &reason).await
                }
                Err(Failure::Terminal { category, source }) => {
                    let reason = Failure::terminal(category, source).chain();
                    tracing::error!(error = reason, category = category.as_str(), "message is a dead letter");
                    self.bury(record, category, &reason).await
                }
            }
        }
        .instrument(span)
        .await
    }

    /// Has a record wait without using up an attempt: a copy of it is sent to its own queue with a delay, and the
    /// record itself is done with. A queue counts receives, and would make a dead letter of a message that only ever
    /// waited. The copy says since when it waits, so that nothing waits for ever.
    async fn hold_back(&self, record: &SqsMessage, after: Duration, reason: &str) -> bool {
        let seconds = u16::try_from(after.as_secs()).unwrap_or(u16::MAX).clamp(1, HOP_SECONDS_MAX);
        let since = self.waiting_since(record);
        let waited = self.clock.now().duration_since(since);
        if waited > DEFERRAL_MAX {
            let reason = format!("waited {} minutes for what was not to be had: {reason}", waited.as_mins());
            tracing::error!(error = reason, "message is a dead letter");
            return self.bury(record, Category::Transient, &reason).await;
        }
        tracing::info!(reason, retry_in_seconds = seconds, "message waits");
        // A copy would lose its place in its group.
        if !record.attributes.contains_key("MessageGroupId") {
            let mut attributes = text_attributes(record);
            attributes.insert(DEFERRED_SINCE.to_owned(), since.to_string());
            let body = record.body.clone().unwrap_or_default();
            let copy = Outbound { body, delay_seconds: seconds, attributes };
            match self.queues.send(self.queue, &[copy]).await.into_iter().next() {
                Some(Ok(())) => return true,
                Some(Err(error)) => tracing::warn!(error = %error, "the message waits as itself instead"),
                None => {}
            }
        }
        self.defer(record, u32::from(seconds)).await;
        false
    }

    /// Since when a record waits for its turn: the first of its copies said so, or it is the first.
    fn waiting_since(&self, record: &SqsMessage) -> Timestamp {
        let said =
            record.message_attributes.get(DEFERRED_SINCE).and_then(|said| said.string_value.as_deref());
        said.and_then(|said| said.parse().ok()).unwrap_or_else(|| self.clock.now())
    }

    /// Sends a record to the dead letters with its reason. When that fails the record goes back to its queue,
    /// so that it is never lost.
    async fn bury(&self, record: &SqsMessage, category: Category, reason: &str) -> bool {
        let mut attributes: BTreeMap<String, String> = [
            ("reason", attribute_text(reason, REASON_CHARS_MAX)),
            ("category", category.as_str().to_owned()),
            ("function", self.function.to_owned()),
            ("attempts", receive_count(record).to_string()),
            ("originalMessageId", record.message_id.clone().unwrap_or_default()),
        ]
        .map(|(name, text)| (name.to_owned(), text))
        .into();
        if is_replay(record) {
            attributes.insert(REPLAY.to_owned(), "true".to_owned());
        }
        // SQS refuses empty attributes.
        attributes.retain(|_, text| !text.is_empty());
        let body = record.body.clone().unwrap_or_default();
        // SQS refuses empty bodies, too; an empty message is told by its reason.
        let body = if body.is_empty() { "{}".to_owned() } else { body };
        let letter = Outbound { body, delay_seconds: 0, attributes };
        let queue = dead_letter_queue(self.queue);
        match self.queues.send(&queue, &[letter]).await.into_iter().next() {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                tracing::error!(queue, error = %error, "the dead-letter queue did not take the message");
                false
            }
            None => false,
        }
    }

    async fn defer(&self, record: &SqsMessage, seconds: u32) {
        let Some(receipt) = record.receipt_handle.as_deref() else { return };
        let deferred: Result<(), EntryFailure> = self.queues.defer(self.queue, receipt, seconds).await;
        if let Err(error) = deferred {
            tracing::warn!(error = %error, "the message comes back after the queue's own time-out instead");
        }
    }

    /// Exponential backoff with full jitter, unless the failure says when.
    fn backoff_seconds(&self, record: &SqsMessage, after: Option<Duration>) -> u32 {
        if let Some(after) = after {
            return u32::try_from(after.as_secs()).unwrap_or(u32::MAX).clamp(1, 43_200);
        }
        let span = 2u32.saturating_pow(receive_count(record).min(16)).min(BACKOFF_SECONDS_MAX);
        // The low half of a UUIDv7 is random.
        let random = self.ids.next().as_u64_pair().1;
        1 + u32::try_from(random % u64::from(span)).unwrap_or(0)
    }
}

/// The logical name of a queue's dead letters.
#[must_use]
pub fn dead_letter_queue(queue: &str) -> String {
    format!("{queue}-dlq")
}

fn decode(record: &SqsMessage) -> Result<Incoming, Failure> {
    let message = Incoming::decode(record.body.as_deref().unwrap_or_default())?;
    if message.hops() > HOPS_MAX {
        let reason = format!(
            "the causal chain is {} hops long, and the limit is {HOPS_MAX}: this looks like a loop of events; find its two ends by the correlation id {}",
            message.hops(),
            message.correlation_id()
        );
        return Err(Failure::terminal(Category::Unknown, reason));
    }
    Ok(message)
}

/// A crash costs its own record only: it is caught here, so that the neighbours are not handled again, and is
/// retried like a crash.
async fn survive(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
        let said = said(&*panic);
        Err(Failure::retryable(format!(
            "the function crashed on this message: {said}; its log has the place, and the message comes back until it has been received too often"
        )))
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}

async fn within(ends: Instant, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let left = ends.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Failure::retry_after(Duration::from_secs(1), "no time was left in this invocation"));
    }
    tokio::time::timeout(left, crate::once::ending(ends, work)).await.unwrap_or_else(|_| {
        Err(Failure::retryable(
            "the work would have outlived its invocation; if this repeats, raise the function's timeout",
        ))
    })
}

/// Records that must keep their order among themselves: one lane for each FIFO group, one for each other record.
fn lanes(records: Vec<SqsMessage>) -> Vec<Vec<SqsMessage>> {
    let mut lanes: Vec<Vec<SqsMessage>> = Vec::new();
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for record in records {
        match record.attributes.get("MessageGroupId").cloned() {
            Some(group) => {
                let lane = *groups.entry(group).or_insert_with(|| {
                    lanes.push(Vec::new());
                    lanes.len() - 1
                });
                lanes[lane].push(record);
            }
            None => lanes.push(vec![record]),
        }
    }
    lanes
}

/// The text attributes of a record, for a copy of it.
fn text_attributes(record: &SqsMessage) -> BTreeMap<String, String> {
    let text = |(name, attribute): (&String, &SqsMessageAttribute)| {
        Some((name.clone(), attribute.string_value.clone()?))
    };
    record.message_attributes.iter().filter_map(text).collect()
}

/// Whether a record is marked as replayed, whatever the mark says.
fn is_replay(record: &SqsMessage) -> bool {
    record.message_attributes.contains_key(REPLAY)
}

fn receive_count(record: &SqsMessage) -> u32 {
    record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

fn item_failure(id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = id;
    failure
}
