//! Takes what monitoring and other systems say over HTTP and from EventBridge, and tells it in one form to those who decide.
//!
//! A request is put on the queue `signals` as it came, and only then answered. Off the queue it is read: what is understood
//! goes to `recover-hosts`, `scale-pools`, `assess-hosts`, `configure-host` and `watch-inventory`; what is not is a dead letter with its reason.

pub mod adopt;
mod edge;
pub mod forms;
mod hash;
mod parts;
mod send;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Failure, Incoming};
use hostler_events::IngestCommand;
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::messages::integrity::Integrity;
use hostler_runtime::ports::{Clock, Ids, Queues};
use hostler_runtime::serving::bearer::BearerToken;

/// The function: an HTTP edge, and what works its queue off.
pub struct IngestSignals {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub ids: Arc<dyn Ids>,
    /// Where everything goes.
    pub queues: Arc<dyn Queues>,
    /// What signs it.
    pub integrity: Arc<Integrity>,
    /// What senders over HTTP show.
    pub token: BearerToken,
}

#[async_trait]
impl Handler for IngestSignals {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let IngestCommand::TakeSignals(taken) = message.command()?;
        let reading = forms::read(&taken);
        tracing::info!(
            form = ?taken.form,
            signals = reading.signals.len(),
            thresholds = reading.thresholds.len(),
            advisories = reading.advisories.len(),
            packages = reading.packages.len(),
            runs = reading.runs.len(),
            inventory = reading.inventory.len(),
            quiet = reading.quiet,
            not_understood = reading.not_understood.len(),
            "signals read"
        );
        let complaint = reading.complaint();
        // What is understood does not wait for what is not.
        self.tell(message, taken.received_at, reading).await?;
        complaint.map_or(Ok(()), |complaint| Err(Failure::invalid(complaint)))
    }
}
