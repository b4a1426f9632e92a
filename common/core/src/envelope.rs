//! The envelopes: what travels around every event and every command.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::{Data, to_json};
use crate::ids::{CausationId, CommandId, CorrelationId, EventId, StreamId, StreamVersion};
use crate::trace::TraceContext;

/// The longest causal chain that is followed. AWS's own loop detection does not see loops through DynamoDB or
/// EventBridge, so a chain past this is quarantined. A provisioning stays near 100 by default, and below this with every
/// attempt that its policy may allow.
pub const HOPS_MAX: u16 = 1_000;

/// About what an envelope says beside its payload, in bytes.
const BESIDE_DATA: usize = 1_024;

/// Who set things in motion: an operator, a host, a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Actor(pub String);

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a message comes from: the part that events, commands and timers have in common.
///
/// On the wire its fields stand among those of the message. It is written and signed in one place each; the signature is
/// made over it, and so is no part of it.
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
    /// Who set things in motion.
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
    /// When it was recorded; data, never an ordering.
    pub timestamp: Timestamp,
    /// The system that says so.
    pub source: String,
    /// The stream it is recorded on.
    pub stream: StreamId,
    /// The stream's version that the event's commit made; events of one commit share it.
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
    /// When it cannot be written, which a plain record always can.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        to_json(self, BESIDE_DATA + self.data.text().len())
    }
}

/// Something that somebody is asked to do. It is the body of a message on a step queue.
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
