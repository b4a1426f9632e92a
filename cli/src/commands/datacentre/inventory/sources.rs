//! `inventory sources`.

use comfy_table::Cell;
use hostler_domain::inventory::view::SourceView;

use crate::api::SourceRow;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, tally, text};
use crate::render::time;
use crate::target::Target;

/// Lists the sources.
pub(super) async fn run(target: &Target, out: Out) -> Result<(), CliError> {
    let rows: Vec<SourceRow> = target.api.rows(None).await?;
    let rows: Vec<SourceView> = rows.into_iter().map(|row| row.source).collect();
    out.list(
        &rows,
        |source| source.source.name(),
        "No source was heard that the policies say is missed (inventory.sources).",
        table,
        |rows| tally(rows.iter().map(|source| source.status.as_str())),
    )
}

fn table(rows: &[SourceView]) -> String {
    let mut table = plain(["SOURCE", "STATUS", "HEARD", "SILENT SINCE"]);
    let moment = |at: Option<jiff::Timestamp>| at.map_or_else(|| "-".to_owned(), time::moment);
    for source in rows {
        table.add_row([
            Cell::new(source.source.name()),
            Cell::new(&source.status),
            Cell::new(moment(source.heard_at)),
            Cell::new(moment(source.lost_since)),
        ]);
    }
    text(&table)
}
