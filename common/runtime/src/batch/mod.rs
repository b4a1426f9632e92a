//! A batch of queue records, each decoded and handled alone.

mod record;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use hostler_core::triage::{FAILURES_QUEUE, FailureCommand, FailureId, Lane};
use hostler_core::{Category, CommandEnvelope, Failure, Incoming, Payload};
use tracing::Instrument;

use jiff::{SignedDuration, Timestamp};

use crate::integrity::Integrity;
use crate::lanes::{Held, Lanes};
use crate::ports::{Clock, EntryFailure, Ids, Outbound, PortError, Queues, attribute_text};
use crate::timers::HOP_SECONDS_MAX;

pub(crate) use record::{
    ATTEMPTS, BEHIND, CATEGORY, FAILURE, FUNCTION, KEY, REASON, attribute, identity, receive_count,
    text_attributes,
};
pub use record::{BatchResponse, ItemFailure, REPLAY, Record, Records, SystemAttributes};
use record::{DEFERRED_SINCE, ORIGINAL, decode, groups, is_replay};

/// How many records of one batch are handled at a time.
const CONCURRENCY: usize = 10;
/// What is kept of an invocation's time for answering.
const MARGIN: Duration = Duration::from_millis(500);
/// The longest wait before a record is tried again.
const BACKOFF_SECONDS_MAX: u32 = 300;
/// The longest that a message waits without using up attempts.
const DEFERRAL_MAX: SignedDuration = SignedDuration::from_hours(12);
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

    /// A batch begins: what held for the last one need not hold for this one.
    fn begin(&self) {}

    /// What a message keeps its order by, where it does: while one of its key is with triage, the later ones wait
    /// behind it. It works where the batch was given [`Lanes`].
    fn key(&self, message: &Incoming) -> Option<String> {
        let _ = message;
        None
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
    /// Where it is told which keys are held, for handlers whose messages keep their order.
    lanes: Option<Lanes>,
    /// What messages are signed by.
    integrity: Arc<Integrity>,
}

