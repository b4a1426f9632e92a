//! Triage: records dead letters, sends copies back, keeps the view. [`hostler_core::triage`] decides what becomes of each.

use hostler_core::mutants;
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

use crate::messages::attributes::{disbelieve, sealing};
use crate::messages::batch::{
    ATTEMPTS, BEHIND, BatchResponse, CATEGORY, FAILURE, FUNCTION, Handler, KEY, REASON, REPLAY, Record,
    Records, attribute, dead_letter_queue, identity, is_replay, tries,
};
use crate::messages::integrity::Integrity;
use crate::messages::ordering::OrderingKeys;
use crate::messages::relay::{BUS, TARGET};
use crate::operations::kept::by_reference;
use crate::operations::parked::{GivenUpBatch, PARKED_TRIES_MAX, is_own};
use crate::operations::repair::{self, Repair};
use crate::ports::{
    EntryFailure, EventBus, Outbound, PortError, Queues, Row, StoreError, attribute_text, message_bytes_max,
};
use crate::register::{self, Failures, Shown};
use crate::state::history::Fold;
use crate::state::shell::{Cause, ExecuteError, Executed, Shell};

pub use crate::operations::kept::body_hash;

/// How many dead letters are handled at a time.
const CONCURRENCY: usize = 10;
/// How long triage waits before it tries something of its own again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a reason is recorded.
pub(super) const REASON_CHARS_MAX: usize = 2_000;
/// How much of a name is recorded: of a key, a function or a message type.
pub(super) const NAME_CHARS_MAX: usize = 200;

/// The ordering key of a message, where it has one.
pub type KeyOf = fn(&Incoming) -> Option<String>;

