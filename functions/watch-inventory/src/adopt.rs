//! The schedule by which all hosts are looked at. EventBridge puts its event on the queue as it is: without an envelope of ours.

use hostler_core::{Actor, CausationId, CommandEnvelope, CommandId, CorrelationId, Header, Payload};
use hostler_events::inventory::{SweepId, SweepInventory};
use hostler_events::{InventoryCommand, SOURCE};
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

/// What EventBridge sends when a schedule is due (*Amazon EventBridge User Guide: Creating a rule that runs on a schedule*).
#[derive(Deserialize)]
struct Scheduled {
    id: Uuid,
    source: String,
    #[serde(rename = "detail-type")]
    kind: String,
    time: Timestamp,
}

/// The event of the schedule as the command that it stands for; none where it is no such event.
#[must_use]
pub fn adopt(body: &str) -> Option<CommandEnvelope> {
    let Scheduled { id, source, kind, time } = serde_json::from_str(body).ok()?;
    if (source.as_str(), kind.as_str()) != ("aws.events", "Scheduled Event") {
        return None;
    }
    // An event that is delivered twice is the same sweep.
    let sweep = SweepId::new(time.to_string()).ok()?;
    let command = InventoryCommand::from(SweepInventory { sweep, after: None });
    let command_id = CommandId(id);
    Some(CommandEnvelope {
        command_id,
        command_type: command.type_name().to_owned(),
        schema_version: command.schema_version(),
        timestamp: time,
        source: SOURCE.to_owned(),
        header: Header {
            correlation_id: CorrelationId(id),
            causation_id: CausationId::from(command_id),
            trace_context: None,
            hops: 0,
            actor: Actor(source),
        },
        data: command.to_data(),
        signature: None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use serde_json::json;

    use super::*;

    fn event(source: &str, kind: &str) -> String {
        json!({
            "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": kind, "source": source,
            "account": "123456789012", "time": "2026-01-31T12:00:00Z", "region": "us-east-1", "resources": [], "detail": {},
        })
        .to_string()
    }

    #[test]
    fn the_schedules_event_is_a_sweep() {
        let envelope = adopt(&event("aws.events", "Scheduled Event")).unwrap();
        let command = InventoryCommand::from_data(&envelope.command_type, 1, &envelope.data).unwrap();
        let sweep = SweepId::new("2026-01-31T12:00:00Z").unwrap();
        assert_eq!(command, SweepInventory { sweep, after: None }.into());
        let again = adopt(&event("aws.events", "Scheduled Event")).unwrap();
        assert_eq!(again.command_id, envelope.command_id, "delivered twice it is one sweep");
    }

    #[test]
    fn nothing_else_without_an_envelope_is_taken() {
        for body in [
            event("aws.s3", "Scheduled Event"),
            event("aws.events", "Object Created"),
            "{}".to_owned(),
            "Scheduled Event".to_owned(),
        ] {
            assert_eq!(adopt(&body), None, "{body}");
        }
    }
}
