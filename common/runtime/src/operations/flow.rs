//! Flow control: looks at queues, puts more consumers to work where many messages wait, and tells producers to wait.
//!
//! How many consumers a queue has is asked each time and not remembered: whatever changed it, a deployment, a hand or a look
//! that died half-way, the next look sets it right. The note in `control` is for producers and for people.

use hostler_core::mutants;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::flow::{Consuming, FlowDecider, Level, Looked, Need, Scaling, scaling, share};
use hostler_core::{Actor, CausationId, CorrelationId, Decider, Failure, StreamId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ports::{Clock, Control, EntryFailure, PortError};
use crate::state::control::{read, update};
use crate::state::shell::{Cause, Shell};

/// The key in `control` of what was done about the queues.
pub const KEY: &str = "flow";
/// For how long producers take what they have read for true.
const CACHED: SignedDuration = SignedDuration::from_secs(5);
/// How long producers are told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// How much waits on queues, by their logical names.
#[async_trait]
pub trait Depths: Send + Sync {
    /// How many messages could be handled now.
    ///
    /// # Errors
    /// When the queue does not answer.
    async fn waiting(&self, queue: &str) -> Result<u64, EntryFailure>;
}

/// Who works queues off.
#[async_trait]
pub trait Consumers: Send + Sync {
    /// How many consumers a queue has.
    ///
    /// # Errors
    /// When that is not to be learned now.
    async fn concurrency(&self, queue: &str) -> Result<Consuming, EntryFailure>;

    /// Has so many consumers of a queue work at a time.
    ///
    /// # Errors
    /// When that cannot be changed now.
    async fn set_concurrency(&self, queue: &str, consumers: u16) -> Result<(), EntryFailure>;
}

/// What was done about a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// How far it lags behind.
    pub level: Level,
    /// How many consumers it should have.
    pub concurrency: u16,
}

/// What was done about all queues.
pub type Flow = BTreeMap<String, Applied>;

/// Looks at queues, and changes how many consumers work on them.
#[derive(Clone)]
pub struct Watch {
    shell: Shell,
    depths: Arc<dyn Depths>,
    consumers: Arc<dyn Consumers>,
    control: Arc<dyn Control>,
    /// The queues, and how many consumers each has on a normal day.
    queues: Vec<(&'static str, u16)>,
    /// How many consumers there are for all queues together.
    consumers_max: u16,
    /// What commits name as their actor: the application's function.
    actor: Actor,
}

impl Watch {
    /// A watch over these queues, with the number of consumers that each has on a normal day, and as many for all of them as
    /// there are in Lambda; [`Self::sharing`] says otherwise. `actor` is what its commits name as their actor.
    pub fn new(
        actor: &str,
        shell: Shell,
        depths: Arc<dyn Depths>,
        consumers: Arc<dyn Consumers>,
        control: Arc<dyn Control>,
        queues: impl IntoIterator<Item = (&'static str, u16)>,
    ) -> Self {
        let queues = queues.into_iter().collect();
        let (consumers_max, actor) = (u16::MAX, Actor(actor.to_owned()));
        Self { shell, depths, consumers, control, queues, consumers_max, actor }
    }

    /// Shares this many consumers out to all queues.
    #[must_use]
    pub fn sharing(mut self, consumers_max: u16) -> Self {
        self.consumers_max = consumers_max;
        self
    }

    /// Looks at each queue once. One that cannot be looked at, or changed, does not keep the others from it; it has its
    /// turn the next time.
    ///
    /// # Errors
    /// [`Failure`] of the last queue that failed.
    pub async fn look(&self) -> Result<Flow, Failure> {
        let mut failed = None;
        // Only what a queue that does not answer was the last time: the look does not depend on it.
        let noted = self.flow().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what was noted of the queues cannot be read");
            Flow::new()
        });
        let mut levels = Vec::with_capacity(self.queues.len());
        for (queue, _) in &self.queues {
            let level = self.level(queue).await.map_err(|failure| {
                tracing::warn!(queue, error = failure.chain(), "the queue was not looked at");
                failed = Some(failure);
            });
            levels.push(level.ok());
        }
        let needs = self.queues.iter().zip(&levels).map(|((queue, usual), level)| {
            let before = || noted.get(*queue).map_or(Level::Normal, |applied| applied.level);
            Need { level: level.unwrap_or_else(before), usual: *usual }
        });
        let shares = share(&needs.collect::<Vec<_>>(), self.consumers_max);
        let mut wanted = Flow::new();
        for (((queue, _), level), concurrency) in self.queues.iter().zip(levels).zip(shares) {
            // What is not known is left as it is.
            let Some(level) = level else { continue };
            wanted.insert((*queue).to_owned(), Applied { level, concurrency });
            if let Err(failure) = self.scale(queue, concurrency).await {
                tracing::warn!(queue, error = failure.chain(), "the queue's consumers were not looked after");
                failed = Some(failure);
            }
        }
        if let Err(failure) = self.note(&wanted).await {
            failed = Some(failure);
        }
        match failed {
            Some(failure) => Err(failure),
            None => Ok(wanted),
        }
    }

