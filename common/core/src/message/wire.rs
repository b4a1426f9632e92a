//! Reads a message of any kind in one pass.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Incoming, TimerFired};
use crate::data::Data;
use crate::envelope::{Actor, CommandEnvelope, Envelope, Header};
use crate::ids::{CausationId, CommandId, CorrelationId, EventId, StreamId, StreamVersion, TimerId};
use crate::trace::TraceContext;

/// The fields of all kinds of messages, and of what EventBridge wraps around an event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    event_id: Option<EventId>,
    event_type: Option<String>,
    command_id: Option<CommandId>,
    command_type: Option<String>,
    timer_id: Option<TimerId>,
    schema_version: Option<u32>,
    timestamp: Option<Timestamp>,
    source: Option<String>,
    stream: Option<StreamId>,
    stream_version: Option<StreamVersion>,
    correlation_id: Option<CorrelationId>,
    causation_id: Option<CausationId>,
    trace_context: Option<TraceContext>,
    hops: Option<u16>,
    actor: Option<Actor>,
    data: Option<Data>,
    signature: Option<String>,
    deliver_to: Option<String>,
    due_at: Option<Timestamp>,
    name: Option<String>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

/// Reads a message; none where anything is missing or wrong.
pub(super) fn read(body: &str) -> Option<Incoming> {
    let wire: Wire<'_> = serde_json::from_str(body).ok()?;
    match wire {
        Wire { detail: Some(detail), detail_type: Some(_), .. } => {
            let wire: Wire<'_> = serde_json::from_str(detail.get()).ok()?;
            wire.into_message()
        }
        wire => wire.into_message(),
    }
}

impl Wire<'_> {
    fn into_message(self) -> Option<Incoming> {
        if let Some(event_type) = self.event_type {
            let event = Envelope {
                event_id: self.event_id?,
                event_type,
                schema_version: self.schema_version?,
                timestamp: self.timestamp?,
                source: self.source?,
                stream: self.stream?,
                stream_version: self.stream_version?,
                header: Header {
                    correlation_id: self.correlation_id?,
                    causation_id: self.causation_id?,
                    trace_context: self.trace_context,
                    hops: self.hops?,
                    actor: self.actor?,
                },
                data: self.data?,
                signature: self.signature,
            };
            return Some(Incoming::Event(Box::new(event)));
        }
        if let Some(command_type) = self.command_type {
            let command = CommandEnvelope {
                command_id: self.command_id?,
                command_type,
                schema_version: self.schema_version?,
                timestamp: self.timestamp?,
                source: self.source?,
                header: Header {
                    correlation_id: self.correlation_id?,
                    causation_id: self.causation_id?,
                    trace_context: self.trace_context,
                    hops: self.hops?,
                    actor: self.actor?,
                },
                data: self.data?,
                signature: self.signature,
            };
            return Some(Incoming::Command(Box::new(command)));
        }
        let timer = TimerFired {
            timer_id: self.timer_id?,
            stream: self.stream?,
            deliver_to: self.deliver_to?,
            due_at: self.due_at?,
            name: self.name?,
            header: Header {
                correlation_id: self.correlation_id?,
                causation_id: self.causation_id?,
                trace_context: self.trace_context,
                hops: self.hops?,
                actor: self.actor?,
            },
            signature: self.signature,
        };
        Some(Incoming::Timer(Box::new(timer)))
    }
}
