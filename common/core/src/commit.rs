//! A commit: everything that one decision records and sends, written by one put.

use crate::mutants;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::envelope::{Actor, CommandEnvelope, Envelope, Header};
use crate::ids::{
    CausationId, CommandId, CommitId, CorrelationId, EventId, StreamId, StreamVersion, TimerId,
};
use crate::message::TimerFired;
use crate::trace::TraceContext;

/// The largest commit in bytes, as this crate counts them. DynamoDB's limit is 400 KB for an item, and attribute
/// names and keys need some of it.
pub const COMMIT_BYTES_MAX: usize = 390_000;
/// The largest event in bytes. A PutEvents entry, and the SQS message made of it, may have 256 KB in every partition
/// and emulator; EventBridge's wrapping needs some of it.
pub const EVENT_BYTES_MAX: usize = 250_000;
/// The largest command in bytes, for the same reason.
pub const COMMAND_BYTES_MAX: usize = 250_000;

/// One event inside its commit. The commit holds what all its events share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedEvent {
    /// Names the event.
    pub event_id: EventId,
    /// Its type.
    pub event_type: String,
    /// Its schema version.
    pub schema_version: u32,
    /// Its payload.
    pub data: Data,
}

/// One command inside its commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedCommand {
    /// Names the command.
    pub command_id: CommandId,
    /// Its type.
    pub command_type: String,
    /// Its schema version.
    pub schema_version: u32,
    /// The logical name of the queue it goes to.
    pub queue: String,
    /// Its payload.
    pub data: Data,
}

/// One timer inside its commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedTimer {
    /// Names the timer.
    pub timer_id: TimerId,
    /// The owner's name for it.
    pub name: String,
    /// The earliest moment of delivery.
    pub due_at: Timestamp,
    /// The logical name of the queue that its owner reads.
    pub deliver_to: String,
}

/// A cause that a stream has already committed, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenCause {
    /// The cause.
    #[serde(rename = "c")]
    pub causation_id: CausationId,
    /// The version of its commit.
    #[serde(rename = "v")]
    pub version: StreamVersion,
    /// When it was committed.
    #[serde(rename = "t")]
    pub recorded_at: Timestamp,
}

impl SeenCause {
    /// The cause of a commit.
    #[must_use]
    pub fn of(commit: Commit) -> Self {
        let Commit { causation_id, version, recorded_at, .. } = commit;
        Self { causation_id, version, recorded_at }
    }
}

/// The state after the commit that carries it, and the causes that must still be recognised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The version of the form of `state`. A reader of another form ignores the snapshot.
    pub state_version: u32,
    /// The state.
    pub state: Data,
    /// The newest causes, oldest first: those of the last so many commits, without a gap.
    pub seen: Vec<SeenCause>,
}

/// Everything that one decision records and sends.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The stream.
    pub stream: StreamId,
    /// The version this commit makes.
    pub version: StreamVersion,
    /// Names this attempt.
    pub commit_id: CommitId,
    /// The cause.
    pub causation_id: CausationId,
    /// The request it belongs to.
    pub correlation_id: CorrelationId,
    /// The trace it belongs to.
    pub trace_context: Option<TraceContext>,
    /// The length of the causal chain up to and including this commit.
    pub hops: u16,
    /// Who started it.
    pub actor: Actor,
    /// The system that records it.
    pub source: String,
    /// When.
    pub recorded_at: Timestamp,
    /// What happened.
    pub events: Vec<RecordedEvent>,
    /// What others are asked to do.
    pub commands: Vec<RecordedCommand>,
    /// When the owner wants to be woken.
    pub timers: Vec<RecordedTimer>,
    /// The state after it, on every Nth commit.
    pub snapshot: Option<Snapshot>,
}

