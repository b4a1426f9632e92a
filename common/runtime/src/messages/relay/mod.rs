//! From the outbox to the bus and the queues.
//!
//! Everything that a commit says it publishes is published at least once. Targets (the bus, each queue) do not wait for one
//! another. What a target does not take now is parked: it goes to the relay's failure queue with the target's name, from where
//! triage sends it on. A record that can never be published goes there as well. The stream delivers a batch again only when the
//! failure queue does not answer either, so that nothing that was taken is published, and billed, again for one broken target.

mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use hostler_core::{Category, Commit, Envelope, Failure, TimerFired, mutants};
use uuid::Uuid;

use crate::effects::deadline::Deadline;
use crate::messages::attributes::sealing;
use crate::messages::batch::{CATEGORY, ORIGINAL, REASON};
use crate::messages::integrity::Integrity;
use crate::messages::timers::{TIMERS_QUEUE, schedule, waits_long};
use crate::ports::{
    Clock, EntryFailure, EntryResults, EventBus, Outbound, Queues, Schedules, attribute_text,
};

use said::{Said, SetTimer};

/// The name of the bus among the targets of parked messages. No queue has it.
pub const BUS: &str = "event-bus";
/// The attribute of a parked message that names its target: the bus, or a queue.
pub const TARGET: &str = "target";

/// How often entries that the service did not take are sent again within one batch.
const TRIES_MAX: u32 = 3;
/// What is told of why a record was given up.
const REASON_CHARS_MAX: usize = 1_000;
/// The pause before sending again; doubled for each further time.
const PAUSE_MS: u64 = 50;
/// How long one target may take. The others do not wait for it, but the batch does; what it has not taken by then is parked.
const TARGET_TIME: Duration = Duration::from_secs(15);

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
    /// Commits that were published, apart from what is parked of them.
    pub commits: usize,
    /// Events published.
    pub events: usize,
    /// Commands sent.
    pub commands: usize,
    /// Timers set.
    pub timers: usize,
    /// Events, commands, timers and change notices that their target did not take now. Triage sends them on.
    pub parked: usize,
    /// Records that can never be published, and went to the failure queue.
    pub failed: usize,
}

/// Publishes what commits say.
#[derive(Clone)]
pub struct Relay {
    bus: Arc<dyn EventBus>,
    queues: Arc<dyn Queues>,
    schedules: Option<Arc<dyn Schedules>>,
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

/// A message, its id, and the record that it comes from.
struct OfRecord<T> {
    record: usize,
    id: Uuid,
    message: T,
}

/// Why records are given up, by their places in the batch.
type GivenUp = BTreeMap<usize, String>;

/// What a target did not take.
struct Left {
    given_up: GivenUp,
    parked: Vec<OfRecord<Outbound>>,
}

impl Relay {
    /// A relay that parks and gives up into `failure_queue`.
    pub fn new(
        bus: Arc<dyn EventBus>,
        queues: Arc<dyn Queues>,
        clock: Arc<dyn Clock>,
        failure_queue: impl Into<String>,
    ) -> Self {
        Self {
            bus,
            queues,
            schedules: None,
            clock,
            failure_queue: failure_queue.into(),
            integrity: Arc::default(),
            change_notices: None,
            internal: BTreeSet::new(),
        }
    }

