//! `campaigns list`.

use comfy_table::Cell;

use super::args::ListArgs;
use crate::api::CampaignRow;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, short, tally, text};
use crate::render::time;
use crate::target::Target;

/// Lists campaigns, the newest first.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let mut rows: Vec<CampaignRow> = target.api.rows(args.status.as_deref()).await?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.campaign.requested_at));
    out.list(
        &rows,
        |row| row.campaign.campaign.as_str(),
        "There is no campaign: what is urgent by the decision table has one, and `hostler campaigns create` makes one.",
        table,
        |rows| tally(rows.iter().map(|row| row.campaign.status.as_str())),
    )
}

fn table(rows: &[CampaignRow]) -> String {
    let mut table = plain([
        "CAMPAIGN",
        "STATUS",
        "WAVE",
        "HOSTS",
        "PATCHED",
        "SKIPPED",
        "FAILED",
        "DEADLINE",
        "WAITS FOR",
    ]);
    for CampaignRow { campaign, .. } in rows {
        let wave = campaign.waves.last().map_or_else(|| "-".to_owned(), |wave| wave.number.to_string());
        let breached = if campaign.breached { ", breached" } else { "" };
        let deadline = campaign.deadline.map(|deadline| format!("{}{breached}", time::moment(deadline)));
        let waits = campaign.held.as_ref().map(|held| short(&held.lifts));
        table.add_row([
            Cell::new(&campaign.campaign),
            Cell::new(&campaign.status),
            Cell::new(wave),
            Cell::new(campaign.hosts),
            Cell::new(campaign.patched),
            Cell::new(campaign.skipped),
            Cell::new(campaign.failed),
            Cell::new(deadline.unwrap_or_else(|| "-".to_owned())),
            Cell::new(waits.unwrap_or_else(|| "-".to_owned())),
        ]);
    }
    text(&table)
}
