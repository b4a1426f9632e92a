//! The stream `lane#<campaign>.<rack>`: the hosts of one rack in a campaign, of which one is patched at a time.
//!
//! patch-fleet reads the campaign, the hosts and the disruption budget right before each host, and the rack decides by what was read.
//! A rack that is held back records why, and a timer has it try again. Another timer checks whether the saga of a host has
//! ended, in case its event was lost.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};

use hostler_core::saga::{SagaCommand, StartSaga};
use hostler_core::{Decider, Decision, SetTimer, mutants};
use hostler_events::campaign::{
    CampaignRackEvent, PatchEnd, PatchFleetCommand, RackHeld, RackHostEnded, RackHostStarted, RackReported,
    RackWaveBegun, RackWaveEnded, ReportRack, RunRack,
};
use hostler_events::patching::PatchOrder;
use hostler_events::{CampaignId, FaultDomain, HostId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CAMPAIGN_TIMERS_TO, CampaignCommand};
use crate::patching::{order_value, patching_of};
use crate::support::after;

/// The rule by which a rack is held whose campaign is stopped. No timer ends that: the campaign asks the rack again.
pub const STOPPED: &str = "campaign";
/// The prefix of the disruption budget's rules, as a rack that is held back names them.
pub const BY_BUDGET: &str = "budget-";
/// After how many seconds the end of a host's saga is looked for that nobody has told.
const RECONCILE_AFTER_SECONDS: u32 = 900;
/// The shortest and the longest delay before a rack that is held looks again, in seconds.
const LOOK_AGAIN_SECONDS: (u32, u32) = (20, 300);

/// Decides on `lane#` streams.
#[derive(Debug, Clone, Copy)]
pub struct CampaignRackDecider;

/// What a rack is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CampaignRackInput {
    /// Its campaign has it patch so many hosts in a wave, or asks how far it is.
    Run(RunRack),
    /// This host may be patched now: its part of the disruption budget is claimed.
    Start {
        /// What its saga is started with.
        order: Box<PatchOrder>,
    },
    /// This host is left alone.
    Skip {
        /// The host.
        host: HostId,
        /// Why.
        reason: String,
    },
    /// No host may be begun now.
    Hold(Hold),
    /// Its campaign is stopped, or has another wave by now.
    Stopped,
    /// No host of the rack is left that may be patched in this wave.
    Exhausted,
    /// The saga of a host has ended.
    Ended {
        /// The host.
        host: HostId,
        /// How.
        end: PatchEnd,
        /// Why, for people.
        reason: String,
    },
    /// The end of a host's saga was looked for, and it goes on.
    StillRunning {
        /// The host.
        host: HostId,
    },
}

/// Why no host may be begun now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The rule, such as `budget-pool`.
    pub rule: String,
    /// What it allows.
    pub limit: u32,
    /// What there is.
    pub value: u32,
    /// What would lift it.
    pub lifts: String,
    /// When that is, where it is known.
    pub until: Option<Timestamp>,
    /// Whether it was seen because a wait was over. Only then another wait begins for the same reason.
    pub after_wait: bool,
}

/// What a timer of a rack is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CampaignRackTimer {
    /// It looks again, where it is held since then.
    Look(Timestamp),
    /// The end of this host's saga is to be looked for.
    Running(HostId),
}

impl CampaignRackTimer {
    /// Reads a timer's name.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        let (what, rest) = name.split_once(':')?;
        let (number, of) = rest.split_once(':')?;
        number.parse::<i64>().ok()?;
        match what {
            "look" => of.parse().ok().map(Self::Look),
            "running" => of.parse().ok().map(Self::Running),
            _other => None,
        }
    }
}

/// What became of a host, and in which wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// How it ended.
    pub end: PatchEnd,
    /// In which wave.
    pub wave: u32,
    /// Whether a saga was started for it. Then the campaign does not try it again.
    pub tried: bool,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What is known of a rack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CampaignRackState {
    /// The campaign; absent until it had it patch something.
    pub campaign: Option<CampaignId>,
    /// The rack.
    pub rack: Option<FaultDomain>,
    /// The wave.
    pub wave: u32,
    /// How many hosts it has in the wave.
    pub hosts: u32,
    /// How many of them have ended.
    pub used: u32,
    /// Whether it has nothing left to do in the wave.
    pub finished: bool,
    /// The host that is patched now.
    pub running: Option<RackHostStarted>,
    /// What holds it back.
    pub held: Option<RackHeld>,
    /// What became of its hosts.
    pub outcomes: BTreeMap<HostId, Outcome>,
    /// How much has happened.
    pub sequence: u64,
}

impl CampaignRackState {
    /// Whether it has yet to begin a host in this wave, and patches none.
    #[must_use]
    pub fn is_free(&self) -> bool {
        let is_alone = self.running.is_none() || mutants::on("campaign-rack.patches-two-of-a-rack");
        self.campaign.is_some() && is_alone && !self.finished
    }

