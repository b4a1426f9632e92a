//! A commit as the item of a table, and back. Adapters give its fields the form of their own SDK.

use std::borrow::Cow;

use hostler_core::data::to_json;
use hostler_core::failure::BoxError;
use hostler_core::{
    Actor, CausationId, CommandId, Commit, CommitId, Data, EventId, RecordedCommand, RecordedEvent,
    RecordedTimer, SeenCause, StreamId, StreamVersion, TimerId, TraceContext,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
    /// The events, a JSON array as text: type `t`, version `v` unless it is 1, payload `d`; absent when there are none.
    pub const EVENTS: &str = "events";
    /// The commands, a JSON array as text: as events, and queue `q`; absent when there are none.
    pub const COMMANDS: &str = "commands";
    /// The timers, a JSON array as text: name `n`, when `at`, queue `q`; absent when there are none.
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
const BESIDE_DATA: usize = 128;

/// An event as an item has it. An item is billed by the kilobyte, so names are short, a first version is not said, and
/// neither are ids that follow from the commit's. The long names are those of items that were written before.
#[derive(Serialize, Deserialize)]
struct StoredEvent<'a> {
    #[serde(rename = "i", alias = "eventId", default, skip_serializing_if = "Option::is_none")]
    id: Option<EventId>,
    #[serde(rename = "t", alias = "eventType")]
    event_type: Cow<'a, str>,
    #[serde(rename = "v", alias = "schemaVersion", default = "first", skip_serializing_if = "is_first")]
    schema_version: u32,
    #[serde(rename = "d", alias = "data")]
    data: Cow<'a, Data>,
}

/// A command as an item has it.
#[derive(Serialize, Deserialize)]
struct StoredCommand<'a> {
    #[serde(rename = "i", alias = "commandId", default, skip_serializing_if = "Option::is_none")]
    id: Option<CommandId>,
    #[serde(rename = "t", alias = "commandType")]
    command_type: Cow<'a, str>,
    #[serde(rename = "v", alias = "schemaVersion", default = "first", skip_serializing_if = "is_first")]
    schema_version: u32,
    #[serde(rename = "q", alias = "queue")]
    queue: Cow<'a, str>,
    #[serde(rename = "d", alias = "data")]
    data: Cow<'a, Data>,
}

/// A timer as an item has it.
#[derive(Serialize, Deserialize)]
struct StoredTimer<'a> {
    #[serde(rename = "i", alias = "timerId", default, skip_serializing_if = "Option::is_none")]
    id: Option<TimerId>,
    #[serde(rename = "n", alias = "name")]
    name: Cow<'a, str>,
    #[serde(rename = "at", alias = "dueAt")]
    due_at: Timestamp,
    #[serde(rename = "q", alias = "deliverTo")]
    deliver_to: Cow<'a, str>,
}

const fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_first(version: &u32) -> bool {
    *version == 1
}

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
    let mut parts = (0..).map(|n| commit.commit_id.part(n));
    let mut unless_derived = |id: Uuid| Some(id).filter(|id| parts.next() != Some(*id));
    let stored_events = commit.events.iter().map(|event| StoredEvent {
        id: unless_derived(event.event_id.0).map(EventId),
        event_type: Cow::Borrowed(&event.event_type),
        schema_version: event.schema_version,
        data: Cow::Borrowed(&event.data),
    });
    list(names::EVENTS, json_unless_empty(&stored_events.collect::<Vec<_>>(), events)?);
    let stored_commands = commit.commands.iter().map(|command| StoredCommand {
        id: unless_derived(command.command_id.0).map(CommandId),
        command_type: Cow::Borrowed(&command.command_type),
        schema_version: command.schema_version,
        queue: Cow::Borrowed(&command.queue),
        data: Cow::Borrowed(&command.data),
    });
    list(names::COMMANDS, json_unless_empty(&stored_commands.collect::<Vec<_>>(), commands)?);
    let stored_timers = commit.timers.iter().map(|timer| StoredTimer {
        id: unless_derived(timer.timer_id.0).map(TimerId),
        name: Cow::Borrowed(&timer.name),
        due_at: timer.due_at,
        deliver_to: Cow::Borrowed(&timer.deliver_to),
    });
    let timers = commit.timers.len() * BESIDE_DATA;
    list(names::TIMERS, json_unless_empty(&stored_timers.collect::<Vec<_>>(), timers)?);
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
    let commit_id: CommitId = parsed(fields, names::COMMIT_ID)?;
    let events = match text(fields, names::EVENTS) {
        Some(events) => to_events(commit_id, events)
            .map_err(|error| ItemError::Malformed { name: names::EVENTS, source: error.into() })?,
        None => Vec::new(),
    };
    let mut parts = (events.len()..).map(|n| commit_id.part(n));
    let mut part = || parts.next().unwrap_or_default();
    let commands: Vec<StoredCommand<'_>> = json(fields, names::COMMANDS)?.unwrap_or_default();
    let commands: Vec<RecordedCommand> = commands
        .into_iter()
        .map(|stored| {
            let derived = part();
            RecordedCommand {
                command_id: stored.id.unwrap_or(CommandId(derived)),
                command_type: stored.command_type.into_owned(),
                schema_version: stored.schema_version,
                queue: stored.queue.into_owned(),
                data: stored.data.into_owned(),
            }
        })
        .collect();
    let timers: Vec<StoredTimer<'_>> = json(fields, names::TIMERS)?.unwrap_or_default();
    let timers = timers
        .into_iter()
        .map(|stored| {
            let derived = part();
            RecordedTimer {
                timer_id: stored.id.unwrap_or(TimerId(derived)),
                name: stored.name.into_owned(),
                due_at: stored.due_at,
                deliver_to: stored.deliver_to.into_owned(),
            }
        })
        .collect();
    Ok(Commit {
        stream: parsed::<StreamId>(fields, names::STREAM)?,
        version: StreamVersion(parsed(fields, names::VERSION)?),
        commit_id,
        causation_id: parsed::<CausationId>(fields, names::CAUSATION_ID)?,
        correlation_id: parsed(fields, names::CORRELATION_ID)?,
        trace_context,
        hops: parsed(fields, names::HOPS)?,
        actor: Actor(required(fields, names::ACTOR)?.to_owned()),
        source,
        recorded_at: parsed(fields, names::RECORDED_AT)?,
        events,
        commands,
        timers,
        snapshot: json(fields, names::SNAPSHOT)?,
    })
}

/// The cause of the commit that an item holds, for which only its version, its cause and its moment are needed.
///
/// # Errors
/// As [`to_commit`].
pub fn to_cause(fields: &Fields) -> Result<SeenCause, ItemError> {
    Ok(SeenCause {
        causation_id: parsed::<CausationId>(fields, names::CAUSATION_ID)?,
        version: StreamVersion(parsed(fields, names::VERSION)?),
        recorded_at: parsed(fields, names::RECORDED_AT)?,
    })
}

/// The events of a commit from the text of [`names::EVENTS`].
///
/// # Errors
/// When it is not such a text.
pub fn to_events(commit_id: CommitId, text: &str) -> Result<Vec<RecordedEvent>, serde_json::Error> {
    let stored: Vec<StoredEvent<'_>> = serde_json::from_str(text)?;
    let events = stored.into_iter().enumerate().map(|(n, stored)| RecordedEvent {
        event_id: stored.id.unwrap_or(EventId(commit_id.part(n))),
        event_type: stored.event_type.into_owned(),
        schema_version: stored.schema_version,
        data: stored.data.into_owned(),
    });
    Ok(events.collect())
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
