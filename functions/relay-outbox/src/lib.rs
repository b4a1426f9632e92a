//! Publishes what commits say: events to the bus, commands and timers to their queues.

use std::sync::Arc;

use hostler_app::Register;
use hostler_runtime::messages::relay::Relay;
use hostler_runtime::ports::{Clock, EventBus, Queues};

/// The relay, which tells project-views of what moves.
#[must_use]
pub fn relay(bus: Arc<dyn EventBus>, queues: Arc<dyn Queues>, clock: Arc<dyn Clock>) -> Relay {
    Register::relay(bus, queues, clock)
}
