//! A commit as a table's item, and back: written once for the SDK's form and for the stream's.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use hostler_core::failure::BoxError;
use hostler_core::{Actor, CausationId, Commit, StreamId, StreamVersion, TraceContext};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::tables::events as names;

/// An attribute: the two kinds that our items have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// `S`.
    Text(String),
    /// `N`.
    Number(String),
}

/// An item's attributes. Attributes of other kinds are not ours, and are left out.
pub(crate) type Fields = BTreeMap<&'static str, Field>;

/// Why an item is not a commit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ItemError {
    #[error("the attribute {name} is missing")]
    Missing { name: &'static str },
    #[error("the attribute {name} cannot be read: {source}")]
    Malformed { name: &'static str, source: BoxError },
}

const NAMES: [&str; 15] = [
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

/// The commit's attributes.
pub(crate) fn to_fields(commit: &Commit) -> Result<Fields, serde_json::Error> {
    let text = |text: &dyn ToString| Field::Text(text.to_string());
    let mut fields: Fields = [
        (names::STREAM, text(&commit.stream)),
        (names::VERSION, Field::Number(commit.version.to_string())),
        (names::COMMIT_ID, text(&commit.commit_id)),
        (names::CAUSATION_ID, text(&commit.causation_id)),
        (names::CORRELATION_ID, text(&commit.correlation_id)),
        (names::HOPS, Field::Number(commit.hops.to_string())),
        (names::ACTOR, text(&commit.actor)),
        (names::SOURCE, text(&commit.source)),
        (names::RECORDED_AT, text(&commit.recorded_at)),
    ]
    .into();
    if let Some(TraceContext { traceparent, tracestate }) = &commit.trace_context {
        fields.insert(names::TRACEPARENT, text(traceparent));
        fields.extend(tracestate.as_ref().map(|state| (names::TRACESTATE, text(state))));
    }
    let mut list = |name, list: Option<String>| fields.extend(list.map(|json| (name, Field::Text(json))));
    list(names::EVENTS, json_unless_empty(&commit.events)?);
    list(names::COMMANDS, json_unless_empty(&commit.commands)?);
    list(names::TIMERS, json_unless_empty(&commit.timers)?);
    list(names::SNAPSHOT, commit.snapshot.as_ref().map(serde_json::to_string).transpose()?);
    Ok(fields)
}

fn json_unless_empty<T: Serialize>(list: &[T]) -> Result<Option<String>, serde_json::Error> {
    (!list.is_empty()).then(|| serde_json::to_string(list)).transpose()
}

/// The commit that an item holds.
pub(crate) fn to_commit(fields: &Fields) -> Result<Commit, ItemError> {
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
    fields.get(name).map(|(Field::Text(text) | Field::Number(text))| text.as_str())
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

/// Attributes as the SDK sends them.
pub(crate) fn to_attributes(fields: Fields) -> HashMap<String, AttributeValue> {
    let attribute = |field| match field {
        Field::Text(text) => AttributeValue::S(text),
        Field::Number(number) => AttributeValue::N(number),
    };
    fields.into_iter().map(|(name, field)| (name.to_owned(), attribute(field))).collect()
}

/// Attributes as the SDK receives them.
pub(crate) fn from_attributes(mut item: HashMap<String, AttributeValue>) -> Fields {
    let field = |attribute| match attribute {
        AttributeValue::S(text) => Some(Field::Text(text)),
        AttributeValue::N(number) => Some(Field::Number(number)),
        _ => None,
    };
    NAMES.into_iter().filter_map(|name| Some((name, field(item.remove(name)?)?))).collect()
}

/// Attributes as a stream's image has them: `{"version":{"N":"1"},…}`.
pub(crate) fn from_image(image: &Value) -> Fields {
    let field = |attribute: &Value| {
        let of = |kind| attribute.get(kind).and_then(Value::as_str).map(str::to_owned);
        of("S").map(Field::Text).or_else(|| of("N").map(Field::Number))
    };
    NAMES.into_iter().filter_map(|name| Some((name, field(image.get(name)?)?))).collect()
}
