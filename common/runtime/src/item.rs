//! A commit as the item of a table, and back. Adapters give its fields the form of their own SDK.

use hostler_core::data::to_json;
use hostler_core::failure::BoxError;
use hostler_core::{Actor, CausationId, Commit, StreamId, StreamVersion, TraceContext};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The table of streams: one item for each commit. Its DynamoDB stream (new images) is the outbox.
pub mod names {
    /// Partition key, text: the stream.
    pub const STREAM: &str = "stream";
    /// Sort key, number: the version that the commit made.
    pub const VERSION: &str = "version";
    /// Names the attempt that wrote the item.
    pub const COMMIT_ID: &str = "commit_id";
    /// What made the commit happen.
    pub const CAUSATION_ID: &str = "causation_id";
    /// The request it belongs to.
    pub const CORRELATION_ID: &str = "correlation_id";
    /// W3C `traceparent`; absent outside of a trace.
    pub const TRACEPARENT: &str = "traceparent";
    /// W3C `tracestate`; absent where there is none.
    pub const TRACESTATE: &str = "tracestate";
    /// The length of the causal chain, a number.
    pub const HOPS: &str = "hops";
    /// Who set it in motion.
    pub const ACTOR: &str = "actor";
    /// The system that recorded it.
    pub const SOURCE: &str = "source";
    /// When it was recorded, RFC 3339.
    pub const RECORDED_AT: &str = "recorded_at";
    /// The events, a JSON array as text; absent when there are none.
    pub const EVENTS: &str = "events";
    /// The commands, a JSON array as text; absent when there are none.
    pub const COMMANDS: &str = "commands";
    /// The timers, a JSON array as text; absent when there are none.
    pub const TIMERS: &str = "timers";
    /// The state after the commit, a JSON object as text; absent on most commits.
    pub const SNAPSHOT: &str = "snapshot";
}

/// An attribute: the two kinds that our items have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `S`.
    Text(String),
    /// `N`.
    Number(String),
}

/// An item's attributes. Attributes of other kinds are not ours, and are left out.
pub type Fields = Vec<(&'static str, Field)>;

/// Why an item is not a commit.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    /// A field that every commit has is not there.
    #[error("the attribute {name} is missing")]
    Missing {
        /// The field.
        name: &'static str,
    },
    /// A field does not have its form.
    #[error("the attribute {name} cannot be read: {source}")]
    Malformed {
        /// The field.
        name: &'static str,
        /// Why.
        source: BoxError,
    },
}

/// About what an event, command or timer says in a commit beside its payload, in bytes.
const BESIDE_DATA: usize = 256;

/// The names of all fields.
pub const NAMES: [&str; 15] = [
    names::STREAM,
    names::VERSION,
    names::COMMIT_ID,
    names::CAUSATION_ID,
    names::CORRELATION_ID,
    names::TRACEPARENT,
    names::TRACESTATE,
    names::HOPS,
    names::ACTOR,
    names::SOURCE,
    names::RECORDED_AT,
    names::EVENTS,
    names::COMMANDS,
    names::TIMERS,
    names::SNAPSHOT,
];

/// The commit's fields.
///
/// # Errors
/// When a part of it cannot be written as JSON.
pub fn to_fields(commit: &Commit) -> Result<Fields, serde_json::Error> {
    let text = |text: &dyn ToString| Field::Text(text.to_string());
    let mut fields: Fields = Vec::with_capacity(NAMES.len());
    fields.extend([
        (names::STREAM, Field::Text(commit.stream.as_str().to_owned())),
        (names::VERSION, Field::Number(commit.version.to_string())),
        (names::COMMIT_ID, text(&commit.commit_id)),
        (names::CAUSATION_ID, Field::Text(commit.causation_id.as_str().to_owned())),
        (names::CORRELATION_ID, text(&commit.correlation_id)),
        (names::HOPS, Field::Number(commit.hops.to_string())),
        (names::ACTOR, Field::Text(commit.actor.0.clone())),
        (names::SOURCE, Field::Text(commit.source.clone())),
        (names::RECORDED_AT, text(&commit.recorded_at)),
    ]);
    if let Some(TraceContext { traceparent, tracestate }) = &commit.trace_context {
        fields.push((names::TRACEPARENT, Field::Text(traceparent.clone())));
        fields.extend(tracestate.as_ref().map(|state| (names::TRACESTATE, Field::Text(state.clone()))));
    }
    let mut list = |name, list: Option<String>| fields.extend(list.map(|json| (name, Field::Text(json))));
    let events = commit.events.iter().map(|event| BESIDE_DATA + event.data.text().len()).sum();
    let commands = commit.commands.iter().map(|command| BESIDE_DATA + command.data.text().len()).sum();
    list(names::EVENTS, json_unless_empty(&commit.events, events)?);
    list(names::COMMANDS, json_unless_empty(&commit.commands, commands)?);
    list(names::TIMERS, json_unless_empty(&commit.timers, commit.timers.len() * BESIDE_DATA)?);
    list(names::SNAPSHOT, commit.snapshot.as_ref().map(serde_json::to_string).transpose()?);
    Ok(fields)
}

fn json_unless_empty<T: Serialize>(list: &[T], bytes: usize) -> Result<Option<String>, serde_json::Error> {
    (!list.is_empty()).then(|| to_json(&list, bytes)).transpose()
}

/// The commit that an item holds.
///
/// # Errors
/// [`ItemError`] names the field that is missing or cannot be read.
pub fn to_commit(fields: &Fields) -> Result<Commit, ItemError> {
    let source = required(fields, names::SOURCE)?.to_owned();
    let trace_context = text(fields, names::TRACEPARENT).map(|traceparent| TraceContext {
        traceparent: traceparent.to_owned(),
        tracestate: text(fields, names::TRACESTATE).map(str::to_owned),
    });
    Ok(Commit {
        stream: parsed::<StreamId>(fields, names::STREAM)?,
        version: StreamVersion(parsed(fields, names::VERSION)?),
        commit_id: parsed(fields, names::COMMIT_ID)?,
        causation_id: parsed::<CausationId>(fields, names::CAUSATION_ID)?,
        correlation_id: parsed(fields, names::CORRELATION_ID)?,
        trace_context,
        hops: parsed(fields, names::HOPS)?,
        actor: Actor(required(fields, names::ACTOR)?.to_owned()),
        source,
        recorded_at: parsed(fields, names::RECORDED_AT)?,
        events: json(fields, names::EVENTS)?.unwrap_or_default(),
        commands: json(fields, names::COMMANDS)?.unwrap_or_default(),
        timers: json(fields, names::TIMERS)?.unwrap_or_default(),
        snapshot: json(fields, names::SNAPSHOT)?,
    })
}

fn text<'a>(fields: &'a Fields, name: &'static str) -> Option<&'a str> {
    let (_, field) = fields.iter().find(|(named, _)| *named == name)?;
    let (Field::Text(text) | Field::Number(text)) = field;
    Some(text)
}

fn required<'a>(fields: &'a Fields, name: &'static str) -> Result<&'a str, ItemError> {
    text(fields, name).ok_or(ItemError::Missing { name })
}

fn parsed<T>(fields: &Fields, name: &'static str) -> Result<T, ItemError>
where
    T: std::str::FromStr<Err: Into<BoxError>>,
{
    required(fields, name)?
        .parse()
        .map_err(|error: T::Err| ItemError::Malformed { name, source: error.into() })
}

fn json<T: DeserializeOwned>(fields: &Fields, name: &'static str) -> Result<Option<T>, ItemError> {
    text(fields, name)
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| ItemError::Malformed { name, source: error.into() })
}
