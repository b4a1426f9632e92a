//! Small helpers that the deciders share: moments, and text kept within its limit.

use jiff::{SignedDuration, Timestamp};

/// The longest reason that is recorded, in characters; what is longer is cut.
pub(crate) const REASON_CHARS_MAX: usize = 2_000;

/// The longest id from which step ids are made, in bytes: its step ids must stay within 200.
pub(crate) const OWNER_ID_BYTES_MAX: usize = 150;

/// The moment so many seconds later; the end of time where there is no such moment.
pub(crate) fn after(now: Timestamp, seconds: u32) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}

/// The text, cut to what is recorded of a reason.
pub(crate) fn clip(reason: &str) -> String {
    if reason.chars().count() <= REASON_CHARS_MAX {
        return reason.to_owned();
    }
    let mut cut: String = reason.chars().take(REASON_CHARS_MAX - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_after_the_end_of_time_are_the_end_of_time() {
        assert_eq!(after(Timestamp::UNIX_EPOCH, 90).as_second(), 90);
        assert_eq!(after(Timestamp::MAX, u32::MAX), Timestamp::MAX);
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        assert_eq!(clip("short"), "short");
        let long = clip(&"ö".repeat(5_000));
        assert_eq!(long.chars().count(), REASON_CHARS_MAX);
        assert!(long.ends_with('…'));
    }
}
