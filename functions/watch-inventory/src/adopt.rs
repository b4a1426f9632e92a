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
