//! The runtime's own functions: the relay, the timers, flow control.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Failure, Incoming};

use crate::messages::batch::Handler;
use crate::messages::relay::{OutboxRecord, Relay, Relayed};
use crate::messages::timers::fire;
use crate::operations::flow::Watch;
use crate::ports::{Clock, Queues, Schedules};

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
        parked = done.parked,
        failed = done.failed,
        "outbox relayed"
    );
    Ok(done)
}

/// Looks at the queues once.
pub async fn watch_flow(watch: &Watch) {
    match watch.look().await {
        Ok(flow) => {
            let busy = flow.values().filter(|applied| applied.concurrency > 0).count();
            tracing::info!(known = busy, "queues looked at");
        }
        // The next look is soon, and each of them is complete in itself.
        Err(failure) => tracing::error!(error = failure.chain(), "some queues were not looked after"),
    }
}

/// Delivers timers that are due to their owners, and has the others wait: in a schedule, or for another hop.
pub struct FireTimers {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where timers wait, and where they are delivered.
    pub queues: Arc<dyn Queues>,
    /// Where those wait that are not due for long. Without, they hop on their queue.
    pub schedules: Option<Arc<dyn Schedules>>,
}

#[async_trait]
impl Handler for FireTimers {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let Incoming::Timer(timer) = message else { return Err(message.misplaced("a timer")) };
        let fired = fire(timer, self.clock.now(), &*self.queues, self.schedules.as_deref()).await?;
        tracing::info!(timer = timer.name, stream = %timer.stream, outcome = ?fired, "timer");
        Ok(())
    }
}
