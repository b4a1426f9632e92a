//! `findings advisories`.

use comfy_table::Cell;
use hostler_domain::views::AdvisoryView;

use crate::api::AdvisoryRow;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, short, tally, text};
use crate::render::time;
use crate::target::Target;

/// Lists vulnerabilities, in the order in which they are dealt with.
pub(super) async fn run(target: &Target, out: Out) -> Result<(), CliError> {
    let rows: Vec<AdvisoryRow> = target.api.rows(None).await?;
    let mut rows: Vec<AdvisoryView> = rows.into_iter().map(|row| row.advisory).collect();
    rows.sort_by(AdvisoryView::order);
    out.list(
        &rows,
        |advisory| advisory.advisory.as_str(),
        "Nothing is on record of any vulnerability: send records of OSV to POST /signals/osv (docs/operations.md).",
        table,
        |rows| tally(rows.iter().map(priority)),
    )
}

fn priority(advisory: &AdvisoryView) -> &'static str {
    advisory.decision.as_ref().map_or("-", |decision| decision.priority.name())
}

fn table(rows: &[AdvisoryView]) -> String {
    let mut table = plain(["ADVISORY", "PRIORITY", "DEADLINE", "EXPLOITED", "EPSS", "CVSS", "SUMMARY"]);
    for advisory in rows {
        let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let deadline = advisory.decision.as_ref().and_then(|decision| decision.deadline);
        let exploited = advisory.exploited_since.as_deref().unwrap_or("-");
        let mut summary = short(&advisory.summary);
        if !advisory.not_compared.is_empty() {
            let not_compared: Vec<&str> = advisory.not_compared.iter().map(String::as_str).collect();
            summary = format!("{summary} (not compared: {})", not_compared.join(", "));
        }
        table.add_row([
            Cell::new(&advisory.advisory),
            Cell::new(priority(advisory)),
            Cell::new(deadline.map_or_else(|| "next upgrade".to_owned(), time::moment)),
            Cell::new(exploited),
            Cell::new(number(advisory.facts.epss)),
            Cell::new(number(advisory.facts.cvss)),
            Cell::new(summary),
        ]);
    }
    text(&table)
}
