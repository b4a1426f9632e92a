//! Triage: records dead letters, sends copies back, keeps the view. [`hostler_core::triage`] decides what becomes of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use hostler_core::triage::{
    DeadLetter, FAILURES_QUEUE, FailureCommand, FailureDecider, FailureEvent, FailureId, FailureInput,
    FailureState, FailureStatus,
};
use hostler_core::{
    Actor, Category, CausationId, CorrelationId, Decider, Failure, Incoming, Payload, StreamId,
};
use jiff::Timestamp;

use crate::messages::batch::{
    ATTEMPTS, BEHIND, BatchResponse, CATEGORY, FAILURE, FUNCTION, Handler, KEY, REASON, REPLAY, Record,
    Records, attribute, identity, receive_count, text_attributes,
};
use crate::messages::integrity::Integrity;
use crate::messages::ordering::OrderingKeys;
use crate::ports::{EntryFailure, Outbound, PortError, Queues, Row, StoreError, attribute_text};
use crate::register::{self, Failures, Shown};
use crate::state::history::Fold;
use crate::state::shell::{Cause, ExecuteError, Executed, Shell};

/// How many dead letters are handled at a time.
const CONCURRENCY: usize = 10;
/// How long triage waits before it tries something of its own again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a reason is recorded.
const REASON_CHARS_MAX: usize = 2_000;
/// The longest key that an attribute may bring.
const KEY_CHARS_MAX: usize = 200;

/// The ordering key of a message, where it has one.
pub type KeyOf = fn(&Incoming) -> Option<String>;

/// Deals with dead letters.
#[derive(Clone)]
pub struct Triage {
    shell: Shell,
    queues: Arc<dyn Queues>,
    ordering: OrderingKeys,
    /// By queue, where order is kept: a message that its queue gave up itself does not carry its key.
    keys: BTreeMap<&'static str, KeyOf>,
    /// Origins that are no queues.
    without_queue: BTreeSet<&'static str>,
    integrity: Arc<Integrity>,
}

