//! Delivers timers that are due to their owners, and has the others wait for another hop.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Failure, Incoming};
use hostler_runtime::timers::fire;
use hostler_runtime::{Clock, Handler, Queues};

/// Fires timers.
pub struct FireTimers {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where timers wait, and where they are delivered.
    pub queues: Arc<dyn Queues>,
}

#[async_trait]
impl Handler for FireTimers {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let Incoming::Timer(timer) = message else { return Err(message.misplaced("a timer")) };
        let fired = fire(timer, self.clock.now(), &*self.queues).await?;
        tracing::info!(timer = timer.name, stream = %timer.stream, outcome = ?fired, "timer");
        Ok(())
    }
}
