//! `pools list`.

use comfy_table::Cell;
use hostler_domain::Phase;
use hostler_domain::views::host_group;
use serde::Serialize;

use super::args::ListArgs;
use crate::api::{HostRow, PoolRow};
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, short, tally, text};
use crate::target::Target;

/// A pool, and how many hosts it has in service now. Its own stream knows how many it had when it was last decided on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(flatten)]
    row: PoolRow,
    in_service: usize,
}

/// Lists pools.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let pools: Vec<PoolRow> = target.api.rows(args.status.as_deref()).await?;
    let mut rows = Vec::new();
    for row in pools {
        let group = host_group(&row.pool.pool, Phase::InService.name());
        let in_service = target.api.rows::<HostRow>(Some(&group)).await?.len();
        rows.push(Listed { row, in_service });
    }
    rows.sort_by(|a, b| a.row.pool.pool.cmp(&b.row.pool.pool));
    out.list(
        &rows,
        |listed| listed.row.pool.pool.as_str(),
        "No pool has grown or shrunk, or was to: the policies say which do (pools.<pool>.scaling).",
        table,
        |rows| tally(rows.iter().map(|listed| listed.row.pool.status.as_str())),
    )
}

fn table(rows: &[Listed]) -> String {
    let mut table =
        plain(["POOL", "STATUS", "DESIRED", "IN SERVICE", "IN FLIGHT", "LEAVING", "HELD BACK BY"]);
    for Listed { row: PoolRow { pool, .. }, in_service } in rows {
        let held = pool.held.as_ref().map(|held| format!("{}: {}", held.rule, held.lifts));
        table.add_row([
            Cell::new(&pool.pool),
            Cell::new(&pool.status),
            Cell::new(pool.desired.map_or_else(|| "-".to_owned(), |desired| desired.to_string())),
            Cell::new(in_service),
            Cell::new(pool.in_flight.len()),
            Cell::new(pool.leaving.len()),
            Cell::new(held.map_or_else(|| "-".to_owned(), |held| short(&held))),
        ]);
    }
    text(&table)
}
