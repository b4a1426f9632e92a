//! A batch of queue records, each handled alone by a stack of layers around the application's handler.

mod layer;
mod layers;
mod record;

use hostler_core::mutants;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use hostler_core::{CommandEnvelope, Failure, Incoming};

use crate::effects::deadline::Deadline;
use crate::messages::attributes::sealing;
use crate::messages::integrity::Integrity;
use crate::messages::ordering::{KnownKeys, OrderingKeys};
use crate::ports::{Clock, Ids, Queues};

pub use layer::{Delivery, Disposition, Handled, Invocation, Layer, Next};
pub use layers::dead_letter_queue;
use layers::{Parts, stack};
pub(crate) use record::{
    ATTEMPTS, BEHIND, CATEGORY, DEFERRED_SINCE, FAILURE, FUNCTION, KEY, ORIGINAL, REASON, TRIED, attribute,
    identity, is_replay, text_attributes, tries,
};
pub use record::{BatchResponse, ItemFailure, REPLAY, Record, Records, SystemAttributes};
use record::{Taken, groups, set_visibility};

/// How often a queue lets a message be tried before it becomes a dead letter: the `maxReceiveCount` of every queue.
pub const RECEIVES_MAX: u32 = 30;
/// What an invocation lasts whose batch may stay hidden for as long as its queue says: six times this is a few minutes.
const SHORT_INVOCATION: Duration = Duration::from_secs(60);
/// For how long a batch is hidden beyond its invocation's end, so that no two work on it.
const HIDDEN_BEYOND_SECONDS: u32 = 5;
/// How many records of one batch are handled at a time.
const CONCURRENCY: usize = 10;

/// What a function does with one message.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles one message. It may come twice, late and out of order.
    ///
    /// # Errors
    /// [`Failure::Retryable`] sends the message back to its queue, [`Failure::Deferred`] has it wait without using up an
    /// attempt, [`Failure::Terminal`] sends it to the dead letters.
    async fn handle(&self, message: &Incoming) -> Result<(), Failure>;

    /// Whether handling changes read models and nothing else. Only then are replayed messages handled: an effect of long
    /// ago must not happen again.
    fn replays(&self) -> bool {
        false
    }

    /// A batch begins: what was cached for the last one may be stale.
    fn begin(&self) {}

    /// The message's ordering key, where it has one: while a message of the key is with triage, the later ones wait
    /// behind it. It works where the batch was given [`OrderingKeys`].
    fn key(&self, message: &Incoming) -> Option<String> {
        let _ = message;
        None
    }
}

/// Handles the batches that one function reads off one queue.
#[derive(Clone)]
pub struct Batch {
    parts: Parts,
    layers: Arc<[Arc<dyn Layer>]>,
}

/// Reads a body that is none of our messages, and says which command it stands for, if it does.
pub type Adopt = fn(&str) -> Option<CommandEnvelope>;

impl Batch {
    /// The batches that one function reads off one queue.
    pub fn new(
        function: &'static str,
        queue: &'static str,
        queues: Arc<dyn Queues>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self::of(Parts {
            function,
            queue,
            queues,
            clock,
            ids,
            ordering: None,
            receives_max: RECEIVES_MAX,
            integrity: Arc::default(),
            adopt: None,
            own: Vec::new(),
        })
    }

    fn of(parts: Parts) -> Self {
        let layers = stack(&parts).into();
        Self { parts, layers }
    }

    /// Has messages keep their order by [`Handler::key`].
    #[must_use]
    pub fn in_order(self, ordering: OrderingKeys) -> Self {
        Self::of(Parts { ordering: Some(ordering), ..self.parts })
    }

    /// Has messages be tried so often, copies included, instead of [`RECEIVES_MAX`] times.
    #[must_use]
    pub fn receiving(self, receives_max: u32) -> Self {
        Self::of(Parts { receives_max, ..self.parts })
    }

