//! Small helpers that the deciders share.

use jiff::{SignedDuration, Timestamp};

/// The longest id of a host or of a saga, in bytes: a saga that is named after a host still has an id from which the engine
/// makes step ids.
pub(crate) const OWNER_ID_BYTES_MAX: usize = 120;

/// The moment so many seconds later, or the last moment that can be told.
pub(crate) fn after(now: Timestamp, seconds: u32) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}

/// A hash that is the same in every process: FNV-1a with 64 bits
/// (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>), followed by the final mix of SplitMix64. FNV alone
/// spreads the last bytes badly, and host names differ in their last bytes.
pub(crate) fn spread(bytes: impl Iterator<Item = u8>) -> u64 {
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
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