/// A commit that must not be written: it is too large to be stored, or to be published once stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Some part is over its limit.
    #[error(
        "{what} of {stream} is {bytes} bytes, and the limit is {limit}: nothing was written; send less data, or keep the bulk elsewhere and send a reference"
    )]
    TooLarge {
        /// The stream.
        stream: StreamId,
        /// The part: the commit, or an event or command by its type, or a timer by its name.
        what: String,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl Commit {
    /// The header of every message that the commit publishes.
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            correlation_id: self.correlation_id,
            causation_id: self.causation_id.clone(),
            trace_context: self.trace_context.clone(),
            hops: self.hops,
            actor: self.actor.clone(),
        }
    }

    /// The commit's events in their envelopes, as they are published.
    pub fn envelopes(&self) -> impl Iterator<Item = Envelope> + '_ {
        self.events.iter().map(|event| Envelope {
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            schema_version: event.schema_version,
            timestamp: self.recorded_at,
            source: self.source.clone(),
            stream: self.stream.clone(),
            stream_version: self.version,
            header: self.header(),
            data: event.data.clone(),
            signature: None,
        })
    }

    /// The commit's commands in their envelopes, each with its queue.
    pub fn command_envelopes(&self) -> impl Iterator<Item = (&str, CommandEnvelope)> + '_ {
        self.commands.iter().map(|command| {
            let envelope = CommandEnvelope {
                command_id: command.command_id,
                command_type: command.command_type.clone(),
                schema_version: command.schema_version,
                timestamp: self.recorded_at,
                source: self.source.clone(),
                header: self.header(),
                data: command.data.clone(),
                signature: None,
            };
            (command.queue.as_str(), envelope)
        })
    }

    /// The commit's timers as messages.
    pub fn timer_messages(&self) -> impl Iterator<Item = TimerFired> + '_ {
        self.timers.iter().map(|timer| TimerFired {
            timer_id: timer.timer_id,
            stream: self.stream.clone(),
            deliver_to: timer.deliver_to.clone(),
            due_at: timer.due_at,
            name: timer.name.clone(),
            header: self.header(),
            signature: None,
        })
    }

    /// An upper bound for every part and for all of them together, found without writing anything.
    fn bytes_at_most(&self) -> usize {
        /// Fields of a fixed length, names and punctuation of an envelope.
        const ENVELOPE: usize = 700;
        /// The longest spelling of a byte of text: `\u001f`.
        const ESCAPED: usize = 6;
        let trace = self.trace_context.as_ref();
        let texts = self.stream.as_str().len()
            + self.causation_id.as_str().len()
            + self.actor_bytes()
            + self.source.len()
            + trace.map_or(0, TraceContext::bytes);
        let shared = ENVELOPE + texts * ESCAPED;
        let events =
            self.events.iter().map(|event| event.event_type.len() * ESCAPED + event.data.text().len());
        let commands = self.commands.iter().map(|command| {
            (command.command_type.len() + command.queue.len()) * ESCAPED + command.data.text().len()
        });
        let timers = self.timers.iter().map(|timer| (timer.name.len() + timer.deliver_to.len()) * ESCAPED);
        let seen = |seen: &SeenCause| ENVELOPE + seen.causation_id.as_str().len() * ESCAPED;
        let snapshot = self.snapshot.as_ref().map_or(0, |snapshot| {
            ENVELOPE + snapshot.state.text().len() + snapshot.seen.iter().map(seen).sum::<usize>()
        });
        events.chain(commands).chain(timers).map(|bytes| shared + bytes).sum::<usize>() + shared + snapshot
    }

    /// Checks that what is to be stored can be stored, and can be published afterwards.
    ///
    /// # Errors
    /// [`CommitError::TooLarge`] with the part, its size and the limit.
    pub fn check_size(&self) -> Result<(), CommitError> {
        let too_large = |what: String, bytes: usize, limit: usize| CommitError::TooLarge {
            stream: self.stream.clone(),
            what,
            bytes,
            limit,
        };
        if self.bytes_at_most() <= EVENT_BYTES_MAX.min(COMMAND_BYTES_MAX) {
            return Ok(());
        }
        // What the item has once: names and fields of a fixed length, and the texts of the header.
        let trace = self.trace_context.as_ref();
        let mut total = 1_000
            + self.stream.as_str().len()
            + self.causation_id.as_str().len()
            + self.actor_bytes()
            + self.source.len()
            + trace.map_or(0, TraceContext::bytes);
        for (event, envelope) in self.events.iter().zip(self.envelopes()) {
            total += json_bytes(event);
            let bytes = json_bytes(&envelope);
            if bytes > EVENT_BYTES_MAX {
                return Err(too_large(format!("event {}", event.event_type), bytes, EVENT_BYTES_MAX));
            }
        }
        for (command, (_, envelope)) in self.commands.iter().zip(self.command_envelopes()) {
            total += json_bytes(command);
            let bytes = json_bytes(&envelope);
            if bytes > COMMAND_BYTES_MAX {
                let what = format!("command {}", command.command_type);
                return Err(too_large(what, bytes, COMMAND_BYTES_MAX));
            }
        }
        for (timer, message) in self.timers.iter().zip(self.timer_messages()) {
            total += json_bytes(timer);
            let bytes = json_bytes(&message);
            if bytes > COMMAND_BYTES_MAX {
                return Err(too_large(format!("timer {}", timer.name), bytes, COMMAND_BYTES_MAX));
            }
        }
        total += self.snapshot.as_ref().map_or(0, json_bytes);
        if total > COMMIT_BYTES_MAX {
            return Err(too_large("the commit".to_owned(), total, COMMIT_BYTES_MAX));
        }
        Ok(())
    }

    fn actor_bytes(&self) -> usize {
        if mutants::on("commit.size-without-its-actor") { 0 } else { self.actor.0.len() }
    }
}

/// The size of a value as JSON in bytes, counted without building the text.
fn json_bytes(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        // A value that cannot be serialised cannot be stored either: the largest size makes it refused.
        Err(_) => usize::MAX / 4,
    }
}
