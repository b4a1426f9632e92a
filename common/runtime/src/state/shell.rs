//! The imperative shell: load, decide, append, and again when somebody was faster.

use hostler_core::mutants;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hostler_core::commit::COMMIT_BYTES_MAX;
use hostler_core::{
    Actor, Addressed, Category, CausationId, Commit, CommitError, CommitId, CorrelationId, Decider, Decision,
    EventId, Failure, Incoming, InvalidId, Payload, RecordedCommand, RecordedEvent, RecordedTimer, SetTimer,
    StreamId, StreamVersion, TimerId, TraceContext,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::effects::deadline::Deadline;
use crate::ports::{Clock, EventStore, Ids, StoreError};
use crate::state::causes::{Known, look};
use crate::state::history;
use crate::state::history::{CAUSES_BYTES_MAX, Fold, HistoryError, decode_events};

/// Every how many commits a snapshot is written.
pub const SNAPSHOT_EVERY: u64 = 16;
/// How often a decision is made again because another writer was faster.
const CONFLICTS_MAX: u32 = 8;
/// The longest pause before deciding again after the first conflict; doubled for each further one.
const CONFLICT_PAUSE_MS: u64 = 20;

/// Why something is done, and on whose behalf: what every commit says of itself.
#[derive(Debug, Clone)]
pub struct Cause {
    /// The cause: it commits once on a stream.
    pub id: CausationId,
    /// The earliest moment at which it can have committed: since when its message exists, or is due. Behind that moment
    /// nobody looks for a repeat; [`Timestamp::MIN`] has the whole stream looked through.
    pub since: Timestamp,
    /// The request it belongs to.
    pub correlation_id: CorrelationId,
    /// The trace it belongs to.
    pub trace_context: Option<TraceContext>,
    /// The length of the causal chain so far.
    pub hops: u16,
    /// Who set it in motion.
    pub actor: Actor,
}

impl Cause {
    /// The cause that a message is.
    #[must_use]
    pub fn of(message: &Incoming) -> Self {
        Self {
            id: message.cause(),
            since: message.since(),
            correlation_id: message.correlation_id(),
            trace_context: message.trace_context().cloned(),
            hops: message.hops(),
            actor: message.actor().clone(),
        }
    }

    /// This cause at the head of a chain of its own: for what is decided by the clock or by what is measured, and not by what led to
    /// the decision before. Otherwise a stream that is looked at for long enough would come to the limit of chains ([`HOPS_MAX`]),
    /// and whatever it asks for with it. What follows by it must have a delay of its own, for no limit ends it.
    ///
    /// [`HOPS_MAX`]: hostler_core::envelope::HOPS_MAX
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self { hops: 0, ..self.clone() }
    }

    /// A part of this cause, for handling that commits more than once on a stream.
    ///
    /// # Errors
    /// [`InvalidId`] when the name makes the id too long.
    pub fn part(&self, name: &str) -> Result<Self, InvalidId> {
        Ok(Self { id: CausationId::new(format!("{}:{name}", self.id))?, ..self.clone() })
    }
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A commit was written.
    Committed,
    /// This cause had committed before; the events are those of that commit.
    Repeated,
    /// The decision was that nothing changes.
    Unchanged,
}

/// The stream after an execution.
pub struct Executed<D: Decider> {
    /// How it ended.
    pub outcome: Outcome,
    /// The stream now.
    pub fold: Fold<D>,
    /// What happened because of this cause.
    pub events: Vec<D::Event>,
}

impl<D: Decider> fmt::Debug for Executed<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Executed");
        shown.field("outcome", &self.outcome).field("version", &self.fold.version).finish_non_exhaustive()
    }
}

/// Why an execution did not end.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R: std::error::Error + Send + Sync + 'static> {
    /// The domain says no: an outcome for the asker, not a fault.
    #[error(transparent)]
    Refused(R),
    /// The stream could not be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The commit could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The caller's key stood for something else before.
    #[error(
        "payload mismatch: the idempotency key was used on {stream} at version {version} for another content; give the new command a key of its own, or send what was sent the first time"
    )]
    PayloadMismatch {
        /// The stream.
        stream: StreamId,
        /// Where the key was used before.
        version: StreamVersion,
    },
    /// Other writers were faster, again and again.
    #[error(
        "{stream} is written to by too many at once: {tries} tries in a row met a newer version; try again in a moment"
    )]
    Contended {
        /// The stream.
        stream: StreamId,
        /// How often it was tried.
        tries: u32,
    },
    /// The state does not serialise.
    #[error("the state of {stream} cannot be written as a snapshot: {source}")]
    Snapshot {
        /// The stream.
        stream: StreamId,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl<R: std::error::Error + Send + Sync + 'static> From<ExecuteError<R>> for Failure {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Refused(refusal) => Self::terminal(Category::Business, refusal),
            ExecuteError::History(source) => source.into(),
            ExecuteError::Store(source) => source.into(),
            mismatch @ ExecuteError::PayloadMismatch { .. } => Self::invalid(mismatch),
            contended @ ExecuteError::Contended { .. } => Self::retryable(contended),
            snapshot @ ExecuteError::Snapshot { .. } => Self::terminal(Category::Unknown, snapshot),
        }
    }
}

