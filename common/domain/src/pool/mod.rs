//! The stream `pool#<pool>`: how a pool grows and shrinks by what is measured.
//!
//! A signal is an edge: it says that something begins or ends, and is nothing by itself. Each decision looks at what all
//! metrics say, at the hosts as they are, and at the limits of the policy; and it is an event with all of that in it. What is
//! held back says by which rule. Waits have timers, and nothing is asked again and again.

use hostler_core::saga::SagaCommand;
use hostler_core::{Decider, Decision, SetTimer, command_sets};
use hostler_events::PoolId;
use hostler_events::pool::{
    PoolEvent, PoolHostArrived, PoolHostLeft, PoolProvisioningFailed, ScalingCompleted, ScalingSuppressed,
    SignalDropped,
};
use hostler_events::signal::{LookAtPool, ReportThreshold, ScaleCommand};
use jiff::{SignedDuration, Timestamp};

mod choosing;
mod facts;
mod input;
mod lending;
mod metrics;
mod proposals;
mod releasing;
mod state;
#[cfg(test)]
mod tests;

pub use facts::{HeldByBudget, Lender, PoolFacts, PoolHost};
pub use input::{End, PoolInput, Released};
pub use state::{Edge, Leaving, Open, PoolState, Proposal, Word};

use crate::support::after;
use choosing::{Choice, choose};

/// The queue to which the timers of pools are delivered.
pub const POOL_TIMERS_TO: &str = "scale-pools";
/// The kind of who holds a part of the disruption budget for a host that leaves.
pub const RELEASES: &str = "scale-in";
/// What the ids of requests begin with that a pool makes.
const REQUEST_PREFIX: &str = "scale-";
/// For how many seconds a person can approve a proposal.
const APPROVED_WITHIN_SECONDS: u32 = 3_600;
/// After how many seconds the ends of a decision are looked for that nobody has told.
const RECONCILE_AFTER_SECONDS: u32 = 900;
/// For how many seconds a host that was chosen to leave may be released. After that the choice is too old.
const CHOICE_HOLDS_SECONDS: i64 = 900;
/// The first delay before what is held back without an end in sight is looked at again, in seconds; doubled with each time.
const LOOK_AGAIN_SECONDS: u32 = 30;
/// The longest such delay.
const LOOK_AGAIN_SECONDS_MAX: u32 = 600;

/// Decides on `pool#` streams.
#[derive(Debug, Clone, Copy)]
pub struct PoolDecider;

command_sets! {
    /// What pools ask of others.
    pub enum PoolCommand {
        /// Of a saga.
        Saga(SagaCommand),
        /// Of `scale-pools`.
        Scale(ScaleCommand),
    }
}

/// Why a pool refuses what a person wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolRefusal {
    /// There is no such proposal, or not any more.
    #[error(
        "nothing of pool {pool} waits for approval under the number {number}: `hostler pools show {pool}` shows what does"
    )]
    NotProposed {
        /// The pool.
        pool: PoolId,
        /// The number.
        number: u64,
    },
    /// A decision needs a reason.
    #[error("no reason was given for the decision about pool {pool}: it is recorded, so say why")]
    NoReason {
        /// The pool.
        pool: PoolId,
    },
}

impl PoolRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotProposed { .. } => "not-proposed",
            Self::NoReason { .. } => "no-reason",
        }
    }
}

/// What a timer of a pool is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolTimer {
    /// It is to be looked at then.
    Look(Timestamp),
    /// The ends of this decision are to be looked for.
    Reconcile(u64),
}

impl PoolTimer {
    /// Reads a timer's name.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        match name.split_once(':')? {
            ("look", at) => at.parse().ok().map(Self::Look),
            ("reconcile", number) => number.split(':').next()?.parse().ok().map(Self::Reconcile),
            (_, _) => None,
        }
    }
}

/// The pool that has asked for a provisioning; none where somebody else has.
#[must_use]
pub fn pool_of(provisioning: &str) -> Option<PoolId> {
    let (request, _) = provisioning.strip_prefix(REQUEST_PREFIX)?.rsplit_once('.')?;
    request.rsplit_once('-')?.0.parse().ok()
}

type PoolDecision = Decision<PoolEvent, PoolCommand>;

impl Decider for PoolDecider {
    const CATEGORY: &'static str = "pool";
    const STATE_VERSION: u32 = 1;
    type State = PoolState;
    type Input = PoolInput;
    type Event = PoolEvent;
    type Command = PoolCommand;
    type Refusal = PoolRefusal;

    fn decide(state: &PoolState, input: &PoolInput, now: Timestamp) -> Result<PoolDecision, PoolRefusal> {
        let mut draft = Draft::new(state, now);
        match input {
            PoolInput::Signal { report, facts } => draft.signal(report, facts),
            PoolInput::Look { due: Some(due), .. } if state.look_at != Some(*due) => {}
            PoolInput::Look { facts, .. } => draft.look(facts),
            PoolInput::Lend { ask, facts } => draft.lend(ask, facts),
            PoolInput::Ended { pool, ends } => ends.iter().for_each(|end| draft.end(pool, end)),
            PoolInput::StillOpen { number } => draft.still_open(*number),
            PoolInput::Released { pool, released, held } => draft.released(pool, released, held.as_ref()),
            PoolInput::Approve { pool, number, reason } => draft.approve(pool, *number, reason)?,
            PoolInput::Reject { pool, number, reason } => draft.reject(pool, *number, reason)?,
        }
        Ok(draft.decision)
    }

    fn evolve(state: PoolState, event: &PoolEvent) -> PoolState {
        state::evolve(state, event)
    }
}

