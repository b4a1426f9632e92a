//! The one home of the names that code and template share: environment variables, tables' keys and attributes.

/// The environment variables that tell a function where things are.
pub mod env {
    /// The name of the table of streams.
    pub const EVENTS_TABLE: &str = "EVENTS_TABLE";
    /// The name of the table of read models.
    pub const VIEWS_TABLE: &str = "VIEWS_TABLE";
    /// The name of the table of shared control state.
    pub const CONTROL_TABLE: &str = "CONTROL_TABLE";
    /// The name of the table of leases for effects on the outside world.
    pub const IDEMPOTENCY_TABLE: &str = "IDEMPOTENCY_TABLE";
    /// The name of the event bus.
    pub const EVENT_BUS: &str = "EVENT_BUS";
    /// A JSON object of the queues' logical names and their URLs, such as
    /// `{"deploy-host":"https://sqs…/deploy-host"}`.
    pub const QUEUE_URLS: &str = "QUEUE_URLS";
    /// A JSON object of the queues' logical names and the ids of the event source mappings that read them.
    pub const MAPPINGS: &str = "MAPPINGS";
    /// Where long timers wait, a JSON object such as `{"group":"…","role":"arn:…","queue":"arn:…","deadLetters":"arn:…"}`.
    /// Absent: they hop on their queue.
    pub const SCHEDULES: &str = "SCHEDULES";
    /// How many functions may work off queues at a time, all queues together, at the most.
    pub const CONSUMERS_MAX: &str = "CONSUMERS_MAX";
    /// A file to which each invocation appends what its calls to AWS cost, one line of JSON; for measuring on the local
    /// cloud. Absent: nothing is counted.
    pub const METER_FILE: &str = "METER_FILE";
    /// The share of invocations that log everything, from 0 to 1; the others log warnings and errors only.
    pub const LOG_SAMPLE: &str = "LOG_SAMPLE";
    /// What was deployed, for the log. Empty: it has no name.
    pub const RELEASE: &str = "RELEASE";
    /// The keys that messages are signed by, a JSON object such as
    /// `{"keys":{"2026-11":"<64 hexadecimal digits>"},"sign":"2026-11","require":true}`. Empty: nothing is signed.
    pub const SIGNING_KEYS: &str = "SIGNING_KEYS";
    /// Types of events that stay off the bus, with commas between them. Empty: all are published.
    pub const INTERNAL_EVENTS: &str = "INTERNAL_EVENTS";
}

pub use hostler_runtime::state::item::names as events;

/// The table of read models: one item for each row.
pub mod views {
    /// Partition key, text: `<view>#<shard>`; a view is spread over [`SHARDS`] partitions.
    pub const VIEW: &str = "view";
    /// Sort key, text: the row within the view. Also the sort key of [`BY_GROUP`].
    pub const KEY: &str = "key";
    /// Partition key of [`BY_GROUP`], text: `<view>/<group>`.
    pub const GROUP: &str = "group";
    /// The stream version that the row reflects, a number.
    pub const VERSION: &str = "version";
    /// When the row was last changed, RFC 3339.
    pub const UPDATED_AT: &str = "updated_at";
    /// The row's content, JSON as text.
    pub const BODY: &str = "body";
    /// The global secondary index that lists rows by group; projects everything.
    pub const BY_GROUP: &str = "by-group";
    /// Over how many partitions each view is spread.
    pub const SHARDS: u64 = 8;
}

/// The table of shared control state: one item for each key.
pub mod control {
    /// Partition key, text.
    pub const KEY: &str = "key";
    /// The value, JSON as text.
    pub const VALUE: &str = "value";
    /// How often the value was written, a number.
    pub const REVISION: &str = "revision";
    /// Names the attempt that wrote the value: tells a put of ours whose answer was lost from another's.
    pub const WRITE_ID: &str = "write_id";
}

/// The table of leases, in the form of Powertools for AWS Lambda: one item for each effect.
pub mod idempotency {
    /// Partition key, text: what the effect is.
    pub const ID: &str = "id";
    /// `INPROGRESS` or `COMPLETED`.
    pub const STATUS: &str = "status";
    /// When the row is void, in seconds since 1970; DynamoDB's TTL removes it some time later.
    pub const EXPIRATION: &str = "expiration";
    /// Until when its owner may be at it, in milliseconds since 1970.
    pub const IN_PROGRESS_EXPIRATION: &str = "in_progress_expiration";
    /// The result, JSON as text.
    pub const DATA: &str = "data";
    /// The hash of the payload.
    pub const VALIDATION: &str = "validation";
    /// Names the attempt that holds the lease. Ours alone.
    pub const OWNER: &str = "owner";
    /// The cause by which the work is recorded on a stream. Ours alone.
    pub const SETTLED_BY: &str = "settled_by";
}
