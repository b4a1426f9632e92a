//! The stream `campaign#<campaign>`: one advisory is patched on all hosts that have it, in waves.
//!
//! A campaign counts hosts by racks and names none; each rack has a stream of its own ([`rack`]), which patches one
//! host after the other. Before each wave the hosts are counted again, so that those that have come or gone meanwhile are
//! seen. What stops a campaign is an event that says what would lift it. Every wait has a timer, or is for a person.

use hostler_core::saga::SagaCommand;
use hostler_core::{Decider, Decision, SetTimer, command_sets, mutants};
use hostler_events::CampaignId;
use hostler_events::campaign::{
    CampaignApproved, CampaignCompleted, CampaignDeadlineBreached, CampaignEvent, CampaignPaused,
    CampaignPrioritised, CampaignRejected, CampaignRequested, CampaignResumed, CreateCampaign,
    LookAtCampaign, PatchFleetCommand, RackReported, RunRack, WaveCompleted, WaveHalted,
};
use jiff::Timestamp;

mod input;
mod planning;
pub mod rack;
mod state;
#[cfg(test)]
mod tests;
pub mod turns;
mod windows;

pub use input::{CampaignInput, FleetFacts, Urgency};
pub use rack::{CampaignRackDecider, CampaignRackInput, CampaignRackState, CampaignRackTimer};
pub use state::{CampaignState, Rack, Stage, Stop, Wave};
pub use windows::is_open;

use crate::support::after;

/// The queue to which the timers of campaigns and racks are delivered.
pub const CAMPAIGN_TIMERS_TO: &str = "patch-fleet";
/// Seconds between the request and the first count: an advisory is published before the hosts that have it are known.
const SETTLE_SECONDS: u32 = 60;
/// For how many seconds hosts are looked for where none has the vulnerability.
const LOOK_FOR_SECONDS: i64 = 3_600;
/// After how many seconds racks are asked again that have not ended a wave.
const ASK_AGAIN_SECONDS: u32 = 1_800;
/// Seconds after the last wave until hosts are counted again: by then the views show what it has done.
const VIEW_LAGS_SECONDS: u32 = 60;
/// The longest name of a campaign, in bytes: the ids of its sagas are made from it and the names of hosts.
const CAMPAIGN_ID_BYTES_MAX: usize = 48;

/// Decides on `campaign#` streams.
#[derive(Debug, Clone, Copy)]
pub struct CampaignDecider;

command_sets! {
    /// What campaigns and their racks ask of others.
    pub enum CampaignCommand {
        /// Of `patch-fleet`.
        Fleet(PatchFleetCommand),
        /// Of a saga.
        Saga(SagaCommand),
    }
}

/// Why a campaign refuses what a person wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CampaignRefusal {
    /// Nobody has asked for it.
    #[error("there is no such campaign: `hostler campaigns list` shows those that there are")]
    Unknown,
    /// It exists already.
    #[error("there is a campaign {campaign} already: give the new one another name")]
    Exists {
        /// The campaign.
        campaign: CampaignId,
    },
    /// Its name is too long.
    #[error(
        "the name {campaign} has {bytes} bytes: give a campaign a name of {CAMPAIGN_ID_BYTES_MAX} at most"
    )]
    NameTooLong {
        /// The campaign.
        campaign: CampaignId,
        /// How long it is.
        bytes: usize,
    },
    /// It has ended.
    #[error(
        "campaign {campaign} has ended: create another one for the hosts that still have the vulnerability"
    )]
    Ended {
        /// The campaign.
        campaign: CampaignId,
    },
    /// It does not wait for approval.
    #[error(
        "campaign {campaign} does not wait for approval: `hostler campaigns show {campaign}` says what it waits for"
    )]
    NotAwaited {
        /// The campaign.
        campaign: CampaignId,
    },
    /// It is stopped already.
    #[error(
        "campaign {campaign} is paused or halted already: `hostler campaigns resume {campaign}` has it go on"
    )]
    Stopped {
        /// The campaign.
        campaign: CampaignId,
    },
    /// It is not stopped.
    #[error("campaign {campaign} is neither paused nor halted: there is nothing to resume")]
    NotStopped {
        /// The campaign.
        campaign: CampaignId,
    },
    /// A decision needs a reason.
    #[error("no reason was given for the decision about campaign {campaign}: it is recorded, so say why")]
    NoReason {
        /// The campaign.
        campaign: CampaignId,
    },
}

