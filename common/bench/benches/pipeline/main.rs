//! The runtime's pipeline without I/O, on one core: from the bytes of an invocation to the bytes of its commits and
//! events, beside a straight line written by hand with the same crates.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a benchmark fails")]

mod floor;
mod readings;
mod setup;
mod stages;
mod still;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_bench::{Figures, alone, in_turn, median, percentile};
use hostler_runtime::messages::integrity::Integrity;
use hostler_runtime::operations::telemetry::{LogSample, subscriber};

use floor::Floor;
use readings::{BATCH, EVENT_BYTES, STREAMS};
use setup::{KEY, Ours, integrity, payload};

// As in every function.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 100;
/// How long each load of the latencies lasts, and how many there are.
const LOAD: Duration = Duration::from_secs(1);
const LOADS: usize = 7;

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
/// not the one before is done. Of several loads the middle one counts: a machine with other guests stands still at times.
fn latencies(figures: &mut Figures, rate: f64) {
    let by = integrity();
    let payloads: Vec<Vec<u8>> = (0..STREAMS / BATCH).map(|batch| payload(batch, &by)).collect();
    let ours = Ours::new(by);
    payloads.iter().for_each(|payload| ours.handle(payload));
    let mut loads: Vec<Vec<f64>> = (0..LOADS).map(|_| load(&ours, &payloads, rate)).collect();
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let middle = median(loads.iter_mut().map(|waits| percentile(waits, share)));
        let beside = if name == "p99" { "target 2,000 µs" } else { "" };
        figures.row(format!("{name} of one event at 80 % load"), format!("{middle:.0} µs"), beside);
    }
}

fn load(ours: &Ours, payloads: &[Vec<u8>], rate: f64) -> Vec<f64> {
    let every = Duration::from_secs_f64(BATCH as f64 / (0.8 * rate));
    let begun = Instant::now();
    let dues = (0..).map(|number| begun + every * number).take_while(|due| *due <= begun + LOAD);
    dues.zip(payloads.iter().cycle())
        .map(|(due, payload)| {
            while Instant::now() < due {
                std::hint::spin_loop();
            }
            ours.handle(payload);
            due.elapsed().as_secs_f64() * 1e6
        })
        .collect()
}

fn main() {
    let mut figures = Figures::here();
    throughput(&mut figures, false);
    let rate = throughput(&mut figures, true);
    latencies(&mut figures, rate);
    stages::all(&mut figures);
    logging(&mut figures);
    figures.save("pipeline");
}
