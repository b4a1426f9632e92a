//! The stream `health#<host>`: what signals say of a host, and what is done about it.
//!
//! A signal is a claim about a moment. It is tolerated for a while, and looked at again. Then a runbook says what is tried, in
//! which order; a person or the policies say whether it may be; the disruption budget says when. A saga does it, and only a
//! healthy sample of monitoring that is newer than what was done ends an incident. Nothing here polls: each wait has a timer.

use std::sync::Arc;

use hostler_core::saga::SagaRef;
use hostler_core::{Category, Decider, Decision, SetTimer};
use hostler_events::health::{CheckKind, HealthEvent, RemediationOutcome};
use hostler_events::recovery::ReportMember;
use hostler_events::{FaultDomain, HostId, PoolId, ProvisioningPolicy, Signal, StepCommand, StepId};
use jiff::Timestamp;

mod acting;
mod choosing;
mod closing;
mod gate;
mod refusal;
mod signals;
mod state;

#[cfg(test)]
mod tests;

pub use choosing::{CORRELATED, name_of};
pub use gate::Gate;
pub use refusal::HealthRefusal;
pub use state::{
    COUNTERS_RESET_AFTER, Claim, Condition, FLAPPING_RECOVERIES, FLAPPING_WITHIN, HealthState, HeldBack,
    Incident, KnownSignal, SETTLES_WITHIN,
};

use crate::budget::Held;
use crate::host::{HostState, Phase, Traffic};
use crate::policies::PolicyState;

/// The queue to which the timers of a host's health are delivered.
pub const HEALTH_TIMERS_TO: &str = "recover-hosts";

/// Decides on `health#` streams.
#[derive(Debug, Clone, Copy)]
pub struct HealthDecider;

/// How a host is right now: read just before the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSeen {
    /// The host.
    pub host: HostId,
    /// Where it is in its life.
    pub phase: Phase,
    /// Its pool.
    pub pool: PoolId,
    /// Its rack.
    pub rack: FaultDomain,
    /// The saga that has it for itself.
    pub cordoned_by: Option<SagaRef>,
    /// How it takes part in traffic, or did so last.
    pub traffic: Option<Traffic>,
}

impl HostSeen {
    /// Whether the load balancer may send it requests.
    #[must_use]
    pub fn is_in_traffic(&self) -> bool {
        self.traffic.as_ref().is_some_and(Traffic::is_in)
    }

    /// A host as its own stream has it; none where nobody has enrolled it.
    #[must_use]
    pub fn of(state: &HostState) -> Option<Self> {
        let profile = state.profile.as_ref()?;
        Some(Self {
            host: profile.host.clone(),
            phase: state.phase.kind(),
            pool: profile.pool.clone(),
            rack: profile.fault_domain.clone(),
            cordoned_by: state.cordon.as_ref().map(|cordon| cordon.saga.clone()),
            traffic: state.traffic.clone(),
        })
    }
}

/// What else is decided on: the host, and the policies that hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The host; absent where nobody has enrolled it.
    pub host: Option<HostSeen>,
    /// Why no host of its rack or power domain is repaired now, where that is so. Read when a wait is over; absent otherwise.
    pub correlated: Option<HoldBack>,
    /// The site's policies.
    pub policies: Arc<PolicyState>,
    /// By which a replacement is provisioned.
    pub provisioning: ProvisioningPolicy,
}

/// Why a disruption is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldBack {
    /// The rule, such as `rack`.
    pub rule: String,
    /// What it allows.
    pub limit: String,
    /// What it found.
    pub value: String,
    /// What would lift it.
    pub lifts: String,
}

impl HoldBack {
    /// The disruption budget holds it back, by the policies of this version.
    #[must_use]
    pub fn by_budget(held: &Held, policy_version: u64) -> Self {
        Self {
            rule: held.rule.name().to_owned(),
            limit: format!("{} (policies of version {policy_version})", held.limit),
            value: held.value.to_string(),
            lifts: held.lifts.clone(),
        }
    }
}

/// What a host's health is told. What is late or repeated changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum HealthInput {
    /// A source says something of the host.
    Signal {
        /// What it says.
        signal: Signal,
        /// How things are.
        seen: Box<Seen>,
    },
    /// A wait is over.
    Timer {
        /// The timer's name.
        name: String,
        /// How things are.
        seen: Box<Seen>,
    },
    /// The budget is granted to this saga.
    Granted {
        /// The saga.
        saga: SagaRef,
        /// How things are.
        seen: Box<Seen>,
    },
    /// It is not granted, or the fault is not the host's own.
    Held {
        /// The saga.
        saga: SagaRef,
        /// Why.
        why: HoldBack,
    },
    /// The saga is about to begin.
    Begin {
        /// The saga.
        saga: SagaRef,
        /// Its step.
        step: StepId,
        /// How things are.
        seen: Box<Seen>,
    },
    /// Monitoring is about to be asked: samples count from now on.
    BeginCheck {
        /// The host.
        host: HostId,
        /// The saga.
        saga: SagaRef,
        /// Its step.
        step: StepId,
        /// Why.
        check: CheckKind,
    },
    /// It was seen how the host is.
    Checked {
        /// The saga.
        saga: SagaRef,
        /// Its step.
        step: StepId,
        /// Why it was asked.
        check: CheckKind,
        /// What is wrong with the host; absent where it is healthy.
        faulty: Option<String>,
    },
    /// Monitoring could not say how the host is.
    CheckFailed {
        /// The saga.
        saga: SagaRef,
        /// Its step.
        step: StepId,
        /// The kind of failure.
        category: Category,
        /// Why.
        reason: String,
    },
    /// Monitoring is away.
    CheckDeferred {
        /// The saga.
        saga: SagaRef,
        /// Its step.
        step: StepId,
        /// Until when it is left alone.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// The host was given back, or could not be.
    GivenBack {
        /// The saga.
        saga: SagaRef,
        /// Its step.
        step: StepId,
        /// Why it could not be given back.
        refused: Option<String>,
    },
    /// The saga has done its work.
    Concluded {
        /// The saga.
        saga: SagaRef,
        /// Its step.
        step: StepId,
        /// How it ended.
        outcome: RemediationOutcome,
        /// How things are.
        seen: Box<Seen>,
    },
    /// The saga was given up, and undone.
    Abandoned {
        /// The saga.
        saga: SagaRef,
        /// Its step.
        step: StepId,
        /// Why.
        reason: String,
        /// How things are.
        seen: Box<Seen>,
    },
    /// A person approves what waits.
    Approve {
        /// Why.
        reason: String,
    },
    /// A person rejects it.
    Reject {
        /// Why.
        reason: String,
    },
    /// A person closes the incident.
    Close {
        /// Why.
        reason: String,
    },
}

