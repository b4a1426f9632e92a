//! `roles show`.

use comfy_table::Cell;

use super::ShowArgs;
use super::list::revisions;
use crate::api::{HostRow, sort_by_id};
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::table::{plain, text};
use crate::render::{counted, describe_drift, time};
use crate::target::Target;

/// Shows which hosts have a role.
pub(super) async fn run(args: &ShowArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let mut rows: Vec<HostRow> = target.api.rows(None).await?;
    require("role", args.role.as_str(), rows.iter().filter_map(|row| row.role.as_deref()))?;
    if let Some(pool) = &args.pool {
        require("pool", pool.as_str(), rows.iter().map(|row| row.pool.as_str()))?;
    }
    rows.retain(|row| row.role.as_deref() == Some(args.role.as_str()));
    let newest = newest(&rows);
    rows.retain(|row| fits(args, row, newest.as_deref()));
    sort_by_id(&mut rows, |row| &row.host);
    out.list(
        &rows,
        |row| &row.host,
        "No host has the role so.",
        |rows| table(rows, newest.as_deref()),
        |rows| {
            let drifted = rows.iter().filter(|row| row.drift.is_some()).count();
            format!("{}; drifted: {drifted}", counted(rows.len(), "host"))
        },
    )
}

fn newest(rows: &[HostRow]) -> Option<String> {
    revisions(rows).into_iter().find(|revision| revision.newest).map(|revision| revision.revision)
}

fn fits(args: &ShowArgs, row: &HostRow, newest: Option<&str>) -> bool {
    args.pool.as_ref().is_none_or(|pool| pool.as_str() == row.pool)
        && args.revision.as_ref().is_none_or(|revision| row.revision.as_ref() == Some(revision))
        && (!args.outdated || row.revision.as_deref() != newest)
        && (!args.drifted || row.drift.is_some())
}

fn table(rows: &[HostRow], newest: Option<&str>) -> String {
    let mut table = plain(["HOST", "POOL", "PHASE", "REVISION", "", "SINCE", "DRIFT"]);
    for row in rows {
        let is_newest = newest.is_some() && row.revision.as_deref() == newest;
        table.add_row([
            Cell::new(&row.host),
            Cell::new(&row.pool),
            Cell::new(&row.phase),
            Cell::new(row.revision.as_deref().unwrap_or("-")),
            Cell::new(if is_newest { "newest" } else { "" }),
            Cell::new(row.configured_at.map_or("-".to_owned(), time::moment)),
            Cell::new(row.drift.as_ref().map_or("-".to_owned(), describe_drift::drift)),
        ]);
    }
    text(&table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    fn args(revision: Option<&str>, outdated: bool, drifted: bool) -> ShowArgs {
        let revision = revision.map(str::to_owned);
        ShowArgs { role: "web".parse().unwrap(), pool: None, revision, outdated, drifted }
    }

    #[test]
    fn hosts_are_found_by_revision_and_by_drift() {
        let rows = [("h-1", "old", 1), ("h-2", "new", 2)].map(|(host, revision, minute)| {
            let mut row = json!({
                "host": host, "pool": "web", "phase": "in-service", "role": "web", "revision": revision,
                "configuredAt": format!("2026-01-31T12:0{minute}:00Z"), "version": 1,
                "updatedAt": "2026-01-31T13:00:00Z",
            });
            if revision == "old" {
                let repair = json!({ "decision": "suppressed", "rule": "configuration.autonomy is observe" });
                row["drift"] = json!({ "changes": 2, "repair": repair });
            }
            serde_json::from_value::<HostRow>(row).unwrap()
        });
        let newest = newest(&rows);
        assert_eq!(newest.as_deref(), Some("new"));
        let found = |args: ShowArgs| -> Vec<&str> {
            rows.iter()
                .filter(|row| fits(&args, row, newest.as_deref()))
                .map(|row| row.host.as_str())
                .collect()
        };
        assert_eq!(found(args(None, false, false)), ["h-1", "h-2"]);
        assert_eq!(found(args(None, true, false)), ["h-1"]);
        assert_eq!(found(args(Some("new"), false, false)), ["h-2"]);
        assert_eq!(found(args(None, false, true)), ["h-1"]);
        let text = table(&rows, newest.as_deref());
        assert!(text.contains("2 changes; nothing is done: configuration.autonomy is observe"), "{text}");
    }
}
