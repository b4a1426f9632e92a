//! Delivers timers that are due to their owners, and has the others wait for another hop.

use std::sync::Arc;

use hostler_runtime::ports::{Clock, Queues};
use hostler_runtime::serving::FireTimers;

/// What fires timers.
#[must_use]
pub fn fire_timers(clock: Arc<dyn Clock>, queues: Arc<dyn Queues>) -> FireTimers {
    FireTimers { clock, queues }
}
