//! `failures show`.

use hostler_core::triage::KeptMessage;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::ShowArgs;
use super::list::due;
use crate::api::{FailureRow, View};
use crate::error::CliError;
use crate::output::Out;
use crate::render::timeline;
use crate::target::Target;

/// Shows the message, why it failed, and what happened to it.
pub(super) async fn show(args: &ShowArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let row: FailureRow = target.api.document(View::Failure, &args.id, &[]).await?;
    if let (true, Some(kept)) = (args.body, &row.dead_letter.kept) {
        return Err(CliError::Outcome(kept_at(kept, &args.id)));
    }
    if args.body {
        return out.line(pretty(&row.dead_letter.body));
    }
    let happened = target.api.timeline(View::Failure, &args.id, &[]).await?;
    if out.json {
        return out.document(&json!({ "state": row, "timeline": happened }));
    }
    let message = &row.dead_letter;
    let lines = [
        ("status", row.status.clone()),
        ("reason", message.reason.clone()),
        ("category", row.category.clone()),
        ("due", due(&row, Timestamp::now())),
        ("queue", message.queue.clone()),
        ("message", message.message_type.clone()),
        ("function", message.function.clone().unwrap_or_default()),
        ("tries", format!("{} on its queue, {} sent again", message.attempts, row.resends)),
        ("correlation id", message.correlation_id.clone().unwrap_or_default()),
        ("key", message.key.clone().unwrap_or_default()),
        ("waits behind", message.behind.clone().unwrap_or_default()),
        ("ahead of", row.followers.join(" ")),
    ];
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        out.line(format!("{}  {value}", out.faint(format!("{name:>16}"))))?;
    }
    out.line(format!("\n{}\n", pretty(&message.body)))?;
    if let Some(kept) = &message.kept {
        out.line(format!("{}\n", kept_at(kept, &args.id)))?;
    }
    out.line(timeline::timeline(&happened, true))
}

/// Where a message is that is too large to be recorded, and what can be done about it.
fn kept_at(kept: &KeptMessage, failure: &str) -> String {
    let KeptMessage { queue, bytes, sha256, .. } = kept;
    format!(
        "This is its first part only: it has {bytes} bytes, which are on the queue {queue} (SHA-256 {sha256}) until that queue's retention ends. Give it a smaller body with `hostler failures edit {failure} --body-from FILE`, or discard it with `hostler failures discard {failure}`, which takes it off that queue as well."
    )
}

fn pretty(body: &str) -> String {
    let value: Result<Value, _> = serde_json::from_str(body);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| body.to_owned())
}