    /// Whether the campaign may begin this host in this wave: none that was tried, and none that was left alone in this wave.
    #[must_use]
    pub fn may_begin(&self, host: &HostId) -> bool {
        self.outcomes.get(host).is_none_or(|outcome| {
            let was_tried = outcome.tried && !mutants::on("campaign-rack.tries-a-host-again");
            !was_tried && outcome.wave < self.wave
        })
    }

    fn count(&self, end: PatchEnd) -> u32 {
        let count = self.outcomes.values().filter(|outcome| outcome.end == end).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn report(&self) -> Option<ReportRack> {
        let (campaign, rack) = (self.campaign.clone()?, self.rack.clone()?);
        let report = RackReported {
            campaign,
            rack,
            wave: self.wave,
            finished: self.finished,
            sequence: self.sequence,
            patched: self.count(PatchEnd::Patched),
            skipped: self.count(PatchEnd::Skipped).saturating_add(self.count(PatchEnd::Partial)),
            failed: self.count(PatchEnd::Failed),
        };
        Some(ReportRack { report })
    }
}

/// The key of a rack of a campaign.
#[must_use]
pub fn rack_key(campaign: &CampaignId, rack: &FaultDomain) -> String {
    format!("{campaign}.{rack}")
}

impl Decider for CampaignRackDecider {
    /// From before it was called the rack of a campaign: released names stay.
    const CATEGORY: &'static str = "lane";
    const STATE_VERSION: u32 = 1;
    type State = CampaignRackState;
    type Input = CampaignRackInput;
    type Event = CampaignRackEvent;
    type Command = CampaignCommand;
    /// What a rack is told is what somebody has seen: what means nothing changes nothing.
    type Refusal = Infallible;

    fn decide(
        state: &CampaignRackState,
        input: &CampaignRackInput,
        now: Timestamp,
    ) -> Result<Decision<CampaignRackEvent, CampaignCommand>, Infallible> {
        let mut draft = Draft { state: state.clone(), now, decision: Decision::nothing() };
        match input {
            CampaignRackInput::Run(run) => draft.run(run),
            CampaignRackInput::Start { order } if state.is_free() && state.may_begin(&order.host) => {
                draft.start(order);
            }
            CampaignRackInput::Skip { host, reason } if state.is_free() && state.may_begin(host) => {
                draft.end(host, PatchEnd::Skipped, reason);
            }
            CampaignRackInput::Hold(hold) if state.is_free() => draft.hold(hold),
            CampaignRackInput::Stopped if state.is_free() => draft.stopped(),
            CampaignRackInput::Exhausted if state.is_free() => draft.finish(),
            CampaignRackInput::Ended { host, end, reason } if is_running(state, host) => {
                draft.end(host, *end, reason);
            }
            CampaignRackInput::StillRunning { host } if is_running(state, host) => draft.reconcile(host),
            CampaignRackInput::Start { .. }
            | CampaignRackInput::Skip { .. }
            | CampaignRackInput::Hold(_)
            | CampaignRackInput::Stopped
            | CampaignRackInput::Exhausted
            | CampaignRackInput::Ended { .. }
            | CampaignRackInput::StillRunning { .. } => {}
        }
        Ok(draft.decision)
    }

    fn evolve(mut state: CampaignRackState, event: &CampaignRackEvent) -> CampaignRackState {
        state.sequence += 1;
        match event {
            CampaignRackEvent::WaveBegun(begun) => {
                state.campaign = Some(begun.campaign.clone());
                state.rack = Some(begun.rack.clone());
                (state.wave, state.hosts, state.used) = (begun.wave, begun.hosts, 0);
                (state.finished, state.held) = (false, None);
            }
            CampaignRackEvent::Held(held) => state.held = Some(held.clone()),
            CampaignRackEvent::HostStarted(started) => {
                (state.running, state.held) = (Some(started.clone()), None);
            }
            CampaignRackEvent::HostEnded(ended) => {
                let tried = is_running(&state, &ended.host);
                if tried {
                    state.running = None;
                }
                let (end, wave, reason) = (ended.end, ended.wave, ended.reason.clone());
                state.outcomes.insert(ended.host.clone(), Outcome { end, wave, tried, reason });
                state.used = state.used.saturating_add(1);
            }
            CampaignRackEvent::WaveEnded(_) => (state.finished, state.held) = (true, None),
        }
        state
    }
}

fn is_running(state: &CampaignRackState, host: &HostId) -> bool {
    state.running.as_ref().is_some_and(|running| running.host == *host)
}

/// A decision in the making, and the state as it is with what was recorded so far.
struct Draft {
    state: CampaignRackState,
    now: Timestamp,
    decision: Decision<CampaignRackEvent, CampaignCommand>,
}

impl Draft {
    fn record(&mut self, event: CampaignRackEvent) {
        self.state = CampaignRackDecider::evolve(std::mem::take(&mut self.state), &event);
        self.decision.events.push(event);
    }

