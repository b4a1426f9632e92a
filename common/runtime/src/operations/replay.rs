//! What happened, told again: replays to one consumer's read models, and republishing after a long outage.
//!
//! A replay puts marked copies of events on one consumer's queue; batches hand them only to handlers that change
//! read models and nothing else. Republishing says everything again, as the outbox would have: consumers have seen
//! most of it and know it by its ids.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Commit, Envelope, Failure, StreamId};
use jiff::Timestamp;

use crate::messages::batch::REPLAY;
use crate::messages::integrity::Integrity;
use crate::messages::relay::{OutboxRecord, Relay};
use crate::ports::{Clock, Outbound, PortError, Queues};

/// The most messages a second that a replay sends, and commits a second that are republished.
pub const RATE_MAX: u32 = 1_000;
/// How often a message that the queue did not take is sent again.
const TRIES_MAX: u32 = 5;
/// The pause before that; doubled for each further time.
const PAUSE_MS: u64 = 200;

/// Some commits, and where to go on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogPage {
    /// The commits; those of a stream ascending, streams in any order.
    pub commits: Vec<Commit>,
    /// Where to go on; absent at the end.
    pub next: Option<String>,
}

/// All commits of all streams, to be read from end to end.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// The page after `after`, or the first. A page may be empty and still have a next one. Commits that are
    /// written meanwhile may or may not be seen.
    ///
    /// # Errors
    /// [`PortError`].
    async fn page(&self, after: Option<&str>) -> Result<LogPage, PortError>;
}

/// What is told again. What is not said does not matter: the default is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only this stream.
    pub stream: Option<StreamId>,
    /// Only events of this type; a replay's only.
    pub event_type: Option<String>,
    /// Only what was recorded then or later.
    pub since: Option<Timestamp>,
    /// Only what was recorded before then.
    pub until: Option<Timestamp>,
}

impl Selection {
    /// Whether a commit is part of it.
    #[must_use]
    pub fn takes(&self, commit: &Commit) -> bool {
        self.stream.as_ref().is_none_or(|stream| *stream == commit.stream)
            && self.since.is_none_or(|since| commit.recorded_at >= since)
            && self.until.is_none_or(|until| commit.recorded_at < until)
    }

    /// A commit's events that are part of it.
    pub fn events<'a>(&'a self, commit: &'a Commit) -> impl Iterator<Item = Envelope> + 'a {
        let taken = self.takes(commit).then(|| commit.envelopes());
        let wanted = |event: &Envelope| self.event_type.as_ref().is_none_or(|name| *name == event.event_type);
        taken.into_iter().flatten().filter(wanted)
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Commits read.
    pub read: u64,
    /// Commits of the selection.
    pub commits: u64,
    /// Events told again.
    pub events: u64,
    /// Commands sent again.
    pub commands: u64,
    /// Timers set again.
    pub timers: u64,
    /// Events, commands, timers and notices that were not taken now; triage sends them on.
    pub parked: u64,
    /// Commits that cannot be published; they are in the relay's failure queue.
    pub failed: u64,
}

/// Why it was not told to the end. What was told is no harm: start again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log cannot be read.
    #[error("the event log cannot be read to its end: {0}; what was told does no harm, so start again")]
    Log(#[from] PortError),
    /// An event cannot be written.
    #[error("event {event} cannot be written as JSON: {source}")]
    Json {
        /// The event.
        event: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The consumer's queue did not take an event.
    #[error("queue {queue} did not take an event: {reason}; what was told does no harm, so start again")]
    Queue {
        /// The queue.
        queue: String,
        /// What it said.
        reason: String,
    },
    /// The bus or a queue did not take what was republished.
    #[error("not everything was taken: {0}; what was told does no harm, so start again")]
    Relay(#[source] Failure),
}

/// Tells again what the log holds.
#[derive(Clone)]
pub struct Replayer {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    /// Messages or commits a second.
    rate: u32,
    integrity: Arc<Integrity>,
}

impl Replayer {
    /// One that tells at this rate: 1 to [`RATE_MAX`] a second.
    pub fn new(log: Arc<dyn EventLog>, clock: Arc<dyn Clock>, rate: u32) -> Self {
        Self { log, clock, rate: rate.clamp(1, RATE_MAX), integrity: Arc::default() }
    }

    /// Has what is told carry a signature. What is republished is signed by the relay.
    #[must_use]
    pub fn signed_by(mut self, integrity: Arc<Integrity>) -> Self {
        self.integrity = integrity;
        self
    }

    /// Counts what would be told, and tells nothing.
    ///
    /// # Errors
    /// [`ReplayError::Log`].
    pub async fn count(
        &self,
        selection: &Selection,
        mut progress: impl FnMut(&Told) + Send,
    ) -> Result<Told, ReplayError> {
        let mut told = Told::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.log.page(after.as_deref()).await?;
            told.read += page.commits.len() as u64;
            for commit in page.commits.iter().filter(|commit| selection.takes(commit)) {
                told.commits += 1;
                told.events += selection.events(commit).count() as u64;
                told.commands += commit.commands.len() as u64;
                told.timers += commit.timers.len() as u64;
            }
            progress(&told);
            let Some(next) = page.next else { return Ok(told) };
            after = Some(next);
        }
    }

    /// Puts marked copies of the selected events on one consumer's queue.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn replay(
        &self,
        selection: &Selection,
        queues: &dyn Queues,
        to: &str,
        mut progress: impl FnMut(&Told) + Send,
    ) -> Result<Told, ReplayError> {
        let mut told = Told::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.log.page(after.as_deref()).await?;
            told.read += page.commits.len() as u64;
            told.commits += page.commits.iter().filter(|commit| selection.takes(commit)).count() as u64;
            let events = page
                .commits
                .iter()
                .flat_map(|commit| selection.events(commit))
                .map(|event| self.integrity.signed(event));
            let sealed = |message| self.integrity.sealed(to, message);
            let messages = events.map(|event| marked(&event).map(sealed)).collect::<Result<Vec<_>, _>>()?;
            for messages in messages.chunks(self.at_once()) {
                self.send(queues, to, messages.to_vec()).await?;
                told.events += messages.len() as u64;
                progress(&told);
                self.pace(messages.len()).await;
            }
            progress(&told);
            let Some(next) = page.next else { return Ok(told) };
            after = Some(next);
        }
    }

