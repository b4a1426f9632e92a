//! Publishes what commits say: events to the bus, commands and timers to their queues.

use hostler_core::Failure;
use hostler_runtime::relay::{OutboxRecord, Relay, Relayed};

/// The queue for records that can never be published.
pub const FAILURE_QUEUE: &str = "relay-outbox-dlq";

/// Relays one batch of the events table's stream.
///
/// # Errors
/// [`Failure::Retryable`]: the whole batch must be delivered again.
pub async fn relay_outbox(relay: &Relay, records: &[OutboxRecord]) -> Result<Relayed, Failure> {
    let done = relay.relay(records).await?;
    tracing::info!(
        commits = done.commits,
        events = done.events,
        commands = done.commands,
        timers = done.timers,
        failed = done.failed,
        "outbox relayed"
    );
    Ok(done)
}
