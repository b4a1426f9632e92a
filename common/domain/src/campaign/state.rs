//! What is known of a campaign, folded from its events.

use std::collections::BTreeMap;

use hostler_events::FaultDomain;
use hostler_events::campaign::{
    CampaignEvent, CampaignHeld, CampaignPlanned, CampaignRequested, RackReported, WaveHalted, WaveStarted,
};
use hostler_events::site::Autonomy;
use hostler_events::{AdvisoryId, CampaignId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a campaign is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    /// Nobody has asked for it.
    #[default]
    None,
    /// It was asked for. The hosts are counted soon.
    Requested,
    /// The end: what would have been done is on record.
    Observed,
    /// The next wave may start from then on.
    Ready {
        /// The moment.
        from: Timestamp,
    },
    /// A wave runs.
    Running,
    /// The end: no host is left that it could patch.
    Completed,
    /// The end: a person has ended it.
    Rejected,
}

/// Why no host is begun until a person says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stop", rename_all = "kebab-case")]
pub enum Stop {
    /// A person has paused it.
    Paused {
        /// Why.
        reason: String,
    },
    /// Too many hosts have failed.
    Halted(WaveHalted),
}

/// A rack in a campaign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rack {
    /// The newest wave that it has a part in.
    pub wave: u32,
    /// How many hosts it has in it.
    pub hosts: u32,
    /// Whether it has ended it.
    pub finished: bool,
    /// The newest report.
    pub sequence: u64,
    /// How many hosts were patched since the campaign began.
    pub patched: u32,
    /// How many were left alone, or are patched in part.
    pub skipped: u32,
    /// How many failed.
    pub failed: u32,
}

/// A wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wave {
    /// Its number, from 1.
    pub number: u32,
    /// Its size, in a hundred of what was left.
    pub percent: u32,
    /// How many hosts had the vulnerability.
    pub left: u32,
    /// How many hosts it has.
    pub hosts: u32,
    /// How many of them may fail.
    pub errors_max: u32,
    /// Seconds after it until the next one.
    pub soak_seconds: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// How many hosts of it were patched.
    pub patched: u32,
    /// How many failed.
    pub failed: u32,
    /// How many hosts of the campaign had been patched before it.
    pub patched_before: u32,
    /// How many hosts of the campaign had failed before it.
    pub failed_before: u32,
    /// How many had failed when errors began to count: when it started, or when a person had it go on.
    pub errors_from: u32,
}

/// What is known of a campaign. It counts hosts by racks, and names none: the racks' own streams do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CampaignState {
    /// What it was asked for, with the newest reason; absent until it was.
    pub request: Option<CampaignRequested>,
    /// Until when it is to be done.
    pub deadline: Option<Timestamp>,
    /// Whether it is an emergency.
    pub emergency: bool,
    /// Whether a person wants it: one has approved it, or has asked for it.
    pub approved: bool,
    /// Whether the deadline has passed before it ended.
    pub breached: bool,
    /// Where it is.
    pub stage: Stage,
    /// What stops it, where something does.
    pub stop: Option<Stop>,
    /// Why the next wave does not start yet.
    pub held: Option<CampaignHeld>,
    /// How it was planned.
    pub plan: Option<CampaignPlanned>,
    /// Its waves, the oldest first.
    pub waves: Vec<Wave>,
    /// Its racks.
    pub racks: BTreeMap<FaultDomain, Rack>,
    /// How many hosts have an exception, as of the newest count.
    pub excepted: u32,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended, for people.
    pub end: String,
}

impl CampaignState {
    /// Its name; none until it was asked for.
    #[must_use]
    pub fn campaign(&self) -> Option<&CampaignId> {
        self.request.as_ref().map(|request| &request.campaign)
    }

    /// The advisory; none until it was asked for.
    #[must_use]
    pub fn advisory(&self) -> Option<&AdvisoryId> {
        self.request.as_ref().map(|request| &request.advisory)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self.stage {
            Stage::Observed | Stage::Completed | Stage::Rejected => true,
            Stage::None | Stage::Requested | Stage::Ready { .. } | Stage::Running => false,
        }
    }

    /// Whether a fresh count of the hosts would lead to something now.
    #[must_use]
    pub fn waits_for_count(&self, now: Timestamp) -> bool {
        self.stop.is_none()
            && match self.stage {
                Stage::Requested => true,
                Stage::Ready { from } => from <= now,
                Stage::None | Stage::Observed | Stage::Running | Stage::Completed | Stage::Rejected => false,
            }
    }

    /// Whether a rack may begin the next host of this wave.
    #[must_use]
    pub fn runs(&self, wave: u32) -> bool {
        self.stage == Stage::Running && self.stop.is_none() && self.wave().is_some_and(|of| of.number == wave)
    }

    /// The newest wave.
    #[must_use]
    pub fn wave(&self) -> Option<&Wave> {
        self.waves.last()
    }

    /// The racks that have yet to end the newest wave.
    pub fn open_racks(&self) -> impl Iterator<Item = (&FaultDomain, &Rack)> {
        let wave = self.wave().map_or(0, |wave| wave.number);
        self.racks.iter().filter(move |(_, rack)| rack.wave == wave && wave > 0 && !rack.finished)
    }

