//! Deals with what came to the dead-letter queues: retries what may pass, quarantines the rest, keeps keys in order.

use std::sync::Arc;

use hostler_app::Register;
use hostler_runtime::operations::triage::Triage;
use hostler_runtime::ports::{Control, EventBus, Queues};
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