/// A decision in the making, and the state as it is with what was recorded so far.
struct Draft {
    state: PoolState,
    now: Timestamp,
    decision: PoolDecision,
}

impl Draft {
    fn new(state: &PoolState, now: Timestamp) -> Self {
        Self { state: state.clone(), now, decision: Decision::nothing() }
    }

    fn record(&mut self, event: PoolEvent) {
        self.state = state::evolve(std::mem::take(&mut self.state), &event);
        self.decision.events.push(event);
    }

    fn timer(&mut self, name: String, due_at: Timestamp) {
        self.decision.timers.push(SetTimer { name, due_at, deliver_to: POOL_TIMERS_TO });
    }

    fn look_at(&mut self, at: Timestamp) {
        self.timer(format!("look:{at}"), at);
    }

    /// An edge is recorded when it is news. A repeat leads to a look all the same, which writes nothing where nothing has
    /// changed.
    fn signal(&mut self, report: &ReportThreshold, facts: &PoolFacts) {
        match metrics::judge(&self.state, report, facts, self.now) {
            metrics::Judged::News(crossed) => self.record(PoolEvent::ThresholdCrossed(*crossed)),
            metrics::Judged::Known => {}
            metrics::Judged::Late => return,
            metrics::Judged::Stale(reason) => {
                let ReportThreshold { pool, header, metric, .. } = report.clone();
                let dropped = SignalDropped { pool, header, metric, reason };
                return self.record(PoolEvent::SignalDropped(dropped));
            }
        }
        self.look(facts);
    }

    /// What the pool needs now, within its limits.
    fn look(&mut self, facts: &PoolFacts) {
        let choice = choose(&self.state, facts, self.now);
        let short = lending::short(&choice);
        self.carry_out(choice, facts);
        self.reclaim(short, facts);
    }

    fn carry_out(&mut self, choice: Choice, facts: &PoolFacts) {
        match choice {
            Choice::Nothing => {}
            Choice::Act(decided) => {
                let (number, at) = (decided.number, decided.look_at);
                let starts = facts.starts(&decided);
                self.record(PoolEvent::Decided(*decided));
                self.decision
                    .commands
                    .extend(starts.into_iter().map(|start| SagaCommand::from(start).into()));
                if let Some(at) = at {
                    self.look_at(at);
                }
                self.still_open(number);
            }
            Choice::Propose(proposed) => {
                let at = proposed.approve_by;
                self.record(PoolEvent::Proposed(*proposed));
                self.look_at(at);
            }
            Choice::HoldBack(held) => self.hold_back(*held),
        }
    }

    /// The same reason again is not recorded again, unless the moment at which it was to be looked at has passed.
    fn hold_back(&mut self, held: ScalingSuppressed) {
        let is_same = |known: &ScalingSuppressed| {
            (known.direction, &known.rule, known.limit, known.value)
                == (held.direction, &held.rule, held.limit, held.value)
                && known.until.is_none_or(|until| until > self.now)
                    == held.until.is_none_or(|until| until > self.now)
        };
        if self.state.held.as_ref().is_some_and(is_same) {
            return;
        }
        let until = held.until;
        self.record(PoolEvent::Suppressed(held));
        if let Some(until) = until {
            self.look_at(until);
        }
    }

    /// The ends of a decision are told by events. Should one be lost, it is looked for.
    fn still_open(&mut self, number: u64) {
        if self.state.open.contains_key(&number) {
            let due_at = after(self.now, RECONCILE_AFTER_SECONDS);
            self.timer(format!("reconcile:{number}:{due_at}"), due_at);
        }
    }

    fn end(&mut self, pool: &PoolId, end: &End) {
        let (pool, now) = (pool.clone(), self.now);
        let number = match end {
            End::Arrived { provisioning, host } => {
                let Some(part) = self.state.in_flight.get(provisioning) else { return };
                let (number, provisioning, host) = (part.number, provisioning.clone(), host.clone());
                let arrived = PoolHostArrived { pool: pool.clone(), provisioning, host, arrived_at: now };
                self.record(PoolEvent::HostArrived(arrived));
                number
            }
            End::Failed { provisioning, reason } => {
                let Some(part) = self.state.in_flight.get(provisioning) else { return };
                let (number, provisioning) = (part.number, provisioning.clone());
                let reason = hostler_core::failure::clip(reason);
                let failed =
                    PoolProvisioningFailed { pool: pool.clone(), provisioning, reason, failed_at: now };
                self.record(PoolEvent::ProvisioningFailed(failed));
                number
            }
            End::Left { host } => {
                let Some(part) = self.state.leaving.get(host) else { return };
                let number = part.number;
                let left = PoolHostLeft { pool: pool.clone(), host: host.clone(), left_at: now };
                self.record(PoolEvent::HostLeft(left));
                number
            }
        };
        self.complete(&pool, number);
    }

    fn complete(&mut self, pool: &PoolId, number: u64) {
        let Some(open) = self.state.open.get(&number).filter(|open| open.is_over()) else { return };
        let seconds = self.now.duration_since(open.decided_at).as_secs();
        let completed = ScalingCompleted {
            pool: pool.clone(),
            number,
            direction: open.direction,
            requested: open.requested,
            done: open.done,
            failed: open.failed,
            seconds: u64::try_from(seconds).unwrap_or(0),
        };
        let lends_to = open.lends_to.clone();
        self.record(PoolEvent::Completed(completed));
        if let Some(pool) = lends_to {
            self.decision.commands.push(ScaleCommand::from(LookAtPool { pool }).into());
        }
    }
}

/// Whether a host that was chosen then may still be released.
#[must_use]
pub fn may_release(chosen_at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(chosen_at) < SignedDuration::from_secs(CHOICE_HOLDS_SECONDS)
}