type HealthDecision = Decision<HealthEvent, StepCommand>;

impl Decider for HealthDecider {
    const CATEGORY: &'static str = "health";
    const STATE_VERSION: u32 = 2;
    type State = HealthState;
    type Input = HealthInput;
    type Event = HealthEvent;
    type Command = StepCommand;
    type Refusal = HealthRefusal;

    fn decide(
        state: &HealthState,
        input: &HealthInput,
        now: Timestamp,
    ) -> Result<HealthDecision, HealthRefusal> {
        let mut draft = Draft { state: state.clone(), decision: Decision::nothing(), now };
        match input {
            HealthInput::Signal { signal, seen } => draft.signal(signal, seen)?,
            HealthInput::Timer { name, seen } => draft.timer(name, seen),
            HealthInput::Granted { saga, seen } => draft.granted(saga, seen),
            HealthInput::Held { saga, why } => draft.held(saga, why),
            HealthInput::Begin { saga, step, seen } => draft.begin(saga, step, seen),
            HealthInput::BeginCheck { host, saga, step, check } => {
                draft.begin_check(host, saga, step, *check);
            }
            HealthInput::Checked { saga, step, check, faulty } => {
                draft.checked(saga, step, *check, faulty.as_deref());
            }
            HealthInput::CheckFailed { saga, step, category, reason } => {
                draft.check_failed(saga, step, *category, reason);
            }
            HealthInput::CheckDeferred { saga, step, until, reason } => {
                draft.check_deferred(saga, step, *until, reason);
            }
            HealthInput::GivenBack { saga, step, refused } => {
                draft.given_back(saga, step, refused.as_deref())
            }
            HealthInput::Concluded { saga, step, outcome, seen } => {
                draft.concluded(saga, step, *outcome, seen);
            }
            HealthInput::Abandoned { saga, step, reason, seen } => draft.abandoned(saga, step, reason, seen),
            HealthInput::Approve { reason } => draft.approve(reason)?,
            HealthInput::Reject { reason } => draft.reject(reason)?,
            HealthInput::Close { reason } => draft.close(reason)?,
        }
        Ok(draft.decision)
    }

    fn evolve(state: HealthState, event: &HealthEvent) -> HealthState {
        state::evolve(state, event)
    }
}

/// A decision that is being made: each event is folded as it is recorded, so that what follows is decided on what is so by then.
struct Draft {
    state: HealthState,
    decision: HealthDecision,
    now: Timestamp,
}

impl Draft {
    fn record(&mut self, event: HealthEvent) {
        self.state = state::evolve(std::mem::take(&mut self.state), &event);
        self.decision.events.push(event);
    }

    fn send(&mut self, command: impl Into<StepCommand>) {
        self.decision.commands.push(command.into());
    }

    /// Sets the timer of the wait that has just begun.
    fn wake_at(&mut self, due_at: Timestamp) {
        let name = wait_name(self.state.waits);
        self.decision.timers.push(SetTimer { name, due_at, deliver_to: HEALTH_TIMERS_TO });
    }

    /// Tells the host's rack how the host is.
    fn report(&mut self, unhealthy: bool) {
        let Some(host) = self.state.host.clone() else { return };
        let Some(incident) = &self.state.incident else { return };
        let (rack, incident) = (incident.rack.clone(), incident.number);
        self.send(ReportMember { rack, host, unhealthy, incident });
    }

    /// The host and the number of the incident that is open, or was so last.
    fn about(&self) -> Option<(HostId, u32)> {
        Some((self.state.host.clone()?, self.state.incident.as_ref()?.number))
    }

    /// The wait that this timer ended is over; what comes next depends on what was waited for. A timer of an earlier wait says
    /// nothing.
    fn timer(&mut self, name: &str, seen: &Seen) {
        if name != wait_name(self.state.waits) {
            return;
        }
        match self.state.condition.clone() {
            Condition::Suspect { .. } => self.tolerated_long_enough(seen),
            // Without an answer of the budget the claim is made anew: things may have changed. Whoever is granted what is not
            // wanted any more returns it.
            Condition::Claiming { .. } | Condition::Held { .. } | Condition::Waiting { .. } => {
                self.choose(seen)
            }
            Condition::AwaitingApproval { rung, .. } => self.approved_or_too_late(rung, seen),
            Condition::Healthy | Condition::Acting { .. } | Condition::Escalated { .. } => {}
        }
    }
}

/// The name of the timer of a wait.
pub(crate) fn wait_name(wait: u32) -> String {
    format!("wait:{wait}")
}
