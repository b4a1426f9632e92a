//! Delivers timers that are due to their owners, and has the others wait.

use std::sync::Arc;

use hostler_runtime::ports::{Clock, Queues, Schedules};
use hostler_runtime::serving::FireTimers;

/// What fires timers.
#[must_use]
pub fn fire_timers(
    clock: Arc<dyn Clock>,
    queues: Arc<dyn Queues>,
    schedules: Option<Arc<dyn Schedules>>,
) -> FireTimers {
    FireTimers { clock, queues, schedules }
}
