//! `inventory list`.

use comfy_table::Cell;
use hostler_domain::inventory::view::{DriftView, InventoryView};

use super::args::ListArgs;
use crate::api::InventoryRow;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, short, tally, text};
use crate::target::Target;

/// Lists hosts in the inventory.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let rows: Vec<InventoryRow> = target.api.rows(args.status.as_deref()).await?;
    let mut rows: Vec<InventoryView> = rows.into_iter().map(|row| row.inventory).collect();
    rows.sort_by(|a, b| a.host.cmp(&b.host));
    out.list(
        &rows,
        |host| host.host.as_str(),
        "There are no such hosts. The policies say whether an inventory is kept (inventory).",
        table,
        |rows| tally(rows.iter().map(|host| host.status.as_str())),
    )
}

fn table(rows: &[InventoryView]) -> String {
    let mut table = plain(["HOST", "STATUS", "TOLD BY", "DRIFT"]);
    for host in rows {
        let sources: Vec<&str> = host.sources.keys().map(|source| source.name()).collect();
        let drift: Vec<String> = host.drift.iter().map(in_words).collect();
        table.add_row([
            Cell::new(&host.host),
            Cell::new(&host.status),
            Cell::new(sources.join(", ")),
            Cell::new(if drift.is_empty() { "-".to_owned() } else { short(&drift.join("; ")) }),
        ]);
    }
    text(&table)
}

fn in_words(drift: &DriftView) -> String {
    let DriftView { source, fact, expected, actual, .. } = drift;
    format!("{} says {} {actual}, and not {expected}", source.name(), fact.name())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_says_who_tells_what_beside_what_is_expected() {
        let observed = json!({ "observedAt": "2026-01-31T12:00:00Z", "presence": "present", "facts": {} });
        let drift = json!({
            "source": "cmdb", "fact": "faultDomain", "expected": "rack-1", "actual": "rack-2",
            "since": "2026-01-31T12:00:00Z",
        });
        let host = json!({
            "host": "h-01", "status": "drifted", "standing": "enrolled", "expected": {},
            "sources": { "cmdb": observed, "redfish": observed }, "drift": [drift],
        });
        let shown = table(&[serde_json::from_value(host).unwrap()]);
        let row = shown.lines().nth(1).unwrap();
        assert!(row.contains("redfish, cmdb"), "{row}");
        assert!(row.contains("cmdb says faultDomain rack-2, and not rack-1"), "{row}");
    }
}