    /// Measures a queue.
    async fn level(&self, queue: &'static str) -> Result<Level, Failure> {
        let lag = self.depths.waiting(queue).await.map_err(Failure::retryable)?;
        let stream = StreamId::new(FlowDecider::CATEGORY, queue).map_err(Failure::invalid)?;
        let cause = Cause {
            id: CausationId::from(hostler_core::CommandId(self.shell.new_id())),
            since: self.shell.now(),
            correlation_id: CorrelationId(self.shell.new_id()),
            trace_context: None,
            hops: 0,
            actor: self.actor.clone(),
        };
        let looked = Looked { queue: queue.to_owned(), lag };
        let level = self.shell.execute::<FlowDecider>(&stream, &cause, &looked).await?.fold.state;
        tracing::info!(queue, lag, level = level.name(), "queue");
        Ok(level)
    }

    /// Has a queue have so many consumers.
    async fn scale(&self, queue: &str, wanted: u16) -> Result<(), Failure> {
        let has = self.consumers.concurrency(queue).await.map_err(Failure::retryable)?;
        match scaling(has, wanted) {
            Scaling::Keep => {}
            Scaling::Wait => {
                tracing::info!(queue, wanted, "its consumers are being changed: the next look goes on")
            }
            Scaling::Set(consumers) => {
                tracing::info!(queue, from = ?has.maximum, to = consumers, "consumers");
                self.consumers.set_concurrency(queue, consumers).await.map_err(Failure::retryable)?;
            }
        }
        Ok(())
    }

    /// Notes what there is to know. On a normal day that is nothing, and nothing is written.
    async fn note(&self, wanted: &Flow) -> Result<(), Failure> {
        let usual: Flow = self
            .queues
            .iter()
            .map(|(queue, usual)| {
                ((*queue).to_owned(), Applied { level: Level::Normal, concurrency: *usual })
            })
            .collect();
        let note = |flow: &mut Flow| {
            let known = |queue: &String| flow.get(queue).or(usual.get(queue)).copied();
            let is_new = wanted.iter().any(|(queue, applied)| known(queue) != Some(*applied));
            if is_new {
                flow.extend(wanted.iter().map(|(queue, applied)| (queue.clone(), *applied)));
            }
            is_new
        };
        update(&*self.control, KEY, note).await?;
        Ok(())
    }

    async fn flow(&self) -> Result<Flow, PortError> {
        Ok(read(&*self.control, KEY).await?.0)
    }
}

/// What overload does to what a producer has in hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overload {
    /// The asker is told to come again.
    #[default]
    Signal,
    /// It is taken all the same, and waits on its queue.
    Buffer,
    /// It is dropped: for measurements of which the next one follows soon, and for nothing else.
    Drop,
}

/// What a producer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Produce {
    /// Send it.
    Send,
    /// Do not send it.
    Drop,
}

/// Come again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{queue} is overloaded: come again in {} s", retry_after.as_secs())]
pub struct Overloaded {
    /// The queue.
    pub queue: String,
    /// When.
    pub retry_after: Duration,
}

/// What producers ask before they produce.
#[derive(Clone)]
pub struct Backpressure {
    control: Arc<dyn Control>,
    clock: Arc<dyn Clock>,
    seen: Arc<Mutex<Option<Seen>>>,
}

/// The last look at `control`: when, and the queue that was in an emergency, if one was.
struct Seen {
    read_at: Timestamp,
    emergency: Option<String>,
}

impl Backpressure {
    /// What is known in this table.
    pub fn new(control: Arc<dyn Control>, clock: Arc<dyn Clock>) -> Self {
        Self { control, clock, seen: Arc::default() }
    }

    /// Asks whether to produce now.
    ///
    /// # Errors
    /// [`Overloaded`] in an emergency, when the producer chose [`Overload::Signal`].
    pub async fn admit(&self, overload: Overload) -> Result<Produce, Overloaded> {
        if overload == Overload::Buffer || mutants::on("flow.admits-everything") {
            return Ok(Produce::Send);
        }
        let Some(queue) = self.emergency().await else { return Ok(Produce::Send) };
        match overload {
            Overload::Drop => {
                tracing::info!(queue, dropped = 1, "dropped for overload");
                Ok(Produce::Drop)
            }
            Overload::Signal | Overload::Buffer => Err(Overloaded { queue, retry_after: RETRY_AFTER }),
        }
    }

    /// A queue in an emergency. When that cannot be known there is none: flow control must not be what stops the flow.
    async fn emergency(&self) -> Option<String> {
        let now = self.clock.now();
        {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(seen) = seen.as_ref().filter(|seen| now.duration_since(seen.read_at) < CACHED) {
                return seen.emergency.clone();
            }
        }
        let queue = match read::<Flow>(&*self.control, KEY).await {
            Ok((flow, _)) => flow
                .into_iter()
                .find(|(_, applied)| applied.level == Level::Emergency)
                .map(|(queue, _)| queue),
            Err(error) => {
                tracing::warn!(error = %error, "whether there is an emergency is not known");
                None
            }
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Seen { read_at: now, emergency: queue.clone() });
        queue
    }
}
