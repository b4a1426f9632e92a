//! The ports: what the shell needs of the outside, each with an adapter on AWS and a twin in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::failure::BoxError;
use hostler_core::{Category, Commit, CommitError, Envelope, Failure, StreamId, StreamVersion};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Where time comes from.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Lets this much time pass.
    async fn sleep(&self, time: Duration);
}

/// Where new identifiers, and the little randomness that jitter needs, come from.
pub trait Ids: Send + Sync {
    /// A new UUID, version 7 outside of tests.
    fn next(&self) -> Uuid;
}

/// What can go wrong with the event store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else made this version. The shell loads again and decides again.
    #[error("{stream} already has a version {version}: another writer was faster")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that was to be written.
        version: StreamVersion,
    },
    /// The commit was refused before any write. Retrying does not help.
    #[error(transparent)]
    Refused(#[from] CommitError),
    /// The store did not answer, or not now. Retrying helps; nothing is known about the last write.
    #[error("the event store did not {action} {stream}: {source}")]
    Unavailable {
        /// What was asked.
        action: &'static str,
        /// The stream.
        stream: StreamId,
        /// What the store said.
        source: BoxError,
    },
    /// What is stored cannot be read, or has a gap. An operator is needed.
    #[error(
        "{stream} cannot be read at version {version}: {source}; read the item in the events table, nothing was changed"
    )]
    Corrupt {
        /// The stream.
        stream: StreamId,
        /// The first version that cannot be read.
        version: StreamVersion,
        /// Why.
        source: BoxError,
    },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Conflict { .. } | StoreError::Unavailable { .. } => Self::retryable(error),
            StoreError::Refused(_) => Self::terminal(Category::Validation, error),
            StoreError::Corrupt { .. } => Self::terminal(Category::Unknown, error),
        }
    }
}

/// Streams of commits, each commit written by one conditional put.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// What a fold needs: the newest commit that carries a snapshot and all after it, or all there are.
    /// Ascending by version, empty for a stream that does not exist; read consistently.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn load(&self, stream: &StreamId) -> Result<Vec<Commit>, StoreError>;

    /// At most `limit` commits with versions above `after`, ascending, read consistently.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn read(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError>;

    /// Writes one commit if its version is still free. A repeat of a put that was ours (same commit id) is
    /// success. Sizes are checked before anything is written.
    ///
    /// # Errors
    /// All of [`StoreError`].
    async fn append(&self, commit: &Commit) -> Result<(), StoreError>;
}

/// Why one entry of a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct EntryFailure {
    /// Whether sending the same entry again may work.
    pub retryable: bool,
    /// The service's error code, or ours.
    pub code: String,
    /// What it said.
    pub message: String,
}

/// One result for each entry, in the entries' order.
pub type EntryResults = Vec<Result<(), EntryFailure>>;

/// The bus that events are published on.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// Publishes any number of events, in as few calls as count and bytes allow. A call that fails as a whole
    /// fails each of its entries.
    async fn publish(&self, events: &[Envelope]) -> EntryResults;
}

/// A message for a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outbound {
    /// The body, JSON.
    pub body: String,
    /// Seconds until it can be seen, 900 at most.
    pub delay_seconds: u16,
    /// Text attributes beside the body, ten at most.
    pub attributes: BTreeMap<String, String>,
}

/// A text as an attribute or body of a message can hold it: the first `chars_max` characters, and a replacement
/// character for each one that SQS refuses (control characters and U+FFFE, U+FFFF).
#[must_use]
pub fn attribute_text(text: &str, chars_max: usize) -> String {
    let taken = |c: char| match c {
        '\t' | '\n' | '\r' => c,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        _ => c,
    };
    text.chars().take(chars_max).map(taken).collect()
}

/// The queues, by their logical names such as `deploy-host` or `deploy-host-dlq`.
#[async_trait]
pub trait Queues: Send + Sync {
    /// Sends any number of messages, in as few calls as count and bytes allow. A call that fails as a whole
    /// fails each of its entries; a queue that this function does not know fails them for good.
    async fn send(&self, queue: &str, messages: &[Outbound]) -> EntryResults;

    /// Has a message that was received be seen again after this long instead of after the queue's visibility
    /// timeout. 12 hours at most.
    ///
    /// # Errors
    /// When the queue does not take it; the visibility timeout then stands.
    async fn defer(&self, queue: &str, receipt: &str, seconds: u32) -> Result<(), EntryFailure>;
}

/// What can go wrong with views and control.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Did not answer, or not now. Retrying helps.
    #[error("{table} did not {action} {key}: {source}")]
    Unavailable {
        /// The table.
        table: &'static str,
        /// What was asked.
        action: &'static str,
        /// Which item.
        key: String,
        /// What the service said.
        source: BoxError,
    },
    /// The request can never work, such as an item over the size limit.
    #[error("{table} refused to {action} {key}: {source}")]
    Refused {
        /// The table.
        table: &'static str,
        /// What was asked.
        action: &'static str,
        /// Which item.
        key: String,
        /// What the service said.
        source: BoxError,
    },
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        match &error {
            PortError::Unavailable { .. } => Self::retryable(error),
            PortError::Refused { .. } => Self::terminal(Category::Unknown, error),
        }
    }
}

/// A row of a read model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The view, such as `hosts`.
    pub view: String,
    /// The row within it.
    pub key: String,
    /// What rows of the view can be listed by, such as `web/available`; never empty.
    pub group: String,
    /// The stream version that the row reflects.
    pub version: StreamVersion,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The row's content.
    pub body: Value,
}

/// Some rows, and where to go on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The rows, by key.
    pub rows: Vec<Row>,
    /// The key to go on after; absent at the end.
    pub next: Option<String>,
}

/// Read models.
#[async_trait]
pub trait Views: Send + Sync {
    /// Writes a row unless the stored one reflects the same or a later version. Says whether it was written.
    ///
    /// # Errors
    /// [`PortError`].
    async fn put(&self, row: &Row) -> Result<bool, PortError>;

    /// Reads one row.
    ///
    /// # Errors
    /// [`PortError`].
    async fn get(&self, view: &str, key: &str) -> Result<Option<Row>, PortError>;

    /// Lists a view, or one group of it, by key, from after the given key; `limit` rows at most.
    ///
    /// # Errors
    /// [`PortError`].
    async fn list(
        &self,
        view: &str,
        group: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, PortError>;
}

/// A value in `control`, and how often it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// 1 after the first write.
    pub revision: u64,
}

/// Small hot state, always changed by conditional writes.
#[async_trait]
pub trait Control: Send + Sync {
    /// Reads one value, consistently.
    ///
    /// # Errors
    /// [`PortError`].
    async fn get(&self, key: &str) -> Result<Option<Entry>, PortError>;

    /// Writes a value if the stored revision is still `expected` (0: absent). Says whether it was written.
    ///
    /// # Errors
    /// [`PortError`].
    async fn put(&self, key: &str, value: &Value, expected: u64) -> Result<bool, PortError>;
}
