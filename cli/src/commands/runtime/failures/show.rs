//! `failures show`.

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
    if args.body {
        return out.line(pretty(&row.letter.body));
    }
    let happened = target.api.timeline(View::Failure, &args.id, &[]).await?;
    if out.json {
        return out.document(&json!({ "state": row, "timeline": happened }));
    }
    let letter = &row.letter;
    let lines = [
        ("status", row.status.clone()),
        ("reason", letter.reason.clone()),
        ("category", row.category.clone()),
        ("due", due(&row, Timestamp::now())),
        ("queue", letter.queue.clone()),
        ("message", letter.message_type.clone()),
        ("function", letter.function.clone().unwrap_or_default()),
        ("tries", format!("{} on its queue, {} sent again", letter.attempts, row.resends)),
        ("correlation id", letter.correlation_id.clone().unwrap_or_default()),
        ("key", letter.key.clone().unwrap_or_default()),
        ("waits behind", letter.behind.clone().unwrap_or_default()),
        ("ahead of", row.followers.join(" ")),
    ];
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        out.line(format!("{}  {value}", out.faint(format!("{name:>16}"))))?;
    }
    out.line(format!("\n{}\n", pretty(&letter.body)))?;
    out.line(timeline::timeline(&happened, true))
}

fn pretty(body: &str) -> String {
    let value: Result<Value, _> = serde_json::from_str(body);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| body.to_owned())
}