    /// Has messages and their attributes be checked by their signatures, and what is sent beside a body be signed.
    #[must_use]
    pub fn signed_by(self, integrity: Arc<Integrity>) -> Self {
        let queues = sealing(self.parts.queues.clone(), &integrity);
        Self::of(Parts { integrity, queues, ..self.parts })
    }

    /// Takes messages in another system's form, which has no envelope and no signature: events that AWS's services put on
    /// the queue by EventBridge. Who may put them there is said by the queue's policy.
    #[must_use]
    pub fn adopting(self, adopt: Adopt) -> Self {
        Self::of(Parts { adopt: Some(adopt), ..self.parts })
    }

    /// Adds a layer of the application's own, closest to the handler: within the time limit, and a panic in it is caught.
    #[must_use]
    pub fn with_layer(mut self, layer: impl Layer + 'static) -> Self {
        self.parts.own.push(Arc::new(layer));
        Self::of(self.parts)
    }

    /// Handles a batch within `remaining`, and reports the records that must be seen again. Records of a FIFO
    /// group, and those of an ordering key, keep their order: after one that comes again the rest is returned untouched.
    pub async fn handle(&self, event: Records, remaining: Duration, handler: &dyn Handler) -> BatchResponse {
        handler.begin();
        let deadline = Deadline::of_invocation(self.parts.clock.clone(), remaining);
        let invocation = Invocation { deadline, handler, held: KnownKeys::default() };
        self.hide_no_longer_than(remaining, &event.records).await;
        let (integrity, queue) = (&self.parts.integrity, self.parts.queue);
        let take = |record| Taken::new(record, integrity, queue, self.parts.adopt);
        let records = event.records.into_iter().map(take).collect();
        let in_order = self.parts.ordering.is_some();
        let groups = groups(records, |message| in_order.then(|| handler.key(message)).flatten());
        let failed: Vec<String> = futures::stream::iter(groups)
            .map(|group| self.run_group(group, &invocation))
            .buffer_unordered(CONCURRENCY)
            .concat()
            .await;
        BatchResponse::of(failed)
    }

    /// A queue hides what it hands over for six times the function's time-out and more, which is right while nobody has
    /// taken it. Once a function has, and dies, nobody else sees the batch for all that time. Where that is long, the batch is
    /// hidden for as long as this invocation can live, and no longer.
    async fn hide_no_longer_than(&self, remaining: Duration, records: &[Record]) {
        if remaining <= SHORT_INVOCATION || mutants::on("batch.stays-hidden") {
            return;
        }
        let seconds =
            u32::try_from(remaining.as_secs()).unwrap_or(u32::MAX).saturating_add(HIDDEN_BEYOND_SECONDS);
        let (queues, queue) = (&*self.parts.queues, self.parts.queue);
        let hide = |record| set_visibility(queues, queue, record, seconds);
        futures::stream::iter(records).for_each_concurrent(CONCURRENCY, hide).await;
    }

    /// The ids of a group's records that must be seen again.
    async fn run_group(&self, group: Vec<Taken>, invocation: &Invocation<'_>) -> Vec<String> {
        let mut records = group.into_iter();
        while let Some(taken) = records.next() {
            let handled = {
                let delivery = Delivery::new(invocation, &taken);
                Next::new(&self.layers).run(&delivery).await
            };
            match handled {
                Ok(Disposition::Done) => {}
                Ok(Disposition::ComesAgain) if mutants::on("batch.acknowledges-failures") => {}
                Ok(Disposition::ComesAgain) if mutants::on("batch.overtakes-in-a-group") => {
                    return std::iter::once(taken.record.message_id).collect();
                }
                Ok(Disposition::ComesAgain) | Err(_) => {
                    let rest = std::iter::once(taken).chain(records);
                    return rest.map(|taken| taken.record.message_id).collect();
                }
            }
        }
        Vec::new()
    }
}
