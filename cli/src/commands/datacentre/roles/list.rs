//! `roles list`, and which revision of a role is the newest.

use std::collections::BTreeMap;

use comfy_table::Cell;
use jiff::Timestamp;
use serde::Serialize;

use super::ListArgs;
use crate::api::HostRow;
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::table::{plain, text};
use crate::render::{counted, time};
use crate::target::Target;

/// A revision of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Revision {
    pub(super) role: String,
    pub(super) revision: String,
    /// Whether no other revision of the role came later.
    pub(super) newest: bool,
    /// How many hosts have it.
    pub(super) hosts: usize,
    /// How many of them have drifted from it.
    pub(super) drifted: usize,
    /// Since when the first of them has it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<Timestamp>,
}

/// Lists roles.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let mut rows: Vec<HostRow> = target.api.rows(None).await?;
    if let Some(pool) = &args.pool {
        require("pool", pool.as_str(), rows.iter().map(|row| row.pool.as_str()))?;
    }
    let all = revisions(&rows);
    // What is newest is so on the whole site.
    rows.retain(|row| args.pool.as_ref().is_none_or(|pool| pool.as_str() == row.pool));
    let mut shown = revisions(&rows);
    for revision in &mut shown {
        revision.newest = all.iter().any(|of| of.newest && is_same(of, revision));
    }
    out.list(
        &shown,
        |row| &row.role,
        "No host has a role.",
        table,
        |shown| {
            let hosts: usize = shown.iter().map(|row| row.hosts).sum();
            let drifted: usize = shown.iter().map(|row| row.drifted).sum();
            let (revisions, hosts) = (counted(shown.len(), "revision"), counted(hosts, "host"));
            format!("{revisions} on {hosts}; drifted: {drifted}")
        },
    )
}

fn is_same(one: &Revision, other: &Revision) -> bool {
    one.role == other.role && one.revision == other.revision
}

/// The revisions of all roles that are on hosts, the newest of each role first. The newest is the one that the first of its hosts
/// got last.
pub(super) fn revisions(rows: &[HostRow]) -> Vec<Revision> {
    let mut found: BTreeMap<(&str, &str), Revision> = BTreeMap::new();
    for row in rows {
        let (Some(role), Some(revision)) = (row.role.as_deref(), row.revision.as_deref()) else { continue };
        let entry = found.entry((role, revision)).or_insert_with(|| Revision {
            role: role.to_owned(),
            revision: revision.to_owned(),
            newest: false,
            hosts: 0,
            drifted: 0,
            since: None,
        });
        entry.hosts += 1;
        entry.drifted += usize::from(row.drift.is_some());
        entry.since = entry.since.into_iter().chain(row.configured_at).min();
    }
    let mut revisions: Vec<Revision> = found.into_values().collect();
    revisions.sort_by(|a, b| a.role.cmp(&b.role).then(b.since.cmp(&a.since)));
    let mut role = None;
    for revision in &mut revisions {
        revision.newest = role.replace(revision.role.clone()).as_ref() != Some(&revision.role);
    }
    revisions
}

fn table(revisions: &[Revision]) -> String {
    let mut table = plain(["ROLE", "REVISION", "", "HOSTS", "DRIFTED", "SINCE"]);
    for row in revisions {
        table.add_row([
            Cell::new(&row.role),
            Cell::new(&row.revision),
            Cell::new(if row.newest { "newest" } else { "" }),
            Cell::new(row.hosts),
            Cell::new(row.drifted),
            Cell::new(row.since.map_or("-".to_owned(), time::moment)),
        ]);
    }
    text(&table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    fn row(host: &str, revision: &str, minute: u32, drifts: bool) -> HostRow {
        let mut row = json!({
            "host": host, "pool": "web", "phase": "in-service", "role": "web", "revision": revision,
            "configuredAt": format!("2026-01-31T12:{minute:02}:00Z"), "version": 1, "updatedAt": "2026-01-31T13:00:00Z",
        });
        if drifts {
            row["drift"] = json!({ "changes": 2, "repair": { "decision": "awaits-approval", "rule": "x" } });
        }
        serde_json::from_value(row).unwrap()
    }

    /// The last good revision may be applied again after a newer one came.
    #[test]
    fn the_newest_revision_is_the_one_that_came_last_and_not_the_one_that_was_applied_last() {
        let rows = [
            row("h-1", "old", 1, false),
            row("h-2", "new", 30, true),
            row("h-3", "old", 50, false),
            row("h-4", "new", 31, false),
        ];
        let found = revisions(&rows);
        let told: Vec<_> =
            found.iter().map(|of| (of.revision.as_str(), of.newest, of.hosts, of.drifted)).collect();
        assert_eq!(told, [("new", true, 2, 1), ("old", false, 2, 0)]);
        let text = table(&found);
        assert!(text.contains("newest") && text.contains("DRIFTED"), "{text}");
    }

    #[test]
    fn a_host_without_a_role_is_of_none() {
        let mut free = row("h-1", "old", 1, false);
        free.role = None;
        assert!(revisions(&[free]).is_empty());
    }
}