impl CampaignRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown-campaign",
            Self::Exists { .. } => "campaign-exists",
            Self::NameTooLong { .. } => "name-too-long",
            Self::Ended { .. } => "campaign-ended",
            Self::NotAwaited { .. } => "not-awaited",
            Self::Stopped { .. } => "already-stopped",
            Self::NotStopped { .. } => "not-stopped",
            Self::NoReason { .. } => "no-reason",
        }
    }
}

/// What a timer of a campaign is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignTimer {
    /// It is to be looked at.
    Look,
    /// The racks of this wave that have not ended it are to be asked again.
    Running(u32),
    /// This deadline has passed.
    Deadline(Timestamp),
}

impl CampaignTimer {
    /// Reads a timer's name.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        match name.split_once(':')? {
            ("look", _) => Some(Self::Look),
            ("running", rest) => rest.split(':').next()?.parse().ok().map(Self::Running),
            ("deadline", at) => at.parse().ok().map(Self::Deadline),
            (_, _) => None,
        }
    }
}

type CampaignDecision = Decision<CampaignEvent, CampaignCommand>;

impl Decider for CampaignDecider {
    const CATEGORY: &'static str = "campaign";
    const STATE_VERSION: u32 = 1;
    type State = CampaignState;
    type Input = CampaignInput;
    type Event = CampaignEvent;
    type Command = CampaignCommand;
    type Refusal = CampaignRefusal;

    fn decide(
        state: &CampaignState,
        input: &CampaignInput,
        now: Timestamp,
    ) -> Result<CampaignDecision, CampaignRefusal> {
        let mut draft = Draft { state: state.clone(), now, decision: Decision::nothing() };
        match input {
            CampaignInput::Create(create) => draft.create(create)?,
            CampaignInput::Prioritised(urgency) => draft.prioritised(urgency),
            CampaignInput::Look { fleet } => draft.look(fleet),
            CampaignInput::Report(report) => draft.report(report),
            CampaignInput::StillRunning { wave } if draft.state.runs(*wave) => draft.ask_racks(),
            CampaignInput::StillRunning { .. } => {}
            CampaignInput::DeadlinePassed { deadline } => draft.deadline_passed(*deadline),
            CampaignInput::Approve { campaign, reason } => draft.approve(campaign, reason)?,
            CampaignInput::Reject { campaign, reason } => draft.reject(campaign, reason)?,
            CampaignInput::Pause { campaign, reason } => draft.pause(campaign, reason)?,
            CampaignInput::Resume { campaign, reason } => draft.resume(campaign, reason)?,
        }
        Ok(draft.decision)
    }

    fn evolve(state: CampaignState, event: &CampaignEvent) -> CampaignState {
        state::evolve(state, event)
    }
}

/// A decision in the making, and the state as it is with what was recorded so far.
struct Draft {
    state: CampaignState,
    now: Timestamp,
    decision: CampaignDecision,
}

impl Draft {
    fn record(&mut self, event: CampaignEvent) {
        self.state = state::evolve(std::mem::take(&mut self.state), &event);
        self.decision.events.push(event);
    }

    fn ask(&mut self, command: impl Into<PatchFleetCommand>) {
        self.decision.commands.push(command.into().into());
    }

    fn timer(&mut self, name: String, due_at: Timestamp) {
        self.decision.timers.push(SetTimer { name, due_at, deliver_to: CAMPAIGN_TIMERS_TO });
    }

    fn look_at(&mut self, at: Timestamp) {
        self.timer(format!("look:{at}"), at);
    }

    /// The campaign, where there is one that has not ended.
    fn begun(&self, campaign: &CampaignId, reason: &str) -> Result<CampaignId, CampaignRefusal> {
        if reason.trim().is_empty() {
            return Err(CampaignRefusal::NoReason { campaign: campaign.clone() });
        }
        match self.state.campaign() {
            None => Err(CampaignRefusal::Unknown),
            Some(_) if self.state.is_over() => Err(CampaignRefusal::Ended { campaign: campaign.clone() }),
            Some(campaign) => Ok(campaign.clone()),
        }
    }

