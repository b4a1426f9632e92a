//! Deals with what came to the dead-letter queues: retries what may pass, quarantines the rest, keeps keys in order.

use std::sync::Arc;

use hostler_core::Incoming;
use hostler_events::OperatorCommand;
use hostler_runtime::triage::KeyOf;
use hostler_runtime::{Control, OrderingKeys, Queues, Shell, Triage};

/// The queues whose messages keep their order, and by what: operators' commands for one host, request or saga.
const KEYS: [(&str, KeyOf); 1] = [("commands", commands_key)];

/// Triage as this application needs it.
#[must_use]
pub fn triage(shell: Shell, queues: Arc<dyn Queues>, control: Arc<dyn Control>) -> Triage {
    Triage::new(shell, queues, OrderingKeys::new(control), KEYS).without_queue("relay-outbox")
}

fn commands_key(message: &Incoming) -> Option<String> {
    message.command::<OperatorCommand>().ok().map(|command| command.subject())
}
