//! The runtime's pipeline without I/O, on one core: from the bytes of an invocation to the bytes of its commits and
//! events, beside a straight line written by hand with the same crates.
#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]

mod readings;
mod still;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::SqsEvent;
use hostler_runtime::{Batch, Shell};
use serde_json::json;

use readings::{BATCH, STREAMS, envelope};
use still::{Record, Still};

fn payload(batch: usize) -> Vec<u8> {
    let records: Vec<_> = (0..BATCH)
        .map(|place| {
            let event = envelope((batch * BATCH + place) % STREAMS);
            let body = json!({
                "version": "0", "id": event.event_id, "detail-type": event.event_type, "source": event.source,
                "account": "123456789012", "time": "2026-03-04T05:06:07Z", "region": "eu-north-1", "resources": [],
                "detail": event,
            });
            json!({
                "messageId": uuid::Uuid::now_v7(), "receiptHandle": "A".repeat(180), "body": body.to_string(),
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

fn main() {
    let rounds: usize = std::env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let payloads: Vec<Vec<u8>> = (0..STREAMS / BATCH).map(payload).collect();
    let still = Arc::new(Still::new());
    let shell = Shell::new(still.clone(), still.clone(), still.clone(), "bench");
    let batch = Batch::new("bench", "readings", still.clone(), still.clone(), still.clone());
    let handler = Record { shell };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let pass = || {
        for bytes in &payloads {
            let event: SqsEvent = serde_json::from_slice(bytes).unwrap();
            let answer = runtime.block_on(batch.handle(event, Duration::from_secs(30), &handler));
            assert!(answer.batch_item_failures.is_empty());
        }
    };
    pass();
    let mut best = f64::MAX;
    let begun = Instant::now();
    for _ in 0..rounds {
        let begun = Instant::now();
        pass();
        best = best.min(begun.elapsed().as_secs_f64() / STREAMS as f64);
    }
    let mean = begun.elapsed().as_secs_f64() / (rounds * STREAMS) as f64;
    println!("mean {:.2} µs, best {:.2} µs; {:.0}/s", mean * 1e6, best * 1e6, 1.0 / best);
}