    fn create(&mut self, create: &CreateCampaign) -> Result<(), CampaignRefusal> {
        let CreateCampaign { campaign, advisory, deadline, emergency, reason } = create.clone();
        let bytes = campaign.as_str().len();
        if bytes > CAMPAIGN_ID_BYTES_MAX {
            return Err(CampaignRefusal::NameTooLong { campaign, bytes });
        }
        if reason.trim().is_empty() {
            return Err(CampaignRefusal::NoReason { campaign });
        }
        if self.state.request.is_some() {
            return Err(CampaignRefusal::Exists { campaign });
        }
        let (by_person, requested_at) = (true, self.now);
        self.request(CampaignRequested {
            campaign,
            advisory,
            deadline,
            emergency,
            by_person,
            reason,
            requested_at,
        });
        Ok(())
    }

    fn request(&mut self, requested: CampaignRequested) {
        let deadline = requested.deadline;
        self.record(CampaignEvent::Requested(requested));
        self.look_at(after(self.now, SETTLE_SECONDS));
        self.watch_deadline(deadline);
    }

    fn watch_deadline(&mut self, deadline: Option<Timestamp>) {
        if let Some(deadline) = deadline {
            self.timer(format!("deadline:{deadline}"), deadline);
        }
    }

    /// New facts change a campaign that runs. Without one, a campaign is asked for.
    fn prioritised(&mut self, urgency: &Urgency) {
        let Urgency { campaign, advisory, deadline, emergency, reason } = urgency.clone();
        if self.state.request.is_none() {
            let (by_person, requested_at) = (false, self.now);
            return self.request(CampaignRequested {
                campaign,
                advisory,
                deadline,
                emergency,
                by_person,
                reason,
                requested_at,
            });
        }
        let is_news = (self.state.deadline, self.state.emergency) != (deadline, emergency);
        if is_news && !self.state.is_over() {
            let changes_deadline = self.state.deadline != deadline;
            self.record(CampaignEvent::Prioritised(CampaignPrioritised {
                campaign: campaign.clone(),
                deadline,
                emergency,
                reason,
            }));
            self.watch_deadline(deadline.filter(|_| changes_deadline));
            // An emergency waits for no window, but for the hosts to be known: seconds after an advisory few of them are.
            if !self.settles() {
                self.ask(LookAtCampaign { campaign });
            }
        }
    }

    /// Whether the first count is still to come, by its timer.
    fn settles(&self) -> bool {
        let settled = |request: &CampaignRequested| after(request.requested_at, SETTLE_SECONDS) <= self.now;
        self.state.stage == Stage::Requested && !self.state.request.as_ref().is_some_and(settled)
    }

    /// A report says how much has happened since the campaign began: an older one, or a repeat, says nothing new.
    fn report(&mut self, report: &RackReported) {
        let Some(rack) = self.state.racks.get(&report.rack).copied() else { return };
        let ends_wave = report.finished && report.wave == rack.wave && !rack.finished;
        if report.sequence < rack.sequence || report.sequence == rack.sequence && !ends_wave {
            return;
        }
        self.record(CampaignEvent::RackReported(report.clone()));
        self.halt();
        self.advance();
    }

    /// More errors than may be: no rack begins another host.
    fn halt(&mut self) {
        let (Stage::Running, Some(wave), Some(campaign)) =
            (self.state.stage, self.state.wave().cloned(), self.state.campaign().cloned())
        else {
            return;
        };
        let (limit, value) = (wave.errors_max, self.state.errors());
        let is_halted = matches!(self.state.stop, Some(Stop::Halted(_)));
        if value <= limit || is_halted || mutants::on("campaign.goes-on-whatever-fails") {
            return;
        }
        let lifts = format!(
            "look at the hosts that failed; then `hostler campaigns resume {campaign}` goes on and `hostler campaigns reject {campaign}` ends it"
        );
        let (rule, since, wave) = ("errors".to_owned(), self.now, wave.number);
        let halted = WaveHalted { campaign, wave, rule, limit, value, lifts, since };
        self.record(CampaignEvent::WaveHalted(halted));
    }

    /// A wave is over once all its racks have ended it. What comes next waits for the soak.
    fn advance(&mut self) {
        let (Stage::Running, None) = (self.state.stage, &self.state.stop) else { return };
        if self.state.open_racks().next().is_some() {
            return;
        }
        let (Some(wave), Some(campaign)) = (self.state.wave().cloned(), self.state.campaign().cloned())
        else {
            return;
        };
        let is_last = wave.percent == 100 || mutants::on("campaign.soaks-for-no-time");
        let soak = if is_last { VIEW_LAGS_SECONDS } else { wave.soak_seconds };
        let soak_until = after(self.now, soak);
        self.record(CampaignEvent::WaveCompleted(WaveCompleted {
            campaign,
            wave: wave.number,
            patched: wave.patched,
            failed: wave.failed,
            completed_at: self.now,
            soak_until,
        }));
        self.look_at(soak_until);
    }