impl Triage {
    /// Triage that records on the event store behind `shell`.
    pub fn new(
        shell: Shell,
        queues: Arc<dyn Queues>,
        ordering: OrderingKeys,
        keys: impl IntoIterator<Item = (&'static str, KeyOf)>,
    ) -> Self {
        let keys = keys.into_iter().collect();
        Self { shell, queues, ordering, keys, without_queue: BTreeSet::new(), integrity: Arc::default() }
    }

    /// Names an origin of dead letters that is no queue, such as the relay: nothing is ever put back on it.
    #[must_use]
    pub fn without_queue(mut self, origin: &'static str) -> Self {
        self.without_queue.insert(origin);
        self
    }

    /// Has messages that an operator has edited carry a signature.
    #[must_use]
    pub fn signed_by(mut self, integrity: Arc<Integrity>) -> Self {
        self.integrity = integrity;
        self
    }

    /// Records the dead letters of `origin`, and reports those that could not be recorded: they stay on the dead-letter
    /// queue and come again.
    pub async fn dead_letters(&self, origin: &str, event: Records, remaining: Duration) -> BatchResponse {
        let deadline = &self.shell.deadline(remaining);
        let taken = futures::stream::iter(event.records).map(|record| async move {
            let id = record.message_id.clone();
            let no_time = || Failure::retryable("no time was left in this invocation");
            let taken = match deadline.left().is_zero() {
                true => Err(no_time()),
                false => deadline.limit(self.take(origin, &record)).await.unwrap_or_else(|_| Err(no_time())),
            };
            (id, taken)
        });
        let mut failed = Vec::new();
        let mut taken = std::pin::pin!(taken.buffer_unordered(CONCURRENCY));
        while let Some((id, result)) = taken.next().await {
            if let Err(failure) = result {
                tracing::warn!(
                    origin,
                    message_id = id,
                    error = failure.chain(),
                    "dead letter stays on its queue"
                );
                failed.push(id);
            }
        }
        BatchResponse::of(failed)
    }

    async fn take(&self, origin: &str, record: &Record) -> Result<(), Failure> {
        let (failure, dead_letter) = self.read(origin, record);
        let message = Incoming::decode(&dead_letter.body).ok();
        // A dead letter that is delivered twice is recorded once: its id on the dead-letter queue is the cause. The prefix
        // is part of stored causes.
        let id = format!("letter:{}", record.message_id);
        let correlation_id = dead_letter.correlation_id.unwrap_or_else(|| CorrelationId(self.shell.new_id()));
        let cause = Cause {
            id: CausationId::new(id).map_err(Failure::invalid)?,
            // The stream of a failure is short.
            since: Timestamp::MIN,
            correlation_id,
            trace_context: message.as_ref().and_then(|message| message.trace_context().cloned()),
            // What is done about a failure is no part of the chain that led to it.
            hops: 0,
            actor: message.as_ref().map_or_else(|| Actor("triage".to_owned()), |m| m.actor().clone()),
        };
        // The low half of a UUIDv7 is random.
        let random = self.shell.new_id().as_u64_pair().1;
        tracing::info!(%failure, origin, reason = dead_letter.reason, "dead letter");
        let input =
            FailureInput::DeadLetter { failure: failure.clone(), dead_letter: Box::new(dead_letter), random };
        match self.tell(&failure, &cause, &input).await {
            Err(ExecuteError::Store(StoreError::Refused(too_large))) => {
                self.set_aside(origin, record, &too_large.to_string()).await
            }
            done => Ok(done.map(|_| ())?),
        }
    }

    /// What is too large to be recorded waits on the failures' own dead-letter queue for an operator.
    async fn set_aside(&self, origin: &str, record: &Record, why: &str) -> Result<(), Failure> {
        let mut attributes = text_attributes(record);
        let why = attribute_text(&format!("from {origin}, cannot be recorded: {why}"), REASON_CHARS_MAX);
        attributes.insert(REASON.to_owned(), why);
        let body = record.body.clone();
        let copy = Outbound { body, delay_seconds: 0, attributes };
        self.send(&crate::messages::batch::dead_letter_queue(FAILURES_QUEUE), copy).await
    }

    /// What a record of a dead-letter queue tells.
    fn read(&self, origin: &str, record: &Record) -> (FailureId, DeadLetter) {
        let body = record.body.clone();
        let said = |name: &str| attribute(record, name).map(str::to_owned);
        let id = identity(record);
        let failure = id.and_then(|id| FailureId::new(id).ok()).unwrap_or_else(|| {
            // A dead letter always has an id; were it ever unfit for a key, it is still not lost.
            FailureId::from(self.shell.new_id())
        });
        let decoded = Incoming::decode(&body);
        let category = match (said(CATEGORY).as_deref().and_then(Category::parse), &decoded) {
            (Some(category), _) => Some(category),
            (None, Err(_)) => Some(Category::Validation),
            (None, Ok(_)) => None,
        };
        let resendable = !self.without_queue.contains(origin);
        let unsaid = || match &decoded {
            // A rule of the bus says so in its own words.
            _ if said("ERROR_MESSAGE").is_some() => said("ERROR_MESSAGE").unwrap_or_default(),
            Err(error) => error.to_string(),
            Ok(_) => format!(
                "received {} times and never done with: its function crashed, ran out of time, or failed each time; look for the correlation id in its log",
                receive_count(record)
            ),
        };
        let message = decoded.as_ref().ok();
        let key = said(KEY).or_else(|| self.keys.get(origin).and_then(|key| message.and_then(key)));
        let dead_letter = DeadLetter {
            queue: origin.to_owned(),
            message_type: message.map_or("unreadable", Incoming::type_name).to_owned(),
            category,
            reason: said(REASON).unwrap_or_else(unsaid),
            function: said(FUNCTION),
            attempts: said(ATTEMPTS).and_then(|text| text.parse().ok()).unwrap_or(receive_count(record)),
            correlation_id: message.map(Incoming::correlation_id),
            key: key.map(|key| key.chars().take(KEY_CHARS_MAX).collect()),
            behind: said(BEHIND).and_then(|head| FailureId::new(head).ok()),
            attributes: text_attributes(record).into_iter().filter(|(name, _)| name == REPLAY).collect(),
            resendable,
            body,
        };
        (failure, dead_letter)
    }

    /// Decides about a failure, and holds or releases its ordering key.
    async fn tell(
        &self,
        failure: &FailureId,
        cause: &Cause,
        input: &FailureInput,
    ) -> Result<Executed<FailureDecider>, ExecuteError<<FailureDecider as Decider>::Refusal>> {
        let stream = stream(failure);
        let done = self.shell.execute::<FailureDecider>(&stream, cause, input).await?;
        for event in &done.events {
            tell_metrics(event);
        }
        let unavailable = |source: PortError| StoreError::Unavailable {
            action: "keep in order",
            stream: stream.clone(),
            source: source.into(),
        };
        self.keep_order(failure, &done.fold.state).await.map_err(unavailable)?;
        Ok(done)
    }

    /// Has later messages wait for as long as the failure, or what waits behind it, is not dealt with.
    async fn keep_order(&self, failure: &FailureId, state: &FailureState) -> Result<(), PortError> {
        let behind = state.failed.as_ref().is_some_and(|failed| failed.dead_letter.behind.is_some());
        let Some(key) = state.ordering_key.as_ref().filter(|_| !behind) else { return Ok(()) };
        if state.is_settled() {
            self.ordering.release(key, failure).await
        } else {
            self.ordering.hold(key, failure).await
        }
    }

    /// Puts a copy back on the queue that the message failed on.
    async fn resend(&self, failure: &FailureId, resend: u32) -> Result<(), Failure> {
        let state = self.shell.load::<FailureDecider>(&stream(failure)).await?.state;
        let Some(failed) = state.failed else { return Ok(()) };
        if failed.status != FailureStatus::Resent || failed.resends != resend {
            tracing::info!(%failure, resend, "late or repeated: nothing to send");
            return Ok(());
        }
        let mut attributes = failed.dead_letter.attributes;
        attributes.insert(FAILURE.to_owned(), failure.to_string());
        let body = match failed.edited {
            true => self.integrity.signed_body(failed.dead_letter.body),
            false => failed.dead_letter.body,
        };
        let copy = Outbound { body, delay_seconds: 0, attributes };
        self.send(&failed.dead_letter.queue, copy).await
    }

    async fn send(&self, queue: &str, message: Outbound) -> Result<(), Failure> {
        match self.queues.send(queue, &[message]).await.into_iter().next() {
            Some(sent) => Ok(sent?),
            None => Err(EntryFailure::no_answer(queue).into()),
        }
    }
}

#[async_trait]
impl Handler for Triage {
    /// Nobody triages triage: while what it needs is away its own messages wait, and never use up their attempts.
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        match self.deal_with(message).await {
            Err(Failure::Retryable { after, source }) => {
                Err(Failure::Deferred { after: after.unwrap_or(PATIENCE), source })
            }
            done => done,
        }
    }
}

