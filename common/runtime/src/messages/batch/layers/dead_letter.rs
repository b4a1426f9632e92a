//! A message that can never be handled goes to the dead-letter queue of its queue, with the reason.

use hostler_core::mutants;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::triage::FailureId;
use hostler_core::{Category, Failure};

use super::{Parts, hold};
use crate::messages::batch::layer::{Delivery, Disposition, Handled, Layer, Next};
use crate::messages::batch::record::{
    ATTEMPTS, BEHIND, CATEGORY, FAILURE, FUNCTION, KEY, ORIGINAL, REASON, REPLAY, attribute, identity,
    is_replay, set_visibility, tries,
};
use crate::messages::ordering::OrderingKeys;
use crate::ports::{Outbound, Queues, attribute_text, message_bytes_max};

/// How much of a reason goes with a dead letter.
const REASON_CHARS_MAX: usize = 2_000;

/// The layer: terminal failures become dead letters.
pub(super) struct DeadLetter(pub(super) DeadLetters);

#[async_trait]
impl Layer for DeadLetter {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        match next.run(delivery).await {
            Err(Failure::Terminal { category, source }) => {
                let failure = Failure::Terminal { category, source };
                let reason = failure.chain();
                tracing::error!(error = reason, category = category.as_str(), "message is a dead letter");
                Ok(self.0.send(delivery, category, &reason, None).await)
            }
            other => other,
        }
    }
}

/// Sends dead letters.
#[derive(Clone)]
pub(super) struct DeadLetters {
    function: &'static str,
    queue: &'static str,
    queues: Arc<dyn Queues>,
    ordering: Option<OrderingKeys>,
}

impl DeadLetters {
    pub(super) fn of(parts: &Parts) -> Self {
        Self {
            function: parts.function,
            queue: parts.queue,
            queues: parts.queues.clone(),
            ordering: parts.ordering.clone(),
        }
    }

    /// Sends a record to the dead-letter queue. Before that, its ordering key is held, unless the record itself waits
    /// `behind` an earlier failure of the key. A record that cannot be sent comes again, so that it is never lost.
    pub(super) async fn send(
        &self,
        delivery: &Delivery<'_>,
        category: Category,
        reason: &str,
        behind: Option<&FailureId>,
    ) -> Disposition {
        let record = delivery.record;
        let id = identity(record).unwrap_or_default();
        let key = delivery.ordering_key.get();
        if behind.is_none()
            && let Err(error) = hold(self.ordering.as_ref(), delivery).await
        {
            tracing::error!(error = %error, "the message stays: later ones of its key would overtake it");
            return Disposition::ComesAgain;
        }
        let mut attributes: BTreeMap<String, String> = [
            (REASON, attribute_text(reason, REASON_CHARS_MAX)),
            (CATEGORY, category.as_str().to_owned()),
            (FUNCTION, self.function.to_owned()),
            (ATTEMPTS, tries(record).to_string()),
            (ORIGINAL, id.to_owned()),
            (KEY, key.map(|key| key.key.clone()).unwrap_or_default()),
            (BEHIND, behind.map(ToString::to_string).unwrap_or_default()),
            (FAILURE, attribute(record, FAILURE).unwrap_or_default().to_owned()),
            (REPLAY, if is_replay(record) { "true" } else { "" }.to_owned()),
        ]
        .map(|(name, text)| (name.to_owned(), text))
        .into();
        // SQS refuses empty attributes and empty bodies.
        attributes.retain(|_, text| !text.is_empty());
        let body = if record.body.is_empty() { "{}".to_owned() } else { record.body.clone() };
        let dead_letter = Outbound { body, delay_seconds: 0, attributes };
        let queue = dead_letter_queue(self.queue);
        let bytes = dead_letter.bytes();
        if bytes > message_bytes_max(&queue) {
            // Its queue moves it there as it is, once it was received often enough: let that be soon.
            tracing::error!(queue, bytes, reason, "too large to become a dead letter with its reason");
            set_visibility(&*self.queues, self.queue, record, 1).await;
            return Disposition::ComesAgain;
        }
        if mutants::on("batch.loses-dead-letters") {
            return Disposition::Done;
        }
        match self.queues.send(&queue, &[dead_letter]).await.into_iter().next() {
            Some(Ok(())) => Disposition::Done,
            Some(Err(error)) => {
                tracing::error!(queue, error = %error, "the dead-letter queue did not accept the message");
                Disposition::ComesAgain
            }
            None => Disposition::ComesAgain,
        }
    }
}

/// The logical name of a queue's dead-letter queue.
#[must_use]
pub fn dead_letter_queue(queue: &str) -> String {
    format!("{queue}-dlq")
}
