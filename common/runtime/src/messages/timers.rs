//! Timers: messages that wait on a queue, hop by hop, until they are due. Nothing polls.

use hostler_core::{Category, Failure, TimerFired};
use jiff::Timestamp;

use crate::ports::{DELAY_SECONDS_MAX, EntryFailure, Outbound, Queues};

/// The logical name of the queue on which timers wait.
pub const TIMERS_QUEUE: &str = "timers";

/// The delay of the next hop: the time left, rounded up to whole seconds, 15 minutes at most.
#[must_use]
pub fn delay_seconds(due_at: Timestamp, now: Timestamp) -> u16 {
    let left_ms = due_at.duration_since(now).as_millis().max(0);
    let seconds = left_ms.div_euclid(1_000) + i128::from(left_ms % 1_000 > 0);
    u16::try_from(seconds).unwrap_or(DELAY_SECONDS_MAX).min(DELAY_SECONDS_MAX)
}

/// What became of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    /// It was due, and its owner has it.
    Delivered,
    /// It is not due yet, and waits for another hop.
    Hopped,
}

/// Delivers a timer that is due, or has it wait for another hop.
///
/// # Errors
/// [`Failure::Retryable`] when the queue does not answer, [`Failure::Terminal`] when the owner's queue does not
/// exist.
pub async fn fire(timer: &TimerFired, now: Timestamp, queues: &dyn Queues) -> Result<Fired, Failure> {
    let (queue, fired) = if timer.due_at > now {
        (TIMERS_QUEUE, Fired::Hopped)
    } else {
        (timer.deliver_to.as_str(), Fired::Delivered)
    };
    let message: Outbound =
        timer_message(timer, now).map_err(|error| Failure::terminal(Category::Unknown, error))?;
    match queues.send(queue, &[message]).await.into_iter().next() {
        Some(Ok(())) => Ok(fired),
        Some(Err(error)) => Err(error.into()),
        None => Err(EntryFailure::no_answer(queue).into()),
    }
}

/// A timer's message, delayed by as much of its wait as one hop can take.
pub(crate) fn timer_message(timer: &TimerFired, now: Timestamp) -> Result<Outbound, serde_json::Error> {
    Ok(Outbound {
        body: serde_json::to_string(timer)?,
        delay_seconds: delay_seconds(timer.due_at, now),
        ..Outbound::default()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn a_hop_is_rounded_up_and_never_over_fifteen_minutes() {
        let now = Timestamp::from_second(1_000).unwrap();
        let at = |ms: i64| Timestamp::from_millisecond(1_000_000 + ms).unwrap();
        assert_eq!(delay_seconds(at(-5_000), now), 0);
        assert_eq!(delay_seconds(at(0), now), 0);
        assert_eq!(delay_seconds(at(1), now), 1);
        assert_eq!(delay_seconds(at(1_000), now), 1);
        assert_eq!(delay_seconds(at(900_001), now), 900);
        assert_eq!(delay_seconds(at(1_000_000_000), now), 900);
    }
}
