//! Flow control at work: looks at queues, has more consumers work where much waits, and tells producers to wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::flow::{FlowDecider, Level, Looked};
use hostler_core::{Actor, CausationId, CorrelationId, Decider, Failure, StreamId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ports::{Clock, Control, EntryFailure, PortError};
use crate::shell::{Cause, Shell};

/// The key in `control` of what was done about the queues.
pub const KEY: &str = "flow";
/// For how long producers take what they have read for true.
const CACHED: SignedDuration = SignedDuration::from_secs(5);
/// How long producers are told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How often a change is tried anew because another writer was faster.
const TRIES_MAX: u32 = 5;

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
    /// How many consumers work it off.
    pub concurrency: u16,
}

/// What was done about all queues.
pub type Flow = BTreeMap<String, Applied>;

/// Looks at queues, and does something about them.
#[derive(Clone)]
pub struct Watch {
    shell: Shell,
    depths: Arc<dyn Depths>,
    consumers: Arc<dyn Consumers>,
    control: Arc<dyn Control>,
    /// The queues, and how many consumers each has on a normal day.
    queues: Vec<(&'static str, u16)>,
}

impl Watch {
    /// A watch over these queues, with the number of consumers that each has on a normal day.
    pub fn new(
        shell: Shell,
        depths: Arc<dyn Depths>,
        consumers: Arc<dyn Consumers>,
        control: Arc<dyn Control>,
        queues: impl IntoIterator<Item = (&'static str, u16)>,
    ) -> Self {
        Self { shell, depths, consumers, control, queues: queues.into_iter().collect() }
    }

    /// Looks at each queue once. One that cannot be looked at, or changed, does not keep the others from it; it has its
    /// turn the next time.
    ///
    /// # Errors
    /// [`Failure`] of the last queue that failed.
    pub async fn look(&self) -> Result<Flow, Failure> {
        let mut failed = None;
        for (queue, usual) in &self.queues {
            if let Err(failure) = self.look_at(queue, *usual).await {
                tracing::warn!(queue, error = failure.chain(), "the queue was not looked after");
                failed = Some(failure);
            }
        }
        match failed {
            Some(failure) => Err(failure),
            None => Ok(self.flow().await?.0),
        }
    }

    async fn look_at(&self, queue: &'static str, usual: u16) -> Result<(), Failure> {
        let lag = self.depths.waiting(queue).await.map_err(Failure::retryable)?;
        let stream = StreamId::new(FlowDecider::CATEGORY, queue).map_err(Failure::invalid)?;
        let cause = Cause {
            id: CausationId::from(hostler_core::CommandId(self.shell.new_id())),
            correlation_id: CorrelationId(self.shell.new_id()),
            trace_context: None,
            hops: 0,
            actor: Actor("watch-flow".to_owned()),
        };
        let looked = Looked { queue: queue.to_owned(), lag };
        let level = self.shell.execute::<FlowDecider>(&stream, &cause, &looked).await?.fold.state;
        tracing::info!(queue, lag, level = level.name(), "queue");
        let wanted = Applied { level, concurrency: level.concurrency(usual) };
        let (flow, _) = self.flow().await?;
        let applied =
            flow.get(queue).copied().unwrap_or(Applied { level: Level::Normal, concurrency: usual });
        if applied == wanted {
            return Ok(());
        }
        // First done, then noted: whoever dies in between does it again.
        if applied.concurrency != wanted.concurrency {
            self.consumers.set_concurrency(queue, wanted.concurrency).await.map_err(Failure::retryable)?;
        }
        self.note(queue, wanted).await
    }

    async fn note(&self, queue: &str, applied: Applied) -> Result<(), Failure> {
        for _ in 0..TRIES_MAX {
            let (mut flow, revision) = self.flow().await?;
            flow.insert(queue.to_owned(), applied);
            if self.control.put(KEY, &json!(flow), revision).await? {
                return Ok(());
            }
        }
        Err(Failure::retryable(
            "what was done about the queues could not be noted: other writers were faster",
        ))
    }

    async fn flow(&self) -> Result<(Flow, u64), PortError> {
        read(&*self.control).await
    }
}

async fn read(control: &dyn Control) -> Result<(Flow, u64), PortError> {
    let entry = control.get(KEY).await?;
    Ok(entry.map_or_else(Default::default, |entry| {
        (serde_json::from_value(entry.value).unwrap_or_default(), entry.revision)
    }))
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
    known: Arc<Mutex<Option<Known>>>,
}

/// What was read when: the queue that is in an emergency, if one is.
struct Known {
    read_at: Timestamp,
    emergency: Option<String>,
}

impl Backpressure {
    /// What is known in this table.
    pub fn new(control: Arc<dyn Control>, clock: Arc<dyn Clock>) -> Self {
        Self { control, clock, known: Arc::default() }
    }

    /// Asks whether to produce now.
    ///
    /// # Errors
    /// [`Overloaded`] in an emergency, when the producer chose [`Overload::Signal`].
    pub async fn admit(&self, overload: Overload) -> Result<Produce, Overloaded> {
        if overload == Overload::Buffer {
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
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = known.as_ref().filter(|known| now.duration_since(known.read_at) < CACHED) {
                return known.emergency.clone();
            }
        }
        let queue = match read(&*self.control).await {
            Ok((flow, _)) => flow
                .into_iter()
                .find(|(_, applied)| applied.level == Level::Emergency)
                .map(|(queue, _)| queue),
            Err(error) => {
                tracing::warn!(error = %error, "whether there is an emergency is not known");
                None
            }
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Known { read_at: now, emergency: queue.clone() });
        queue
    }
}