    /// Has the racks go on that have not ended the wave. Those that have are asked how far they are.
    fn ask_racks(&mut self) {
        let (Some(wave), Some(campaign)) =
            (self.state.wave().map(|wave| wave.number), self.state.campaign().cloned())
        else {
            return;
        };
        let racks: Vec<RunRack> = self
            .state
            .open_racks()
            .map(|(rack, of)| RunRack {
                campaign: campaign.clone(),
                rack: rack.clone(),
                wave,
                hosts: of.hosts,
            })
            .collect();
        for rack in racks {
            self.ask(rack);
        }
        let due_at = after(self.now, ASK_AGAIN_SECONDS);
        self.timer(format!("running:{wave}:{due_at}"), due_at);
    }

    /// It is said once, and stops nothing.
    fn deadline_passed(&mut self, deadline: Timestamp) {
        let Some(campaign) = self.state.campaign().cloned() else { return };
        let is_missed = self.state.deadline == Some(deadline) && deadline <= self.now;
        if !is_missed || self.state.breached || self.state.is_over() {
            return;
        }
        let done = self.state.patched().saturating_add(self.state.skipped());
        let left = self.state.hosts().saturating_sub(done);
        let breached = CampaignDeadlineBreached { campaign, deadline, left };
        self.record(CampaignEvent::DeadlineBreached(breached));
    }

    fn complete(&mut self, excepted: u32) {
        let Some(request) = self.state.request.clone() else { return };
        let seconds = self.now.duration_since(request.requested_at).as_secs();
        self.record(CampaignEvent::Completed(CampaignCompleted {
            campaign: request.campaign,
            patched: self.state.patched(),
            skipped: self.state.skipped(),
            failed: self.state.failed(),
            excepted,
            in_time: self.state.deadline.map(|deadline| self.now <= deadline),
            completed_at: self.now,
            seconds: u64::try_from(seconds).unwrap_or(0),
        }));
    }

    /// The hosts are counted again before anything is begun, by the function that can.
    fn approve(&mut self, campaign: &CampaignId, reason: &str) -> Result<(), CampaignRefusal> {
        let campaign = self.begun(campaign, reason)?;
        if self.state.approved || self.state.plan.is_none() {
            return Err(CampaignRefusal::NotAwaited { campaign });
        }
        let approved = CampaignApproved { campaign: campaign.clone(), reason: reason.to_owned() };
        self.record(CampaignEvent::Approved(approved));
        self.ask(LookAtCampaign { campaign });
        Ok(())
    }

    fn reject(&mut self, campaign: &CampaignId, reason: &str) -> Result<(), CampaignRefusal> {
        let campaign = self.begun(campaign, reason)?;
        let (reason, rejected_at) = (reason.to_owned(), self.now);
        self.record(CampaignEvent::Rejected(CampaignRejected { campaign, reason, rejected_at }));
        Ok(())
    }

    fn pause(&mut self, campaign: &CampaignId, reason: &str) -> Result<(), CampaignRefusal> {
        let campaign = self.begun(campaign, reason)?;
        if self.state.stop.is_some() {
            return Err(CampaignRefusal::Stopped { campaign });
        }
        self.record(CampaignEvent::Paused(CampaignPaused { campaign, reason: reason.to_owned() }));
        Ok(())
    }

    fn resume(&mut self, campaign: &CampaignId, reason: &str) -> Result<(), CampaignRefusal> {
        let campaign = self.begun(campaign, reason)?;
        if self.state.stop.is_none() {
            return Err(CampaignRefusal::NotStopped { campaign });
        }
        let resumed = CampaignResumed { campaign: campaign.clone(), reason: reason.to_owned() };
        self.record(CampaignEvent::Resumed(resumed));
        self.advance();
        match self.state.stage {
            Stage::Running => self.ask_racks(),
            Stage::Requested | Stage::Ready { .. } => self.ask(LookAtCampaign { campaign }),
            Stage::None | Stage::Observed | Stage::Completed | Stage::Rejected => {}
        }
        Ok(())
    }
}
