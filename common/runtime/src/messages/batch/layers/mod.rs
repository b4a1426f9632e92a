//! The layers around every handler, outermost first.

mod backoff;
mod catch_panic;
mod dead_letter;
mod decode;
mod defer;
mod order;
mod resolve;
mod skip_replays;
mod time_out;
mod trace;
mod verify;

use hostler_core::mutants;
use std::sync::Arc;

use hostler_core::triage::FailureId;

use super::Adopt;
use super::layer::{Delivery, Layer};
use super::record::identity;
use crate::messages::integrity::Integrity;
use crate::messages::ordering::OrderingKeys;
use crate::ports::{Clock, Ids, PortError, Queues};

pub use dead_letter::dead_letter_queue;

/// What the layers of a batch are made of.
#[derive(Clone)]
pub(super) struct Parts {
    /// The function's name, for dead letters.
    pub(super) function: &'static str,
    /// The logical name of the queue; its dead letters are `<queue>-dlq`.
    pub(super) queue: &'static str,
    pub(super) queues: Arc<dyn Queues>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    /// Present where messages keep their order.
    pub(super) ordering: Option<OrderingKeys>,
    /// How often a message is tried, copies included.
    pub(super) receives_max: u32,
    pub(super) integrity: Arc<Integrity>,
    /// Present where others put messages of their own form on the queue.
    pub(super) adopt: Option<Adopt>,
    /// The application's own layers, closest to its handler.
    pub(super) own: Vec<Arc<dyn Layer>>,
}

/// Has later messages of a delivery's key wait behind it, where it has one and order is kept: those of its own batch, and
/// those of later ones.
async fn hold(ordering: Option<&OrderingKeys>, delivery: &Delivery<'_>) -> Result<(), PortError> {
    let id = identity(delivery.record).unwrap_or_default();
    let (Some(ordering), Some(key), Ok(failure)) =
        (ordering, delivery.ordering_key.get(), FailureId::new(id))
    else {
        return Ok(());
    };
    ordering.hold(key, &failure).await?;
    if !mutants::on("batch.forgets-what-it-holds") {
        delivery.invocation.held.note(key, failure);
    }
    Ok(())
}

/// The stack, outermost first: each layer sees the failures of those after it.
pub(super) fn stack(parts: &Parts) -> Vec<Arc<dyn Layer>> {
    let dead_letters = dead_letter::DeadLetters::of(parts);
    let mut layers: Vec<Arc<dyn Layer>> = vec![
        Arc::new(trace::Trace),
        Arc::new(dead_letter::DeadLetter(dead_letters.clone())),
        Arc::new(defer::Defer::of(parts)),
        Arc::new(backoff::Backoff::of(parts)),
        Arc::new(decode::Decode),
        Arc::new(verify::Verify(parts.integrity.clone())),
    ];
    if let Some(ordering) = &parts.ordering {
        layers.push(Arc::new(order::Order::new(parts.queue, ordering.clone(), dead_letters)));
    }
    layers.push(Arc::new(resolve::Resolve::of(parts)));
    layers.push(Arc::new(skip_replays::SkipReplays));
    layers.push(Arc::new(time_out::TimeOut));
    layers.push(Arc::new(catch_panic::CatchPanic));
    layers.extend(parts.own.iter().cloned());
    layers
}
