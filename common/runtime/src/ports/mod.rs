//! The ports: what the runtime needs of the outside. Each has an adapter on AWS and one in memory.

mod error;
mod nodes;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Commit, Envelope, SeenCause, StreamId, StreamVersion};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use error::{EntryFailure, EntryResults, PortError, StoreError};
pub use nodes::{CommandStatus, Invocation, ManagedNode, NodeCommand, NodeCommands, Parameters};

/// The most bytes of a message on a queue that functions work off, attributes included: the `MaximumMessageSize` of all of
/// them.
pub const MESSAGE_BYTES_MAX: usize = 262_144;
/// The most bytes of a message on a dead-letter queue: all that SQS takes. A queue's own limit can be raised by hand, and
/// what it has taken must find its place.
pub const DEAD_LETTER_BYTES_MAX: usize = 1_048_576;
/// The longest delay of a message: SQS delays by 15 minutes at most.
pub const DELAY_SECONDS_MAX: u16 = 900;
/// The longest time until a received message is seen again: 12 hours.
pub const VISIBILITY_SECONDS_MAX: u32 = 43_200;

/// Where time comes from.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Lets this much time pass.
    async fn sleep(&self, time: Duration);

    /// Waits until this clock shows the given time. It ends no sooner, for deadlines depend on it.
    async fn wait_until(&self, at: Timestamp) {
        let left = at.duration_since(self.now());
        if let Ok(left) = Duration::try_from(left) {
            self.sleep(left).await;
        }
    }
}

/// Where new identifiers, and the little randomness that jitter needs, come from.
pub trait Ids: Send + Sync {
    /// A new UUID, version 7 outside of tests.
    fn next(&self) -> Uuid;
}

/// The most commits without a snapshot that a load gives: a bound for its memory.
pub const COMMITS_PER_LOAD_MAX: usize = 1_000;

/// Streams of commits, each commit written by one conditional put.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// What a fold needs: the newest commit that carries a snapshot and all after it, or all there are. Where none of the
    /// newest [`COMMITS_PER_LOAD_MAX`] carries one, these are given, or a few more: the rest is to be read page by page.
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

    /// The causes of at most `limit` commits with versions above `after`, ascending, read consistently: what looks for a
    /// repeat needs no more of a commit.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn causes(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<SeenCause>, StoreError> {
        let commits = self.read(stream, after, limit).await?;
        Ok(commits.into_iter().map(SeenCause::of).collect())
    }

    /// Writes one commit if its version is still free. A repeat of a put that was ours (same commit id) is
    /// success. Sizes are checked before anything is written.
    ///
    /// # Errors
    /// All of [`StoreError`].
    async fn append(&self, commit: &Commit) -> Result<(), StoreError>;
}

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
    /// Seconds until it can be seen, [`DELAY_SECONDS_MAX`] at most.
    pub delay_seconds: u16,
    /// Text attributes beside the body, ten at most.
    pub attributes: BTreeMap<String, String>,
}

impl Outbound {
    /// Its size by SQS's own rule: the body, and each attribute's name, type and value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let attribute = |(name, text): (&String, &String)| name.len() + "String".len() + text.len();
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }
}

/// The most bytes of a message on the queue of this logical name.
#[must_use]
pub fn message_bytes_max(queue: &str) -> usize {
    if queue.ends_with("-dlq") { DEAD_LETTER_BYTES_MAX } else { MESSAGE_BYTES_MAX }
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
    /// timeout; [`VISIBILITY_SECONDS_MAX`] at most.
    ///
    /// # Errors
    /// When the queue does not accept it; the visibility timeout then stands.
    async fn change_visibility(&self, queue: &str, receipt: &str, seconds: u32) -> Result<(), EntryFailure>;
}

/// The longest name of a schedule.
pub const SCHEDULE_NAME_MAX: usize = 64;

/// A message that is to be put on the timers' queue once, at a later time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Names it: [`SCHEDULE_NAME_MAX`] characters at most, of letters, digits and `- _ .`.
    pub name: String,
    /// When, to a second. It is never sent earlier, and may be sent a minute later.
    pub at: Timestamp,
    /// The message's body, JSON.
    pub body: String,
}

impl Schedule {
    /// Whether it can be made.
    ///
    /// # Errors
    /// Where nothing may have such a name; that does not pass.
    pub fn check(&self) -> Result<(), EntryFailure> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = &self.name;
        if (1..=SCHEDULE_NAME_MAX).contains(&name.len()) && name.chars().all(allowed) {
            return Ok(());
        }
        Err(EntryFailure {
            retryable: false,
            code: "ValidationException".to_owned(),
            message: format!("{name:?} cannot be the name of a schedule"),
        })
    }
}

/// What sends messages at a time further away than a queue can delay them.
#[async_trait]
pub trait Schedules: Send + Sync {
    /// Has a message sent at its time. A schedule of the same name is taken for the same one: it stays as it is, and that is
    /// success. Once it was sent it is gone. It may be sent more than once.
    ///
    /// # Errors
    /// When it was not taken, or there was no answer.
    async fn create(&self, schedule: &Schedule) -> Result<(), EntryFailure>;
}

/// Groups of addresses that a load balancer sends requests to. Each call may be repeated.
#[async_trait]
pub trait TargetGroups: Send + Sync {
    /// Has the group, named by its ARN, send requests to the address as soon as its health checks see it well.
    ///
    /// # Errors
    /// When it was not taken, or there was no answer. A group that is not there is no reason to try again.
    async fn register(&self, group: &str, address: SocketAddr) -> Result<(), EntryFailure>;

    /// Has the group send the address no new requests; those that it has go on for as long as the group is set to wait. An address
    /// that is not in the group is fine, and so is a group that is gone.
    ///
    /// # Errors
    /// When it was not taken, or there was no answer.
    async fn deregister(&self, group: &str, address: SocketAddr) -> Result<(), EntryFailure>;
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

/// Shared control state: small values that many functions read, always changed by conditional writes. See
/// [`control::update`](crate::state::control::update).
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
