//! The stages of the pipeline, each alone.

use std::hint::black_box;

use hostler_bench::{Figures, alone};
use hostler_core::{Commit, Data, Decider, Envelope, Incoming, Payload, RecordedEvent};
use hostler_runtime::messages::batch::Records;
use hostler_runtime::messages::integrity::Integrity;
use hostler_runtime::state::item::{to_commit, to_fields};
use jiff::Timestamp;

use crate::readings::{BATCH, Reading, ReadingEvent, STREAMS, Sensor, SensorDecider, envelope, stored};
use crate::setup::{integrity, payload};

const ROUNDS: usize = 50;

/// A stage, and how often one call of it does its work.
type Stage = (&'static str, usize, Box<dyn FnMut()>);

fn stages() -> Vec<Stage> {
    let by = integrity();
    let event = |sensor: usize| by.signed(envelope(sensor));
    let envelopes: Vec<Envelope> = (0..STREAMS).map(event).collect();
    let bare: Vec<Envelope> = (0..STREAMS).map(envelope).collect();
    let bodies: Vec<String> = envelopes.iter().map(|event| event.to_json().unwrap()).collect();
    let messages: Vec<Incoming> = bodies.iter().map(|body| Incoming::decode(body).unwrap()).collect();
    let readings: Vec<Reading> = envelopes.iter().map(|event| event.data.read().unwrap()).collect();
    let read = readings.clone();
    let commits: Vec<Commit> = (0..STREAMS)
        .map(|sensor| {
            let mut commit = stored(sensor);
            commit.events.push(RecordedEvent {
                event_id: envelopes[sensor].event_id,
                event_type: "reading.recorded".to_owned(),
                schema_version: 1,
                data: Data::of(&readings[sensor]),
            });
            commit
        })
        .collect();
    let states: Vec<Data> = commits.iter().map(|commit| commit.snapshot.clone().unwrap().state).collect();
    let items: Vec<_> = commits.iter().map(|commit| to_fields(commit).unwrap()).collect();
    let payloads: Vec<Vec<u8>> = (0..STREAMS / BATCH).map(|batch| payload(batch, &by)).collect();
    let (verifier, signer): (_, Integrity) = (by.clone(), (*by).clone());
    fn each<T: 'static, R>(inputs: Vec<T>, work: impl Fn(&T) -> R + 'static) -> Box<dyn FnMut()> {
        Box::new(move || inputs.iter().for_each(|input| drop(black_box(work(input)))))
    }
    let now = Timestamp::now();
    let recorded = envelopes.clone();
    vec![
        (
            "records: the invocation's JSON",
            STREAMS,
            each(payloads, |bytes| serde_json::from_slice::<Records>(bytes).unwrap()),
        ),
        ("decode: the envelope", STREAMS, each(bodies, |body| Incoming::decode(body).unwrap())),
        ("verify: the signature", STREAMS, each(messages, move |message| verifier.verify(message).unwrap())),
        (
            "read: the payload",
            STREAMS,
            each(recorded, |event| {
                ReadingEvent::from_data(&event.event_type, event.schema_version, &event.data).unwrap()
            }),
        ),
        ("snapshot: the state", STREAMS, each(states, |state| state.read::<Sensor>().unwrap())),
        (
            "decide and evolve",
            STREAMS,
            each(readings, move |reading| {
                let state = Sensor::default();
                let decision = SensorDecider::decide(&state, reading, now).unwrap();
                SensorDecider::evolve(state, &decision.events[0])
            }),
        ),
        ("write: the payload", STREAMS, each(read, Data::of::<Reading>)),
        ("write: the commit", STREAMS, each(commits, |commit| to_fields(commit).unwrap())),
        ("write: the event", STREAMS, each(envelopes, |event| event.to_json().unwrap())),
        ("elsewhere: sign an event (relay)", STREAMS, each(bare, move |event| signer.signed(event.clone()))),
        ("elsewhere: read a commit (load)", STREAMS, each(items, |fields| to_commit(fields).unwrap())),
    ]
}

/// What they are called.
#[allow(dead_code, reason = "times are taken of all at once")]
pub(crate) fn names() -> Vec<&'static str> {
    stages().into_iter().map(|(name, ..)| name).collect()
}

/// Measures them all.
#[allow(dead_code, reason = "instructions are counted one by one")]
pub(crate) fn all(figures: &mut Figures) {
    for (name, events, work) in stages() {
        let seconds = alone(ROUNDS, work);
        figures.row(name, format!("{:.2} µs", seconds * 1e6 / events as f64), "");
    }
}

/// One of them, by its name.
#[allow(dead_code, reason = "times are taken of all at once")]
pub(crate) fn one(name: &str) -> Box<dyn FnMut()> {
    let found = stages().into_iter().find(|(stage, ..)| *stage == name);
    found.unwrap_or_else(|| panic!("there is no stage {name:?}")).2
}
