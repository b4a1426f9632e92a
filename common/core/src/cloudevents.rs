//! To CloudEvents 1.0 and back without loss.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::envelope::{Actor, Envelope, Header};
use crate::ids::{CausationId, CorrelationId, EventId, StreamId, StreamVersion};
use crate::trace::TraceContext;

/// A CloudEvent in structured JSON form (<https://github.com/cloudevents/spec>, version 1.0). Extension names
/// are lower-case, as the specification asks; the trace ones are its own "distributed tracing" extension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub struct CloudEvent {
    /// Always `1.0`.
    pub specversion: String,
    /// The event id.
    pub id: EventId,
    /// The system that recorded it.
    pub source: String,
    /// The event type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The stream.
    pub subject: StreamId,
    /// When it was recorded.
    pub time: Timestamp,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The schema version.
    pub schemaversion: u32,
    /// The stream's version.
    pub streamversion: StreamVersion,
    /// The request it belongs to.
    pub correlationid: CorrelationId,
    /// The cause.
    pub causationid: CausationId,
    /// The length of the causal chain.
    pub hops: u16,
    /// Who started it.
    pub actor: Actor,
    /// W3C trace parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// W3C trace state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// The signature, where signing is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The payload.
    pub data: Data,
}

impl From<Envelope> for CloudEvent {
    fn from(event: Envelope) -> Self {
        let (traceparent, tracestate) = match event.header.trace_context {
            Some(trace) => (Some(trace.traceparent), trace.tracestate),
            None => (None, None),
        };
        Self {
            specversion: "1.0".to_owned(),
            id: event.event_id,
            source: event.source,
            event_type: event.event_type,
            subject: event.stream,
            time: event.timestamp,
            datacontenttype: "application/json".to_owned(),
            schemaversion: event.schema_version,
            streamversion: event.stream_version,
            correlationid: event.header.correlation_id,
            causationid: event.header.causation_id,
            hops: event.header.hops,
            actor: event.header.actor,
            traceparent,
            tracestate,
            signature: event.signature,
            data: event.data,
        }
    }
}

impl From<CloudEvent> for Envelope {
    fn from(event: CloudEvent) -> Self {
        Self {
            event_id: event.id,
            event_type: event.event_type,
            schema_version: event.schemaversion,
            timestamp: event.time,
            source: event.source,
            stream: event.subject,
            stream_version: event.streamversion,
            header: Header {
                correlation_id: event.correlationid,
                causation_id: event.causationid,
                trace_context: event
                    .traceparent
                    .map(|traceparent| TraceContext { traceparent, tracestate: event.tracestate }),
                hops: event.hops,
                actor: event.actor,
            },
            data: event.data,
            signature: event.signature,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_lost_on_the_way_there_and_back(
            id in any::<u128>(), version in 1u64.., hops in any::<u16>(), text in ".*",
            traced in any::<bool>(), state in proptest::option::of("[a-z]=[a-z]"), seconds in 0i64..4_000_000_000,
        ) {
            let event = Envelope {
                event_id: EventId(Uuid::from_u128(id)),
                event_type: "order.placed".into(),
                schema_version: 3,
                timestamp: Timestamp::from_second(seconds).unwrap(),
                source: "shop".into(),
                stream: "order#1".parse().unwrap(),
                stream_version: StreamVersion(version),
                header: Header {
                correlation_id: CorrelationId(Uuid::from_u128(id ^ 1)),
                causation_id: CausationId::new("c-1").unwrap(),
                trace_context: traced.then(|| TraceContext { traceparent: "00-a-b-01".into(), tracestate: state }),
                hops,
                actor: Actor(text.clone()),
                },
                data: serde_json::json!({ "text": text }).into(),
                signature: None,
            };
            let wire = serde_json::to_string(&CloudEvent::from(event.clone())).unwrap();
            let back: CloudEvent = serde_json::from_str(&wire).unwrap();
            prop_assert_eq!(Envelope::from(back), event);
        }
    }
}