/// Runs deciders against the event store.
#[derive(Clone)]
pub struct Shell {
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    source: String,
}

impl Shell {
    /// A shell that signs its commits with `source`.
    pub fn new(
        store: Arc<dyn EventStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        source: impl Into<String>,
    ) -> Self {
        Self { store, clock, ids, source: source.into() }
    }

    /// The store behind it.
    #[must_use]
    pub fn store(&self) -> &dyn EventStore {
        &*self.store
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The deadline of an invocation that ends in `remaining`.
    pub(crate) fn deadline(&self, remaining: Duration) -> Deadline {
        Deadline::of_invocation(self.clock.clone(), remaining)
    }

    /// A new identifier.
    #[must_use]
    pub fn new_id(&self) -> uuid::Uuid {
        self.ids.next()
    }

    /// The state of a stream.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn load<D: Decider>(&self, stream: &StreamId) -> Result<Fold<D>, HistoryError> {
        history::load(&*self.store, stream).await
    }

    /// Where a cause has committed on the stream of a fold, if it has. The stream is read where the fold does not tell.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn committed<D: Decider>(
        &self,
        stream: &StreamId,
        fold: &Fold<D>,
        cause: &Cause,
    ) -> Result<Option<StreamVersion>, StoreError> {
        let now = self.clock.now();
        Ok(match look(&*self.store, stream, fold, cause, now, StreamVersion::EMPTY).await? {
            Known::Committed(version) => Some(version),
            Known::No | Known::OtherContent(_) => None,
        })
    }

    /// Decides on the stream's state and writes what was decided, at most once for each cause.
    ///
    /// # Errors
    /// [`ExecuteError`]; after any of them nothing of this cause was written, but for
    /// [`StoreError::Unavailable`], after which the same cause may safely be executed again.
    pub async fn execute<D: Decider>(
        &self,
        stream: &StreamId,
        cause: &Cause,
        input: &D::Input,
    ) -> Result<Executed<D>, ExecuteError<D::Refusal>> {
        self.run(stream, None, cause, input).await
    }

    /// The same from a fold that was loaded before, which spares the read: whatever came since makes the put fail, and the
    /// stream is then loaded. So it is before it says that nothing changes or that the domain refuses, for an old fold
    /// cannot tell.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub async fn execute_from<D: Decider>(
        &self,
        stream: &StreamId,
        fold: Fold<D>,
        cause: &Cause,
        input: &D::Input,
    ) -> Result<Executed<D>, ExecuteError<D::Refusal>> {
        self.run(stream, Some(fold), cause, input).await
    }

    async fn run<D: Decider>(
        &self,
        stream: &StreamId,
        mut kept: Option<Fold<D>>,
        cause: &Cause,
        input: &D::Input,
    ) -> Result<Executed<D>, ExecuteError<D::Refusal>> {
        let mut tries = 0;
        // What was looked through is not looked through again because somebody was faster.
        let mut absent = StreamVersion::EMPTY;
        while tries < CONFLICTS_MAX {
            let (fold, is_kept) = match kept.take() {
                Some(fold) => (fold, !mutants::on("shell.believes-an-old-fold")),
                None => (self.load::<D>(stream).await?, false),
            };
            let now = self.clock.now();
            match look(&*self.store, stream, &fold, cause, now, absent).await? {
                Known::Committed(version) => return self.repeated(stream, fold, version).await,
                Known::OtherContent(version) => {
                    return Err(ExecuteError::PayloadMismatch { stream: stream.clone(), version });
                }
                Known::No => absent = fold.version,
            }
            let decision = match D::decide(&fold.state, input, now) {
                Ok(decision) if decision.is_empty() && !is_kept => {
                    return Ok(Executed { outcome: Outcome::Unchanged, fold, events: Vec::new() });
                }
                Err(refusal) if !is_kept => return Err(ExecuteError::Refused(refusal)),
                Ok(decision) if !decision.is_empty() => decision,
                Ok(_) | Err(_) => continue,
            };
            match self.commit(stream, cause, fold, decision, now).await {
                Err(ExecuteError::Store(StoreError::Conflict { .. }))
                    if mutants::on("shell.conflict-is-success") =>
                {
                    let fold = self.load(stream).await?;
                    return Ok(Executed { outcome: Outcome::Committed, fold, events: Vec::new() });
                }
                Err(ExecuteError::Store(StoreError::Conflict { .. })) => self.pause(tries).await,
                done => return done,
            }
            tries += 1;
        }
        Err(ExecuteError::Contended { stream: stream.clone(), tries: CONFLICTS_MAX })
    }

    async fn repeated<D: Decider>(
        &self,
        stream: &StreamId,
        fold: Fold<D>,
        version: StreamVersion,
    ) -> Result<Executed<D>, ExecuteError<D::Refusal>> {
        let before = StreamVersion(version.0.saturating_sub(1));
        let commits = self.store.read(stream, before, 1).await?;
        let events = commits.first().map_or_else(|| Ok(Vec::new()), decode_events::<D>)?;
        Ok(Executed { outcome: Outcome::Repeated, fold, events })
    }

    async fn commit<D: Decider>(
        &self,
        stream: &StreamId,
        cause: &Cause,
        mut fold: Fold<D>,
        decision: Decision<D::Event, D::Command>,
        now: Timestamp,
    ) -> Result<Executed<D>, ExecuteError<D::Refusal>> {
        let commit_id = CommitId(self.ids.next());
        let mut parts = (0..).map(|n| commit_id.part(n));
        let mut part = || parts.next().unwrap_or_default();
        let mut commit = Commit {
            stream: stream.clone(),
            version: fold.version.next(),
            commit_id,
            causation_id: cause.id.clone(),
            correlation_id: cause.correlation_id,
            trace_context: cause.trace_context.clone(),
            hops: cause.hops.saturating_add(u16::from(!mutants::on("shell.counts-no-hops"))),
            actor: cause.actor.clone(),
            source: self.source.clone(),
            recorded_at: now,
            events: decision.events.iter().map(|event| record_event(part(), event)).collect(),
            commands: decision.commands.iter().map(|command| record_command(part(), command)).collect(),
            timers: decision.timers.into_iter().map(|timer| record_timer(part(), timer)).collect(),
            snapshot: None,
        };
        fold.evolve(&decision.events);
        fold.took(cause.id.clone(), commit.version, now);
        if commit.version.0 - fold.snapshot_version.0 >= SNAPSHOT_EVERY {
            let snapshot = fold
                .snapshot(now)
                .map_err(|source| ExecuteError::Snapshot { stream: stream.clone(), source })?;
            let state_bytes = snapshot.state.text().len();
            commit.snapshot = Some(snapshot);
            // A snapshot is a cache: one that does not fit is left out, so that it never stops its stream, and the next
            // commit tries again. What is to be recorded is checked by the store as ever.
            match commit.check_size() {
                Ok(()) => fold.snapshot_version = commit.version,
                Err(_) if mutants::on("snapshot.stops-its-stream") => {}
                Err(too_large) => {
                    without_snapshot(stream, state_bytes, &too_large);
                    commit.snapshot = None;
                }
            }
        }
        self.store.append(&commit).await?;
        Ok(Executed { outcome: Outcome::Committed, fold, events: decision.events })
    }

    /// Waits a random part of a span that doubles with each conflict, so that writers spread out.
    async fn pause(&self, tries: u32) {
        let span_ms = CONFLICT_PAUSE_MS << tries.min(6);
        // The low half of a UUIDv7 is random.
        let random = self.ids.next().as_u64_pair().1;
        self.clock.sleep(Duration::from_millis(random % span_ms)).await;
    }
}

