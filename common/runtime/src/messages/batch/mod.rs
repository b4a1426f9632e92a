//! A batch of queue records, each handled alone by a stack of layers around the application's handler.

mod layer;
mod layers;
mod record;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use hostler_core::{Failure, Incoming};
use tokio::sync::OnceCell;

use crate::effects::deadline::Deadline;
use crate::messages::integrity::Integrity;
use crate::messages::ordering::OrderingKeys;
use crate::ports::{Clock, Ids, Queues};

pub use layer::{Delivery, Disposition, Handled, Invocation, Layer, Next};
pub use layers::dead_letter_queue;
use layers::{Parts, stack};
use record::groups;
pub(crate) use record::{
    ATTEMPTS, BEHIND, CATEGORY, FAILURE, FUNCTION, KEY, ORIGINAL, REASON, attribute, identity, receive_count,
    text_attributes,
};
pub use record::{BatchResponse, ItemFailure, REPLAY, Record, Records, SystemAttributes};

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

impl Batch {
    /// The batches that one function reads off one queue.
    pub fn new(
        function: &'static str,
        queue: &'static str,
        queues: Arc<dyn Queues>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        let (ordering, integrity, own) = (None, Arc::default(), Vec::new());
        Self::of(Parts { function, queue, queues, clock, ids, ordering, integrity, own })
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

    /// Has messages be checked by their signatures.
    #[must_use]
    pub fn signed_by(self, integrity: Arc<Integrity>) -> Self {
        Self::of(Parts { integrity, ..self.parts })
    }

    /// Adds a layer of the application's own, closest to the handler: within the time limit, and a panic in it is caught.
    #[must_use]
    pub fn with_layer(mut self, layer: impl Layer + 'static) -> Self {
        self.parts.own.push(Arc::new(layer));
        Self::of(self.parts)
    }

    /// Handles a batch within `remaining`, and reports the records that must be seen again. Records of a FIFO
    /// group keep their order: after a failure the rest of the group is returned untouched.
    pub async fn handle(&self, event: Records, remaining: Duration, handler: &dyn Handler) -> BatchResponse {
        handler.begin();
        let deadline = Deadline::of_invocation(self.parts.clock.clone(), remaining);
        let invocation = Invocation { deadline, handler, held: OnceCell::new() };
        let failed: Vec<String> = futures::stream::iter(groups(event.records))
            .map(|group| self.run_group(group, &invocation))
            .buffer_unordered(CONCURRENCY)
            .concat()
            .await;
        BatchResponse::of(failed)
    }

    /// The ids of a group's records that must be seen again.
    async fn run_group(&self, group: Vec<Record>, invocation: &Invocation<'_>) -> Vec<String> {
        let mut records = group.into_iter();
        while let Some(record) = records.next() {
            let handled = {
                let delivery = Delivery::new(invocation, &record);
                Next::new(&self.layers).run(&delivery).await
            };
            match handled {
                Ok(Disposition::Done) => {}
                Ok(Disposition::ComesAgain) | Err(_) => {
                    let rest = std::iter::once(record).chain(records);
                    return rest.map(|record| record.message_id).collect();
                }
            }
        }
        Vec::new()
    }
}
