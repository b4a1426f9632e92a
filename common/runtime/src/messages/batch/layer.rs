//! The model of the layers: each one is handed a delivery and the rest of the stack, as in tower or watermill.
//!
//! It is a trait of its own and not `tower::Service`. A layer here borrows the record and never owns a request, needs no
//! `poll_ready`, and is put together at run time; with tower each layer would be two types, a hand-written future or a
//! boxed one, and a clone of the service for each message. The cost here is one allocation for each layer and message.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::future::BoxFuture;
use hostler_core::triage::OrderingKey;
use hostler_core::{Failure, Incoming};

use super::Handler;
use super::record::{Record, Taken};
use crate::effects::deadline::Deadline;
use crate::messages::ordering::KnownKeys;

/// What becomes of a record once the stack has dealt with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It is done with, and leaves its queue.
    Done,
    /// It stays on its queue and comes again.
    ComesAgain,
}

/// What a layer returns: a disposition, or a failure for the layers around it to deal with.
pub type Handled = Result<Disposition, Failure>;

/// What is the same for all records of an invocation.
pub struct Invocation<'a> {
    /// When the work must be over.
    pub deadline: Deadline,
    /// The handler at the centre of the stack.
    pub handler: &'a dyn Handler,
    /// The held ordering keys of the queue, as this batch knows them.
    pub(crate) held: KnownKeys,
}

/// A record on its way through the layers.
pub struct Delivery<'a> {
    /// The invocation it belongs to.
    pub invocation: &'a Invocation<'a>,
    /// The record as it came.
    pub record: &'a Record,
    /// The message it holds; absent where its body cannot be read.
    decoded: Option<&'a Incoming>,
    /// Why its attributes are not believed.
    pub(super) refused: Option<&'a str>,
    /// Whether it is of another system's form, which has no signature of ours.
    pub(super) adopted: bool,
    /// What its message keeps its order by; set by the layer that keeps order, for the layers around it.
    pub(crate) ordering_key: OnceLock<OrderingKey>,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(invocation: &'a Invocation<'a>, taken: &'a Taken) -> Self {
        let Taken { record, message, refused, adopted } = taken;
        let (decoded, refused) = (message.as_ref(), refused.as_deref());
        Self { invocation, record, decoded, refused, adopted: *adopted, ordering_key: OnceLock::new() }
    }

    /// The message, where the body holds one.
    #[must_use]
    pub fn decoded(&self) -> Option<&Incoming> {
        self.decoded
    }

    /// The message.
    ///
    /// # Errors
    /// [`Failure::Terminal`] that says why the body cannot be read.
    pub fn message(&self) -> Result<&Incoming, Failure> {
        match self.decoded {
            Some(message) => Ok(message),
            // Only now the reason is needed, so it is found by reading the body again.
            None => match Incoming::decode(&self.record.body) {
                Ok(_) => Err(Failure::retryable("the message could not be read the first time")),
                Err(error) => Err(error.into()),
            },
        }
    }
}

/// One thing that is done around the handling of every message.
#[async_trait]
pub trait Layer: Send + Sync {
    /// Deals with a delivery, by handing it to `next` or without.
    ///
    /// # Errors
    /// A [`Failure`] that this layer does not deal with itself.
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled;
}

/// The layers that are still to come, and the handler behind them.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    layers: &'a [Arc<dyn Layer>],
}

impl<'a> Next<'a> {
    pub(super) fn new(layers: &'a [Arc<dyn Layer>]) -> Self {
        Self { layers }
    }

    /// Hands the delivery on.
    ///
    /// # Errors
    /// A [`Failure`] of the layers behind or of the handler.
    pub fn run(self, delivery: &'a Delivery<'a>) -> BoxFuture<'a, Handled> {
        match self.layers.split_first() {
            Some((layer, layers)) => layer.handle(delivery, Next { layers }),
            None => Box::pin(async move {
                delivery.invocation.handler.handle(delivery.message()?).await?;
                Ok(Disposition::Done)
            }),
        }
    }
}