/// Says why a commit carries no snapshot. A state that is too large by itself is a mistake in the decider: nothing is lost,
/// and each load goes through the whole stream until the state is smaller.
fn without_snapshot(stream: &StreamId, state_bytes: usize, too_large: &CommitError) {
    if state_bytes + CAUSES_BYTES_MAX < COMMIT_BYTES_MAX {
        tracing::warn!(%stream, error = %too_large, "commit without its snapshot: the next one carries it");
        return;
    }
    tracing::error!(
        %stream, state_bytes, limit = COMMIT_BYTES_MAX - CAUSES_BYTES_MAX,
        "the state is too large for a snapshot, and each load reads the whole stream: keep less in the state, or give the entity several streams"
    );
}

fn record_event(id: Uuid, event: &impl Payload) -> RecordedEvent {
    RecordedEvent {
        event_id: EventId(id),
        event_type: event.type_name().to_owned(),
        schema_version: event.schema_version(),
        data: event.to_data(),
    }
}

fn record_command<C: Payload + Addressed>(id: Uuid, command: &C) -> RecordedCommand {
    RecordedCommand {
        command_id: id.into(),
        command_type: command.type_name().to_owned(),
        schema_version: command.schema_version(),
        queue: command.queue().to_owned(),
        data: command.to_data(),
    }
}

fn record_timer(id: Uuid, timer: SetTimer) -> RecordedTimer {
    RecordedTimer {
        timer_id: TimerId(id),
        name: timer.name,
        due_at: timer.due_at,
        deliver_to: timer.deliver_to.to_owned(),
    }
}