    /// Sets long timers by schedules. Without, they hop on their queue.
    #[must_use]
    pub fn scheduling(mut self, schedules: Option<Arc<dyn Schedules>>) -> Self {
        self.schedules = schedules;
        self
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
    /// [`Failure::Retryable`] when neither a target nor the failure queue took something: the whole batch must be
    /// delivered again.
    pub async fn relay(&self, records: &[OutboxRecord]) -> Result<Relayed, Failure> {
        let mut done = Relayed::default();
        let mut given_up = GivenUp::new();
        let Said { events, messages, timers } = self.collect(records, &mut done, &mut given_up);
        let queues = messages.into_iter().map(|(queue, messages)| self.send(queue, messages));
        let (on_bus, on_queues, waiting) =
            futures::join!(self.publish(events), join_all(queues), self.set(timers));
        let mut parked = Vec::new();
        for left in on_queues.into_iter().chain([on_bus, waiting]) {
            given_up.extend(left.given_up);
            parked.extend(left.parked);
        }
        done.parked = parked.len();
        if mutants::on("relay.broken-target-fails-the-batch") && !parked.is_empty() {
            return Err(Failure::retryable("mutant"));
        }
        self.park(parked, &mut given_up).await?;
        self.give_up(records, &given_up).await?;
        done.failed = given_up.len();
        done.commits = records.len() - done.failed;
        Ok(done)
    }

    async fn send(&self, queue: String, messages: Vec<OfRecord<Outbound>>) -> Left {
        let send = |messages| self.put_on(&queue, messages);
        self.deliver(&queue, messages, send, Ok).await
    }

    fn put_on<'a>(&'a self, queue: &'a str, messages: Vec<Outbound>) -> BoxFuture<'a, EntryResults> {
        async move { self.queues.send(queue, &messages).await }.boxed()
    }

    async fn publish(&self, events: Vec<OfRecord<Envelope>>) -> Left {
        let publish = |events: Vec<Envelope>| async move { self.bus.publish(&events).await }.boxed();
        let parked = |event: Envelope| {
            let body = serde_json::to_string(&event)?;
            Ok(Outbound { body, ..Outbound::default() })
        };
        self.deliver(BUS, events, publish, parked).await
    }

    /// Sets timers: those that wait long by schedules, the others, and what no schedule was made for, on their queue.
    async fn set(&self, timers: Vec<OfRecord<SetTimer>>) -> Left {
        let now = self.clock.now();
        let (long, short): (Vec<_>, Vec<_>) =
            timers.into_iter().partition(|of_record| waits_long(of_record.message.timer.due_at, now));
        let mut given_up = GivenUp::new();
        let mut messages = Vec::new();
        for OfRecord { record, id, message } in short.into_iter().chain(self.schedule(long).await) {
            match message.message(now) {
                Ok(message) => messages.push(OfRecord { record, id, message }),
                Err(error) => {
                    given_up.insert(record, format!("cannot be written as JSON: {error}"));
                }
            }
        }
        let send = |messages| self.put_on(TIMERS_QUEUE, messages);
        let mut left = self.deliver(TIMERS_QUEUE, messages, send, Ok).await;
        left.given_up.extend(given_up);
        left
    }

    /// Makes a schedule for each timer. Those that none was made for hop on their queue.
    async fn schedule(&self, timers: Vec<OfRecord<SetTimer>>) -> Vec<OfRecord<SetTimer>> {
        let Some(schedules) = self.schedules.as_deref() else { return timers };
        let all: Vec<&TimerFired> = timers.iter().map(|of_record| &of_record.message.timer).collect();
        let made = schedule(&all, schedules, &self.clock).await;
        timers.into_iter().zip(made).filter(|(_, made)| !made).map(|(timer, _)| timer).collect()
    }

    /// Sends to a target, and what it did not take again. `parked` makes the message that is parked.
    async fn deliver<'a, T: Clone>(
        &self,
        target: &str,
        mut pending: Vec<OfRecord<T>>,
        send: impl Fn(Vec<T>) -> BoxFuture<'a, EntryResults>,
        parked: impl Fn(T) -> Result<Outbound, serde_json::Error>,
    ) -> Left {
        let mut left = Left { given_up: GivenUp::new(), parked: Vec::new() };
        if pending.is_empty() {
            return left;
        }
        let mut reason = format!("no answer within {} s", TARGET_TIME.as_secs());
        let work = async {
            for tries in 1..=TRIES_MAX {
                let results = send(pending.iter().map(|from| from.message.clone()).collect()).await;
                let sent = std::mem::take(&mut pending);
                let why = sort_out(sent, results, target, &mut pending, &mut left.given_up);
                let Some(why) = why else { return };
                reason = why.to_string();
                if tries < TRIES_MAX {
                    self.clock.sleep(Duration::from_millis(PAUSE_MS << tries)).await;
                }
            }
        };
        let in_time = Deadline::of_invocation(Arc::clone(&self.clock), TARGET_TIME).limit(work).await;
        if in_time.is_ok() && pending.is_empty() {
            return left;
        }
        tracing::error!(
            target_name = target,
            reason,
            messages_parked = pending.len(),
            "a target does not take what is said to it"
        );
        for OfRecord { record, id, message } in pending {
            match parked(message) {
                Ok(message) => {
                    let message = with_target(message, target, id, &reason);
                    left.parked.push(OfRecord { record, id, message });
                }
                Err(error) => {
                    left.given_up.insert(record, format!("cannot be written as JSON: {error}"));
                }
            }
        }
        left
    }

