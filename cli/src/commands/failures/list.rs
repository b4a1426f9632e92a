//! `failures list` and `failures show`.

use comfy_table::{Cell, Color};
use hostler_runtime::triage::OPEN;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ListArgs, ShowArgs, Which};
use crate::api::{FailureRow, View};
use crate::error::CliError;
use crate::output::Out;
use crate::render::{table, time, timeline};
use crate::target::Target;

/// The failures that are asked for, the most urgent first.
pub(super) async fn rows(target: &Target, which: &Which, all: bool) -> Result<Vec<FailureRow>, CliError> {
    let mut rows: Vec<FailureRow> = target.api.rows(if all { None } else { Some(OPEN) }).await?;
    let fits = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    rows.retain(|row| {
        fits(&which.queue, &row.letter.queue)
            && fits(&which.category, &row.category)
            && fits(&which.message_type, &row.letter.message_type)
            && fits(&which.status, &row.status)
    });
    rows.sort_by_key(|row| row.deadline_at);
    Ok(rows)
}

/// How many failures are still to be dealt with.
///
/// # Errors
/// When the orchestrator does not answer.
pub(crate) async fn open_count(target: &Target) -> Result<u64, CliError> {
    Ok(rows(target, &Which::default(), false).await?.len() as u64)
}

pub(super) async fn list(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let rows = rows(target, &args.which, args.all).await?;
    if out.json {
        return out.document(&rows);
    }
    if rows.is_empty() {
        let such = if args.which.is_any() { "" } else { "such " };
        return out.line(format!("There are no {such}failures to deal with."));
    }
    let now = Timestamp::now();
    let mut shown =
        table::plain(["FAILURE", "QUEUE", "MESSAGE", "CATEGORY", "STATUS", "SENT", "DUE", "REASON"]);
    for row in &rows {
        let late = row.overdue && row.is_open();
        let status = Cell::new(&row.status).fg(match row.status.as_str() {
            "quarantined" => Color::Red,
            "resolved" => Color::Green,
            _ => Color::Yellow,
        });
        shown.add_row([
            Cell::new(&row.id),
            Cell::new(&row.letter.queue),
            Cell::new(&row.letter.message_type),
            Cell::new(&row.category),
            status,
            Cell::new(row.resends.to_string()),
            Cell::new(due(row, now)).fg(if late { Color::Red } else { Color::Reset }),
            Cell::new(table::short(&row.letter.reason)),
        ]);
    }
    out.line(table::text(&shown))?;
    let group =
        |row: &FailureRow| format!("{}/{}/{}", row.letter.queue, row.category, row.letter.message_type);
    let groups: Vec<String> = rows.iter().map(group).collect();
    out.line(format!("\n{}", out.faint(table::tally(groups.iter().map(String::as_str)))))
}

/// How long there is left to deal with it.
fn due(row: &FailureRow, now: Timestamp) -> String {
    if !row.is_open() {
        return "-".to_owned();
    }
    if row.deadline_at < now {
        return format!("{} ago", time::rough(time::between(row.deadline_at, now)));
    }
    format!("in {}", time::rough(time::between(now, row.deadline_at)))
}

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
