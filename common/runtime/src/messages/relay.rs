//! From the outbox to the bus and the queues.
//!
//! Everything that a commit says it publishes is published at least once. The relay answers for each record
//! itself: a transient failure fails the whole stream batch, which is then delivered again (consumers are
//! idempotent); a record that can never be published is sent to the relay's failure queue, and the rest goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hostler_core::{Commit, Envelope, Failure, StreamId};
use jiff::Timestamp;

use crate::messages::attributes::sealing;
use crate::messages::integrity::Integrity;
use crate::messages::timers::{TIMERS_QUEUE, timer_message};
use crate::ports::{Clock, EntryFailure, EntryResults, EventBus, Outbound, Queues, attribute_text};

/// How often entries that the service did not take are sent again within one batch.
const TRIES_MAX: u32 = 3;
/// What is told of why a record was given up.
const REASON_CHARS_MAX: usize = 1_000;
/// The pause before sending again; doubled for each further time.
const PAUSE_MS: u64 = 50;

/// One record of the outbox.
#[derive(Debug)]
pub struct OutboxRecord {
    /// Where it is in the stream, for logs and the failure queue.
    pub position: String,
    /// The commit, or why the record cannot be read as one.
    pub commit: Result<Commit, String>,
    /// The record as it came.
    pub raw: String,
}

/// What one batch came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Commits that were published whole.
    pub commits: usize,
    /// Events published.
    pub events: usize,
    /// Commands sent.
    pub commands: usize,
    /// Timers set.
    pub timers: usize,
    /// Records that went to the failure queue.
    pub failed: usize,
}

/// Publishes what commits say.
#[derive(Clone)]
pub struct Relay {
    bus: Arc<dyn EventBus>,
    queues: Arc<dyn Queues>,
    clock: Arc<dyn Clock>,
    failure_queue: String,
    integrity: Arc<Integrity>,
    change_notices: Option<ChangeNotices>,
    internal: BTreeSet<String>,
}

/// The queue that is told when a stream has changed, and for which categories.
#[derive(Clone)]
struct ChangeNotices {
    queue: String,
    categories: BTreeSet<String>,
}

/// A message and the record that it comes from.
struct OfRecord<T> {
    record: usize,
    message: T,
}

impl Relay {
    /// A relay that gives up on records into `failure_queue`.
    pub fn new(
        bus: Arc<dyn EventBus>,
        queues: Arc<dyn Queues>,
        clock: Arc<dyn Clock>,
        failure_queue: impl Into<String>,
    ) -> Self {
        Self {
            bus,
            queues,
            clock,
            failure_queue: failure_queue.into(),
            integrity: Arc::default(),
            change_notices: None,
            internal: BTreeSet::new(),
        }
    }

