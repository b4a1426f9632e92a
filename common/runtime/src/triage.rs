//! Triage at work: dead letters in, retries and rows out. What becomes of each is decided in [`hostler_core::triage`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use hostler_core::triage::{
    DeadLetter, FAILURES_QUEUE, FailureCommand, FailureDecider, FailureEvent, FailureId, FailureInput,
    FailureState, FailureStatus,
};
use hostler_core::{
    Actor, Category, CausationId, CorrelationId, Decider, Failure, Incoming, Payload, StreamId,
};

use crate::batch::{
    ATTEMPTS, BEHIND, BatchResponse, CATEGORY, FAILURE, FUNCTION, Handler, KEY, REASON, REPLAY, Record,
    Records, attribute, identity, receive_count, text_attributes,
};
use crate::history::Fold;
use crate::integrity::Integrity;
use crate::lanes::Lanes;
use crate::ports::{Outbound, PortError, Queues, Row, StoreError, attribute_text};
use crate::register::{self, Failures, Shown};
use crate::shell::{Cause, ExecuteError, Executed, Shell};

/// How many letters are handled at a time.
const CONCURRENCY: usize = 10;
/// How long triage waits before it tries something of its own again.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is kept of an invocation's time for answering.
const MARGIN: Duration = Duration::from_millis(500);
/// How much of a reason is recorded.
const REASON_CHARS_MAX: usize = 2_000;
/// The longest key that an attribute may bring.
const KEY_CHARS_MAX: usize = 200;

/// The key whose messages keep their order, where they do.
pub type KeyOf = fn(&Incoming) -> Option<String>;

/// Deals with dead letters.
#[derive(Clone)]
pub struct Triage {
    shell: Shell,
    queues: Arc<dyn Queues>,
    lanes: Lanes,
    /// By queue, where order is kept: what a queue gave up without a word has no key with it.
    keys: BTreeMap<&'static str, KeyOf>,
    integrity: Arc<Integrity>,
}

impl Triage {
    /// Triage that records on the event store behind `shell`.
    pub fn new(
        shell: Shell,
        queues: Arc<dyn Queues>,
        lanes: Lanes,
        keys: impl IntoIterator<Item = (&'static str, KeyOf)>,
    ) -> Self {
        Self { shell, queues, lanes, keys: keys.into_iter().collect(), integrity: Arc::default() }
    }

    /// Has messages that an operator has edited carry a signature.
    #[must_use]
    pub fn signed_by(mut self, integrity: Arc<Integrity>) -> Self {
        self.integrity = integrity;
        self
    }

    /// Takes what came to the dead-letter queue of `origin`, and reports what could not be recorded: it stays where it is
    /// and comes again.
    pub async fn letters(&self, origin: &str, event: Records, remaining: Duration) -> BatchResponse {
        let time = remaining.saturating_sub(MARGIN);
        let ends = Instant::now() + time;
        let taken = futures::stream::iter(event.records).map(|record| async move {
            let id = record.message_id.clone();
            let left = ends.saturating_duration_since(Instant::now());
            let taken = tokio::time::timeout(left, self.take(origin, &record)).await;
            (id, taken.unwrap_or_else(|_| Err(Failure::retryable("no time was left in this invocation"))))
        });
        let mut failed = Vec::new();
        let mut taken = std::pin::pin!(taken.buffer_unordered(CONCURRENCY));
        while let Some((id, result)) = taken.next().await {
            if let Err(failure) = result {
                tracing::warn!(origin, message_id = id, error = failure.chain(), "letter stays where it is");
                failed.push(id);
            }
        }
        BatchResponse::of(failed)
    }

    async fn take(&self, origin: &str, record: &Record) -> Result<(), Failure> {
        let (failure, letter) = self.read(origin, record);
        let message = Incoming::decode(&letter.body).ok();
        // A letter that is delivered twice is recorded once: the dead-letter queue's own name for it tells.
        let id = format!("letter:{}", record.message_id);
        let correlation_id = letter.correlation_id.unwrap_or_else(|| CorrelationId(self.shell.new_id()));
        let cause = Cause {
            id: CausationId::new(id).map_err(Failure::invalid)?,
            correlation_id,
            trace_context: message.as_ref().and_then(|message| message.trace_context().cloned()),
            // What is done about a failure is no part of the chain that led to it.
            hops: 0,
            actor: message.as_ref().map_or_else(|| Actor("triage".to_owned()), |m| m.actor().clone()),
        };
        // The low half of a UUIDv7 is random.
        let random = self.shell.new_id().as_u64_pair().1;
        tracing::info!(%failure, origin, reason = letter.reason, "dead letter");
        let input = FailureInput::Letter { failure: failure.clone(), letter: Box::new(letter), random };
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
        self.send(&crate::batch::dead_letter_queue(FAILURES_QUEUE), copy).await
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
        let resendable = origin != RELAY;
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
        let letter = DeadLetter {
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
        (failure, letter)
    }

    /// Decides about a failure, and has its lane say so.
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
        let behind = state.failed.as_ref().is_some_and(|failed| failed.letter.behind.is_some());
        let Some(lane) = state.lane.as_ref().filter(|_| !behind) else { return Ok(()) };
        if state.is_settled() {
            self.lanes.let_go(lane, failure).await
        } else {
            self.lanes.hold(lane, failure).await
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
        let mut attributes = failed.letter.attributes;
        attributes.insert(FAILURE.to_owned(), failure.to_string());
        let body = match failed.edited {
            true => self.integrity.signed_body(failed.letter.body),
            false => failed.letter.body,
        };
        let copy = Outbound { body, delay_seconds: 0, attributes };
        self.send(&failed.letter.queue, copy).await
    }

    async fn send(&self, queue: &str, message: Outbound) -> Result<(), Failure> {
        match self.queues.send(queue, &[message]).await.into_iter().next() {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) if !error.retryable => Err(Failure::terminal(Category::Unknown, error)),
            Some(Err(error)) => Err(Failure::retryable(error)),
            None => Err(Failure::retryable(format!("{queue} did not answer"))),
        }
    }
}

/// Where records of the outbox come from: no queue, so that nothing can be put back on it.
const RELAY: &str = "relay-outbox";

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
                FailureCommand::ResolveFailure { failure, lane } => {
                    (failure.clone(), FailureInput::Resolve { failure, lane })
                }
                FailureCommand::FollowFailure { failure, follower, lane } => {
                    (failure.clone(), FailureInput::Follow { failure, follower, lane })
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
