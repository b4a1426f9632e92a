//! The floor: the same work on the same bytes in one straight line, written by hand with the same crates and without a
//! runtime: no ports, no tasks, no retries, no time-outs, no spans.

use std::collections::HashMap;
use std::hint::black_box;

use aws_lc_rs::hmac;
use hostler_runtime::messages::batch::Records;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::readings::{Reading, Sensor};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    event_id: Uuid,
    event_type: &'a str,
    schema_version: u32,
    timestamp: Timestamp,
    source: &'a str,
    stream: &'a str,
    stream_version: u64,
    correlation_id: Uuid,
    causation_id: &'a str,
    #[serde(borrow)]
    trace_context: Option<Trace<'a>>,
    hops: u16,
    actor: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Trace<'a> {
    traceparent: &'a str,
}

#[derive(Serialize)]
struct Recorded<'a> {
    #[serde(rename = "t")]
    event_type: &'a str,
    #[serde(rename = "d")]
    data: &'a RawValue,
}

/// What is stored of a sensor: its snapshot, and the causes that it knows.
pub(crate) struct Kept {
    version: u64,
    snapshot: String,
    seen: Vec<String>,
}

pub(crate) struct Floor {
    streams: HashMap<String, Kept>,
    key: hmac::Key,
    ids: u64,
}

impl Floor {
    pub(crate) fn new(streams: impl Iterator<Item = (String, u64, String)>, key: &[u8]) -> Self {
        let kept = |(stream, version, snapshot)| (stream, Kept { version, snapshot, seen: Vec::new() });
        Self { streams: streams.map(kept).collect(), key: hmac::Key::new(hmac::HMAC_SHA256, key), ids: 0 }
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u64_pair(0, self.ids)
    }

    /// One invocation.
    pub(crate) fn handle(&mut self, payload: &[u8]) {
        let batch: Records = serde_json::from_slice(payload).unwrap();
        for record in &batch.records {
            let event: Event<'_> = serde_json::from_str(&record.body).unwrap();
            if let Some(signature) = event.signature {
                let hex = signature.rsplit(':').next().unwrap();
                let mut said = [0; 32];
                hex::decode_to_slice(hex, &mut said).unwrap();
                hmac::verify(&self.key, &signed_bytes(&event), &said).unwrap();
            }
            let reading: Reading = serde_json::from_str(event.data.get()).unwrap();
            let kept = &self.streams[event.stream];
            let mut sensor: Sensor = serde_json::from_str(&kept.snapshot).unwrap();
            if kept.seen.iter().any(|seen| *seen == event.causation_id) {
                continue;
            }
            assert!(reading.celsius.iter().all(|celsius| (-40.0..=150.0).contains(celsius)));
            sensor.readings += 1;
            sensor.hottest = reading.celsius.iter().copied().fold(sensor.hottest, f64::max);
            sensor.firmware.clone_from(&reading.firmware);
            black_box(&sensor);
            let version = kept.version + 1;
            self.commit(&event, &reading, version);
        }
        black_box(serde_json::to_vec(&serde_json::json!({ "batchItemFailures": [] })).unwrap());
    }

    fn commit(&mut self, cause: &Event<'_>, reading: &Reading, version: u64) {
        let data = serde_json::value::to_raw_value(reading).unwrap();
        let (commit_id, now) = (self.id(), Timestamp::now());
        let event_id = Uuid::from_u128(commit_id.as_u128() + 1);
        let recorded = Recorded { event_type: "reading.recorded", data: &data };
        let item = [
            ("stream", cause.stream.to_owned()),
            ("version", version.to_string()),
            ("commit_id", commit_id.to_string()),
            ("causation_id", cause.event_id.to_string()),
            ("correlation_id", cause.correlation_id.to_string()),
            ("traceparent", cause.trace_context.map_or("", |trace| trace.traceparent).to_owned()),
            ("hops", (cause.hops + 1).to_string()),
            ("actor", cause.actor.to_owned()),
            ("source", "bench".to_owned()),
            ("recorded_at", now.to_string()),
            ("events", serde_json::to_string(&[recorded]).unwrap()),
        ];
        black_box(item);
        let event = Event {
            event_id,
            event_type: "reading.recorded",
            schema_version: 1,
            timestamp: now,
            source: "bench",
            stream: cause.stream,
            stream_version: version,
            correlation_id: cause.correlation_id,
            causation_id: &cause.event_id.to_string(),
            trace_context: cause.trace_context,
            hops: cause.hops + 1,
            actor: cause.actor,
            data: &data,
            signature: None,
        };
        black_box(serde_json::to_string(&event).unwrap());
    }
}

/// What is signed, in the order in which the runtime signs it.
fn signed_bytes(event: &Event<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1_200);
    let mut part = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    };
    part(b"event");
    part(event.event_id.as_bytes());
    part(event.event_type.as_bytes());
    part(&i128::from(event.schema_version).to_le_bytes());
    part(&event.timestamp.as_nanosecond().to_le_bytes());
    part(event.source.as_bytes());
    part(event.stream.as_bytes());
    part(&i128::from(event.stream_version).to_le_bytes());
    part(event.correlation_id.as_bytes());
    part(event.causation_id.as_bytes());
    part(event.trace_context.map_or("", |trace| trace.traceparent).as_bytes());
    part(b"");
    part(&i128::from(event.hops).to_le_bytes());
    part(event.actor.as_bytes());
    part(event.data.get().as_bytes());
    bytes
}