    /// Sends change notices for streams of these categories: the newest event of each stream in a batch, straight to the
    /// queue. They are for consumers that read the store and not the message, such as read models. Each event over the
    /// bus would cost them several times as much, and say no more.
    #[must_use]
    pub fn notifying<'a>(
        mut self,
        queue: impl Into<String>,
        categories: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let categories = categories.into_iter().map(str::to_owned).collect();
        self.change_notices = Some(ChangeNotices { queue: queue.into(), categories });
        self
    }

    /// Keeps events of these types off the bus: nobody listens to them, and each one is billed. They are in the store and
    /// in its views like all others.
    #[must_use]
    pub fn keeping(mut self, internal: impl IntoIterator<Item = String>) -> Self {
        self.internal = internal.into_iter().collect();
        self
    }

    /// Has everything that is published carry a signature.
    #[must_use]
    pub fn signed_by(mut self, integrity: Arc<Integrity>) -> Self {
        self.queues = sealing(self.queues, &integrity);
        self.integrity = integrity;
        self
    }

    /// Publishes a batch of records.
    ///
    /// # Errors
    /// [`Failure::Retryable`] when anything was not taken that may be taken later: the whole batch must be
    /// delivered again.
    pub async fn relay(&self, records: &[OutboxRecord]) -> Result<Relayed, Failure> {
        let mut done = Relayed::default();
        let mut given_up: BTreeMap<usize, String> = BTreeMap::new();
        let mut events: Vec<OfRecord<Envelope>> = Vec::new();
        let mut messages: BTreeMap<String, Vec<OfRecord<Outbound>>> = BTreeMap::new();
        let mut changed: BTreeMap<&StreamId, (usize, &Commit)> = BTreeMap::new();
        let now = self.clock.now();
        for (record, OutboxRecord { commit, .. }) in records.iter().enumerate() {
            match commit {
                Ok(commit) => {
                    let published =
                        commit.envelopes().filter(|event| !self.internal.contains(&event.event_type));
                    events.extend(
                        published.map(|event| OfRecord { record, message: self.integrity.signed(event) }),
                    );
                    if let Err(error) = self.collect_messages(record, commit, now, &mut messages) {
                        given_up.insert(record, format!("cannot be written as JSON: {error}"));
                    }
                    // A commit may have no events: it changes nothing, and another one of the batch may.
                    if !commit.events.is_empty() {
                        let newest = changed.entry(&commit.stream).or_insert((record, commit));
                        if newest.1.version <= commit.version {
                            *newest = (record, commit);
                        }
                    }
                    done.commands += commit.commands.len();
                    done.timers += commit.timers.len();
                }
                Err(reason) => {
                    given_up.insert(record, reason.clone());
                }
            }
        }
        for (record, commit) in changed.into_values() {
            if let Err(error) = self.collect_change_notice(record, commit, &mut messages) {
                given_up.insert(record, format!("cannot be written as JSON: {error}"));
            }
        }
        done.events = events.len();
        self.publish(events, &mut given_up).await?;
        for (queue, messages) in messages {
            self.send(&queue, messages, &mut given_up).await?;
        }
        self.give_up(records, &given_up).await?;
        done.failed = given_up.len();
        done.commits = records.len() - done.failed;
        Ok(done)
    }

    async fn publish(
        &self,
        mut pending: Vec<OfRecord<Envelope>>,
        given_up: &mut BTreeMap<usize, String>,
    ) -> Result<(), Failure> {
        for tries in 1..=TRIES_MAX {
            if pending.is_empty() {
                return Ok(());
            }
            let batch: Vec<Envelope> = pending.iter().map(|from| from.message.clone()).collect();
            let results = self.bus.publish(&batch).await;
            pending = sort_out(pending, results, "the event bus", tries, given_up)?;
            self.pause(tries, pending.len()).await;
        }
        Ok(())
    }

    async fn send(
        &self,
        queue: &str,
        mut pending: Vec<OfRecord<Outbound>>,
        given_up: &mut BTreeMap<usize, String>,
    ) -> Result<(), Failure> {
        for tries in 1..=TRIES_MAX {
            if pending.is_empty() {
                return Ok(());
            }
            let batch: Vec<Outbound> = pending.iter().map(|from| from.message.clone()).collect();
            let results = self.queues.send(queue, &batch).await;
            pending = sort_out(pending, results, queue, tries, given_up)?;
            self.pause(tries, pending.len()).await;
        }
        Ok(())
    }

    async fn pause(&self, tries: u32, pending: usize) {
        if pending > 0 {
            self.clock.sleep(Duration::from_millis(PAUSE_MS << tries)).await;
        }
    }

    async fn give_up(
        &self,
        records: &[OutboxRecord],
        given_up: &BTreeMap<usize, String>,
    ) -> Result<(), Failure> {
        let failed: Vec<Outbound> = given_up
            .iter()
            .map(|(index, reason)| {
                let record = &records[*index];
                tracing::error!(position = record.position, reason, "outbox record cannot be published");
                let mut attributes: BTreeMap<String, String> = [
                    ("reason", attribute_text(reason, REASON_CHARS_MAX)),
                    ("category", "unknown".to_owned()),
                    ("position", record.position.clone()),
                ]
                .map(|(name, text)| (name.to_owned(), text))
                .into();
                // SQS refuses empty attributes and bodies, and some characters: none of that may keep a record
                // that cannot be published from leaving the stream.
                attributes.retain(|_, text| !text.is_empty());
                let body = attribute_text(&record.raw, usize::MAX);
                let body = if body.is_empty() { "{}".to_owned() } else { body };
                Outbound { body, delay_seconds: 0, attributes }
            })
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        // Not even the failure queue took it: keep the record in the stream.
        match self.queues.send(&self.failure_queue, &failed).await.into_iter().find_map(Result::err) {
            Some(error) => Err(Failure::retryable(error)),
            None => Ok(()),
        }
    }

    fn collect_change_notice(
        &self,
        record: usize,
        commit: &Commit,
        messages: &mut BTreeMap<String, Vec<OfRecord<Outbound>>>,
    ) -> Result<(), serde_json::Error> {
        let Some(notices) = &self.change_notices else { return Ok(()) };
        let wanted = notices.categories.contains(commit.stream.category());
        let Some(event) = commit.envelopes().last().filter(|_| wanted) else { return Ok(()) };
        let body = serde_json::to_string(&self.integrity.signed(event))?;
        let message = Outbound { body, ..Outbound::default() };
        messages.entry(notices.queue.clone()).or_default().push(OfRecord { record, message });
        Ok(())
    }

    fn collect_messages(
        &self,
        record: usize,
        commit: &Commit,
        now: Timestamp,
        messages: &mut BTreeMap<String, Vec<OfRecord<Outbound>>>,
    ) -> Result<(), serde_json::Error> {
        for (queue, command) in commit.command_envelopes() {
            let command = self.integrity.signed(command);
            let message = Outbound { body: serde_json::to_string(&command)?, ..Outbound::default() };
            messages.entry(queue.to_owned()).or_default().push(OfRecord { record, message });
        }
        for timer in commit.timer_messages() {
            let message = timer_message(&self.integrity.signed(timer), now)?;
            messages.entry(TIMERS_QUEUE.to_owned()).or_default().push(OfRecord { record, message });
        }
        Ok(())
    }
}

/// Keeps what is worth sending again, and notes what is not.
fn sort_out<T>(
    sent: Vec<OfRecord<T>>,
    results: EntryResults,
    target: &str,
    tries: u32,
    given_up: &mut BTreeMap<usize, String>,
) -> Result<Vec<OfRecord<T>>, Failure> {
    let mut again = Vec::new();
    let silent = || Err(EntryFailure::no_answer(target));
    let results = results.into_iter().chain(std::iter::repeat_with(silent));
    for (from, result) in sent.into_iter().zip(results) {
        match result {
            Ok(()) => {}
            Err(error) if error.retryable && tries == TRIES_MAX => {
                tracing::warn!(
                    target_name = target,
                    code = error.code,
                    "outbox batch will be delivered again"
                );
                return Err(Failure::retryable(error));
            }
            Err(error) if error.retryable => again.push(from),
            Err(error) => {
                given_up.insert(from.record, format!("{target} refused it for good: {error}"));
            }
        }
    }
    Ok(again)
}