impl Triage {
    async fn deal_with(&self, message: &Incoming) -> Result<(), Failure> {
        let (failure, input) = match message {
            Incoming::Timer(timer) => {
                let failure = FailureId::new(timer.stream.key()).map_err(Failure::invalid)?;
                (failure, FailureInput::Timer { name: timer.name.clone() })
            }
            Incoming::Command(_) => match message.command::<FailureCommand>()? {
                FailureCommand::ResendFailure { failure, resend } => {
                    return self.resend(&failure, resend).await;
                }
                FailureCommand::ResolveFailure { failure, ordering_key } => {
                    (failure.clone(), FailureInput::Resolve { failure, ordering_key })
                }
                FailureCommand::FollowFailure { failure, follower, ordering_key } => {
                    (failure.clone(), FailureInput::Follow { failure, follower, ordering_key })
                }
                FailureCommand::ReleaseFailure { failure } => (failure, FailureInput::Release),
                FailureCommand::EndFollower { failure, follower } => {
                    (failure.clone(), FailureInput::EndFollower { failure, follower })
                }
            },
            Incoming::Event(_) => return Err(message.misplaced("a command or a timer")),
        };
        let done = self.tell(&failure, &Cause::of(message), &input).await?;
        tracing::info!(%failure, version = done.fold.version.0, outcome = ?done.outcome, "failure");
        Ok(())
    }
}

/// The view of all failures, grouped into [`OPEN`] and [`CLOSED`].
pub const FAILURES: &str = "failures";
/// The group of what is still to be dealt with.
pub const OPEN: &str = "open";
/// The group of what is dealt with.
pub const CLOSED: &str = "closed";

/// What is shown of a failure.
pub(crate) fn shown(state: &FailureState) -> Option<Shown> {
    let failed = state.failed.as_ref()?;
    let group = if failed.status.is_open() { OPEN } else { CLOSED };
    let mut shown = Shown::of(group, failed);
    shown.body["followers"] = serde_json::to_value(&state.followers).ok()?;
    Some(shown)
}

/// The row of a failure.
#[must_use]
pub fn row(fold: &Fold<FailureDecider>) -> Option<Row> {
    let failed = fold.state.failed.as_ref()?;
    register::row::<Failures>(&stream(&failed.id), fold)
}

/// The stream of a failure.
///
/// # Panics
/// Never: every failure id is fit for a stream.
#[must_use]
pub fn stream(failure: &FailureId) -> StreamId {
    #[expect(clippy::expect_used, reason = "both ids are checked by the same rule")]
    StreamId::new(FailureDecider::CATEGORY, failure.as_str()).expect("every failure id is fit for a stream")
}

fn tell_metrics(event: &FailureEvent) {
    match event {
        FailureEvent::Quarantined { failure, category, escalated, reason, .. } => {
            tracing::error!(%failure, %category, escalated, reason, failures_quarantined = 1, "quarantined");
        }
        FailureEvent::Overdue { failure, category, .. } => {
            tracing::error!(%failure, %category, failures_overdue = 1, "overdue");
        }
        other => tracing::info!(event = other.type_name(), "failure"),
    }
}
