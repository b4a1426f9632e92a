//! `events export`: change data capture out of the event store, in the form of Debezium's change events.
//!
//! The store only ever grows: each recorded event is a row that was inserted (`op` is `c`) into its one table. A consumer goes on
//! from `source.ts_ms` of the last line that it has, and knows by `event_id` what it has seen.

use hostler_core::Envelope;
use hostler_runtime::operations::replay::Selection;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::ExportArgs;
use super::list::read;
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Prints one change event a line, the oldest first.
pub(super) async fn run(args: ExportArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let ExportArgs { stream, event_type, since, until } = args;
    let mut events = read(&Selection { stream, event_type, since: Some(since), until }, target).await?;
    // Ids are made in the order of time.
    events.sort_by_key(|event| (event.timestamp, event.event_id));
    let (table, now) = (target.output("EventsTable")?, Timestamp::now());
    events.iter().try_for_each(|event| out.line(change(event, table, now)))
}

/// An event as the insertion of its row (*Debezium documentation: Data change events*), without the schema around it.
fn change(event: &Envelope, table: &str, now: Timestamp) -> Value {
    let (stream, version) = (event.stream.as_str(), event.stream_version.0);
    json!({
        "before": null,
        "after": {
            "event_id": event.event_id,
            "event_type": event.event_type,
            "schema_version": event.schema_version,
            "stream": stream,
            "stream_version": version,
            "recorded_at": event.timestamp,
            "correlation_id": event.header.correlation_id,
            "causation_id": event.header.causation_id,
            "actor": event.header.actor,
            // A column of JSON is a text, as Debezium has it (io.debezium.data.Json).
            "data": event.data.to_string(),
        },
        "source": {
            "version": env!("CARGO_PKG_VERSION"),
            "connector": "hostler",
            "name": event.source,
            "ts_ms": event.timestamp.as_millisecond(),
            "snapshot": "false",
            "db": table,
            "sequence": json!([stream, version.to_string()]).to_string(),
            "table": "events",
        },
        "transaction": null,
        "op": "c",
        "ts_ms": now.as_millisecond(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// What comes out has what consumers of Debezium's form read: `op`, `after`, and in `source` the place and the time.
    #[test]
    fn an_event_is_the_insertion_of_its_row() {
        let sample = hostler_events::samples::sample_text("host.retired", 1).unwrap();
        let event: Envelope = serde_json::from_str(sample).unwrap();
        let change = change(&event, "hostler-EventsTable", Timestamp::UNIX_EPOCH);
        assert_eq!((&change["op"], &change["before"]), (&json!("c"), &Value::Null));
        assert_eq!(change["after"]["event_id"], json!(event.event_id));
        assert_eq!(change["source"]["ts_ms"], event.timestamp.as_millisecond());
        let data: Value = serde_json::from_str(change["after"]["data"].as_str().unwrap()).unwrap();
        assert_eq!(data, event.data.to_value());
        let sequence: Vec<String> =
            serde_json::from_str(change["source"]["sequence"].as_str().unwrap()).unwrap();
        assert_eq!(sequence, [event.stream.to_string(), event.stream_version.0.to_string()]);
    }
}
