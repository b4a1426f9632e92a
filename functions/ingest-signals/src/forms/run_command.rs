//! Ends of commands of Run Command (*AWS Systems Manager User Guide: Amazon EventBridge event examples for Systems Manager*,
//! November 2026).
//!
//! The event says which command ended on which node, and not whose it was: that is read by whom it may concern.

use hostler_events::host::{ReadRoleRun, RunCommandEnd};
use serde_json::Value;

use super::Reading;
use super::item::{short, text};

/// Its detail-type.
pub(super) const KIND: &str = "EC2 Command Invocation Status-change Notification";
/// The document by which roles are applied.
const DOCUMENT: &str = "AWS-ApplyAnsiblePlaybooks";
/// *API reference: GetCommandInvocation, CommandId.*
const COMMAND_CHARS: usize = 36;

pub(super) fn read(event: &Value) -> Reading {
    let detail = &event["detail"];
    match said(detail) {
        Ok(Some(run)) => Reading { runs: vec![run], ..Reading::default() },
        Ok(None) => Reading { quiet: 1, ..Reading::default() },
        Err(reason) => {
            let command = short(text(detail, "command-id").unwrap_or_default(), 60);
            Reading::misread(&format!("the command {command:?}"), reason)
        }
    }
}

/// None where it goes on, or is about something else than a role.
fn said(detail: &Value) -> Result<Option<ReadRoleRun>, String> {
    if text(detail, "document-name") != Some(DOCUMENT) {
        return Ok(None);
    }
    let end = match text(detail, "status") {
        Some("Success") => RunCommandEnd::Succeeded,
        Some("Failed") => RunCommandEnd::Failed,
        Some("TimedOut") => RunCommandEnd::TimedOut,
        Some("Cancelled") => RunCommandEnd::Cancelled,
        Some("Pending" | "InProgress" | "Delayed" | "Cancelling") => return Ok(None),
        other => {
            let other = short(other.unwrap_or_default(), 40);
            return Err(format!("its status is {other:?}, and none that Run Command documents"));
        }
    };
    let command = id(detail, "command-id", |id| id.len() == COMMAND_CHARS)?;
    let node = id(detail, "instance-id", |id| id.starts_with("i-") || id.starts_with("mi-"))?;
    Ok(Some(ReadRoleRun { command, node, end }))
}

/// An id, as Systems Manager takes it back.
fn id(detail: &Value, field: &str, is_one: fn(&str) -> bool) -> Result<String, String> {
    let id = text(detail, field).unwrap_or_default();
    let is_plain = id.len() <= COMMAND_CHARS && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match is_plain && is_one(id) {
        true => Ok(id.to_owned()),
        false => Err(format!("its {field} is {:?}, which is none", short(id, 60))),
    }
}
