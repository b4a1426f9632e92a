//! The envelopes of events and commands.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::{Data, to_json};
use crate::ids::{CausationId, CommandId, CorrelationId, EventId, StreamId, StreamVersion};
use crate::trace::TraceContext;

/// The longest causal chain that is followed; a message past it is quarantined. AWS's own loop detection does not see
/// loops through DynamoDB or EventBridge. A provisioning stays near 100 by default, and below this limit with every
/// attempt that its policy may allow.
pub const HOPS_MAX: u16 = 1_000;

/// The size of an envelope without its payload, in bytes, roughly.
const BESIDE_DATA: usize = 1_024;

/// Who started it: an operator, a host, a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Actor(pub String);

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part that the envelopes of events, commands and timers have in common: where the message comes from.
///
/// On the wire its fields are fields of the message. The signature is not part of it, because the header is signed as
/// well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The request that the message belongs to.
    pub correlation_id: CorrelationId,
    /// The message, timer or request that caused it.
    pub causation_id: CausationId,
    /// The trace that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_context: Option<TraceContext>,
    /// The length of the causal chain so far.
    pub hops: u16,
    /// Who started it.
    pub actor: Actor,
}

/// Something that happened. It is the `detail` of an EventBridge event, whose `detail-type` is `eventType`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<D = Data> {
    /// Names this event.
    pub event_id: EventId,
    /// What happened, such as `host.deploy-completed`.
    pub event_type: String,
    /// The version of `data`'s schema.
    pub schema_version: u32,
    /// When it was recorded. Nothing is ordered by it.
    pub timestamp: Timestamp,
    /// The system that recorded it.
    pub source: String,
    /// The stream it is recorded on.
    pub stream: StreamId,
    /// The stream's version after the event's commit. The events of one commit share it.
    pub stream_version: StreamVersion,
    /// Where it comes from.
    #[serde(flatten)]
    pub header: Header,
    /// The payload.
    pub data: D,
    /// A signature over the canonical envelope, where signing is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl Envelope {
    /// The envelope as it is sent.
    ///
    /// # Errors
    /// When it cannot be written, which does not happen to a plain record.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        to_json(self, BESIDE_DATA + self.data.text().len())
    }
}

/// A command. It is the body of a message on a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandEnvelope<D = Data> {
    /// Names this command; it is handled at most once.
    pub command_id: CommandId,
    /// What is asked for, such as `deploy-image`.
    pub command_type: String,
    /// The version of `data`'s schema.
    pub schema_version: u32,
    /// When it was issued.
    pub timestamp: Timestamp,
    /// The system that asks.
    pub source: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub header: Header,
    /// The payload.
    pub data: D,
    /// A signature over the canonical envelope, where signing is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}
