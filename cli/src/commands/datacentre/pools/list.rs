//! `pools list`.

use comfy_table::Cell;

use super::args::ListArgs;
use crate::api::PoolRow;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, short, tally, text};
use crate::target::Target;

/// Lists pools.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let mut rows: Vec<PoolRow> = target.api.rows(args.status.as_deref()).await?;
    rows.sort_by(|a, b| a.pool.pool.cmp(&b.pool.pool));
    out.list(
        &rows,
        |row| row.pool.pool.as_str(),
        "No pool has grown or shrunk, or was to: the policies say which do (pools.<pool>.scaling).",
        table,
        |rows| tally(rows.iter().map(|row| row.pool.status.as_str())),
    )
}

fn table(rows: &[PoolRow]) -> String {
    let mut table =
        plain(["POOL", "STATUS", "DESIRED", "IN SERVICE", "IN FLIGHT", "LEAVING", "HELD BACK BY"]);
    for PoolRow { pool, .. } in rows {
        let in_service = pool.seen.as_ref().map(|seen| seen.counts.in_service.to_string());
        let held = pool.held.as_ref().map(|held| format!("{}: {}", held.rule, held.lifts));
        table.add_row([
            Cell::new(&pool.pool),
            Cell::new(&pool.status),
            Cell::new(pool.desired.map_or_else(|| "-".to_owned(), |desired| desired.to_string())),
            Cell::new(in_service.unwrap_or_else(|| "-".to_owned())),
            Cell::new(pool.in_flight.len()),
            Cell::new(pool.leaving.len()),
            Cell::new(held.map_or_else(|| "-".to_owned(), |held| short(&held))),
        ]);
    }
    text(&table)
}
