//! `campaigns show`.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::Cell;
use hostler_domain::campaign::{Stop, Wave};
use hostler_domain::views::{CAMPAIGN_RACK_STATUSES, CampaignRackView, CampaignView, campaign_rack_group};
use hostler_events::campaign::PatchEnd;

use super::args::ShowArgs;
use crate::api::{CampaignRackRow, View};
use crate::entity::{Thing, show};
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, text};
use crate::render::{counted, time};
use crate::target::Target;

/// How many hosts are named of each kind. `-o json` has all of them.
const NAMED_MAX: usize = 20;

/// Shows a campaign: in words, and then what has happened. In the past, and as JSON, it is shown field by field.
pub(super) async fn run(args: &ShowArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let campaign = args.campaign.as_str();
    let thing = Thing::Of(View::Campaign, campaign);
    if out.json || !args.shown.is_plain() {
        return show(thing, &args.shown, target, out).await;
    }
    let view: CampaignView = target.api.document(View::Campaign, campaign, &[]).await?;
    let mut racks = BTreeMap::new();
    for status in CAMPAIGN_RACK_STATUSES {
        let group = campaign_rack_group(&view.campaign, status);
        let rows: Vec<CampaignRackRow> = target.api.rows(Some(&group)).await?;
        // One that moves on meanwhile is counted as what it was last.
        racks.extend(rows.into_iter().map(|row| (row.campaign_rack.rack.clone(), row.campaign_rack)));
    }
    let racks: Vec<CampaignRackView> = racks.into_values().collect();
    out.line(in_words(&view, &racks))?;
    show(thing, &args.shown.clone().only_timeline(), target, out).await
}

fn in_words(campaign: &CampaignView, racks: &[CampaignRackView]) -> String {
    let urgency = if campaign.emergency { ", as an emergency" } else { "" };
    let mut said = format!(
        "campaign {} patches {} and is {}{urgency}\n",
        campaign.campaign, campaign.advisory, campaign.status
    );
    let mut line = |name: &str, what: String| {
        // Writing to a text does not fail.
        let _ = writeln!(said, "{name:>12}  {what}");
    };
    line("because", campaign.reason.clone());
    if let Some(deadline) = campaign.deadline {
        let breached = if campaign.breached { ", which it has missed" } else { "" };
        line("deadline", format!("{}{breached}", time::moment(deadline)));
    }
    line("hosts", hosts(campaign));
    if let Some(at) = campaign.ended_at {
        let end = if campaign.end.is_empty() { String::new() } else { format!(": {}", campaign.end) };
        line("ended", format!("{}{end}", time::moment(at)));
    }
    for what in waits_for(campaign) {
        line("waits for", what);
    }
    for (rule, (racks, lifts)) in held(racks) {
        line("held back", format!("{} by the rule {rule}: {lifts}", counted(racks, "rack")));
    }
    let running = racks.iter().filter_map(|rack| rack.running.as_ref());
    for running in running.clone().take(NAMED_MAX) {
        let (host, saga) = (&running.host, running.saga.to_string().replacen('#', "/", 1));
        line("patches", format!("{host}, by {saga}: hostler sagas show {saga}"));
    }
    more(&mut line, running.count());
    for (what, end) in [("failed", PatchEnd::Failed), ("in part", PatchEnd::Partial)] {
        let hosts = racks.iter().flat_map(|rack| &rack.not_patched).filter(|host| host.end == end);
        for host in hosts.clone().take(NAMED_MAX) {
            line(what, format!("{}: {}", host.host, host.reason));
        }
        more(&mut line, hosts.count());
    }
    if campaign.waves.is_empty() {
        return said;
    }
    said + "\n" + &waves(&campaign.waves) + "\n"
}

fn more(line: &mut impl FnMut(&str, String), all: usize) {
    if all > NAMED_MAX {
        line("", format!("and {} more", all - NAMED_MAX));
    }
}

fn hosts(campaign: &CampaignView) -> String {
    let CampaignView { hosts, patched, skipped, failed, excepted, .. } = campaign;
    format!(
        "{hosts}: {patched} patched, {failed} failed, {skipped} skipped; {excepted} more have an exception"
    )
}

/// What has to happen for it to go on.
fn waits_for(campaign: &CampaignView) -> Vec<String> {
    let stop = campaign.stop.as_ref().filter(|_| campaign.ended_at.is_none()).map(|stop| match stop {
        Stop::Paused { reason } => {
            format!("`hostler campaigns resume {}`: it was paused, because {reason}", campaign.campaign)
        }
        Stop::Halted(halted) => format!(
            "a person: {} of wave {} failed, and {} may; {}",
            counted(halted.value, "host"),
            halted.wave,
            halted.limit,
            halted.lifts
        ),
    });
    let held = campaign.held.as_ref().map(|held| held.lifts.clone());
    let soak = campaign.soak_until.filter(|_| campaign.held.is_none() && campaign.ended_at.is_none());
    let soak = soak.map(|until| format!("the end of the soak, at {}", time::moment(until)));
    let racks = match campaign.open_racks.as_slice() {
        [] => None,
        [rack] => Some(format!("rack {rack}, to end the wave")),
        racks => Some(format!("{} racks, to end the wave", racks.len())),
    };
    [stop, held, soak, racks].into_iter().flatten().collect()
}

