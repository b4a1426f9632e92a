//! Small helpers that the deciders share.

use std::collections::BTreeMap;

use hostler_core::saga::{RetryPolicy, StepName, StepNames};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// The longest id of a host or of a saga, in bytes: a saga that is named after a host still has an id from which the engine
/// makes step ids.
pub(crate) const OWNER_ID_BYTES_MAX: usize = 120;

/// The moment so many seconds later, or the last moment that can be told.
pub(crate) fn after(now: Timestamp, seconds: u32) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}

/// The longest wait between two looks at a host: monitoring takes a sample every 15 s or so, and a wait that is longer than that
/// makes a repair longer.
const LOOK_BACKOFF_SECONDS_MAX: u32 = 20;

/// The looks at a host that was worked on: so many that the waits between them are as long as the host has until it must be
/// healthy. Where that is short, they are close to each other.
pub(crate) fn looks_for(seconds: u32) -> RetryPolicy {
    let backoff_seconds = (seconds / 96).clamp(1, 5);
    let backoff_seconds_max = (seconds / 12).clamp(1, LOOK_BACKOFF_SECONDS_MAX);
    let mut policy = RetryPolicy { deadline_seconds: 60, attempts: 1, backoff_seconds, backoff_seconds_max };
    let mut waited = 0_u32;
    while waited < seconds {
        waited = waited.saturating_add(policy.delay_seconds(policy.attempts).max(1));
        policy.attempts += 1;
    }
    policy
}

/// What a saga's step answered, where it has this form.
pub(crate) fn output<T: for<'de> Deserialize<'de>>(
    outputs: &BTreeMap<StepName, Value>,
    step: impl StepNames,
) -> Option<T> {
    T::deserialize(outputs.get(&StepName::of(step, None))?).ok()
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
