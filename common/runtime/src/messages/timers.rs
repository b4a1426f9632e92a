//! Timers: what is due soon waits on a queue, what is due later in a schedule that puts it there. Nothing polls.
//!
//! A queue delays by 15 minutes at most, a schedule is precise to a minute. So a schedule ends a little early, and the queue's
//! delay carries the rest: a timer is never early, and a wait of two days costs three calls. Where no schedule can be made, the
//! timer hops on its queue, every 15 minutes, until one can or it is due.

use hostler_core::mutants;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use hostler_core::{Category, Failure, TimerFired};
use jiff::{SignedDuration, Timestamp};

use crate::effects::deadline::Deadline;
use crate::ports::{Clock, DELAY_SECONDS_MAX, EntryFailure, Outbound, Queues, Schedule, Schedules};

/// The logical name of the queue on which timers wait.
pub const TIMERS_QUEUE: &str = "timers";

/// How long before its timer is due a schedule ends: twice its precision.
const SCHEDULE_EARLY: SignedDuration = SignedDuration::from_secs(120);
/// How many schedules are made at a time.
const SCHEDULES_AT_A_TIME: usize = 8;
/// How long the making of a batch's schedules may take; the timers that are left by then hop.
const SCHEDULES_TIME: Duration = Duration::from_secs(5);

/// The delay of the next hop: the time left, rounded up to whole seconds, 15 minutes at most.
#[must_use]
pub fn delay_seconds(due_at: Timestamp, now: Timestamp) -> u16 {
    let left_ms = due_at.duration_since(now).as_millis().max(0);
    let seconds = left_ms.div_euclid(1_000) + i128::from(left_ms % 1_000 > 0);
    u16::try_from(seconds).unwrap_or(DELAY_SECONDS_MAX).min(DELAY_SECONDS_MAX)
}

/// Whether a timer is due later than a queue can delay it.
#[must_use]
pub fn waits_long(due_at: Timestamp, now: Timestamp) -> bool {
    let queue_max = SignedDuration::from_secs(i64::from(DELAY_SECONDS_MAX));
    due_at.duration_since(now) > queue_max && !mutants::on("timers.always-hop")
}

/// What became of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    /// It was due, and its owner has it.
    Delivered,
    /// It is not due yet, and waits on its queue.
    Hopped,
    /// It is not due for long, and waits in a schedule.
    Scheduled,
}

/// Delivers a timer that is due, or has it wait: in a schedule where it waits long and there are schedules, else on its queue.
///
/// # Errors
/// [`Failure::Retryable`] when the queue does not answer, [`Failure::Terminal`] when the owner's queue does not
/// exist.
pub async fn fire(
    timer: &TimerFired,
    now: Timestamp,
    queues: &dyn Queues,
    schedules: Option<&dyn Schedules>,
) -> Result<Fired, Failure> {
    if waits_long(timer.due_at, now)
        && let Some(schedules) = schedules
        && create(timer, schedules).await.is_ok()
    {
        return Ok(Fired::Scheduled);
    }
    if mutants::on("timers.never-fire") {
        return Ok(Fired::Delivered);
    }
    let (queue, fired) = if timer.due_at > now && !mutants::on("timers.fire-early") {
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

/// Makes a timer's schedule, unless the scheduler was found to be away.
async fn create_unless(away: &AtomicBool, timer: &TimerFired, schedules: &dyn Schedules) -> bool {
    if away.load(Ordering::Relaxed) {
        return false;
    }
    match create(timer, schedules).await {
        Ok(()) => true,
        Err(error) => {
            away.fetch_or(error.retryable, Ordering::Relaxed);
            false
        }
    }
}

/// Makes a schedule for each of these timers, and says for which there is one. Once the scheduler does not answer it is not
/// asked for the rest: they wait as if there were none.
pub(crate) async fn schedule(
    timers: &[&TimerFired],
    schedules: &dyn Schedules,
    clock: &Arc<dyn Clock>,
) -> Vec<bool> {
    let mut made = Vec::with_capacity(timers.len());
    let away = AtomicBool::new(false);
    let work = async {
        let calls: Vec<_> = timers.iter().map(|timer| create_unless(&away, timer, schedules)).collect();
        let mut calls = futures::stream::iter(calls).buffered(SCHEDULES_AT_A_TIME);
        while let Some(is_made) = calls.next().await {
            made.push(is_made);
        }
    };
    if Deadline::of_invocation(Arc::clone(clock), SCHEDULES_TIME).limit(work).await.is_err() {
        tracing::warn!(
            timers = timers.len(),
            "schedules take too long to make: the timers left hop on their queue"
        );
    }
    made.resize(timers.len(), false);
    made
}

/// Makes the schedule of one timer. Its name is the timer's id, so that it is made once.
async fn create(timer: &TimerFired, schedules: &dyn Schedules) -> Result<(), EntryFailure> {
    let body = serde_json::to_string(timer).map_err(|error| EntryFailure {
        retryable: false,
        code: "NotJson".to_owned(),
        message: error.to_string(),
    })?;
    let early = if mutants::on("timers.schedules-end-late") { -SCHEDULE_EARLY } else { SCHEDULE_EARLY };
    let at = timer.due_at.saturating_sub(early).unwrap_or(Timestamp::MIN);
    let created = schedules.create(&Schedule { name: timer.timer_id.to_string(), at, body }).await;
    if let Err(error) = &created {
        // Nothing is lost by that: it hops.
        tracing::warn!(timer = timer.name, code = error.code, %error, schedules_refused = 1, "no schedule was made");
    }
    created
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
