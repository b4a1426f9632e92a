//! The rows of campaigns, and of their racks.

use hostler_events::campaign::{CampaignHeld, PatchEnd, RackHeld, RackHostStarted};
use hostler_events::{AdvisoryId, CampaignId};
use hostler_events::{FaultDomain, HostId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::campaign::rack::STOPPED;
use crate::campaign::{CampaignRackState, CampaignState, Stage, Stop, Wave};

/// The view of all campaigns, grouped by their status.
pub const CAMPAIGNS: &str = "campaigns";
/// The view of the racks of campaigns, grouped by [`campaign_rack_group`].
/// Its path is from before they were called so: released names stay.
pub const CAMPAIGN_RACKS: &str = "lanes";

const REQUESTED: &str = "requested";
const OBSERVED: &str = "observed";
const AWAITS_APPROVAL: &str = "awaits-approval";
const HELD_BACK: &str = "held-back";
const RUNNING: &str = "running";
const SOAKING: &str = "soaking";
const PAUSED: &str = "paused";
const HALTED: &str = "halted";
const COMPLETED: &str = "completed";
const REJECTED: &str = "rejected";
const PATCHING: &str = "patching";
const STOPPED_BY_CAMPAIGN: &str = "stopped";
const LOOKING: &str = "looking";
const DONE: &str = "done";

/// The statuses of campaigns.
pub const CAMPAIGN_STATUSES: [&str; 10] =
    [REQUESTED, OBSERVED, AWAITS_APPROVAL, HELD_BACK, RUNNING, SOAKING, PAUSED, HALTED, COMPLETED, REJECTED];

/// A campaign as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CampaignView {
    /// The campaign.
    pub campaign: CampaignId,
    /// The advisory.
    pub advisory: AdvisoryId,
    /// One of [`CAMPAIGN_STATUSES`].
    pub status: String,
    /// Why it was asked for.
    pub reason: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Until when it is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Whether that has passed before it ended.
    pub breached: bool,
    /// Whether it is an emergency.
    pub emergency: bool,
    /// How many hosts it is about; 0 before they were counted.
    pub hosts: u32,
    /// How many were patched.
    pub patched: u32,
    /// How many were left alone, because there was nothing to do or they were not in service, or are patched in part.
    pub skipped: u32,
    /// How many failed.
    pub failed: u32,
    /// How many have an exception.
    pub excepted: u32,
    /// The sizes of its waves, in a hundred of what is left: the first one is the canary.
    pub planned: Vec<u32>,
    /// Its waves, the oldest first.
    pub waves: Vec<Wave>,
    /// The racks that have yet to end the newest wave.
    pub open_racks: Vec<FaultDomain>,
    /// When the next wave may start, where one is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak_until: Option<Timestamp>,
    /// Why the next wave does not start yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<CampaignHeld>,
    /// Why it was paused or halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended, where that was before its time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub end: String,
}

/// A campaign as it is shown; none before it was asked for.
#[must_use]
pub fn campaign(state: &CampaignState) -> Option<CampaignView> {
    let request = state.request.clone()?;
    let soak_until = match state.stage {
        Stage::Ready { from } => Some(from),
        Stage::None
        | Stage::Requested
        | Stage::Observed
        | Stage::Running
        | Stage::Completed
        | Stage::Rejected => None,
    };
    let is_running = state.stage == Stage::Running;
    let open_racks = state.open_racks().filter(|_| is_running).map(|(rack, _)| rack.clone());
    Some(CampaignView {
        campaign: request.campaign,
        advisory: request.advisory,
        status: status(state).to_owned(),
        reason: request.reason,
        requested_at: request.requested_at,
        deadline: state.deadline,
        breached: state.breached,
        emergency: state.emergency,
        hosts: state.hosts(),
        patched: state.patched(),
        skipped: state.skipped(),
        failed: state.failed(),
        excepted: state.excepted,
        planned: state.plan.as_ref().map(|plan| plan.waves.clone()).unwrap_or_default(),
        waves: state.waves.clone(),
        open_racks: open_racks.collect(),
        soak_until,
        held: state.held.clone(),
        stop: state.stop.clone(),
        ended_at: state.ended_at,
        end: state.end.clone(),
    })
}

fn status(state: &CampaignState) -> &'static str {
    match (state.stage, &state.stop) {
        (Stage::Observed, _) => OBSERVED,
        (Stage::Completed, _) => COMPLETED,
        (Stage::Rejected, _) => REJECTED,
        (_, Some(Stop::Paused { .. })) => PAUSED,
        (_, Some(Stop::Halted(_))) => HALTED,
        (Stage::None | Stage::Requested, None) => REQUESTED,
        (Stage::Running, None) => RUNNING,
        (Stage::Ready { .. }, None) => match &state.held {
            Some(held) if held.rule == "approval" => AWAITS_APPROVAL,
            Some(_) => HELD_BACK,
            None => SOAKING,
        },
    }
}

/// The statuses of racks of campaigns: they patch a host, are held back, are stopped by their campaign, look for their next host, or are
/// done with their part of the wave.
pub const CAMPAIGN_RACK_STATUSES: [&str; 5] = [PATCHING, HELD_BACK, STOPPED_BY_CAMPAIGN, LOOKING, DONE];

/// The group of the racks of a campaign that have a status.
#[must_use]
pub fn campaign_rack_group(campaign: &CampaignId, status: &str) -> String {
    format!("{campaign}/{status}")
}

/// The group of the racks of a campaign that are held back.
#[must_use]
pub fn held_racks_group(campaign: &CampaignId) -> String {
    campaign_rack_group(campaign, HELD_BACK)
}

/// A rack of a campaign as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CampaignRackView {
    /// The campaign.
    pub campaign: CampaignId,
    /// The rack.
    pub rack: FaultDomain,
    /// One of [`CAMPAIGN_RACK_STATUSES`].
    pub status: String,
    /// The newest wave.
    pub wave: u32,
    /// How many hosts it has in it.
    pub hosts: u32,
    /// How many of them have ended.
    pub ended: u32,
    /// The host that is patched now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RackHostStarted>,
    /// What holds it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<RackHeld>,
    /// The hosts that failed, were left alone or are patched in part, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_patched: Vec<NotPatched>,
}

/// A host that a campaign has not patched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotPatched {
    /// The host.
    pub host: HostId,
    /// How it ended.
    pub end: PatchEnd,
    /// Why.
    pub reason: String,
}

/// A rack of a campaign as it is shown; none before it was asked for anything.
#[must_use]
pub fn campaign_rack(state: &CampaignRackState) -> Option<CampaignRackView> {
    let status = match (&state.running, &state.held) {
        (Some(_), _) => PATCHING,
        (None, _) if state.finished => DONE,
        (None, Some(held)) if held.rule == STOPPED => STOPPED_BY_CAMPAIGN,
        (None, Some(_)) => HELD_BACK,
        (None, None) => LOOKING,
    };
    let not_patched = state.outcomes.iter().filter(|(_, outcome)| outcome.end != PatchEnd::Patched);
    Some(CampaignRackView {
        campaign: state.campaign.clone()?,
        rack: state.rack.clone()?,
        status: status.to_owned(),
        wave: state.wave,
        hosts: state.hosts,
        ended: state.used,
        running: state.running.clone(),
        held: state.held.clone(),
        not_patched: not_patched
            .map(|(host, of)| NotPatched { host: host.clone(), end: of.end, reason: of.reason.clone() })
            .collect(),
    })
}
