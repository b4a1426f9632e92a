//! Ordering keys: while a message of a key is with triage, or deferred, the later messages of that key wait behind it.
//!
//! Which keys of a queue are held, and behind which failure, is one small item in `control`, read at most once a batch. Within
//! a batch messages of a key are handled one after the other. Two batches that are handled at the same time do not know of
//! each other: what one of them holds, the other learns at its next batch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hostler_core::triage::{FailureId, OrderingKey};
use tokio::sync::OnceCell;

use crate::ports::{Control, PortError};
use crate::state::control::{read, update};

/// The most keys of one queue that are held at a time. Beyond it the item would grow too large, and further keys do not
/// keep their order.
pub const KEYS_MAX: usize = 1_000;

/// The held keys of a queue, each with the failure that its later messages wait behind.
pub type HeldKeys = BTreeMap<String, FailureId>;

/// The held keys of one queue, as one batch knows them: read once, by the first record that has a key, and kept up with
/// those that the batch itself holds.
#[derive(Default)]
pub(crate) struct KnownKeys {
    read: OnceCell<Result<(), PortError>>,
    keys: Mutex<HeldKeys>,
}

impl KnownKeys {
    /// Sees to it that they are read.
    pub(crate) async fn read(&self, from: &OrderingKeys, queue: &str) -> Result<(), &PortError> {
        let read = self.read.get_or_init(|| async {
            let mut held = from.held(queue).await?;
            self.keys().append(&mut held);
            Ok(())
        });
        read.await.as_ref().copied()
    }

    /// The failure that later messages of a key wait behind.
    pub(crate) fn head(&self, key: &OrderingKey) -> Option<FailureId> {
        self.keys().get(&key.key).cloned()
    }

    /// The batch has held a key, unless it is held by another one already.
    pub(crate) fn note(&self, key: &OrderingKey, failure: FailureId) {
        self.keys().entry(key.key.clone()).or_insert(failure);
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, HeldKeys> {
        // Nothing is left half done where this is locked.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The held keys of all queues, kept in `control`.
#[derive(Clone)]
pub struct OrderingKeys {
    control: Arc<dyn Control>,
}

impl OrderingKeys {
    /// The keys that are held in this table.
    pub fn new(control: Arc<dyn Control>) -> Self {
        Self { control }
    }

    /// The held keys of a queue.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn held(&self, queue: &str) -> Result<HeldKeys, PortError> {
        Ok(read(&*self.control, &item(queue)).await?.0)
    }

    /// Holds a key: later messages of it wait behind `failure`, unless they wait behind another one already.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn hold(&self, key: &OrderingKey, failure: &FailureId) -> Result<(), PortError> {
        self.change(key, |held| {
            if held.contains_key(&key.key) {
                return false;
            }
            if held.len() >= KEYS_MAX {
                tracing::error!(
                    queue = key.queue,
                    "too many keys are held: this one does not keep its order"
                );
                return false;
            }
            held.insert(key.key.clone(), failure.clone()).is_none()
        })
        .await
    }

    /// Releases a key, if it is held for this failure: its messages are handled again.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn release(&self, key: &OrderingKey, failure: &FailureId) -> Result<(), PortError> {
        self.change(key, |held| match held.get(&key.key) {
            Some(head) if head == failure => held.remove(&key.key).is_some(),
            _ => false,
        })
        .await
    }

    async fn change(
        &self,
        key: &OrderingKey,
        change: impl Fn(&mut HeldKeys) -> bool,
    ) -> Result<(), PortError> {
        update(&*self.control, &item(&key.queue), change).await.map(drop)
    }
}

/// The item's key in `control`.
fn item(queue: &str) -> String {
    format!("parked/{queue}")
}
