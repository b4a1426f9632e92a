//! The pipeline as a function holds it, and what it is handed.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use hostler_runtime::messages::batch::Batch;
use hostler_runtime::messages::batch::Records;
use hostler_runtime::messages::integrity::{Integrity, SigningKeys};
use hostler_runtime::state::shell::Shell;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::readings::{BATCH, STREAMS, envelope};
use crate::still::{Record, Still};

/// What messages are signed by.
pub(crate) const KEY: [u8; 32] = [7; 32];
const PLENTY: Duration = Duration::from_secs(30);

pub(crate) fn integrity() -> Arc<Integrity> {
    let keys = [("k1".to_owned(), hex::encode(KEY))].into();
    Arc::new(Integrity::new(&SigningKeys { keys, sign: Some("k1".to_owned()), require: true }).unwrap())
}

/// What Lambda hands over for ten readings.
pub(crate) fn payload(batch: usize, by: &Integrity) -> Vec<u8> {
    let records: Vec<_> = (0..BATCH)
        .map(|place| {
            let event = by.signed(envelope((batch * BATCH + place) % STREAMS));
            json!({
                "messageId": uuid::Uuid::now_v7(), "receiptHandle": "A".repeat(180),
                "body": serde_json::to_string(&event).unwrap(),
                "attributes": {
                    "ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO", "ApproximateFirstReceiveTimestamp": "1545082649185",
                },
                "messageAttributes": {}, "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-north-1:123456789012:readings",
                "awsRegion": "eu-north-1",
            })
        })
        .collect();
    serde_json::to_vec(&json!({ "Records": records })).unwrap()
}

/// The runtime, as a function holds it.
pub(crate) struct Ours {
    runtime: Runtime,
    batch: Batch,
    handler: Record,
}

impl Ours {
    pub(crate) fn new(by: Arc<Integrity>) -> Self {
        let still = Arc::new(Still::new());
        let shell = Shell::new(still.clone(), still.clone(), still.clone(), "bench");
        let batch = Batch::new("bench", "readings", still.clone(), still.clone(), still).signed_by(by);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { runtime, batch, handler: Record { shell, logs: false } }
    }

    #[allow(dead_code, reason = "instructions are counted without a log")]
    pub(crate) fn logging(mut self) -> Self {
        self.handler.logs = true;
        self
    }

    /// One invocation.
    pub(crate) fn handle(&self, payload: &[u8]) {
        let records: Records = serde_json::from_slice(payload).unwrap();
        let answer = self.runtime.block_on(self.batch.handle(records, PLENTY, &self.handler));
        assert!(answer.batch_item_failures.is_empty());
        black_box(serde_json::to_vec(&answer).unwrap());
    }
}
