//! Lanes: while a message of a key is with triage, later messages of that key wait behind it.
//!
//! Which keys of a queue are held, and behind which failure, is one small item in `control`, read once for each batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_core::triage::{FailureId, Lane};
use serde_json::{Value, json};

use crate::ports::{Control, PortError};

/// The most keys of one queue that are held at a time: beyond it the item would grow too large, and messages go on in
/// whatever order they come.
pub const KEYS_MAX: usize = 1_000;
/// How often a change is tried anew because another writer was faster.
const TRIES_MAX: u32 = 8;

/// The held keys of a queue, each with the failure that later messages wait behind.
pub type Held = BTreeMap<String, FailureId>;

/// What is held, kept in `control`.
#[derive(Clone)]
pub struct Lanes {
    control: Arc<dyn Control>,
}

impl Lanes {
    /// Lanes in this table.
    pub fn new(control: Arc<dyn Control>) -> Self {
        Self { control }
    }

    /// The held keys of a queue.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn held(&self, queue: &str) -> Result<Held, PortError> {
        Ok(self.read(queue).await?.0)
    }

    /// Has later messages of a key wait behind a failure, unless they wait behind another one already.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn hold(&self, lane: &Lane, failure: &FailureId) -> Result<(), PortError> {
        self.change(lane, |held| {
            if held.len() >= KEYS_MAX && !held.contains_key(&lane.key) {
                tracing::error!(queue = lane.queue, "too many keys are held: this one's order is not kept");
                return false;
            }
            let mut new = false;
            held.entry(lane.key.clone()).or_insert_with(|| {
                new = true;
                failure.clone()
            });
            new
        })
        .await
    }

    /// Lets messages of a key go by again, if it is this failure that they wait behind.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn let_go(&self, lane: &Lane, failure: &FailureId) -> Result<(), PortError> {
        self.change(lane, |held| match held.get(&lane.key) {
            Some(head) if head == failure => held.remove(&lane.key).is_some(),
            _ => false,
        })
        .await
    }

    async fn change(&self, lane: &Lane, change: impl Fn(&mut Held) -> bool) -> Result<(), PortError> {
        for _ in 0..TRIES_MAX {
            let (mut held, revision) = self.read(&lane.queue).await?;
            if !change(&mut held) {
                return Ok(());
            }
            if self.control.put(&key(&lane.queue), &json!(held), revision).await? {
                return Ok(());
            }
        }
        Err(PortError::Unavailable {
            table: "control",
            action: "change",
            key: key(&lane.queue),
            source: "other writers were faster each time".into(),
        })
    }

    async fn read(&self, queue: &str) -> Result<(Held, u64), PortError> {
        let Some(entry) = self.control.get(&key(queue)).await? else { return Ok((Held::new(), 0)) };
        let held = |value: Value| serde_json::from_value(value);
        let held = held(entry.value).map_err(|source| PortError::Refused {
            table: "control",
            action: "read",
            key: key(queue),
            source: source.into(),
        })?;
        Ok((held, entry.revision))
    }
}

fn key(queue: &str) -> String {
    format!("parked/{queue}")
}