    /// Parks messages. The record of one that the failure queue refuses for good, such as for its size, is given up.
    async fn park(&self, parked: Vec<OfRecord<Outbound>>, given_up: &mut GivenUp) -> Result<(), Failure> {
        if mutants::on("relay.parks-nothing") {
            return Ok(());
        }
        let (places, messages): (Vec<usize>, Vec<Outbound>) =
            parked.into_iter().map(|parked| (parked.record, parked.message)).unzip();
        for (place, result) in places.into_iter().zip(self.to_failure_queue(messages).await?) {
            if let Err(error) = result {
                given_up.insert(place, format!("cannot be parked: {error}"));
            }
        }
        Ok(())
    }

    async fn give_up(&self, records: &[OutboxRecord], given_up: &GivenUp) -> Result<(), Failure> {
        let failed: Vec<Outbound> = given_up
            .iter()
            .filter(|_| !mutants::on("relay.gives-up-in-silence"))
            .map(|(index, reason)| {
                let record = &records[*index];
                tracing::error!(
                    position = record.position,
                    reason,
                    records_given_up = 1,
                    "outbox record cannot be published"
                );
                let mut attributes: BTreeMap<String, String> = [
                    (REASON, attribute_text(reason, REASON_CHARS_MAX)),
                    (CATEGORY, Category::Unknown.as_str().to_owned()),
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
        match self.to_failure_queue(failed).await?.into_iter().find_map(Result::err) {
            Some(error) => Err(Failure::retryable(error)),
            None => Ok(()),
        }
    }

    /// Sends to the failure queue, and says what it refused for good.
    async fn to_failure_queue(&self, messages: Vec<Outbound>) -> Result<EntryResults, Failure> {
        let mut results: EntryResults = vec![Ok(()); messages.len()];
        let mut pending: Vec<(usize, Outbound)> = messages.into_iter().enumerate().collect();
        for tries in 1..=TRIES_MAX {
            if pending.is_empty() {
                return Ok(results);
            }
            let batch: Vec<Outbound> = pending.iter().map(|(_, message)| message.clone()).collect();
            let mut answers = self.queues.send(&self.failure_queue, &batch).await.into_iter();
            let mut again = Vec::new();
            for (place, message) in pending {
                let answer =
                    answers.next().unwrap_or_else(|| Err(EntryFailure::no_answer(&self.failure_queue)));
                match answer {
                    Err(error) if error.retryable && tries == TRIES_MAX => {
                        // Not even the failure queue takes it: the batch stays in the stream.
                        return Err(Failure::retryable(error));
                    }
                    Err(error) if error.retryable => again.push((place, message)),
                    answer => results[place] = answer,
                }
            }
            pending = again;
            if !pending.is_empty() {
                self.clock.sleep(Duration::from_millis(PAUSE_MS << tries)).await;
            }
        }
        Ok(results)
    }
}

/// A message as it is parked: with the target that did not take it, and an id that is the same each time it is parked.
fn with_target(mut message: Outbound, target: &str, id: Uuid, reason: &str) -> Outbound {
    message.delay_seconds = 0;
    let reason = attribute_text(&format!("{target} did not take it: {reason}"), REASON_CHARS_MAX);
    message.attributes.extend(
        [
            (TARGET, target.to_owned()),
            (ORIGINAL, format!("{target}.{id}")),
            (CATEGORY, Category::Transient.as_str().to_owned()),
            (REASON, reason),
        ]
        .map(|(name, text)| (name.to_owned(), text)),
    );
    message
}

/// Keeps what is worth sending again in `again`, and notes what is not. Says why something is to be sent again.
fn sort_out<T>(
    sent: Vec<OfRecord<T>>,
    results: EntryResults,
    target: &str,
    again: &mut Vec<OfRecord<T>>,
    given_up: &mut GivenUp,
) -> Option<EntryFailure> {
    let mut why = None;
    let silent = || match mutants::on("relay.silence-is-success") {
        true => Ok(()),
        false => Err(EntryFailure::no_answer(target)),
    };
    let results = results.into_iter().chain(std::iter::repeat_with(silent));
    for (from, result) in sent.into_iter().zip(results) {
        match result {
            Ok(()) => {}
            Err(_) if mutants::on("relay.believes-every-answer") => {}
            Err(error) if error.retryable => {
                again.push(from);
                why = Some(error);
            }
            Err(error) => {
                given_up.insert(from.record, format!("{target} refused it for good: {error}"));
            }
        }
    }
    why
}
