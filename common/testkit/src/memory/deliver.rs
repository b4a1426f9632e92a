//! What stands between queue and function, and between table and relay, on AWS: the event source mappings.

use std::time::Duration;

use hostler_core::Commit;
use hostler_runtime::messages::batch::Records;
use hostler_runtime::messages::batch::{Batch, Handler};
use hostler_runtime::messages::relay::OutboxRecord;
use serde_json::{Map, Value, json};

use crate::memory::{MemoryQueues, MemoryStore, Received};

/// A mapping's batch size.
const BATCH_MAX: usize = 10;

/// What one delivery came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Messages handed to the function.
    pub messages: usize,
    /// Those of them that the function reported, and that will be seen again.
    pub failed: usize,
}

/// Hands the visible messages of a queue to a function, one batch of at most ten, and deletes those that the
/// function does not report: an SQS mapping with partial batch responses.
///
/// # Panics
/// When there is no such queue.
pub async fn deliver(
    queues: &MemoryQueues,
    queue: &str,
    batch: &Batch,
    handler: &dyn Handler,
    remaining: Duration,
) -> Delivered {
    let received = queues.receive(queue, BATCH_MAX);
    if received.is_empty() {
        return Delivered::default();
    }
    let response = batch.handle(sqs_event(queue, &received), remaining, handler).await;
    let failed: Vec<&str> =
        response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
    for message in &received {
        if !failed.contains(&message.message_id.as_str()) {
            queues.delete(queue, &message.receipt);
        }
    }
    Delivered { messages: received.len(), failed: failed.len() }
}

/// Messages in the form in which Lambda hands them over.
///
/// # Panics
/// Never: the form is fixed.
#[must_use]
pub fn sqs_event(queue: &str, received: &[Received]) -> Records {
    let record = |message: &Received| {
        let attribute = |(name, text): (&String, &String)| {
            (name.clone(), json!({ "stringValue": text, "dataType": "String" }))
        };
        json!({
            "messageId": message.message_id,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": { "ApproximateReceiveCount": message.receive_count.to_string() },
            "messageAttributes": message.attributes.iter().map(attribute).collect::<Map<_, _>>(),
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
            "awsRegion": "us-east-1",
        })
    };
    let records: Vec<Value> = received.iter().map(record).collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

/// Commits in the form in which the relay takes them.
#[must_use]
pub fn outbox_records(commits: impl IntoIterator<Item = Commit>) -> Vec<OutboxRecord> {
    let record = |commit: Commit| OutboxRecord {
        position: format!("{}@{}", commit.stream, commit.version),
        raw: json!({ "stream": commit.stream, "version": commit.version }).to_string(),
        commit: Ok(commit),
    };
    commits.into_iter().map(record).collect()
}

impl MemoryStore {
    /// As [`MemoryStore::take_outbox`], in the form in which the relay takes it. When the relay then fails, the
    /// caller keeps the records and hands them over again, as the stream does.
    #[must_use]
    pub fn take_outbox_records(&self) -> Vec<OutboxRecord> {
        outbox_records(self.take_outbox())
    }
}
