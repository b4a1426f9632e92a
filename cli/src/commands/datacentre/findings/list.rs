//! `findings list`.

use comfy_table::Cell;
use hostler_domain::views::FindingView;
use hostler_events::FindingStatus;

use super::args::ListArgs;
use crate::api::FindingRow;
use crate::commands::datacentre::pools;
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::table::{plain, tally, text};
use crate::render::time;
use crate::target::Target;

/// Lists vulnerabilities of hosts.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    if let Some(pool) = &args.pool {
        require("pool", pool.as_str(), pools(target).await?.iter().map(String::as_str))?;
    }
    let group = args.advisory.as_ref().zip(args.status.as_ref());
    let group = group.map(|(advisory, status)| format!("{advisory}/{status}"));
    let rows: Vec<FindingRow> = target.api.rows(group.as_deref()).await?;
    let rows = chosen(args, rows.into_iter().map(|row| row.finding));
    out.list(
        &rows,
        |finding| finding.finding.as_str(),
        "No host has such a vulnerability, as far as lists of packages and advisories were told (docs/operations.md).",
        table,
        |rows| tally(rows.iter().map(|finding| finding.status.name())),
    )
}

/// What the arguments ask for, the most urgent first.
fn chosen(args: &ListArgs, findings: impl Iterator<Item = FindingView>) -> Vec<FindingView> {
    let ListArgs { advisory, status, host, pool } = args;
    let is_asked = |finding: &FindingView| {
        let of_status = match status {
            Some(status) => status == finding.status.name(),
            None => finding.status != FindingStatus::Resolved,
        };
        of_status
            && advisory.as_ref().is_none_or(|advisory| *advisory == finding.advisory)
            && host.as_ref().is_none_or(|host| *host == finding.host)
            && pool.as_ref().is_none_or(|pool| *pool == finding.pool)
    };
    let mut rows: Vec<FindingView> = findings.filter(is_asked).collect();
    rows.sort_by(|a, b| {
        let deadline = |of: &FindingView| (of.deadline.is_none(), of.deadline);
        let key = |of: &FindingView| (of.priority, deadline(of), of.finding.clone());
        key(a).cmp(&key(b))
    });
    rows
}

fn table(rows: &[FindingView]) -> String {
    let mut table = plain(["FINDING", "STATUS", "PRIORITY", "DEADLINE", "POOL", "PACKAGES"]);
    for finding in rows {
        let deadline = finding.deadline.map_or_else(|| "next upgrade".to_owned(), time::moment);
        let breached = if finding.breached { " (breached)" } else { "" };
        let packages = finding.packages.iter().map(|of| {
            let fixed = of.fixed.as_deref().unwrap_or("no fix yet");
            format!("{} {} → {fixed}", of.package, of.installed)
        });
        table.add_row([
            Cell::new(&finding.finding),
            Cell::new(finding.status.name()),
            Cell::new(finding.priority.name()),
            Cell::new(format!("{deadline}{breached}")),
            Cell::new(&finding.pool),
            Cell::new(packages.collect::<Vec<_>>().join(", ")),
        ]);
    }
    text(&table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    fn finding(host: &str, status: &str, priority: &str, deadline: Option<&str>) -> FindingView {
        serde_json::from_value(json!({
            "finding": format!("CVE-2026-1/r-1/{host}"), "advisory": "CVE-2026-1", "host": host, "pool": "web",
            "faultDomain": "r-1", "exposed": false, "status": status, "priority": priority, "deadline": deadline,
            "packages": [{ "package": "openssl", "installed": "1.0", "fixed": "2.0" }],
            "detectedAt": "2026-01-31T12:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn the_most_urgent_are_first_and_those_that_are_resolved_are_not_listed() {
        let rows = [
            finding("h-1", "resolved", "act", None),
            finding("h-2", "open", "track", None),
            finding("h-3", "open", "attend", Some("2026-02-14T12:00:00Z")),
            finding("h-4", "reboot-pending", "act", Some("2026-02-03T12:00:00Z")),
        ];
        let all = ListArgs { advisory: None, status: None, host: None, pool: None };
        let hosts = |args: &ListArgs| -> Vec<String> {
            chosen(args, rows.iter().cloned()).iter().map(|of| of.host.to_string()).collect()
        };
        assert_eq!(hosts(&all), ["h-4", "h-3", "h-2"]);
        assert_eq!(hosts(&ListArgs { status: Some("resolved".to_owned()), ..all }), ["h-1"]);
        let shown = table(&rows[1..2]);
        assert!(shown.contains("next upgrade") && shown.contains("openssl 1.0 → 2.0"), "{shown}");
    }
}
