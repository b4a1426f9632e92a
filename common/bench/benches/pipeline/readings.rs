//! What the pipeline is measured with: readings of sensors, in envelopes of one kilobyte.

use hostler_core::Data;
use hostler_core::{
    Actor, CausationId, Commit, CommitId, ContractError, CorrelationId, Decider, Decision, Envelope, EventId,
    Header, NoCommand, Payload, SeenCause, Snapshot, StreamId, StreamVersion, TraceContext,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The size of each event on the wire in bytes.
pub(crate) const EVENT_BYTES: usize = 1_024;
/// How many messages one invocation is handed.
pub(crate) const BATCH: usize = 10;
/// How many sensors there are.
pub(crate) const STREAMS: usize = 1_000;

/// One reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reading {
    pub(crate) sensor: String,
    pub(crate) site: String,
    pub(crate) rack: u32,
    pub(crate) unit: String,
    pub(crate) celsius: Vec<f64>,
    pub(crate) fans: Vec<u32>,
    pub(crate) firmware: String,
    pub(crate) note: String,
}

/// What sensors say, and what is recorded of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ReadingEvent {
    Taken(Reading),
    Recorded(Reading),
}

impl Payload for ReadingEvent {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Taken(_) => "reading.taken",
            Self::Recorded(_) => "reading.recorded",
        }
    }

    fn schema_version(&self) -> u32 {
        1
    }

    fn to_data(&self) -> Data {
        let (Self::Taken(reading) | Self::Recorded(reading)) = self;
        Data::of(reading)
    }

    fn from_data(type_name: &str, schema_version: u32, data: &Data) -> Result<Self, ContractError> {
        let read = || {
            data.read().map_err(|source| ContractError::Data {
                type_name: type_name.to_owned(),
                schema_version,
                source,
            })
        };
        match type_name {
            "reading.taken" => read().map(Self::Taken),
            "reading.recorded" => read().map(Self::Recorded),
            _ => Err(ContractError::UnknownType { type_name: type_name.to_owned(), known: String::new() }),
        }
    }
}

/// A sensor so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sensor {
    pub(crate) readings: u64,
    pub(crate) hottest: f64,
    pub(crate) firmware: String,
    pub(crate) last: Option<Timestamp>,
}

/// A reading that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{celsius} °C is no temperature of a rack")]
pub(crate) struct Implausible {
    celsius: f64,
}

/// Records readings.
pub(crate) struct SensorDecider;

impl Decider for SensorDecider {
    const CATEGORY: &'static str = "sensor";
    const STATE_VERSION: u32 = 1;
    type State = Sensor;
    type Input = Reading;
    type Event = ReadingEvent;
    type Command = NoCommand;
    type Refusal = Implausible;

    fn decide(
        _: &Sensor,
        reading: &Reading,
        _: Timestamp,
    ) -> Result<Decision<ReadingEvent, NoCommand>, Implausible> {
        match reading.celsius.iter().find(|celsius| !(-40.0..=150.0).contains(*celsius)) {
            Some(celsius) => Err(Implausible { celsius: *celsius }),
            None => Ok(Decision::events([ReadingEvent::Recorded(reading.clone())])),
        }
    }

    fn evolve(mut state: Sensor, event: &ReadingEvent) -> Sensor {
        let (ReadingEvent::Taken(reading) | ReadingEvent::Recorded(reading)) = event;
        state.readings += 1;
        state.hottest = reading.celsius.iter().copied().fold(state.hottest, f64::max);
        state.firmware.clone_from(&reading.firmware);
        state
    }
}

fn stream(sensor: usize) -> StreamId {
    StreamId::new("sensor", &format!("s-{sensor:04}")).unwrap()
}

fn moment() -> Timestamp {
    "2026-03-04T05:06:07.123456789Z".parse().unwrap()
}

/// What is stored of a sensor: one commit with its snapshot.
pub(crate) fn stored(sensor: usize) -> Commit {
    let state = Sensor { readings: 32, hottest: 41.5, firmware: "7.10.3".to_owned(), last: None };
    Commit {
        stream: stream(sensor),
        version: StreamVersion(32),
        commit_id: CommitId(Uuid::now_v7()),
        causation_id: CausationId::new(format!("cause-{sensor}")).unwrap(),
        correlation_id: CorrelationId(Uuid::now_v7()),
        trace_context: None,
        hops: 1,
        actor: Actor("sensor".to_owned()),
        source: "bench".to_owned(),
        recorded_at: moment(),
        events: Vec::new(),
        commands: Vec::new(),
        timers: Vec::new(),
        snapshot: Some(Snapshot {
            state_version: SensorDecider::STATE_VERSION,
            state: Data::of(&state),
            // What was before the newest cause is older than any message.
            seen: vec![SeenCause {
                causation_id: CausationId::new(format!("cause-{sensor}")).unwrap(),
                version: StreamVersion(32),
                recorded_at: moment() - SignedDuration::from_hours(1),
            }],
        }),
    }
}

/// The envelope of one reading.
pub(crate) fn envelope(sensor: usize) -> Envelope {
    let reading = |note: String| Reading {
        sensor: format!("s-{sensor:04}"),
        site: "eu-north-1a".to_owned(),
        rack: 417,
        unit: "celsius".to_owned(),
        celsius: vec![21.5, 22.25, 23.0, 24.75, 31.125, 35.5, 40.25, 41.0],
        fans: vec![7_200, 7_150, 7_320, 7_280, 6_990, 7_010],
        firmware: "7.10.3".to_owned(),
        note,
    };
    let with = |note| Envelope {
        event_id: EventId(Uuid::now_v7()),
        event_type: "reading.taken".to_owned(),
        schema_version: 1,
        timestamp: moment(),
        source: "bench".to_owned(),
        stream: stream(sensor),
        stream_version: StreamVersion(33),
        header: Header {
            correlation_id: CorrelationId(Uuid::now_v7()),
            causation_id: CausationId::new(Uuid::now_v7().to_string()).unwrap(),
            trace_context: Some(TraceContext {
                traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
                tracestate: None,
            }),
            hops: 3,
            actor: Actor("sensor".to_owned()),
        },
        data: ReadingEvent::Taken(reading(note)).to_data(),
        signature: None,
    };
    let bare = serde_json::to_string(&with(String::new())).unwrap().len();
    with("n".repeat(EVENT_BYTES - bare))
}