/// The rules that hold racks back: how many, and what would lift it for the first of them.
fn held(racks: &[CampaignRackView]) -> BTreeMap<&str, (usize, &str)> {
    let mut rules = BTreeMap::<&str, (usize, &str)>::new();
    for held in racks.iter().filter_map(|rack| rack.held.as_ref()) {
        rules.entry(&held.rule).or_insert((0, &held.lifts)).0 += 1;
    }
    rules
}

fn waves(waves: &[Wave]) -> String {
    let mut table =
        plain(["WAVE", "OF", "LEFT", "HOSTS", "PATCHED", "FAILED", "MAY FAIL", "STARTED", "ENDED"]);
    for wave in waves {
        let ended = wave.completed_at.map_or_else(|| "-".to_owned(), time::moment);
        table.add_row([
            Cell::new(wave.number),
            Cell::new(format!("{} %", wave.percent)),
            Cell::new(wave.left),
            Cell::new(wave.hosts),
            Cell::new(wave.patched),
            Cell::new(wave.failed),
            Cell::new(wave.errors_max),
            Cell::new(time::moment(wave.started_at)),
            Cell::new(ended),
        ]);
    }
    text(&table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_campaign_says_how_far_it_is_and_what_it_waits_for() {
        let campaign: CampaignView = serde_json::from_value(json!({
            "campaign": "CVE-2026-1.1", "advisory": "CVE-2026-1", "status": "halted", "reason": "act, by decision table 1",
            "requestedAt": "2026-01-31T12:00:00Z", "deadline": "2026-02-03T12:00:00Z", "breached": true, "emergency": true,
            "hosts": 40, "patched": 4, "skipped": 1, "failed": 3, "excepted": 2, "planned": [1, 25, 100],
            "waves": [{
                "number": 1, "percent": 1, "left": 40, "hosts": 1, "errorsMax": 0, "soakSeconds": 900,
                "startedAt": "2026-01-31T12:01:00Z", "completedAt": "2026-01-31T12:09:00Z", "patched": 1, "failed": 0,
                "patchedBefore": 0, "failedBefore": 0, "errorsFrom": 0,
            }],
            "openRacks": ["r-1", "r-2"],
            "stop": {
                "stop": "halted", "campaign": "CVE-2026-1.1", "wave": 2, "rule": "errors", "limit": 2, "value": 3,
                "lifts": "look at them", "since": "2026-01-31T12:30:00Z",
            },
        }))
        .unwrap();
        let campaign_rack = |rack: &str, more: serde_json::Value| -> CampaignRackView {
            let mut campaign_rack = json!({
                "campaign": "CVE-2026-1.1", "rack": rack, "status": "held-back", "wave": 2, "hosts": 2, "ended": 1,
            });
            campaign_rack.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(campaign_rack).unwrap()
        };
        let held = json!({ "held": {
            "campaign": "CVE-2026-1.1", "rack": "r-1", "rule": "budget-pool", "limit": 2, "value": 2, "lifts": "h-9 must end",
            "since": "2026-01-31T12:20:00Z",
        } });
        let running = json!({
            "running": {
                "campaign": "CVE-2026-1.1", "rack": "r-3", "wave": 2, "host": "h-31",
                "saga": "patching#CVE-2026-1.1.h-31", "startedAt": "2026-01-31T12:20:00Z",
            },
            "notPatched": [
                { "host": "h-30", "end": "failed", "reason": "it is not healthy" },
                { "host": "h-29", "end": "skipped", "reason": "it is available" },
            ],
        });
        let racks =
            [campaign_rack("r-1", held.clone()), campaign_rack("r-2", held), campaign_rack("r-3", running)];
        let text = in_words(&campaign, &racks);
        let (words, table) = text.split_once("\n\n").unwrap();
        assert_eq!(
            words,
            "campaign CVE-2026-1.1 patches CVE-2026-1 and is halted, as an emergency\n\
             \x20    because  act, by decision table 1\n\
             \x20   deadline  2026-02-03 12:00:00 UTC, which it has missed\n\
             \x20      hosts  40: 4 patched, 3 failed, 1 skipped; 2 more have an exception\n\
             \x20  waits for  a person: 3 hosts of wave 2 failed, and 2 may; look at them\n\
             \x20  waits for  2 racks, to end the wave\n\
             \x20  held back  2 racks by the rule budget-pool: h-9 must end\n\
             \x20    patches  h-31, by patching/CVE-2026-1.1.h-31: hostler sagas show patching/CVE-2026-1.1.h-31\n\
             \x20     failed  h-30: it is not healthy"
        );
        let cells: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().take(8).collect();
        assert_eq!(cells, ["1", "1", "%", "40", "1", "1", "0", "0"]);
    }
}
