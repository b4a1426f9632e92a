//! Tells triage that a message which once failed was handled.

use hostler_core::mutants;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::triage::{FAILURES_QUEUE, FailureCommand, FailureId};
use hostler_core::{CommandEnvelope, Header, Incoming, Payload};

use super::Parts;
use crate::messages::batch::layer::{Delivery, Disposition, Handled, Layer, Next};
use crate::messages::batch::record::{FAILURE, attribute, identity, set_visibility};
use crate::messages::integrity::Integrity;
use crate::ports::{Clock, Ids, Outbound, Queues};

pub(super) struct Resolve {
    function: &'static str,
    queue: &'static str,
    queues: Arc<dyn Queues>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    integrity: Arc<Integrity>,
}

impl Resolve {
    pub(super) fn of(parts: &Parts) -> Self {
        Self {
            function: parts.function,
            queue: parts.queue,
            queues: parts.queues.clone(),
            clock: parts.clock.clone(),
            ids: parts.ids.clone(),
            integrity: parts.integrity.clone(),
        }
    }

    async fn tell_triage(&self, delivery: &Delivery<'_>, failure: FailureId) -> Handled {
        let ordering_key = delivery.ordering_key.get().cloned();
        let command = FailureCommand::ResolveFailure { failure, ordering_key };
        let envelope = self.integrity.signed(self.envelope(delivery.message()?, &command));
        let Ok(body) = serde_json::to_string(&envelope) else { return Ok(Disposition::Done) };
        let note = Outbound { body, ..Outbound::default() };
        match self.queues.send(FAILURES_QUEUE, &[note]).await.into_iter().next() {
            Some(Err(error)) if !error.retryable => {
                tracing::error!(error = %error, "triage is not told that the message was handled");
                Ok(Disposition::Done)
            }
            Some(Ok(())) => Ok(Disposition::Done),
            Some(Err(_)) | None => {
                // Handling it again changes nothing, and triage is told then.
                set_visibility(&*self.queues, self.queue, delivery.record, 1).await;
                Ok(Disposition::ComesAgain)
            }
        }
    }

    fn envelope(&self, message: &Incoming, command: &FailureCommand) -> CommandEnvelope {
        CommandEnvelope {
            command_id: self.ids.next().into(),
            command_type: command.type_name().to_owned(),
            schema_version: command.schema_version(),
            timestamp: self.clock.now(),
            source: self.function.to_owned(),
            header: Header { causation_id: message.cause(), hops: 0, ..message.header().clone() },
            data: command.to_data(),
            signature: None,
        }
    }
}

/// The failure that is over once the message was handled; none for a message that never failed.
fn resolved(delivery: &Delivery<'_>) -> Option<FailureId> {
    if let Some(failure) = attribute(delivery.record, FAILURE) {
        return FailureId::new(failure).ok();
    }
    // It holds its key, for it was deferred; or its function died between holding the key and leaving the queue.
    let key = delivery.ordering_key.get()?;
    let head = delivery.invocation.held.head(key)?;
    Some(head).filter(|head| Some(head.as_str()) == identity(delivery.record))
}

#[async_trait]
impl Layer for Resolve {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        let handled = next.run(delivery).await?;
        match (handled, resolved(delivery)) {
            (Disposition::Done, Some(failure)) if !mutants::on("batch.resolves-nothing") => {
                self.tell_triage(delivery, failure).await
            }
            (handled, _) => Ok(handled),
        }
    }
}
