//! How time and memory grow: with the number of sagas, the length of a stream, and the number of rows of a view.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a benchmark fails")]

#[path = "../pipeline/readings.rs"]
#[allow(dead_code, reason = "some of it is the pipeline's")]
mod readings;

use std::sync::Arc;
use std::time::Instant;

use hostler_bench::{Figures, median};
use hostler_core::saga::{Answers, ChildEnd, Parent, SagaInput, SagaRef, StepOutcome};
use hostler_core::{Actor, CausationId, CommitId, CorrelationId, Decider, Payload, StreamId};
use hostler_runtime::ports::{Clock, EventStore, Row, Views};
use hostler_runtime::state::catch_up::Follower;
use hostler_runtime::state::history::Fold;
use hostler_runtime::state::shell::{Cause, Shell};
use hostler_testkit::memory::{MemoryStore, MemoryViews};
use hostler_testkit::sample_saga::{Order, Orders};
use hostler_testkit::{SeededIds, TestClock};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use readings::{Reading, ReadingEvent, SensorDecider};

// As in every function.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SAGAS: [usize; 4] = [100, 1_000, 10_000, 100_000];
const COMMITS: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
const HOSTS: [usize; 4] = [1_000, 10_000, 100_000, 250_000];
/// How often a load is measured, and how many loads are measured at once.
const ROUNDS: usize = 20;
const LOADS: usize = 200;
/// How long a message may wait on a queue.
const WAITED: SignedDuration = SignedDuration::from_hours(240);
/// How many events a projection is measured with.
const EVENTS: usize = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut figures = Figures::here();
    for count in SAGAS {
        sagas(&mut figures, count).await;
    }
    for length in COMMITS {
        load(&mut figures, length).await;
    }
    for hosts in HOSTS {
        project(&mut figures, hosts).await;
    }
    figures.save("growth");
}

fn shell(store: &MemoryStore, clock: &TestClock) -> Shell {
    Shell::new(Arc::new(store.clone()), Arc::new(clock.clone()), Arc::new(SeededIds::default()), "bench")
}

fn cause(number: usize, since: Timestamp) -> Cause {
    Cause {
        id: CausationId::new(format!("cause-{number}")).unwrap(),
        since,
        correlation_id: CorrelationId(Uuid::from_u128(number as u128)),
        trace_context: None,
        hops: 0,
        actor: Actor("bench".to_owned()),
    }
}

/// All of them go forward side by side, step by step, so that all are there at once.
async fn sagas(figures: &mut Figures, count: usize) {
    let store = MemoryStore::default();
    let clock = TestClock::default();
    let shell = shell(&store, &clock);
    let before = resident_mb();
    let begun = Instant::now();
    let mut waiting: Vec<(StreamId, SagaInput<Order>)> = (0..count)
        .map(|number| {
            let saga = SagaRef::new(Orders::CATEGORY, &format!("s-{number}")).unwrap();
            (saga.stream().clone(), SagaInput::Start { saga, order: Order { amount: 10 }, parent: None })
        })
        .collect();
    let mut commits = 0;
    while !waiting.is_empty() {
        for (stream, input) in std::mem::take(&mut waiting) {
            let done = shell.execute::<Orders>(&stream, &cause(commits, clock.now()), &input).await.unwrap();
            commits += 1;
            let last =
                store.read(&stream, hostler_core::StreamVersion(done.fold.version.0 - 1), 1).await.unwrap();
            for command in last.iter().flat_map(|commit| &commit.commands) {
                let data = command.data.to_value();
                let answer = if command.command_type.as_str() == "start-saga" {
                    let parent: Parent = serde_json::from_value(data["parent"].clone()).unwrap();
                    let end = ChildEnd::Completed { output: json!(null) };
                    SagaInput::ChildEnded { step: parent.step, end }
                } else {
                    let step = serde_json::from_value(data["id"].clone()).unwrap();
                    let outcome = StepOutcome::Succeeded { output: json!(null) };
                    SagaInput::Answer { answers: Answers::Attempt(step), outcome }
                };
                waiting.push((stream.clone(), answer));
            }
        }
    }
    let micros = begun.elapsed().as_secs_f64() * 1e6 / count as f64;
    let kilobytes = (resident_mb() - before).max(0.0) * 1e3 / count as f64;
    let per = commits as f64 / count as f64;
    figures.row(
        format!("a saga of five steps, {count} side by side"),
        format!("{micros:.0} µs, {kilobytes:.1} KB"),
        format!("{per:.1} commits each"),
    );
    figures.point("time of a saga by how many there are: µs", count as f64, micros);
}

