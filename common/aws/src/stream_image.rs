//! The outbox as Lambda hands it over: DynamoDB-stream records, read back into commits.

use hostler_core::mutants;
use hostler_runtime::messages::relay::OutboxRecord;
use serde_json::{Value, json};

use crate::item::from_image;
use hostler_runtime::state::item::to_commit;

/// The largest record that is kept whole for the failure queue: a message takes 256 KB, and a record up to 400.
const RAW_BYTES_MAX: usize = 200_000;

/// An invocation that is no DynamoDB-stream batch.
#[derive(Debug, thiserror::Error)]
#[error(
    "the event has no list called Records, so it is no DynamoDB-stream batch: connect this function to the stream of the events table"
)]
pub struct StreamEventError;

/// The commits that were inserted, in the stream's order. Commits are immutable: a record of a change or a removal means that
/// somebody has written to the table past the event store. There is nothing to publish, so that it holds nobody up; it is
/// logged as an error, with the metric `commits_tampered` for an alarm. A record that cannot be read is passed on with its
/// reason.
///
/// # Errors
/// [`StreamEventError`] when the event is of another kind altogether.
pub fn outbox_records(event: &Value) -> Result<Vec<OutboxRecord>, StreamEventError> {
    let records = event.get("Records").and_then(Value::as_array).ok_or(StreamEventError)?;
    Ok(records.iter().filter_map(outbox_record).collect())
}

fn outbox_record(record: &Value) -> Option<OutboxRecord> {
    match record["eventName"].as_str() {
        Some("MODIFY" | "REMOVE") if mutants::on("outbox.overlooks-tampering") => None,
        Some(change @ ("MODIFY" | "REMOVE")) => {
            let (keys, position) = (&record["dynamodb"]["Keys"], &record["dynamodb"]["SequenceNumber"]);
            tracing::error!(change, %keys, %position, commits_tampered = 1, "a commit was changed in the events table");
            None
        }
        Some("INSERT") => Some(inserted(record)),
        _ => Some(OutboxRecord {
            commit: Err(
                "its eventName is not INSERT, MODIFY or REMOVE, so it is no record of a DynamoDB stream"
                    .to_owned(),
            ),
            ..inserted(record)
        }),
    }
}

fn inserted(record: &Value) -> OutboxRecord {
    let change = &record["dynamodb"];
    let commit = match change.get("NewImage") {
        Some(image) => to_commit(&from_image(image)).map_err(|error| error.to_string()),
        None => {
            Err("the record has no NewImage: set StreamViewType of the events table to NEW_IMAGE".to_owned())
        }
    };
    let position = change["SequenceNumber"].as_str().unwrap_or("unknown").to_owned();
    let mut raw = record.to_string();
    if raw.len() > RAW_BYTES_MAX {
        raw = json!({
            "eventID": record["eventID"],
            "eventName": record["eventName"],
            "dynamodb": { "Keys": change["Keys"], "SequenceNumber": change["SequenceNumber"] },
            "trimmed": format!("the record is {} bytes; its item in the events table has the whole", raw.len()),
        })
        .to_string();
    }
    OutboxRecord { position, commit, raw }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use std::io;
    use std::sync::{Arc, Mutex};

    use hostler_testkit::sample;

    use super::*;
    use hostler_runtime::state::item::{Field, to_fields};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn image(commit: &hostler_core::Commit) -> Value {
        let attribute = |field| match field {
            Field::Text(text) => json!({ "S": text }),
            Field::Number(number) => json!({ "N": number }),
        };
        let fields = to_fields(commit).unwrap().into_iter();
        fields
            .map(|(name, field)| (name.to_owned(), attribute(field)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn insert(image: Value) -> Value {
        json!({ "eventID": "e-1", "eventName": "INSERT", "dynamodb": { "SequenceNumber": "111", "NewImage": image } })
    }

    #[test]
    fn an_inserted_item_is_read_back_as_its_commit() {
        for commit in [sample::commit("order#1", 1), sample::full_commit("order#1", 2)] {
            let records = outbox_records(&json!({ "Records": [insert(image(&commit))] })).unwrap();
            assert_eq!(records.len(), 1);
            assert_eq!(records[0].position, "111");
            assert_eq!(records[0].commit.as_ref().unwrap(), &commit);
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_does_not_hide_its_neighbours() {
        let commit = sample::full_commit("order#1", 1);
        let mut broken = image(&commit);
        broken["events"] = json!({ "S": "not JSON" });
        let no_image = json!({ "eventName": "INSERT", "dynamodb": {} });
        let removed = json!({ "eventName": "REMOVE", "dynamodb": {} });
        let event = json!({ "Records": [insert(broken), removed, no_image, insert(image(&commit)), "what"] });
        let records = outbox_records(&event).unwrap();
        assert_eq!(records.len(), 4);
        assert!(records[0].commit.as_ref().unwrap_err().contains("events"));
        assert!(records[1].commit.as_ref().unwrap_err().contains("NEW_IMAGE"));
        assert!(records[2].commit.is_ok());
        assert!(records[3].commit.as_ref().unwrap_err().contains("eventName"));
        assert!(records.iter().all(|record| !record.raw.is_empty()));
    }

    #[test]
    fn a_commit_that_was_changed_in_its_table_raises_the_alarm() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            for change in ["MODIFY", "REMOVE"] {
                let keys = json!({ "stream": { "S": "order#1" }, "version": { "N": "7" } });
                let record = json!({ "eventName": change, "dynamodb": { "Keys": keys } });
                assert!(outbox_records(&json!({ "Records": [record] })).unwrap().is_empty());
            }
        });
        let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(said.matches("\"commits_tampered\":1").count(), 2, "{said}");
        assert!(said.contains("order#1"), "the log says which");
    }

    #[test]
    fn a_record_too_large_for_a_message_is_kept_by_its_keys() {
        let mut large = image(&sample::commit("order#1", 1));
        large["commands"] = json!({ "S": "x".repeat(300_000) });
        let mut record = insert(large);
        record["dynamodb"]["Keys"] = json!({ "stream": { "S": "order#1" }, "version": { "N": "1" } });
        let records = outbox_records(&json!({ "Records": [record] })).unwrap();
        assert!(records[0].raw.len() < RAW_BYTES_MAX && records[0].raw.contains("order#1"));
    }

    #[test]
    fn another_kind_of_event_is_refused() {
        let error = outbox_records(&json!({ "detail": {} })).unwrap_err();
        assert!(error.to_string().contains("Records"));
    }
}
