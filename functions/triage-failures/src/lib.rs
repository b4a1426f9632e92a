//! Deals with what came to the dead-letter queues: retries what may pass, quarantines the rest, keeps keys in order, and has
//! published again what the stream gave up.

use std::sync::Arc;

use hostler_app::Register;
use hostler_runtime::messages::relay::Relay;
use hostler_runtime::operations::repair::Repair;
use hostler_runtime::operations::replay::EventLog;
use hostler_runtime::operations::triage::Triage;
use hostler_runtime::ports::{Clock, Control, EventBus, Queues};
use hostler_runtime::state::shell::Shell;

/// Triage, which keeps operators' commands for one host, request or saga in their order.
#[must_use]
pub fn triage(
    shell: Shell,
    queues: Arc<dyn Queues>,
    control: Arc<dyn Control>,
    bus: Arc<dyn EventBus>,
) -> Triage {
    Register::triage(shell, queues, control).publishing_on(bus)
}

/// The relay by which it is published again. It sets long timers on their queue, from where fire-timers has them wait.
#[must_use]
pub fn relay(bus: Arc<dyn EventBus>, queues: Arc<dyn Queues>, clock: Arc<dyn Clock>) -> Relay {
    Register::relay(bus, queues, clock)
}

/// What says again, from the store, what the stream gave up.
#[must_use]
pub fn repair(
    log: Arc<dyn EventLog>,
    relay: Relay,
    control: Arc<dyn Control>,
    clock: Arc<dyn Clock>,
) -> Repair {
    Repair::new(log, relay, control, clock)
}
