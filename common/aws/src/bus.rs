//! The event bus on EventBridge.

use std::ops::Range;

use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use futures::StreamExt;
use hostler_core::Envelope;
use hostler_runtime::ports::{EntryFailure, EntryResults, EventBus};
use hostler_runtime::state::pack::pack;

use crate::error::{AwsError, Class};

/// A PutEvents call takes ten entries.
const ENTRIES_MAX: usize = 10;
/// A PutEvents call takes 256 KB, which is also what one entry may have.
const BYTES_MAX: usize = 262_144;
/// How many calls are on their way at a time.
const CALLS_AT_A_TIME: usize = 4;
const PUT: &str = "events:PutEvents";

/// An EventBridge bus. The envelope is the `detail`, its type the `detail-type`.
#[derive(Debug, Clone)]
pub struct EventBridgeBus {
    client: Client,
    bus: String,
}

impl EventBridgeBus {
    /// The bus of this name or ARN.
    #[must_use]
    pub fn new(client: Client, bus: impl Into<String>) -> Self {
        Self { client, bus: bus.into() }
    }

    /// Opens the connection by a call that publishes nothing; whether that works does not matter.
    pub async fn warm(&self) {
        let _ = self.client.put_events().set_entries(Some(Vec::new())).send().await;
    }

    fn entry(&self, event: &Envelope) -> Result<PutEventsRequestEntry, EntryFailure> {
        let detail = event.to_json().map_err(|error| EntryFailure {
            retryable: false,
            code: "NotJson".to_owned(),
            message: format!("the event cannot be written as JSON: {error}"),
        })?;
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .time(DateTime::from_secs(event.timestamp.as_second()))
            .source(&event.source)
            .detail_type(&event.event_type)
            .detail(detail)
            .build();
        match entry_bytes(&entry) {
            bytes if bytes > BYTES_MAX => Err(EntryFailure {
                retryable: false,
                code: "EntryTooLarge".to_owned(),
                message: format!(
                    "the event {} is {bytes} bytes, and the limit of the bus is {BYTES_MAX}: send a reference instead of the bulk",
                    event.event_type
                ),
            }),
            _ => Ok(entry),
        }
    }

    async fn put(&self, entries: Vec<PutEventsRequestEntry>) -> EntryResults {
        let count = entries.len();
        let call = self.client.put_events().set_entries(Some(entries.clone()));
        let output = match call.send().await {
            Ok(output) => output,
            Err(error) => {
                let error = AwsError::new(PUT, format!("bus {}", self.bus), error);
                // One entry that breaks a rule fails the call: the others are not to suffer for it.
                if error.class() == Class::Invalid && count > 1 {
                    return self.put_one_by_one(entries).await;
                }
                return vec![Err(EntryFailure::from(&error)); count];
            }
        };
        let mut results: EntryResults = output
            .entries()
            .iter()
            .take(count)
            .map(|entry| match entry.error_code() {
                None => Ok(()),
                Some(code) => Err(EntryFailure {
                    retryable: Class::of(code, None).retryable(),
                    code: code.to_owned(),
                    message: entry.error_message().unwrap_or("no message").to_owned(),
                }),
            })
            .collect();
        results.resize_with(count, || Err(no_answer()));
        results
    }

    async fn put_one_by_one(&self, entries: Vec<PutEventsRequestEntry>) -> EntryResults {
        let mut results = Vec::with_capacity(entries.len());
        for entry in entries {
            results.extend(Box::pin(self.put(vec![entry])).await);
        }
        results
    }
}

#[async_trait]
impl EventBus for EventBridgeBus {
    async fn publish(&self, events: &[Envelope]) -> EntryResults {
        let mut results: EntryResults = vec![Ok(()); events.len()];
        let (mut places, mut entries) = (Vec::new(), Vec::new());
        for (place, event) in events.iter().enumerate() {
            match self.entry(event) {
                Ok(entry) => {
                    places.push(place);
                    entries.push(entry);
                }
                Err(failure) => results[place] = Err(failure),
            }
        }
        let sizes: Vec<usize> = entries.iter().map(entry_bytes).collect();
        let put = |run: Range<usize>| self.put(entries[run].to_vec());
        let calls = futures::stream::iter(pack(&sizes, ENTRIES_MAX, BYTES_MAX)).map(put);
        let put: Vec<EntryResults> = calls.buffered(CALLS_AT_A_TIME).collect().await;
        for (place, result) in places.into_iter().zip(put.into_iter().flatten()) {
            results[place] = result;
        }
        results
    }
}

/// An entry's size by EventBridge's own rule: 14 bytes for a time, and the bytes of source, detail-type, detail
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>).
fn entry_bytes(entry: &PutEventsRequestEntry) -> usize {
    let text = |text: Option<&str>| text.map_or(0, str::len);
    14 + text(entry.source()) + text(entry.detail_type()) + text(entry.detail())
}

pub(crate) fn no_answer() -> EntryFailure {
    EntryFailure {
        retryable: true,
        code: "NoAnswer".to_owned(),
        message: "the service did not answer for this entry".to_owned(),
    }
}
