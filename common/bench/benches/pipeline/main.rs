//! The runtime's pipeline without I/O, on one core: from the bytes of an invocation to the bytes of its commits and
//! events, beside a straight line written by hand with the same crates.
//!
//! `--one ours|floor` does one pass and no measuring, for profilers and instruction counts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a benchmark fails")]

mod floor;
mod readings;
mod stages;
mod still;

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_bench::{Figures, alone, in_turn, percentile};
use hostler_runtime::batch::Records;
use hostler_runtime::telemetry::{LogSample, subscriber};
use hostler_runtime::{Batch, Integrity, Shell, SigningKeys};
use serde_json::json;
use tokio::runtime::Runtime;

use floor::Floor;
use readings::{BATCH, EVENT_BYTES, STREAMS, envelope};
use still::{Record, Still};

// As in every function.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY: [u8; 32] = [7; 32];
const ROUNDS: usize = 100;
const PLENTY: Duration = Duration::from_secs(30);
/// How long the load of the latencies lasts.
const LOAD: Duration = Duration::from_secs(5);

fn integrity() -> Arc<Integrity> {
    let keys = [("k1".to_owned(), hex::encode(KEY))].into();
    Arc::new(Integrity::new(&SigningKeys { keys, sign: Some("k1".to_owned()), require: true }).unwrap())
}

/// What Lambda hands over for ten readings.
fn payload(batch: usize, by: &Integrity) -> Vec<u8> {
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
struct Ours {
    runtime: Runtime,
    batch: Batch,
    handler: Record,
}

impl Ours {
    fn new(by: Arc<Integrity>) -> Self {
        let still = Arc::new(Still::new());
        let shell = Shell::new(still.clone(), still.clone(), still.clone(), "bench");
        let batch = Batch::new("bench", "readings", still.clone(), still.clone(), still).signed_by(by);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { runtime, batch, handler: Record { shell, logs: false } }
    }

    fn logging(mut self) -> Self {
        self.handler.logs = true;
        self
    }

    /// One invocation.
    fn handle(&self, payload: &[u8]) {
        let records: Records = serde_json::from_slice(payload).unwrap();
        let answer = self.runtime.block_on(self.batch.handle(records, PLENTY, &self.handler));
        assert!(answer.batch_item_failures.is_empty());
        black_box(serde_json::to_vec(&answer).unwrap());
    }
}

fn floor() -> Floor {
    let streams = (0..STREAMS).map(|sensor| {
        let commit = readings::stored(sensor);
        let version = commit.version.0;
        (commit.stream.to_string(), version, commit.snapshot.unwrap().state.text().to_owned())
    });
    Floor::new(streams, &KEY)
}

/// The same work in time, in both of its ways.
fn throughput(figures: &mut Figures, signed: bool) -> f64 {
    let by = if signed { integrity() } else { Arc::default() };
    let payloads: Vec<Vec<u8>> = (0..STREAMS / BATCH).map(|batch| payload(batch, &by)).collect();
    let (ours, mut floor) = (Ours::new(by), floor());
    let pair = in_turn(
        ROUNDS,
        || payloads.iter().for_each(|payload| ours.handle(payload)),
        || payloads.iter().for_each(|payload| floor.handle(payload)),
    );
    let name = if signed { "with signatures checked" } else { "without signatures" };
    let rate = STREAMS as f64 / pair.first;
    let megabytes = rate * EVENT_BYTES as f64 / 1e6;
    figures.row(
        format!("events of 1 KB a second, {name}"),
        format!("{rate:.0}"),
        "target 120,000; aim 250,000",
    );
    figures.row(
        format!("MB of events a second, {name}"),
        format!("{megabytes:.0}"),
        "the papers' cluster: 100",
    );
    figures.row(
        format!("of the time of the straight line, {name}"),
        format!("{:.2} ×", pair.ratio),
        "target 1.3 ×",
    );
    rate
}

/// What logging costs: a line for each message, as functions write it.
fn logging(figures: &mut Figures) {
    let payloads: Vec<Vec<u8>> =
        (0..STREAMS / BATCH).map(|batch| payload(batch, &Integrity::default())).collect();
    let ours = Ours::new(Arc::default()).logging();
    let pass = |sample: LogSample| {
        for (number, payload) in payloads.iter().enumerate() {
            sample.begin(&format!("{number:08}-8f50-4c5b"));
            ours.handle(payload);
        }
    };
    let micros = |seconds: f64| format!("{:.2} µs an event", seconds * 1e6 / STREAMS as f64);
    figures.row("logging off (no subscriber)", micros(alone(ROUNDS, || pass(LogSample::default()))), "");
    let lines = || subscriber("info".parse().unwrap(), io::sink);
    tracing::subscriber::with_default(lines(), || {
        let sampled: LogSample = "0.01".parse().unwrap();
        figures.row("one invocation in a hundred logs", micros(alone(ROUNDS, || pass(sampled))), "");
        figures.row("a line for each message", micros(alone(ROUNDS, || pass(LogSample::default()))), "");
    });
}

/// How long one event takes from its arrival at 80 % of what can be done: batches arrive at a fixed rate, whether or
/// not the one before is done.
fn latencies(figures: &mut Figures, rate: f64) {
    let by = integrity();
    let payloads: Vec<Vec<u8>> = (0..STREAMS / BATCH).map(|batch| payload(batch, &by)).collect();
    let ours = Ours::new(by);
    payloads.iter().for_each(|payload| ours.handle(payload));
    let every = Duration::from_secs_f64(BATCH as f64 / (0.8 * rate));
    let begun = Instant::now();
    let mut waits = Vec::new();
    for number in 0.. {
        let due = begun + every * number;
        if due > begun + LOAD {
            break;
        }
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        ours.handle(&payloads[number as usize % payloads.len()]);
        waits.push(due.elapsed().as_secs_f64() * 1e6);
    }
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        let beside = if name == "p99" { "target 2,000 µs" } else { "" };
        figures.row(
            format!("{name} of one event at 80 % load"),
            format!("{:.0} µs", percentile(&mut waits, share)),
            beside,
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [one, which, ..] = arguments.as_slice()
        && one == "--one"
    {
        return hostler_bench::instructions::measured(|| match which.as_str() {
            "ours" => Box::new({
                let (by, ours) = (integrity(), Ours::new(integrity()));
                let payload = payload(0, &by);
                move || ours.handle(&payload)
            }),
            "floor" => Box::new({
                let (by, mut floor) = (integrity(), floor());
                let payload = payload(0, &by);
                move || floor.handle(&payload)
            }),
            other => stages::one(other),
        });
    }
    let mut figures = Figures::here();
    throughput(&mut figures, false);
    let rate = throughput(&mut figures, true);
    latencies(&mut figures, rate);
    stages::all(&mut figures);
    logging(&mut figures);
    figures.save("pipeline");
}