/// Deals with dead letters.
#[derive(Clone)]
pub struct Triage {
    shell: Shell,
    queues: Arc<dyn Queues>,
    /// Where the relay's parked events go.
    bus: Option<Arc<dyn EventBus>>,
    ordering: OrderingKeys,
    /// By queue, where order is kept: a message that its queue gave up itself does not carry its key.
    keys: BTreeMap<&'static str, KeyOf>,
    /// Origins that are no queues.
    without_queue: BTreeSet<&'static str>,
    /// What says again what the stream gave up.
    repair: Option<Repair>,
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
        let (without_queue, integrity) = (BTreeSet::new(), Arc::default());
        Self { shell, queues, bus: None, ordering, keys, without_queue, repair: None, integrity }
    }

    /// Publishes what the relay could not publish on this bus.
    #[must_use]
    pub fn publishing_on(mut self, bus: Arc<dyn EventBus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// Names an origin of dead letters that is no queue, such as the relay: nothing is ever put back on it.
    #[must_use]
    pub fn without_queue(mut self, origin: &'static str) -> Self {
        self.without_queue.insert(origin);
        self
    }

    /// Has batches that the stream gave up published again from the store. Without, a person is told how.
    #[must_use]
    pub fn repairing(mut self, repair: Repair) -> Self {
        self.repair = Some(repair);
        self
    }

    /// Has messages that an operator has edited, and the attributes of all that is sent, carry a signature; and has only
    /// those attributes of dead letters believed that do.
    #[must_use]
    pub fn signed_by(mut self, integrity: Arc<Integrity>) -> Self {
        self.queues = sealing(self.queues, &integrity);
        self.integrity = integrity;
        self
    }

    /// Records the dead letters of `origin`, and reports those that could not be recorded: they stay on the dead-letter
    /// queue and come again.
    pub async fn dead_letters(&self, origin: &str, event: Records, remaining: Duration) -> BatchResponse {
        let deadline = &self.shell.deadline(remaining);
        let taken = futures::stream::iter(event.records).map(|mut record| async move {
            let id = record.message_id.clone();
            let no_time = || Failure::retryable("no time was left in this invocation");
            let taken = match deadline.left().is_zero() {
                true => Err(no_time()),
                false => {
                    let refused = self.integrity.refused_attributes(origin, &record);
                    if refused.is_some() {
                        disbelieve(&mut record);
                    }
                    let take = self.take(origin, &record, refused);
                    deadline.limit(take).await.unwrap_or_else(|_| Err(no_time()))
                }
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

    /// Records a dead letter. `refused` says why its attributes were not believed, and taken off.
    async fn take(&self, origin: &str, record: &Record, refused: Option<String>) -> Result<(), Failure> {
        if mutants::on("triage.forgets-dead-letters") {
            return Ok(());
        }
        let (failure, mut dead_letter) = self.read(origin, record);
        if let Some(target) = self.target(origin, record) {
            // Parked by the relay. As long as its target may come back it waits here, at the price of a receive. Recording each
            // message would write more than the relay did. What triage itself has said is never recorded: where its own queue is
            // what is away, each record would be the next to be parked.
            let parked = Outbound { body: record.body.clone(), ..Outbound::default() };
            match self.send(target, parked).await {
                Ok(()) => return Ok(()),
                Err(_) if mutants::on("triage.drops-what-stays-parked") => return Ok(()),
                Err(error @ Failure::Retryable { .. }) if tries(record) < PARKED_TRIES_MAX => {
                    return Err(error);
                }
                Err(error) if is_own(target, &record.body) => return Err(error),
                Err(error) => {
                    if let Failure::Terminal { category, .. } = &error {
                        dead_letter.category = Some(*category);
                    }
                    dead_letter.reason = attribute_text(&error.chain(), REASON_CHARS_MAX);
                }
            }
        }
        if let Some(why) = refused {
            dead_letter.category = Some(Category::Validation);
            dead_letter.reason = why;
        }
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
        let input = |dead_letter| FailureInput::DeadLetter {
            failure: failure.clone(),
            dead_letter: Box::new(dead_letter),
            random,
        };
        let done = match self.tell(&failure, &cause, &input(dead_letter.clone())).await {
            Err(ExecuteError::Store(StoreError::Refused(too_large)))
                if !mutants::on("triage.large-poison-circles") =>
            {
                tracing::error!(%failure, bytes = record.body.len(), error = %too_large, failures_too_large = 1, "recorded by reference");
                let dead_letter = by_reference(record, dead_letter);
                // What else the message says of itself may be as large.
                let cause = Cause { trace_context: None, actor: Actor("triage".to_owned()), ..cause };
                self.tell(&failure, &cause, &input(dead_letter)).await?
            }
            done => done?,
        };
        // Also when it comes again: nobody knows whether it was set aside the last time.
        let failed = done.fold.state.failed;
        match failed.and_then(|failed| failed.dead_letter.kept) {
            Some(kept)
                if kept.sha256 == body_hash(&record.body)
                    && !mutants::on("triage.loses-the-body-of-large-poison") =>
            {
                self.set_aside(origin, &failure, record).await
            }
            _ => Ok(()),
        }
    }

    /// What is too large to be recorded in full waits on the failures' own dead-letter queue for an operator.
    async fn set_aside(&self, origin: &str, failure: &FailureId, record: &Record) -> Result<(), Failure> {
        let queue = dead_letter_queue(FAILURES_QUEUE);
        let why = format!("from {origin}, too large to be recorded: see hostler failures show {failure}");
        let attributes = [(REASON.to_owned(), why), (FAILURE.to_owned(), failure.to_string())].into();
        let mut copy = Outbound { body: record.body.clone(), delay_seconds: 0, attributes };
        if self.integrity.sealed(&queue, copy.clone()).bytes() > message_bytes_max(&queue) {
            // It fits without them, as it fitted its own queue, and is known by its hash.
            copy.attributes.clear();
        }
        self.send(&queue, copy).await
    }

    /// The target of a message that the relay has parked.
    fn target<'a>(&self, origin: &str, record: &'a Record) -> Option<&'a str> {
        attribute(record, TARGET).filter(|_| self.without_queue.contains(origin))
    }

    /// The batch that a dead letter of the relay names.
    fn given_up(&self, origin: &str, body: &str) -> Option<GivenUpBatch> {
        self.without_queue.contains(origin).then(|| GivenUpBatch::read(body)).flatten()
    }

    /// What a record of a dead-letter queue tells.
    fn read(&self, origin: &str, record: &Record) -> (FailureId, DeadLetter) {
        let body = record.body.clone();
        let said = |name: &str| attribute(record, name).map(|text| cut(text, REASON_CHARS_MAX));
        let id = identity(record);
        let failure = id.and_then(|id| FailureId::new(id).ok()).unwrap_or_else(|| {
            // A dead letter always has an id; were it ever unfit for a key, it is still not lost.
            FailureId::from(self.shell.new_id())
        });
        let decoded = Incoming::decode(&body);
        let batch = self.given_up(origin, &body);
        let repairs = batch.is_some() && self.repair.is_some();
        let category = match (said(CATEGORY).as_deref().and_then(Category::parse), &decoded) {
            (Some(category), _) => Some(category),
            (None, _) if repairs => Some(Category::Transient),
            (None, Err(_)) => Some(Category::Validation),
            (None, Ok(_)) => None,
        };
        let target = self.target(origin, record);
        let resendable = target.is_some() || repairs || !self.without_queue.contains(origin);
        let unsaid = || match &decoded {
            // A rule of the bus says so in its own words.
            _ if said("ERROR_MESSAGE").is_some() => said("ERROR_MESSAGE").unwrap_or_default(),
            Err(_) if let Some(batch) = batch => batch.reason(repairs),
            Err(error) => error.to_string(),
            Ok(_) => format!(
                "received {} times and never done with: its function crashed, ran out of time, or failed each time; look for the correlation id in its log",
                tries(record)
            ),
        };
        let unsaid = || cut(&unsaid(), REASON_CHARS_MAX);
        let message = decoded.as_ref().ok();
        let key = said(KEY).or_else(|| self.keys.get(origin).and_then(|key| message.and_then(key)));
        let dead_letter = DeadLetter {
            queue: target.unwrap_or(origin).to_owned(),
            message_type: cut(message.map_or("unreadable", Incoming::type_name), NAME_CHARS_MAX),
            category,
            reason: said(REASON).unwrap_or_else(unsaid),
            function: said(FUNCTION).map(|function| cut(&function, NAME_CHARS_MAX)),
            attempts: said(ATTEMPTS).and_then(|text| text.parse().ok()).unwrap_or(tries(record)),
            correlation_id: message.map(Incoming::correlation_id),
            key: key.map(|key| cut(&key, NAME_CHARS_MAX)),
            behind: said(BEHIND).and_then(|head| FailureId::new(head).ok()),
            attributes: is_replay(record)
                .then(|| (REPLAY.to_owned(), "true".to_owned()))
                .into_iter()
                .collect(),
            resendable,
            body,
            kept: None,
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
        if state.is_settled() || mutants::on("triage.lets-go-too-soon") {
            self.ordering.release(key, failure).await
        } else {
            self.ordering.hold(key, failure).await
        }
    }

    /// Puts a copy back on the queue that the message failed on.
    async fn resend(&self, failure: &FailureId, resend: u32, cause: Cause) -> Result<(), Failure> {
        let state = self.shell.load::<FailureDecider>(&stream(failure)).await?.state;
        let Some(failed) = state.failed else { return Ok(()) };
        let is_wanted = failed.status == FailureStatus::Resent && failed.resends == resend;
        if !is_wanted && !mutants::on("triage.sends-late-copies") {
            tracing::info!(%failure, resend, "late or repeated: nothing to send");
            return Ok(());
        }
        if let Some(repair) = &self.repair
            && let Some(batch) = self.given_up(&failed.dead_letter.queue, &failed.dead_letter.body)
        {
            let next = repair.go_on(failure, resend, &batch).await;
            let input = repair::next_input(failure, failed.dead_letter, next)?;
            self.tell(failure, &cause, &input).await?;
            return Ok(());
        }
        let mut attributes = failed.dead_letter.attributes;
        attributes.insert(FAILURE.to_owned(), failure.to_string());
        let body = match failed.edited {
            true => self.integrity.signed_body(failed.dead_letter.body),
            false => failed.dead_letter.body,
        };
        let copy = Outbound { body, delay_seconds: 0, attributes };
        let queue = &failed.dead_letter.queue;
        self.send(queue, copy).await?;
        if queue == BUS {
            // Nobody tells triage that a copy on the bus was handled.
            let resolve = FailureInput::Resolve { failure: failure.clone(), ordering_key: None };
            self.tell(failure, &cause, &resolve).await?;
        }
        Ok(())
    }

    async fn send(&self, queue: &str, message: Outbound) -> Result<(), Failure> {
        if queue == BUS {
            return self.publish(&message.body).await;
        }
        match self.queues.send(queue, &[message]).await.into_iter().next() {
            Some(sent) => Ok(sent?),
            None => Err(EntryFailure::no_answer(queue).into()),
        }
    }
}

impl Triage {
    async fn publish(&self, event: &str) -> Result<(), Failure> {
        let bus = self
            .bus
            .as_ref()
            .ok_or_else(|| Failure::retryable("this function was given no bus to publish on"))?;
        let event = match Incoming::decode(event)? {
            Incoming::Event(event) => event,
            other => return Err(other.misplaced("an event")),
        };
        match bus.publish(&[*event]).await.into_iter().next() {
            Some(published) => Ok(published?),
            None => Err(EntryFailure::no_answer(BUS).into()),
        }
    }
}

#[async_trait]
impl Handler for Triage {
    /// Nobody triages triage: while what it needs is away its own messages wait, and never use up their attempts.
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        match self.deal_with(message).await {
            Err(Failure::Retryable { after, source }) if !mutants::on("triage.uses-up-its-attempts") => {
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
                    return self.resend(&failure, resend, Cause::of(message)).await;
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

pub(super) fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
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
