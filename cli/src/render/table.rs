//! Tables of hosts, requests, provisionings and sagas.

use std::collections::BTreeMap;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use hostler_core::saga::SagaStatus;
use hostler_domain::{METRICS_ADDRESS, METRICS_PATH, Phase};
use jiff::Timestamp;

use crate::api::{HostRow, ProvisioningRow, RequestRow, SagaRow};
use crate::render::time;

/// The longest reason that a table shows; `show` has the whole.
const REASON_CHARS_MAX: usize = 100;

/// A table without lines.
pub(crate) fn plain<const N: usize>(headers: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headers.map(|header| Cell::new(header).fg(Color::DarkGrey)));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The table's lines without blanks at their ends.
pub(crate) fn text(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A table of hosts.
pub(crate) fn hosts(rows: &[HostRow]) -> String {
    let mut table = plain(["HOST", "POOL", "PHASE", "SKU", "RACK", "ROLE", "SAGA", "LABELS", "REASON"]);
    for row in rows {
        let typed = |saga: &str| saga.replacen('#', "/", 1);
        let cordoned = row.cordoned_by.as_deref().map(|saga| format!("cordoned by {}", typed(saga)));
        // Where its metrics are is for Prometheus, and in the JSON: it would be half of each line.
        let labels =
            row.labels.iter().filter(|(key, _)| ![METRICS_ADDRESS, METRICS_PATH].contains(&key.as_str()));
        let labels: Vec<String> = labels.map(|(key, value)| format!("{key}={value}")).collect();
        table.add_row([
            Cell::new(&row.host),
            Cell::new(&row.pool),
            Cell::new(&row.phase).fg(colour(&row.phase)),
            Cell::new(&row.sku),
            Cell::new(&row.fault_domain),
            Cell::new(row.role.as_deref().unwrap_or("-")),
            Cell::new(row.saga.as_deref().map_or("-".to_owned(), typed)),
            Cell::new(labels.join(" ")),
            Cell::new(short(row.reason.as_deref().or(cordoned.as_deref()).unwrap_or_default())),
        ]);
    }
    text(&table)
}

/// A table of requests.
pub(crate) fn requests(rows: &[RequestRow]) -> String {
    let mut table = plain(["REQUEST", "STATUS", "POOL", "ROLE", "HOSTS", "REASON"]);
    for row in rows {
        table.add_row([
            Cell::new(&row.request),
            Cell::new(&row.status).fg(colour(&row.status)),
            Cell::new(&row.pool),
            Cell::new(&row.role),
            Cell::new(row.provisionings.len()),
            Cell::new(short(row.reason.as_deref().unwrap_or_default())),
        ]);
    }
    text(&table)
}

/// A table of provisionings; the time of one that still runs is counted up to `now`.
pub(crate) fn provisionings(rows: &[ProvisioningRow], now: Timestamp) -> String {
    let mut table = plain(["PROVISIONING", "STATUS", "STEP", "TRY", "HOST", "TIME", "REASON"]);
    for row in rows {
        let until = if row.is_over() { row.updated_at } else { now };
        table.add_row([
            Cell::new(&row.provisioning),
            Cell::new(&row.status).fg(colour(&row.status)),
            Cell::new(row.step.as_deref().unwrap_or("-")),
            Cell::new(row.attempt.map_or("-".to_owned(), |attempt| attempt.to_string())),
            Cell::new(row.host.as_deref().unwrap_or("-")),
            Cell::new(age(row.started_at, row.updated_at, until, now)),
            Cell::new(short(row.reason.as_deref().unwrap_or_default())),
        ]);
    }
    text(&table)
}

/// A table of sagas of every kind.
pub(crate) fn sagas(rows: &[SagaRow], now: Timestamp) -> String {
    let mut table = plain(["SAGA", "STATUS", "STEP", "TRY", "TIME", "REASON"]);
    for SagaRow { saga, state: row, .. } in rows {
        let running = matches!(row.status.as_str(), "running" | "compensating");
        let until = if running { now } else { row.updated_at };
        table.add_row([
            Cell::new(saga),
            Cell::new(&row.status).fg(colour(&row.status)),
            Cell::new(or_none(row.steps().collect::<Vec<_>>().join(" "))),
            Cell::new(or_none(row.newest_attempt().map(|attempt| attempt.to_string()).unwrap_or_default())),
            Cell::new(age(row.started_at, row.updated_at, until, now)),
            Cell::new(short(row.reason.as_deref().unwrap_or_default())),
        ]);
    }
    text(&table)
}

fn or_none(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// How long it takes or took; how long ago it changed, where nobody tells when it began.
fn age(started_at: Option<Timestamp>, updated_at: Timestamp, until: Timestamp, now: Timestamp) -> String {
    match started_at {
        Some(started) => time::span(time::between(started, until)),
        None => format!("changed {} ago", time::rough(time::between(updated_at, now))),
    }
}

/// How many there are of each, such as `14 available · 10 in-service`.
pub(crate) fn tally<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut parts: Vec<(usize, String)> =
        counts.into_iter().map(|(name, count)| (rank(name), format!("{count} {name}"))).collect();
    parts.sort();
    if parts.is_empty() {
        return "none".to_owned();
    }
    parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(" · ")
}

fn rank(name: &str) -> usize {
    let known = || Phase::shown().chain(SagaStatus::NAMES);
    known().position(|known| known == name).unwrap_or(known().count())
}

fn colour(state: &str) -> Color {
    match state {
        "in-service" | "completed" | "approved" => Color::Green,
        "quarantined" | "stuck" | "rejected" => Color::Red,
        "compensating" | "compensated" | "deprovisioning" => Color::Magenta,
        "available" | "retired" => Color::Reset,
        _ => Color::Yellow,
    }
}

/// The beginning of a reason.
pub(crate) fn short(reason: &str) -> String {
    let mut text: String = reason.chars().take(REASON_CHARS_MAX).collect();
    if text.len() < reason.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn states_are_told_in_the_order_they_are_passed_through() {
        let states = ["in-service", "available", "odd", "available", "cleaning"];
        assert_eq!(tally(states), "1 cleaning · 2 available · 1 in-service · 1 odd");
        assert_eq!(tally([]), "none");
    }

    #[test]
    fn a_cordoned_host_names_the_saga_that_works_on_it() {
        let row = json!({
            "host": "h-01", "pool": "web", "phase": "in-service", "saga": "provisioning#web-1.1",
            "cordonedBy": "recovery#h-01.1", "version": 9, "updatedAt": "2026-01-31T12:00:04.5Z",
        });
        let text = hosts(&[serde_json::from_value(row).unwrap()]);
        assert!(
            text.contains("provisioning/web-1.1") && text.contains("cordoned by recovery/h-01.1"),
            "{text}"
        );
    }

    #[test]
    fn provisionings_are_aligned() {
        let row = json!({
            "provisioning": "lab.1", "request": "lab", "pool": "lab", "role": "web", "status": "compensated",
            "host": "h-25", "reason": "x".repeat(200), "startedAt": "2026-01-31T12:00:00Z", "version": 9,
            "updatedAt": "2026-01-31T12:00:04.5Z",
        });
        let mut rows: [ProvisioningRow; 1] = [serde_json::from_value(row).unwrap()];
        let now = "2026-01-31T13:00:00Z".parse().unwrap();
        let text = provisionings(&rows, now);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].find("STATUS"), lines[1].find("compensated"), "{text}");
        assert!(lines[1].contains("4.50 s") && lines[1].ends_with('…'), "{text}");
        rows[0].started_at = None;
        assert!(provisionings(&rows, now).contains("59 min ago"), "{text}");
    }
}
