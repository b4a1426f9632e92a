//! Events of AWS's own services. EventBridge puts them on the queue as they are: without an envelope of ours.

use hostler_core::CommandEnvelope;
use hostler_events::signal::{SignalForm, TakeSignals};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::hash::uuid_of;
use crate::send::first;

/// What AWS's own services are called as sources.
const AWS: &str = "aws.";

/// What EventBridge wraps around a detail.
#[derive(Deserialize)]
struct Event {
    id: String,
    source: String,
    #[serde(rename = "detail-type")]
    _kind: String,
    time: Timestamp,
}

/// An event of an AWS service as the command that it stands for; none where it is no such event.
#[must_use]
pub fn adopt(body: &str) -> Option<CommandEnvelope> {
    let event: Event = serde_json::from_str(body).ok()?;
    if !event.source.starts_with(AWS) {
        return None;
    }
    let body: Value = serde_json::from_str(body).ok()?;
    let id = event.id.parse::<Uuid>().unwrap_or_else(|_| uuid_of(&json!(["event-bridge", event.id])));
    let taken = TakeSignals { form: SignalForm::EventBridge, received_at: event.time, body };
    Some(first(id, event.time, event.source, taken))
}
