//! What a function has read lately, so that a burst of messages reads it once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// What was read lately, by what it is about. Each process has its own, and it holds for so many seconds.
#[derive(Debug, Clone)]
pub struct Remembered<K, V> {
    seconds: i64,
    known: Arc<Mutex<BTreeMap<K, (Timestamp, V)>>>,
}

impl<K: Ord, V: Clone> Remembered<K, V> {
    /// Remembers nothing yet, and each thing for so many seconds.
    #[must_use]
    pub fn for_seconds(seconds: i64) -> Self {
        Self { seconds, known: Arc::default() }
    }

    /// What is known of it, unless that is too old.
    #[must_use]
    pub fn get(&self, of: &K, now: Timestamp) -> Option<V> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, value) = known.get(of)?;
        let is_fresh = now.duration_since(*read_at) < SignedDuration::from_secs(self.seconds);
        is_fresh.then(|| value.clone())
    }

    /// This was read now.
    pub fn put(&self, of: K, now: Timestamp, value: V) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(of, (now, value));
    }
}
