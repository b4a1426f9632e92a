//! `failures list`.

use std::time::{Duration, Instant};

use comfy_table::{Cell, Color};
use hostler_runtime::operations::triage::OPEN;
use jiff::Timestamp;

use super::args::{ListArgs, Which};
use crate::api::FailureRow;
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::{table, time};
use crate::target::Target;

/// How often the view is asked where it is waited for a failure, and for how long.
const PAUSE: Duration = Duration::from_millis(500);
const WAIT: Duration = Duration::from_secs(60);
/// The statuses of failures that are still to be dealt with.
const OPEN_STATUSES: [&str; 4] = ["waiting", "resent", "quarantined", "parked"];

/// The failures that are asked for, the most urgent first.
pub(super) async fn rows(target: &Target, which: &Which, all: bool) -> Result<Vec<FailureRow>, CliError> {
    let mut rows: Vec<FailureRow> = target.api.rows(if all { None } else { Some(OPEN) }).await?;
    let fits = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    rows.retain(|row| {
        fits(&which.queue, &row.dead_letter.queue)
            && fits(&which.category, &row.category)
            && fits(&which.message_type, &row.dead_letter.message_type)
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
    let all = args.all || args.which.status.as_deref().is_some_and(|status| !OPEN_STATUSES.contains(&status));
    check(&args.which, target)?;
    let started = Instant::now();
    let rows = loop {
        let rows = rows(target, &args.which, all).await?;
        if !args.wait || !rows.is_empty() {
            break rows;
        }
        let waited = started.elapsed();
        if waited >= WAIT {
            return Err(CliError::TimedOut { what: "there is no such failure".to_owned(), waited });
        }
        tokio::time::sleep(PAUSE).await;
    };
    let none = if args.which.is_any() { "There are no failures." } else { "There are no such failures." };
    out.list(
        &rows,
        |row| &row.id,
        none,
        drawn,
        |rows| {
            let group = |row: &FailureRow| {
                format!("{}/{}/{}", row.dead_letter.queue, row.category, row.dead_letter.message_type)
            };
            let groups: Vec<String> = rows.iter().map(group).collect();
            table::tally(groups.iter().map(String::as_str))
        },
    )
}

/// Fails where a filter names a queue that the application does not have, or a type that nobody sends.
pub(super) fn check(which: &Which, target: &Target) -> Result<(), CliError> {
    if let Some(queue) = &which.queue {
        let queues = target.queues()?;
        require("queue", queue, queues.keys().map(String::as_str).filter(|name| !name.ends_with("-dlq")))?;
    }
    Ok(())
}

fn drawn(rows: &[FailureRow]) -> String {
    let now = Timestamp::now();
    let mut shown =
        table::plain(["FAILURE", "QUEUE", "MESSAGE", "CATEGORY", "STATUS", "SENT", "DUE", "REASON"]);
    for row in rows {
        let late = row.overdue && row.is_open();
        let status = Cell::new(&row.status).fg(match row.status.as_str() {
            "quarantined" => Color::Red,
            "resolved" => Color::Green,
            _ => Color::Yellow,
        });
        shown.add_row([
            Cell::new(&row.id),
            Cell::new(&row.dead_letter.queue),
            Cell::new(&row.dead_letter.message_type),
            Cell::new(&row.category),
            status,
            Cell::new(row.resends.to_string()),
            Cell::new(due(row, now)).fg(if late { Color::Red } else { Color::Reset }),
            Cell::new(table::short(&row.dead_letter.reason)),
        ]);
    }
    table::text(&shown)
}

/// How long there is left to deal with it.
pub(super) fn due(row: &FailureRow, now: Timestamp) -> String {
    if !row.is_open() {
        return "-".to_owned();
    }
    if row.deadline_at < now {
        return format!("{} ago", time::rough(time::between(row.deadline_at, now)));
    }
    format!("in {}", time::rough(time::between(now, row.deadline_at)))
}
