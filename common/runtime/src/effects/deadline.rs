//! How much of an invocation's time is left, by the clock port: simulated time works as well as the system's.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use jiff::{SignedDuration, Timestamp};

use crate::ports::Clock;

/// The part of an invocation's time that is kept for its answer.
const MARGIN: Duration = Duration::from_millis(500);

tokio::task_local! {
    static DEADLINE: Deadline;
}

/// The moment by which the work of an invocation must be over.
#[derive(Clone)]
pub struct Deadline {
    clock: Arc<dyn Clock>,
    at: Timestamp,
}

/// The deadline passed before the work was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl Deadline {
    /// The deadline of an invocation that ends in `remaining`. Some of that time is kept for the answer.
    pub fn of_invocation(clock: Arc<dyn Clock>, remaining: Duration) -> Self {
        let time = SignedDuration::try_from(remaining.saturating_sub(MARGIN)).unwrap_or(SignedDuration::MAX);
        let at = clock.now().saturating_add(time).unwrap_or(Timestamp::MAX);
        Self { clock, at }
    }

    /// The time left; zero once the deadline has passed.
    #[must_use]
    pub fn left(&self) -> Duration {
        Duration::try_from(self.at.duration_since(self.clock.now())).unwrap_or(Duration::ZERO)
    }

    /// Runs work until the deadline. Within the work, [`time_left`] tells how much time there is.
    ///
    /// # Errors
    /// [`Elapsed`] when the deadline came first; the work is dropped then.
    pub async fn limit<T>(&self, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        let work = pin!(DEADLINE.scope(self.clone(), work));
        match select(work, self.clock.wait_until(self.at)).await {
            Either::Left((done, _)) => Ok(done),
            Either::Right(((), _)) => Err(Elapsed),
        }
    }
}

/// The time left to the invocation that this is called in; absent outside of one.
#[must_use]
pub fn time_left() -> Option<Duration> {
    DEADLINE.try_with(Deadline::left).ok()
}