/// What is the same for all records of a batch.
struct Turn<'a> {
    ends: Instant,
    handler: &'a dyn Handler,
    /// The held keys; none where order is not kept.
    held: Option<Result<Held, PortError>>,
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
        Self { function, queue, queues, clock, ids, lanes: None, integrity: Arc::default() }
    }

    /// Has messages keep their order by [`Handler::key`].
    #[must_use]
    pub fn in_lanes(mut self, lanes: Lanes) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// Has messages be checked by their signatures.
    #[must_use]
    pub fn signed_by(mut self, integrity: Arc<Integrity>) -> Self {
        self.integrity = integrity;
        self
    }

    /// Handles a batch within `remaining`, and reports the records that must be seen again. Records of a FIFO
    /// group keep their order: after a failure the rest of the group is returned untouched.
    pub async fn handle(&self, event: Records, remaining: Duration, handler: &dyn Handler) -> BatchResponse {
        handler.begin();
        let ends = Instant::now() + remaining.saturating_sub(MARGIN);
        let held = match &self.lanes {
            Some(lanes) => Some(lanes.held(self.queue).await),
            None => None,
        };
        let turn = Turn { ends, handler, held };
        let failed: Vec<String> = futures::stream::iter(groups(event.records))
            .map(|group| self.run_group(group, &turn))
            .buffer_unordered(CONCURRENCY)
            .concat()
            .await;
        BatchResponse::of(failed)
    }

    /// The ids of a group's records that must be seen again.
    async fn run_group(&self, group: Vec<Record>, turn: &Turn<'_>) -> Vec<String> {
        let mut records = group.into_iter();
        while let Some(record) = records.next() {
            if !self.run_record(&record, turn).await {
                let rest = std::iter::once(record).chain(records);
                return rest.map(|record| record.message_id).collect();
            }
        }
        Vec::new()
    }

    /// Whether a record is done with.
    async fn run_record(&self, record: &Record, turn: &Turn<'_>) -> bool {
        let decoded = decode(record).and_then(|message| self.integrity.verify(&message).map(|()| message));
        let span = tracing::info_span!(
            "message",
            message_id = record.message_id,
            message_type = decoded.as_ref().map_or("undecodable", Incoming::type_name),
            correlation_id =
                decoded.as_ref().ok().map(|message| tracing::field::display(message.correlation_id())),
        );
        async {
            match decoded {
                Ok(message) => self.run_decoded(record, &message, turn).await,
                Err(failure) => Box::pin(self.fail(record, failure, None)).await,
            }
        }
        .instrument(span)
        .await
    }

    async fn run_decoded(&self, record: &Record, message: &Incoming, turn: &Turn<'_>) -> bool {
        let lane = self.lane(message, turn);
        match self.run_message(record, message, lane.as_ref(), turn).await {
            // What is seldom done is kept apart: the work of every message is moved about in memory as a whole.
            Ok(()) => match self.resolves(record, lane.as_ref(), turn) {
                None => true,
                Some(failure) => Box::pin(self.tell_triage(record, message, failure, lane)).await,
            },
            Err(Stop::Failed(failure)) => Box::pin(self.fail(record, failure, lane.as_ref())).await,
            Err(Stop::Behind(head)) => {
                tracing::info!(%head, "message waits behind an earlier one of its key");
                let reason = format!("waits behind failure {head} of the same key");
                let behind = [(BEHIND.to_owned(), head.to_string())];
                Box::pin(self.bury(record, Category::Transient, &reason, lane.as_ref(), behind)).await
            }
        }
    }

    /// What a message keeps its order in.
    fn lane(&self, message: &Incoming, turn: &Turn<'_>) -> Option<Lane> {
        turn.held.as_ref()?;
        let key = turn.handler.key(message)?;
        Some(Lane { queue: self.queue.to_owned(), key })
    }

    async fn run_message(
        &self,
        record: &Record,
        message: &Incoming,
        lane: Option<&Lane>,
        turn: &Turn<'_>,
    ) -> Result<(), Stop> {
        if is_replay(record) && !turn.handler.replays() {
            tracing::info!(replays_left_alone = 1, "replayed message is none of this function's business");
            return Ok(());
        }
        // What triage has put back is let by: it is its turn.
        if let (Some(lane), None) = (lane, attribute(record, FAILURE)) {
            match &turn.held {
                Some(Err(error)) => {
                    let reason = format!("whether earlier messages wait is not known: {error}");
                    return Err(Stop::Failed(Failure::retryable(reason)));
                }
                Some(Ok(held)) => match held.get(&lane.key) {
                    Some(head) if Some(head.as_str()) != identity(record) => {
                        return Err(Stop::Behind(head.clone()));
                    }
                    _ => {}
                },
                None => {}
            }
        }
        within(turn.ends, survive(turn.handler.handle(message))).await.map_err(Stop::Failed)
    }

    /// Has a record that failed come again, wait, or be a dead letter; says whether it is done with.
    async fn fail(&self, record: &Record, failure: Failure, lane: Option<&Lane>) -> bool {
        let reason = failure.chain();
        match failure {
            Failure::Retryable { after, .. } => {
                let seconds = self.backoff_seconds(record, after);
                tracing::warn!(error = reason, retry_in_seconds = seconds, "message goes back");
                self.defer(record, seconds).await;
                false
            }
            Failure::Deferred { after, .. } => self.hold_back(record, after, &reason, lane).await,
            Failure::Terminal { category, .. } => {
                tracing::error!(error = reason, category = category.as_str(), "message is a dead letter");
                self.bury(record, category, &reason, lane, []).await
            }
        }
    }

    /// The failure that is over now that a message was handled; none for messages that never failed.
    fn resolves(&self, record: &Record, lane: Option<&Lane>, turn: &Turn<'_>) -> Option<FailureId> {
        if let Some(failure) = attribute(record, FAILURE) {
            return FailureId::new(failure).ok();
        }
        // It died between holding its key and leaving its queue, and came back.
        let (Some(lane), Some(Ok(held))) = (lane, &turn.held) else { return None };
        held.get(&lane.key).filter(|head| Some(head.as_str()) == identity(record)).cloned()
    }

    /// Tells triage that a message which once failed was handled; says whether the record is done with.
    async fn tell_triage(
        &self,
        record: &Record,
        message: &Incoming,
        failure: FailureId,
        lane: Option<Lane>,
    ) -> bool {
        let command = FailureCommand::ResolveFailure { failure, lane };
        let envelope = CommandEnvelope {
            command_id: self.ids.next().into(),
            command_type: command.type_name().to_owned(),
            schema_version: command.schema_version(),
            timestamp: self.clock.now(),
            source: self.function.to_owned(),
            correlation_id: message.correlation_id(),
            causation_id: message.cause(),
            trace_context: message.trace_context().cloned(),
            hops: 0,
            actor: message.actor().clone(),
            data: command.to_data(),
            signature: None,
        };
        let envelope = self.integrity.signed(envelope);
        let Ok(body) = serde_json::to_string(&envelope) else { return true };
        let note = Outbound { body, ..Outbound::default() };
        match self.queues.send(FAILURES_QUEUE, &[note]).await.into_iter().next() {
            Some(Err(error)) if !error.retryable => {
                tracing::error!(error = %error, "triage is not told that the message was handled");
                true
            }
            Some(Ok(())) => true,
            Some(Err(_)) | None => {
                // Handled again it changes nothing, and triage is told then.
                self.defer(record, 1).await;
                false
            }
        }
    }

    /// Has a record wait without using up an attempt: a copy of it is sent to its own queue with a delay, and the
    /// record itself is done with. A queue counts receives, and would make a dead letter of a message that only ever
    /// waited. The copy says since when it waits, so that nothing waits for ever.
    async fn hold_back(&self, record: &Record, after: Duration, reason: &str, lane: Option<&Lane>) -> bool {
        let seconds = u16::try_from(after.as_secs()).unwrap_or(u16::MAX).clamp(1, HOP_SECONDS_MAX);
        let since = self.waiting_since(record);
        let waited = self.clock.now().duration_since(since);
        if waited > DEFERRAL_MAX {
            let reason = format!("waited {} minutes for what was not to be had: {reason}", waited.as_mins());
            tracing::error!(error = reason, "message is a dead letter");
            return self.bury(record, Category::Transient, &reason, lane, []).await;
        }
        tracing::info!(reason, retry_in_seconds = seconds, "message waits");
        // A copy would lose its place in its group.
        if record.attributes.message_group_id.is_none() {
            let mut attributes = text_attributes(record);
            attributes.insert(DEFERRED_SINCE.to_owned(), since.to_string());
            // The copy has another id, and is the same message: what it once held it must know as its own.
            attributes.insert(ORIGINAL.to_owned(), identity(record).unwrap_or_default().to_owned());
            attributes.retain(|_, text| !text.is_empty());
            let body = record.body.clone();
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
    fn waiting_since(&self, record: &Record) -> Timestamp {
        let said = attribute(record, DEFERRED_SINCE);
        said.and_then(|said| said.parse().ok()).unwrap_or_else(|| self.clock.now())
    }

    /// Sends a record to the dead letters with its reason, once later messages of its key wait behind it. When that
    /// fails the record goes back to its queue, so that it is never lost.
    async fn bury(
        &self,
        record: &Record,
        category: Category,
        reason: &str,
        lane: Option<&Lane>,
        more: impl IntoIterator<Item = (String, String)>,
    ) -> bool {
        let id = identity(record).unwrap_or_default();
        let mut attributes: BTreeMap<String, String> = [
            (REASON, attribute_text(reason, REASON_CHARS_MAX)),
            (CATEGORY, category.as_str().to_owned()),
            (FUNCTION, self.function.to_owned()),
            (ATTEMPTS, receive_count(record).to_string()),
            (ORIGINAL, id.to_owned()),
            (KEY, lane.map(|lane| lane.key.clone()).unwrap_or_default()),
        ]
        .map(|(name, text)| (name.to_owned(), text))
        .into();
        attributes.extend(more);
        if let (Some(lanes), Some(lane), Ok(failure), false) =
            (&self.lanes, lane, FailureId::new(id), attributes.contains_key(BEHIND))
            && let Err(error) = lanes.hold(lane, &failure).await
        {
            tracing::error!(error = %error, "the message cannot leave: later ones of its key would overtake it");
            return false;
        }
        if let Some(failure) = attribute(record, FAILURE) {
            attributes.insert(FAILURE.to_owned(), failure.to_owned());
        }
        if is_replay(record) {
            attributes.insert(REPLAY.to_owned(), "true".to_owned());
        }
        // SQS refuses empty attributes.
        attributes.retain(|_, text| !text.is_empty());
        let body = record.body.clone();
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

    async fn defer(&self, record: &Record, seconds: u32) {
        let Some(receipt) = record.receipt_handle.as_deref() else { return };
        let deferred: Result<(), EntryFailure> = self.queues.defer(self.queue, receipt, seconds).await;
        if let Err(error) = deferred {
            tracing::warn!(error = %error, "the message comes back after the queue's own time-out instead");
        }
    }

    /// Exponential backoff with full jitter, unless the failure says when.
    fn backoff_seconds(&self, record: &Record, after: Option<Duration>) -> u32 {
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

/// Why a message is not done with.
enum Stop {
    /// It could not be handled.
    Failed(Failure),
    /// An earlier message of its key is with triage.
    Behind(FailureId),
}