    /// Says again everything that the selected commits say: events, commands and timers.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn republish(
        &self,
        selection: &Selection,
        relay: &Relay,
        mut progress: impl FnMut(&Told) + Send,
    ) -> Result<Told, ReplayError> {
        let mut told = Told::default();
        let mut after: Option<String> = None;
        loop {
            after = self.republish_page(selection, relay, after.as_deref(), &mut told, &mut progress).await?;
            if after.is_none() {
                return Ok(told);
            }
        }
    }

    /// Says again what the selected commits of one page say. Gives where to go on; nothing at the end.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn republish_page(
        &self,
        selection: &Selection,
        relay: &Relay,
        after: Option<&str>,
        told: &mut Told,
        progress: &mut (impl FnMut(&Told) + Send),
    ) -> Result<Option<String>, ReplayError> {
        let page = self.log.page(after).await?;
        told.read += page.commits.len() as u64;
        let records: Vec<OutboxRecord> =
            page.commits.into_iter().filter(|commit| selection.takes(commit)).map(record).collect();
        for records in records.chunks(self.at_once()) {
            let done = relay.relay(records).await.map_err(ReplayError::Relay)?;
            told.commits += done.commits as u64;
            told.events += done.events as u64;
            told.commands += done.commands as u64;
            told.timers += done.timers as u64;
            told.parked += done.parked as u64;
            told.failed += done.failed as u64;
            progress(told);
            self.pace(records.len()).await;
        }
        progress(told);
        Ok(page.next)
    }

    /// How many go out together: as many as go out in a tenth of a second.
    fn at_once(&self) -> usize {
        usize::try_from(self.rate.div_ceil(10)).unwrap_or(1)
    }

    async fn pace(&self, sent: usize) {
        let sent = u32::try_from(sent).unwrap_or(u32::MAX);
        self.clock.sleep(Duration::from_secs(1).saturating_mul(sent) / self.rate).await;
    }

    async fn send(
        &self,
        queues: &dyn Queues,
        to: &str,
        mut pending: Vec<Outbound>,
    ) -> Result<(), ReplayError> {
        let failed = |reason: String| ReplayError::Queue { queue: to.to_owned(), reason };
        for tries in 0..TRIES_MAX {
            let results = queues.send(to, &pending).await;
            if results.len() != pending.len() {
                return Err(failed("it answered for other messages than it was sent".to_owned()));
            }
            let mut again = Vec::new();
            for (message, result) in pending.into_iter().zip(results) {
                match result {
                    Ok(()) => {}
                    Err(error) if error.retryable && tries + 1 < TRIES_MAX => again.push(message),
                    Err(error) => return Err(failed(error.to_string())),
                }
            }
            if again.is_empty() {
                return Ok(());
            }
            pending = again;
            self.clock.sleep(Duration::from_millis(PAUSE_MS << tries)).await;
        }
        Ok(())
    }
}

fn marked(event: &Envelope) -> Result<Outbound, ReplayError> {
    let body = serde_json::to_string(event)
        .map_err(|source| ReplayError::Json { event: event.event_id.to_string(), source })?;
    let attributes = BTreeMap::from([(REPLAY.to_owned(), "true".to_owned())]);
    Ok(Outbound { body, delay_seconds: 0, attributes })
}

fn record(commit: Commit) -> OutboxRecord {
    let position = format!("{}@{}", commit.stream, commit.version.0);
    let raw = serde_json::json!({ "stream": commit.stream, "version": commit.version }).to_string();
    OutboxRecord { raw, position, commit: Ok(commit) }
}