    fn sum(&self, of: impl Fn(&Rack) -> u32) -> u32 {
        self.racks.values().fold(0, |sum, rack| sum.saturating_add(of(rack)))
    }

    /// How many hosts were patched.
    #[must_use]
    pub fn patched(&self) -> u32 {
        self.sum(|rack| rack.patched)
    }

    /// How many were left alone, or are patched in part.
    #[must_use]
    pub fn skipped(&self) -> u32 {
        self.sum(|rack| rack.skipped)
    }

    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> u32 {
        self.sum(|rack| rack.failed)
    }

    /// How many hosts it is about: as planned, or as many as there were when a wave started, where hosts have come since.
    #[must_use]
    pub fn hosts(&self) -> u32 {
        let planned = self.plan.as_ref().map_or(0, |plan| plan.hosts);
        let seen = self
            .waves
            .iter()
            .map(|wave| wave.left.saturating_add(wave.patched_before).saturating_add(wave.failed_before));
        seen.chain([planned]).max().unwrap_or(planned)
    }

    /// How many errors of the newest wave count.
    pub(super) fn errors(&self) -> u32 {
        self.failed().saturating_sub(self.wave().map_or(0, |wave| wave.errors_from))
    }
}

/// Folds one event into the state.
pub(super) fn evolve(mut state: CampaignState, event: &CampaignEvent) -> CampaignState {
    match event {
        CampaignEvent::Requested(requested) => {
            state.deadline = requested.deadline;
            state.emergency = requested.emergency;
            state.approved = requested.by_person;
            state.stage = Stage::Requested;
            state.request = Some(requested.clone());
        }
        CampaignEvent::Prioritised(of) => {
            if of.deadline != state.deadline {
                state.breached = false;
            }
            (state.deadline, state.emergency) = (of.deadline, of.emergency);
            if let Some(request) = &mut state.request {
                request.reason.clone_from(&of.reason);
            }
        }
        CampaignEvent::Planned(plan) => {
            state.excepted = plan.excepted;
            state.stage = match plan.autonomy {
                Autonomy::Observe => Stage::Observed,
                Autonomy::Approve | Autonomy::Auto => Stage::Ready { from: plan.planned_at },
            };
            if plan.autonomy == Autonomy::Observe {
                "the policies say that campaigns are only observed".clone_into(&mut state.end);
                state.ended_at = Some(plan.planned_at);
            }
            state.plan = Some(plan.clone());
        }
        CampaignEvent::Approved(_) => {
            state.approved = true;
            state.held = None;
        }
        CampaignEvent::Rejected(of) => {
            (state.stage, state.stop, state.held) = (Stage::Rejected, None, None);
            state.end.clone_from(&of.reason);
            state.ended_at = Some(of.rejected_at);
        }
        CampaignEvent::Paused(of) => state.stop = Some(Stop::Paused { reason: of.reason.clone() }),
        CampaignEvent::Resumed(_) => {
            state.stop = None;
            let failed = state.failed();
            if let Some(wave) = state.waves.last_mut() {
                wave.errors_from = failed;
            }
        }
        CampaignEvent::Held(held) => state.held = Some(held.clone()),
        CampaignEvent::WaveStarted(started) => started_wave(&mut state, started),
        CampaignEvent::RackReported(report) => reported(&mut state, report),
        CampaignEvent::WaveCompleted(of) => {
            if let Some(wave) = state.waves.last_mut() {
                wave.completed_at = Some(of.completed_at);
            }
            state.stage = Stage::Ready { from: of.soak_until };
        }
        CampaignEvent::WaveHalted(halted) => state.stop = Some(Stop::Halted(halted.clone())),
        CampaignEvent::DeadlineBreached(_) => state.breached = true,
        CampaignEvent::Completed(of) => {
            (state.stage, state.held) = (Stage::Completed, None);
            state.excepted = of.excepted;
            state.ended_at = Some(of.completed_at);
        }
    }
    state
}

fn started_wave(state: &mut CampaignState, started: &WaveStarted) {
    let (patched_before, failed_before) = (state.patched(), state.failed());
    for share in &started.racks {
        let rack = state.racks.entry(share.rack.clone()).or_default();
        (rack.wave, rack.hosts, rack.finished) = (started.wave, share.hosts, false);
    }
    state.excepted = started.excepted;
    (state.stage, state.held) = (Stage::Running, None);
    state.waves.push(Wave {
        number: started.wave,
        percent: started.percent,
        left: started.left,
        hosts: started.hosts,
        errors_max: started.errors_max,
        soak_seconds: started.soak_seconds,
        started_at: started.started_at,
        completed_at: None,
        patched: 0,
        failed: 0,
        patched_before,
        failed_before,
        errors_from: failed_before,
    });
}

fn reported(state: &mut CampaignState, report: &RackReported) {
    let rack = state.racks.entry(report.rack.clone()).or_default();
    rack.finished = report.finished && report.wave == rack.wave;
    rack.sequence = report.sequence;
    (rack.patched, rack.skipped, rack.failed) = (report.patched, report.skipped, report.failed);
    let (patched, failed) = (state.patched(), state.failed());
    if let Some(wave) = state.waves.last_mut().filter(|wave| wave.completed_at.is_none()) {
        wave.patched = patched.saturating_sub(wave.patched_before);
        wave.failed = failed.saturating_sub(wave.failed_before);
    }
}
