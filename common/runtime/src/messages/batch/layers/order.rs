//! Messages of one ordering key keep their order: while an earlier one is with triage, or deferred, the later ones wait
//! behind it.

use async_trait::async_trait;
use hostler_core::mutants;
use hostler_core::triage::OrderingKey;
use hostler_core::{Category, Failure};

use super::dead_letter::DeadLetters;
use crate::messages::batch::layer::{Delivery, Handled, Layer, Next};
use crate::messages::batch::record::{FAILURE, attribute, identity};
use crate::messages::ordering::OrderingKeys;

pub(super) struct Order {
    queue: &'static str,
    ordering: OrderingKeys,
    dead_letters: DeadLetters,
}

impl Order {
    pub(super) fn new(queue: &'static str, ordering: OrderingKeys, dead_letters: DeadLetters) -> Self {
        Self { queue, ordering, dead_letters }
    }
}

#[async_trait]
impl Layer for Order {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        let invocation = delivery.invocation;
        let Some(key) = invocation.handler.key(delivery.message()?) else { return next.run(delivery).await };
        let key = delivery.ordering_key.get_or_init(|| OrderingKey { queue: self.queue.to_owned(), key });
        let held = invocation.held.read(&self.ordering, self.queue).await;
        // A copy that triage has sent is the one that the others wait for.
        if attribute(delivery.record, FAILURE).is_some() {
            return next.run(delivery).await;
        }
        held.map_err(|error| {
            Failure::retryable(format!("it is not known whether earlier messages of its key wait: {error}"))
        })?;
        match invocation.held.head(key) {
            Some(_) if mutants::on("batch.ignores-held-keys") => next.run(delivery).await,
            Some(head) if Some(head.as_str()) != identity(delivery.record) => {
                tracing::info!(%head, "message waits behind an earlier one of its key");
                let reason = format!("waits behind {head} of the same key");
                Ok(self.dead_letters.send(delivery, Category::Transient, &reason, Some(&head)).await)
            }
            _ => next.run(delivery).await,
        }
    }
}
