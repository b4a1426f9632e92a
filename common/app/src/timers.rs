//! Timers that are due by the clock that has fired them, and not yet by that of the function that they wake.

use std::time::Duration;

use hostler_core::Failure;
use jiff::Timestamp;

/// A timer is early by the clock of the function that it wakes.
#[derive(Debug, thiserror::Error)]
#[error("the timer is due at {due_at}, and here it is {now}: clocks differ a little")]
struct Early {
    due_at: Timestamp,
    now: Timestamp,
}

/// Has a timer wait until it is due here as well. What is decided by it may compare the two times: it would find that nothing is
/// due yet, and no other timer would come.
///
/// # Errors
/// [`Failure::Deferred`], where it is early.
pub fn check_due(due_at: Timestamp, now: Timestamp) -> Result<(), Failure> {
    match Duration::try_from(due_at.duration_since(now)) {
        // Messages wait for whole seconds.
        Ok(early) if !early.is_zero() => {
            Err(Failure::deferred(Duration::from_secs(early.as_secs() + 1), Early { due_at, now }))
        }
        // It is late, as timers are.
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn a_timer_that_is_early_by_our_clock_waits_until_it_is_due() {
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let due_at = at("2026-01-01T00:00:10Z");
        for now in ["2026-01-01T00:00:10Z", "2026-01-01T00:00:10.001Z", "2026-01-02T00:00:00Z"] {
            assert!(check_due(due_at, at(now)).is_ok(), "{now}");
        }
        for (now, seconds) in [("2026-01-01T00:00:09.999Z", 1), ("2026-01-01T00:00:08.5Z", 2)] {
            let Err(Failure::Deferred { after, .. }) = check_due(due_at, at(now)) else { panic!("{now}") };
            assert_eq!(after, Duration::from_secs(seconds), "{now}");
        }
    }
}
