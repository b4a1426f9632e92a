//! Gives a message another body, with an id of its own.

use serde_json::Value;
use uuid::Uuid;

use crate::message::{DecodeError, Incoming};

/// The fields that hold a message's own id.
const IDS: [&str; 3] = ["eventId", "commandId", "timerId"];

/// The body with another message id: handlers remember by the id what they have handled.
pub(super) fn with_id(body: &str, id: Uuid) -> Result<String, DecodeError> {
    Incoming::decode(body)?;
    let mut value: Value = serde_json::from_str(body).map_err(DecodeError::NotJson)?;
    let envelope = envelope(&mut value);
    if let Some(field) = id_field(envelope) {
        *field = Value::String(id.to_string());
    }
    // A signature belongs to the content it was made for. The sender of the body signs it again.
    if let Some(fields) = envelope.as_object_mut() {
        fields.remove("signature");
    }
    Ok(value.to_string())
}

/// The message's own id, where it has a readable one.
pub(super) fn message_id(body: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(body).ok()?;
    Some(id_field(envelope(&mut value))?.as_str()?.to_owned())
}

/// The id is looked for inside what EventBridge has wrapped.
fn envelope(value: &mut Value) -> &mut Value {
    if value.get("detail-type").is_some() && value.get("detail").is_some() {
        return &mut value["detail"];
    }
    value
}

fn id_field(envelope: &mut Value) -> Option<&mut Value> {
    let name = IDS.into_iter().find(|name| envelope.get(*name).is_some())?;
    envelope.get_mut(name)
}
