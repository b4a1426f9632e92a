//! Looks at the queues every minute: more consumers where much waits, and producers that wait in an emergency.

use std::sync::Arc;

use hostler_app::Register;
use hostler_runtime::operations::flow::{Consumers, Depths, Watch};
use hostler_runtime::ports::Control;
use hostler_runtime::state::shell::Shell;

/// Flow control over all queues.
#[must_use]
pub fn watch(
    shell: Shell,
    depths: Arc<dyn Depths>,
    consumers: Arc<dyn Consumers>,
    control: Arc<dyn Control>,
) -> Watch {
    Register::watch(shell, depths, consumers, control)
}
