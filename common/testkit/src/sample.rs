//! Commits, events and rows to try things on.

use hostler_core::{
    Actor, CausationId, Commit, CommitId, CorrelationId, Envelope, EventId, RecordedCommand, RecordedEvent,
    RecordedTimer, SeenCause, Snapshot, StreamId, StreamVersion, TimerId, TraceContext,
};
use hostler_runtime::ports::Row;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

fn moment() -> Timestamp {
    "2026-03-04T05:06:07.123456789Z".parse().unwrap()
}

/// An event of this type with this payload.
#[must_use]
pub fn event(event_type: &str, data: Value) -> RecordedEvent {
    let event_id = EventId(Uuid::now_v7());
    RecordedEvent { event_id, event_type: event_type.to_owned(), schema_version: 1, data: data.into() }
}

/// A commit of one small event, with only what every commit has.
///
/// # Panics
/// When the stream's name is not one.
#[must_use]
pub fn commit(stream: &str, version: u64) -> Commit {
    let stream: StreamId = stream.parse().unwrap();
    Commit {
        stream,
        version: StreamVersion(version),
        commit_id: CommitId(Uuid::now_v7()),
        causation_id: CausationId::new(format!("cause-{version}")).unwrap(),
        correlation_id: CorrelationId(Uuid::now_v7()),
        trace_context: None,
        hops: 1,
        actor: Actor("tester".to_owned()),
        source: "testkit".to_owned(),
        recorded_at: moment(),
        events: vec![event("order.placed", json!({ "number": version }))],
        commands: Vec::new(),
        timers: Vec::new(),
        snapshot: None,
    }
}

/// A commit in which nothing is absent or empty.
///
/// # Panics
/// As [`commit`].
#[must_use]
pub fn full_commit(stream: &str, version: u64) -> Commit {
    let command = RecordedCommand {
        command_id: Uuid::now_v7().into(),
        command_type: "pack-order".to_owned(),
        schema_version: 2,
        queue: "pack-order".to_owned(),
        data: json!({ "weight": 1.5, "text": "ünï \" \\ \n ✓", "none": null }).into(),
    };
    let timer = RecordedTimer {
        timer_id: TimerId(Uuid::now_v7()),
        name: "pack/deadline".to_owned(),
        due_at: moment(),
        deliver_to: "orders".to_owned(),
    };
    let seen = SeenCause {
        causation_id: CausationId::new("earlier").unwrap(),
        version: StreamVersion(version),
        recorded_at: moment(),
    };
    Commit {
        trace_context: Some(TraceContext {
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
            tracestate: Some("vendor=value".to_owned()),
        }),
        hops: 7,
        events: vec![
            event("order.placed", json!({ "big": u64::MAX, "list": [1, "two", { "three": 3 }] })),
            event("order.paid", json!({})),
        ],
        commands: vec![command],
        timers: vec![timer],
        snapshot: Some(snapshot(json!({ "open": true }), vec![seen])),
        ..commit(stream, version)
    }
}

/// A snapshot of this state.
#[must_use]
pub fn snapshot(state: Value, seen: Vec<SeenCause>) -> Snapshot {
    Snapshot { state_version: 3, state: state.into(), seen }
}

/// The envelope of one event of this type with this payload.
///
/// # Panics
/// When the stream's name is not one.
#[must_use]
pub fn envelope(stream: &str, event_type: &str, data: Value) -> Envelope {
    let commit = Commit { events: vec![event(event_type, data)], ..commit(stream, 1) };
    commit.envelopes().next().unwrap()
}

/// A row of a view.
#[must_use]
pub fn row(view: &str, key: &str, group: &str, version: u64) -> Row {
    Row {
        view: view.to_owned(),
        key: key.to_owned(),
        group: group.to_owned(),
        version: StreamVersion(version),
        updated_at: moment(),
        body: json!({ "key": key, "version": version }),
    }
}