    fn timer(&mut self, name: String, due_at: Timestamp) {
        self.decision.timers.push(SetTimer { name, due_at, deliver_to: CAMPAIGN_TIMERS_TO });
    }

    fn report(&mut self) {
        self.decision.commands.extend(self.state.report().map(PatchFleetCommand::from).map(Into::into));
    }

    /// A wave that is known already is asked for again by a campaign that has not heard of its end.
    fn run(&mut self, run: &RunRack) {
        if run.wave < self.state.wave {
            return;
        }
        if run.wave == self.state.wave {
            if self.state.finished {
                self.report();
            }
            return;
        }
        let RunRack { campaign, rack, wave, hosts } = run.clone();
        self.record(CampaignRackEvent::WaveBegun(RackWaveBegun { campaign, rack, wave, hosts }));
    }

    fn start(&mut self, order: &PatchOrder) {
        let (Some(campaign), Some(rack)) = (self.state.campaign.clone(), self.state.rack.clone()) else {
            return;
        };
        let host = order.host.clone();
        let saga = match patching_of(&campaign, &host) {
            Ok(saga) => saga,
            Err(error) => return self.end(&host, PatchEnd::Skipped, &error.to_string()),
        };
        let (wave, started_at) = (self.state.wave, self.now);
        self.record(CampaignRackEvent::HostStarted(RackHostStarted {
            campaign,
            rack,
            wave,
            host: host.clone(),
            saga: saga.clone(),
            started_at,
        }));
        let start = StartSaga { saga, order: order_value(order), parent: None };
        self.decision.commands.push(SagaCommand::from(start).into());
        self.reconcile(&host);
    }

    fn reconcile(&mut self, host: &HostId) {
        let due_at = after(self.now, RECONCILE_AFTER_SECONDS);
        self.timer(format!("running:{}:{host}", due_at.as_second()), due_at);
    }

    /// A failure is told at once, for it may halt the wave.
    fn end(&mut self, host: &HostId, end: PatchEnd, reason: &str) {
        let (Some(campaign), Some(rack)) = (self.state.campaign.clone(), self.state.rack.clone()) else {
            return;
        };
        let (wave, ended_at) = (self.state.wave, self.now);
        let (host, reason) = (host.clone(), hostler_core::failure::clip(reason));
        self.record(CampaignRackEvent::HostEnded(RackHostEnded {
            campaign,
            rack,
            wave,
            host,
            end,
            reason,
            ended_at,
        }));
        if self.state.used >= self.state.hosts {
            self.finish();
        } else if end == PatchEnd::Failed && !mutants::on("campaign-rack.tells-failures-late") {
            self.report();
        }
    }

    fn finish(&mut self) {
        let (Some(campaign), Some(rack)) = (self.state.campaign.clone(), self.state.rack.clone()) else {
            return;
        };
        let wave = self.state.wave;
        self.record(CampaignRackEvent::WaveEnded(RackWaveEnded { campaign, rack, wave }));
        self.report();
    }

    /// The same reason is recorded once. Each chain of waits is for one reason, and knows it by when that began.
    fn hold(&mut self, hold: &Hold) {
        // How much of the budget others hold changes all the time; when the next window opens does not.
        let is_same =
            |held: &&RackHeld| held.rule == hold.rule && (hold.until.is_none() || held.lifts == hold.lifts);
        match self.state.held.as_ref().filter(is_same) {
            Some(_) if !hold.after_wait => return,
            Some(_) => {}
            None => self.held(hold.rule.clone(), (hold.limit, hold.value), hold.lifts.clone()),
        }
        let Some(since) = self.state.held.as_ref().map(|held| held.since) else { return };
        let due_at = hold.until.unwrap_or_else(|| self.look_again(since));
        self.timer(format!("look:{}:{since}", due_at.as_second()), due_at);
    }

    /// The longer it waits, the later it looks again; and not all racks of a campaign at the same moment.
    fn look_again(&self, since: Timestamp) -> Timestamp {
        let (shortest, longest) = LOOK_AGAIN_SECONDS;
        let waited = u32::try_from(self.now.duration_since(since).as_secs()).unwrap_or(0);
        let mut hasher = DefaultHasher::new();
        (&self.state.rack, waited).hash(&mut hasher);
        let apart = u32::try_from(hasher.finish() % u64::from(shortest)).unwrap_or(0);
        after(self.now, (waited / 2).clamp(shortest, longest).saturating_add(apart))
    }

    fn stopped(&mut self) {
        if self.state.held.as_ref().is_none_or(|held| held.rule != STOPPED) {
            let lifts = "its campaign is paused, halted or over".to_owned();
            self.held(STOPPED.to_owned(), (0, 0), lifts);
        }
    }

    fn held(&mut self, rule: String, (limit, value): (u32, u32), lifts: String) {
        let (Some(campaign), Some(rack)) = (self.state.campaign.clone(), self.state.rack.clone()) else {
            return;
        };
        let since = self.now;
        self.record(CampaignRackEvent::Held(RackHeld { campaign, rack, rule, limit, value, lifts, since }));
    }
}
