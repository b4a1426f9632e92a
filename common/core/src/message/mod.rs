//! What a queue delivers: an event, a command, or a timer that came due.

mod wire;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::envelope::{Actor, CommandEnvelope, Envelope, Header};
use crate::failure::{Category, Failure};
use crate::ids::{CausationId, CorrelationId, StreamId, TimerId};
use crate::payload::Payload;
use crate::trace::TraceContext;

/// A timer on its way, and the message its owner gets once it is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimerFired {
    /// Names this timer.
    pub timer_id: TimerId,
    /// The stream that set it.
    pub stream: StreamId,
    /// The logical name of the queue where it is to be delivered.
    pub deliver_to: String,
    /// The earliest moment of delivery.
    pub due_at: Timestamp,
    /// The owner's name for it, by which the owner knows whether it still matters.
    pub name: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub header: Header,
    /// A signature over the canonical envelope, where signing is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// A message as it was read off a queue.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// Something that happened.
    Event(Box<Envelope>),
    /// Something to do.
    Command(Box<CommandEnvelope>),
    /// A timer that this consumer has set, and that is due.
    Timer(Box<TimerFired>),
}

/// A message body that is none of our messages.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON at all.
    #[error("the message is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// JSON without any of the fields by which the kinds are told apart.
    #[error(
        "the message has none of eventType, commandType and timerId, so it is no event, command or timer: send the whole envelope"
    )]
    NoKind,
    /// An envelope of a known kind that lacks something.
    #[error("the {kind} envelope is not complete: {source}")]
    Envelope {
        /// Event, command or timer.
        kind: &'static str,
        /// Which field, and why.
        #[source]
        source: serde_json::Error,
    },
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::terminal(Category::Validation, error)
    }
}

impl Incoming {
    /// Reads a message body. An EventBridge event is unwrapped: its `detail` is the envelope.
    ///
    /// # Errors
    /// [`DecodeError`] says what the body lacks.
    pub fn decode(body: &str) -> Result<Self, DecodeError> {
        if let Some(message) = wire::read(body) {
            return Ok(message);
        }
        // Something is wrong with it. Finding out what may take longer.
        let mut value: Value = serde_json::from_str(body).map_err(DecodeError::NotJson)?;
        if value.get("detail-type").is_some()
            && let Some(detail) = value.get_mut("detail")
        {
            value = detail.take();
        }
        fn read<T: serde::de::DeserializeOwned>(
            kind: &'static str,
            value: Value,
        ) -> Result<Box<T>, DecodeError> {
            serde_json::from_value(value)
                .map(Box::new)
                .map_err(|source| DecodeError::Envelope { kind, source })
        }
        if value.get("eventType").is_some() {
            Ok(Self::Event(read("event", value)?))
        } else if value.get("commandType").is_some() {
            Ok(Self::Command(read("command", value)?))
        } else if value.get("timerId").is_some() {
            Ok(Self::Timer(read("timer", value)?))
        } else {
            Err(DecodeError::NoKind)
        }
    }

    /// The command that this message is, as one of a set.
    ///
    /// # Errors
    /// [`Failure::Terminal`] when it is no command, or none of the set.
    pub fn command<C: Payload>(&self) -> Result<C, Failure> {
        match self {
            Self::Command(command) => {
                Ok(C::from_data(&command.command_type, command.schema_version, &command.data)?)
            }
            Self::Event(_) | Self::Timer(_) => Err(self.misplaced("a command")),
        }
    }

    /// The failure of a message that is well-formed and on the wrong queue.
    #[must_use]
    pub fn misplaced(&self, expected: &str) -> Failure {
        let kind = match self {
            Self::Event(_) => "event",
            Self::Command(_) => "command",
            Self::Timer(_) => "timer",
        };
        let name = self.type_name();
        let reason = format!("the {kind} {name} came where {expected} is handled: send it to its own queue");
        Failure::terminal(Category::Validation, reason)
    }

    /// The type's name, for logs and errors.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Event(event) => &event.event_type,
            Self::Command(command) => &command.command_type,
            Self::Timer(timer) => &timer.name,
        }
    }

    /// Where it comes from.
    #[must_use]
    pub fn header(&self) -> &Header {
        match self {
            Self::Event(event) => &event.header,
            Self::Command(command) => &command.header,
            Self::Timer(timer) => &timer.header,
        }
    }

    /// The earliest moment at which it can have been handled: a timer's is when it is due, for none comes early.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        match self {
            Self::Event(event) => event.timestamp,
            Self::Command(command) => command.timestamp,
            Self::Timer(timer) => timer.due_at,
        }
    }

    /// The length of the causal chain that led here.
    #[must_use]
    pub fn hops(&self) -> u16 {
        self.header().hops
    }

    /// The request that it belongs to.
    #[must_use]
    pub fn correlation_id(&self) -> CorrelationId {
        self.header().correlation_id
    }

    /// The trace that it belongs to.
    #[must_use]
    pub fn trace_context(&self) -> Option<&TraceContext> {
        self.header().trace_context.as_ref()
    }

    /// Who started it.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.header().actor
    }

    /// The id by which this message is handled at most once on a stream.
    #[must_use]
    pub fn cause(&self) -> CausationId {
        match self {
            Self::Event(event) => event.event_id.into(),
            Self::Command(command) => command.command_id.into(),
            Self::Timer(timer) => timer.timer_id.into(),
        }
    }
}
