//! Times as people read them.

use std::time::Duration;

use jiff::Timestamp;

/// A length of time, such as `0.41 s`, `12.3 s`, `3 min 20 s` or `2 h 5 min`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let whole = time.as_secs();
    if seconds < 9.995 {
        format!("{seconds:.2} s")
    } else if seconds < 99.95 {
        format!("{seconds:.1} s")
    } else if whole < 3_600 {
        format!("{} min {} s", whole / 60, whole % 60)
    } else if whole < 172_800 {
        format!("{} h {} min", whole / 3_600, whole % 3_600 / 60)
    } else {
        format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600)
    }
}

/// A length of time in one unit, such as `12 s` or `59 min`.
pub(crate) fn rough(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// From one moment to a later one; zero when it is not later.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> Duration {
    if to < from { Duration::ZERO } else { to.duration_since(from).unsigned_abs() }
}

/// A moment of UTC to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn spans_are_short() {
        let text = |ms| span(Duration::from_millis(ms));
        assert_eq!(text(0), "0.00 s");
        assert_eq!(text(414), "0.41 s");
        assert_eq!(text(12_345), "12.3 s");
        assert_eq!(text(200_000), "3 min 20 s");
        assert_eq!(text(7_500_000), "2 h 5 min");
        assert_eq!(text(200_000_000), "2 d 7 h");
    }

    #[test]
    fn what_is_not_later_is_zero() {
        let early: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let late: Timestamp = "2026-01-31T12:00:02.5Z".parse().unwrap();
        assert_eq!(between(early, late), Duration::from_millis(2_500));
        assert_eq!(between(late, early), Duration::ZERO);
        assert_eq!(moment(early), "2026-01-31 12:00:00 UTC");
    }
}
