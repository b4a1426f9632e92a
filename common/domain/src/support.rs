//! Small helpers that the deciders share.

use jiff::{SignedDuration, Timestamp};

/// The longest id of a host or of a saga, in bytes: a saga that is named after a host still has an id from which the engine
/// makes step ids.
pub(crate) const OWNER_ID_BYTES_MAX: usize = 120;

/// The moment so many seconds later, or the last moment that can be told.
pub(crate) fn after(now: Timestamp, seconds: u32) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_after_the_end_of_time_are_the_end_of_time() {
        assert_eq!(after(Timestamp::UNIX_EPOCH, 90).as_second(), 90);
        assert_eq!(after(Timestamp::MAX, u32::MAX), Timestamp::MAX);
    }
}
