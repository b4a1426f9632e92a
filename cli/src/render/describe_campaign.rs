//! Events of campaigns and of their racks, as text.

use hostler_events::campaign::{PatchEnd, RackHeld};
use hostler_events::{CampaignEvent, CampaignRackEvent};

use crate::render::describe::{Line, Mark};
use crate::render::{counted, time};

/// What happened to a campaign.
pub(crate) fn campaign(event: &CampaignEvent) -> Line {
    match event {
        CampaignEvent::Requested(e) => {
            Line::new(Mark::Begun, format!("to patch {}{}", e.advisory, urgency(e.emergency)))
                .because(&e.reason)
        }
        CampaignEvent::Prioritised(e) => {
            let deadline = e.deadline.map_or_else(|| "none".to_owned(), time::moment);
            Line::new(Mark::Other, format!("its deadline is now {deadline}{}", urgency(e.emergency)))
                .because(&e.reason)
        }
        CampaignEvent::Planned(e) => {
            let waves: Vec<String> = e.waves.iter().map(ToString::to_string).collect();
            let text = format!(
                "planned for {} in {}, in waves of {} %; {} with an exception, {} without a fix, {} in pools that are only observed",
                counted(e.hosts, "host"),
                counted(e.racks, "rack"),
                waves.join(", "),
                e.excepted,
                e.without_fix,
                e.withheld
            );
            Line::new(Mark::Begun, text)
        }
        CampaignEvent::Approved(e) => Line::new(Mark::Done, "approved".to_owned()).because(&e.reason),
        CampaignEvent::Rejected(e) => Line::new(Mark::Failed, "rejected".to_owned()).because(&e.reason),
        CampaignEvent::Paused(e) => Line::new(Mark::Other, "paused".to_owned()).because(&e.reason),
        CampaignEvent::Resumed(e) => Line::new(Mark::Other, "resumed".to_owned()).because(&e.reason),
        CampaignEvent::Held(e) => {
            Line::new(Mark::Other, format!("held back by the rule {}", e.rule)).because(&e.lifts)
        }
        CampaignEvent::WaveStarted(e) => Line::new(
            Mark::Begun,
            format!(
                "wave {} of {} in {}, of {} not patched yet; {} may fail",
                e.wave,
                counted(e.hosts, "host"),
                counted(e.racks.len(), "rack"),
                e.left,
                e.errors_max
            ),
        ),
        CampaignEvent::RackReported(e) => {
            let ended = if e.finished { ", wave completed" } else { "" };
            Line::new(
                Mark::Other,
                format!(
                    "rack {}: {} patched, {} failed, {} skipped{ended}",
                    e.rack, e.patched, e.failed, e.skipped
                ),
            )
        }
        CampaignEvent::WaveCompleted(e) => Line::new(
            Mark::Done,
            format!("wave {} completed: {} patched, {} failed", e.wave, e.patched, e.failed),
        ),
        CampaignEvent::WaveHalted(e) => Line::new(
            Mark::Failed,
            format!(
                "wave {} is halted by the rule {} (limit {}, value {})",
                e.wave, e.rule, e.limit, e.value
            ),
        )
        .because(&e.lifts),
        CampaignEvent::DeadlineBreached(e) => Line::new(
            Mark::Failed,
            format!(
                "the deadline {} was missed: {} not patched",
                time::moment(e.deadline),
                counted(e.left, "host")
            ),
        ),
        CampaignEvent::Completed(e) => {
            let mark = if e.failed == 0 { Mark::Done } else { Mark::Failed };
            Line::new(
                mark,
                format!(
                    "completed after {} s: {} patched, {} failed, {} skipped, {} with an exception",
                    e.seconds, e.patched, e.failed, e.skipped, e.excepted
                ),
            )
        }
    }
}

fn urgency(emergency: bool) -> &'static str {
    if emergency { ", as an emergency" } else { "" }
}

/// What happened in a rack of a campaign.
pub(crate) fn rack(event: &CampaignRackEvent) -> Line {
    match event {
        CampaignRackEvent::WaveBegun(e) => {
            Line::new(Mark::Begun, format!("wave {} has {} here", e.wave, counted(e.hosts, "host")))
        }
        CampaignRackEvent::Held(RackHeld { rule, limit, value, lifts, .. }) => {
            let text = format!("held back by the rule {rule} (limit {limit}, value {value})");
            Line::new(Mark::Other, text).because(lifts)
        }
        CampaignRackEvent::HostStarted(e) => {
            Line::new(Mark::Begun, format!("patches {}, by {}", e.host, e.saga))
        }
        CampaignRackEvent::HostEnded(e) => {
            let (mark, what) = match e.end {
                PatchEnd::Patched => (Mark::Done, "is patched"),
                PatchEnd::Partial => (Mark::Other, "is patched in part"),
                PatchEnd::Skipped => (Mark::Other, "is skipped"),
                PatchEnd::Failed => (Mark::Failed, "failed"),
            };
            let line = Line::new(mark, format!("{} {what}", e.host));
            if e.reason.is_empty() { line } else { line.because(&e.reason) }
        }
        CampaignRackEvent::WaveEnded(e) => Line::new(Mark::Done, format!("wave {} completed", e.wave)),
    }
}
