//! `pools list`.

use comfy_table::Cell;
use hostler_domain::Phase;
use hostler_domain::views::host_group;
use serde::Serialize;

use super::args::ListArgs;
use crate::api::{Api, HostRow, PoolRow};
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
    let rows = listed(args.status.as_deref(), &target.api).await?;
    out.list(
        &rows,
        |listed| listed.row.pool.pool.as_str(),
        "No pool has grown or shrunk, or was to: the policies say which do (pools.<pool>.scaling).",
        table,
        |rows| tally(rows.iter().map(|listed| listed.row.pool.status.as_str())),
    )
}

async fn listed(status: Option<&str>, api: &Api) -> Result<Vec<Listed>, CliError> {
    let pools: Vec<PoolRow> = api.rows(status).await?;
    let mut rows = Vec::new();
    for row in pools {
        let group = host_group(&row.pool.pool, Phase::InService.name());
        let in_service = api.rows::<HostRow>(Some(&group)).await?.len();
        rows.push(Listed { row, in_service });
    }
    rows.sort_by(|a, b| a.row.pool.pool.cmp(&b.row.pool.pool));
    Ok(rows)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;
    use crate::api::tests::serve;

    #[tokio::test]
    async fn hosts_in_service_are_those_of_now_and_not_those_of_the_last_decision() {
        let counts = json!({
            "inService": 2, "inFlight": 0, "free": 9, "leaving": 0, "notReady": 0, "hosts": 24,
        });
        let pool = json!({
            "pool": "web", "status": "steady", "seen": { "at": "2026-01-31T12:00:00Z", "counts": counts, "perMetric": [] },
            "inFlight": [], "leaving": [], "signals": [], "version": 3, "updatedAt": "2026-01-31T12:00:00Z",
        });
        let host = |id: &str| {
            json!({
                "host": id, "pool": "web", "phase": "in-service", "version": 9, "updatedAt": "2026-01-31T12:00:00Z",
            })
        };
        let hosts = ["h-01", "h-02", "h-03"].map(host);
        let (api, came) =
            serve(vec![(200, "", json!({ "rows": [pool] })), (200, "", json!({ "rows": hosts }))]);
        let rows = listed(None, &api).await.unwrap();
        assert_eq!((rows.len(), rows[0].in_service), (1, 3));
        let cells: Vec<String> =
            table(&rows).lines().nth(1).unwrap().split_whitespace().map(str::to_owned).collect();
        assert_eq!(cells, ["web", "steady", "-", "3", "0", "0", "-"]);
        assert!(came.iter().nth(1).unwrap().line.contains("hosts?group=web%2Fin-service"));
    }
}
