//! A clock that stands still until a test moves it, and identifiers that come out the same every time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_runtime::ports::{Clock, Ids};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use uuid::{Builder, Uuid};

/// Virtual time, shared by its clones.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<watch::Sender<Timestamp>>);

impl Default for TestClock {
    /// 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::at("2026-01-01T00:00:00Z".parse().unwrap())
    }
}

impl TestClock {
    /// A clock that shows this time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(now)))
    }

    /// Sets the time.
    pub fn set(&self, now: Timestamp) {
        self.0.send_replace(now);
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap();
        self.0.send_modify(|now| *now += by);
    }

    /// Moves the time forward by whole seconds.
    pub fn advance_seconds(&self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    /// Gives way to others and returns at once: only a test moves this clock.
    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }

    /// Waits until a test has moved the clock that far.
    async fn wait_until(&self, at: Timestamp) {
        // The sender lives as long as this clock.
        let _ = self.0.subscribe().wait_for(|now| *now >= at).await;
    }
}

/// UUIDs of version 7's form that depend on the seed and on nothing else; they ascend, as real ones do.
#[derive(Debug, Clone)]
pub struct SeededIds(Arc<Mutex<(Random, u64)>>);

impl SeededIds {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // 2026-01-01 in milliseconds; each id is a millisecond after the one before.
        Self(Arc::new(Mutex::new((Random::new(seed), 1_767_225_600_000))))
    }

    /// From here on the random parts are those of this seed.
    pub fn begin_anew(&self, seed: u64) {
        self.0.lock().unwrap().0 = Random::new(seed);
    }
}

impl Default for SeededIds {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Ids for SeededIds {
    fn next(&self) -> Uuid {
        let mut inner = self.0.lock().unwrap();
        inner.1 += 1;
        let (high, low) = (inner.0.next(), inner.0.next());
        let mut random = [0u8; 10];
        random[..8].copy_from_slice(&high.to_le_bytes());
        random[8..].copy_from_slice(&low.to_le_bytes()[..2]);
        Builder::from_unix_timestamp_millis(inner.1, &random).into_uuid()
    }
}

/// SplitMix64: a few lines of randomness that is the same everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[allow(clippy::should_implement_trait, reason = "it never ends, so it is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// True this often in a hundred.
    pub fn percent(&mut self, percent: u8) -> bool {
        self.below(100) < u64::from(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_of_ascending_ids() {
        let (one, other, another) = (SeededIds::new(7), SeededIds::new(7), SeededIds::new(8));
        let ids: Vec<Uuid> = (0..100).map(|_| one.next()).collect();
        assert!(ids.iter().all(|id| *id == other.next() && id.get_version_num() == 7));
        assert!(ids.is_sorted() && ids[0] != another.next());
    }
}