/// Streams get a snapshot on every sixteenth commit, in which are the newest 500 causes of the last 48 hours at most. A
/// command that came at once is decided by these; for one that is ten days old the stream is looked through so far.
async fn load(figures: &mut Figures, length: usize) {
    let (store, clock) = (MemoryStore::default(), TestClock::default());
    let shell = shell(&store, &clock);
    let event = readings::envelope(0);
    let reading: Reading = event.data.read().unwrap();
    for number in 0..length {
        shell.execute::<SensorDecider>(&event.stream, &cause(number, clock.now()), &reading).await.unwrap();
        clock.set(clock.now() + SignedDuration::from_mins(1));
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..LOADS {
            shell.load::<SensorDecider>(&event.stream).await.unwrap();
        }
        rounds.push(begun.elapsed().as_secs_f64());
    }
    let micros = median(rounds) * 1e6 / LOADS as f64;
    figures.row(format!("loading a stream of {length} commits"), format!("{micros:.1} µs"), "");
    figures.point("time of a load by the length of the stream: µs", length as f64, micros);
    let mut number = length;
    for (what, age) in [("a command", SignedDuration::ZERO), ("a command that waited ten days", WAITED)] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let since = clock.now() - age;
            shell.execute::<SensorDecider>(&event.stream, &cause(number, since), &reading).await.unwrap();
            rounds.push(begun.elapsed().as_secs_f64());
            number += 1;
        }
        let micros = median(rounds) * 1e6;
        figures.row(format!("{what} on a stream of {length} commits"), format!("{micros:.1} µs"), "");
    }
}

fn row(stream: &StreamId, fold: &Fold<SensorDecider>) -> Option<Row> {
    Some(Row {
        view: "sensors".to_owned(),
        key: stream.key().to_owned(),
        group: "all".to_owned(),
        version: fold.version,
        updated_at: fold.updated_at?,
        body: serde_json::to_value(&fold.state).ok()?,
    })
}

/// Every host has its stream and its row already.
async fn project(figures: &mut Figures, hosts: usize) {
    let (store, views) = (MemoryStore::default(), MemoryViews::default());
    let mut sample = readings::stored(0);
    let reading: Reading = readings::envelope(0).data.read().unwrap();
    for number in 0..hosts {
        sample.stream = StreamId::new("sensor", &format!("s-{number}")).unwrap();
        sample.version = hostler_core::StreamVersion(1);
        sample.commit_id = CommitId(Uuid::from_u128(number as u128));
        store.append(&sample).await.unwrap();
        let full = Row {
            view: "sensors".to_owned(),
            key: format!("s-{number}"),
            group: "all".to_owned(),
            version: hostler_core::StreamVersion::EMPTY,
            updated_at: sample.recorded_at,
            body: ReadingEvent::Taken(reading.clone()).to_data().to_value(),
        };
        views.put(&full).await.unwrap();
    }
    let mut event = readings::envelope(0);
    let follower = Follower::new("sensors", row);
    let begun = Instant::now();
    for number in 0..EVENTS {
        event.stream = StreamId::new("sensor", &format!("s-{}", number * (hosts / EVENTS))).unwrap();
        event.stream_version = hostler_core::StreamVersion(1);
        follower.follow(&store, &views, &event).await.unwrap();
    }
    let micros = begun.elapsed().as_secs_f64() * 1e6 / EVENTS as f64;
    figures.row(format!("projecting an event, {hosts} hosts"), format!("{micros:.1} µs"), "");
    figures.point("time of a projection by how many hosts there are: µs", hosts as f64, micros);
}

/// The memory of this process in megabytes.
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or_default() * 1_024.0 / 1e6
}
