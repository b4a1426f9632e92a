//! The stream `host#<id>` of one machine: the only place where a host changes.
//!
//! A host drives its verification and cleaning itself. Its decisions carry the commands to the function that talks to the
//! BMC, and the timers that end the wait for a BMC that does not answer. A saga drives its own steps on the host; here their
//! outcomes are recorded, each under the step that asked.

use hostler_core::saga::SagaRef;
use hostler_core::{Category, Decider, Decision};
use hostler_events::commands::{BootOutcome, EnrolHost, LabelHost};
use hostler_events::host::PowerState;
use hostler_events::{
    HostEvent, HostId, HostPolicy, Image, PoolId, ProvisioningPolicy, Role, Service, StepCommand, StepId,
};
use jiff::Timestamp;

mod booting;
mod cleaning;
mod cordoning;
mod deploying;
mod enrolment;
mod lending;
mod phases;
mod place;
mod refusal;
mod releasing;
mod repairing;
mod replies;
mod reserving;
mod serving;
mod state;
mod timers;
mod traffic;
mod undeploying;
mod verifying;

#[cfg(test)]
mod tests;

pub use enrolment::{LABEL_KEY_CHARS_MAX, LABEL_VALUE_CHARS_MAX, LABELS_MAX};
pub use phases::{HostPhase, Move, Phase, TRANSITIONS, Transition};
pub use place::bmc_place;
pub use refusal::HostRefusal;
pub use state::{Cordon, Hardware, HostProfile, HostState, PowerCycle, Release};

pub use traffic::{Traffic, TrafficInput, TrafficPart};

use state::OwnWork;

/// The queue to which a host's timers are delivered.
pub const HOST_TIMERS_TO: &str = "deploy-host";

/// Decides on `host#` streams.
#[derive(Debug, Clone, Copy)]
pub struct HostDecider;

/// What a verification found out.
#[derive(Debug, Clone, PartialEq)]
pub struct HostFacts {
    /// The power state that two reads agreed on.
    pub power_state: PowerState,
    /// The hardware.
    pub hardware: Hardware,
}

/// How a saga's step on a host failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailure {
    /// Transient failures are worth another try.
    pub category: Category,
    /// What happened, and what to do.
    pub reason: String,
    /// Whether something may have been done all the same.
    pub uncertain: bool,
}

/// What a host's stream is asked or told. An answer that is late or repeated changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum HostInput {
    /// Enrol the host, and verify it.
    Enrol {
        /// The command.
        command: EnrolHost,
        /// Deadlines of its own life. A repeated enrolment keeps the first.
        policy: HostPolicy,
    },
    /// Set or remove labels.
    Label {
        /// The change.
        command: LabelHost,
    },
    /// Send it from quarantine through verification and cleaning.
    Requalify,
    /// Give it back from service.
    GiveBack {
        /// Whether it is retired instead of going back to its pool; that is possible where it is not in use, too.
        retire: bool,
        /// Why.
        reason: String,
        /// The policy that the saga keeps from start to end.
        policy: Box<ProvisioningPolicy>,
    },
    /// The verification succeeded.
    RecordFacts {
        /// The verification.
        step: StepId,
        /// What it found.
        facts: HostFacts,
    },
    /// The verification failed.
    FailVerification {
        /// The verification.
        step: StepId,
        /// The kind of failure. What another try does not change is tried once.
        category: Category,
        /// Why.
        reason: String,
    },
    /// The image that the host was booted from calls back. Its token was checked at the edge.
    BootReported {
        /// The step that booted it.
        step: StepId,
        /// How it ended.
        outcome: BootOutcome,
        /// Why it failed.
        reason: Option<String>,
    },
    /// The host is at rest after its cleaning.
    RecordCleaned {
        /// The cleaning.
        step: StepId,
    },
    /// The cleaning failed.
    FailCleaning {
        /// The cleaning.
        step: StepId,
        /// The kind of failure. What another try does not change is tried once.
        category: Category,
        /// Why.
        reason: String,
    },
    /// Hold it for a saga.
    Reserve {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The pool that it serves until it is given back, where that is not its own.
        lent_to: Option<PoolId>,
    },
    /// Give it back. The saga never gets it again.
    Release {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// It is about to be booted from its image.
    StartDeploy {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The image.
        image: Image,
    },
    /// Its power state was changed or seen.
    RecordPower {
        /// The step that did so.
        step: StepId,
        /// The states, in their order.
        power_states: Vec<PowerState>,
    },
    /// The image is out of the host that called back from it.
    RecordDeployed {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Its configuration is applied.
    RecordConfiguration {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The role.
        role: Role,
        /// The configuration's revision.
        revision: String,
        /// Whether anything had to change.
        changed: bool,
    },
    /// It is registered with monitoring, and its first sample was healthy.
    RecordMonitoring {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// A saga's step on it failed.
    FailStep {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// How.
        failure: StepFailure,
    },
    /// A saga's step on it waits, because a dependency is away.
    DeferStep {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// When it is looked at again.
        until: Timestamp,
        /// Which dependency is away.
        reason: String,
    },
    /// It is removed from monitoring.
    RecordDeregistered {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Its deployment is about to be undone.
    StartUndeploy {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Its deployment is undone; it is at rest, and dirty.
    RecordUndeployed {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Have nobody but this saga work on it, while it is in service.
    Cordon {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
    },
    /// The saga is done with it. The saga never cordons it again.
    Uncordon {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Its power is about to be cut.
    StartPowerCycle {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Its power was cut, and it boots from its disk next.
    RecordPowerCut {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The settled power state before that.
        found: PowerState,
        /// The hardware's health before that, where the BMC says so.
        health: Option<String>,
    },
    /// It has power again.
    RecordPowerCycled {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// A service of it is about to be restarted.
    StartRestart {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// A service of it was restarted, and runs.
    RecordRestarted {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The service.
        service: Service,
    },
    /// It is about to be installed again, from service.
    StartReimage {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The image.
        image: Image,
    },
    /// Something about its part in traffic.
    Traffic {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// What.
        told: TrafficInput,
    },
    /// A timer is due: `<step id>` is the deadline of a verification or cleaning, `retry:<step id>` the end of
    /// the delay before one.
    Timer {
        /// The timer's name.
        name: String,
    },
}

type HostDecision = Decision<HostEvent, StepCommand>;
type HostOutcome = Result<HostDecision, HostRefusal>;

impl Decider for HostDecider {
    const CATEGORY: &'static str = "host";
    const STATE_VERSION: u32 = 4;
    type State = HostState;
    type Input = HostInput;
    type Event = HostEvent;
    type Command = StepCommand;
    type Refusal = HostRefusal;

    fn decide(state: &HostState, input: &HostInput, now: Timestamp) -> HostOutcome {
        let known = || Known::of(state, now);
        match input {
            HostInput::Enrol { command, policy } => enrolment::enrol(state, command, *policy, now),
            HostInput::Label { command } => enrolment::label(known()?, command),
            HostInput::Requalify => enrolment::requalify(known()?),
            HostInput::GiveBack { retire, reason, policy } => {
                releasing::give_back(known()?, *retire, reason, policy)
            }
            HostInput::RecordFacts { step, facts } => verifying::record_facts(known()?, step, facts),
            HostInput::FailVerification { step, category, reason } => {
                verifying::fail(known()?, step, *category, &format!("{category}: {reason}"))
            }
            HostInput::BootReported { step, outcome, reason } => {
                booting::reported(known()?, step, *outcome, reason.as_deref())
            }
            HostInput::RecordCleaned { step } => {
                let cleaned = cleaning::record_cleaned(known()?, step);
                Ok(lending::home_when_free(known()?, releasing::retired_when_clean(known()?, cleaned)))
            }
            HostInput::FailCleaning { step, category, reason } => {
                cleaning::fail(known()?, step, *category, &format!("{category}: {reason}"))
            }
            HostInput::Reserve { saga, step, lent_to } => {
                reserving::reserve(known()?, saga, step, lent_to.as_ref())
            }
            HostInput::Release { saga, step } => {
                Ok(lending::home_when_free(known()?, reserving::release(known()?, saga, step)?))
            }
            HostInput::StartDeploy { saga, step, image } => deploying::start(known()?, saga, step, image),
            HostInput::RecordPower { step, power_states } => {
                Ok(deploying::record_power(known()?, step, power_states))
            }
            HostInput::RecordDeployed { saga, step } => Ok(booting::record_deployed(known()?, saga, step)),
            HostInput::RecordConfiguration { saga, step, role, revision, changed } => {
                Ok(serving::record_configuration(known()?, saga, step, role, revision, *changed))
            }
            HostInput::RecordMonitoring { saga, step } => {
                Ok(serving::record_monitoring(known()?, saga, step))
            }
            HostInput::FailStep { saga, step, failure } => {
                Ok(deploying::fail_step(known()?, saga, step, failure))
            }
            HostInput::DeferStep { saga, step, until, reason } => {
                Ok(deploying::defer_step(known()?, saga, step, *until, reason))
            }
            HostInput::RecordDeregistered { saga, step } => {
                Ok(serving::record_deregistered(known()?, saga, step))
            }
            HostInput::StartUndeploy { saga, step } => Ok(undeploying::start(known()?, saga, step)),
            HostInput::RecordUndeployed { saga, step } => {
                undeploying::record_undeployed(known()?, saga, step)
            }
            HostInput::Cordon { saga, step, reason } => Ok(cordoning::cordon(known()?, saga, step, reason)),
            HostInput::Uncordon { saga, step } => Ok(cordoning::uncordon(known()?, saga, step)),
            HostInput::StartPowerCycle { saga, step } => {
                Ok(repairing::start_power_cycle(known()?, saga, step))
            }
            HostInput::RecordPowerCut { saga, step, found, health } => {
                Ok(repairing::record_power_cut(known()?, saga, step, *found, health.as_deref()))
            }
            HostInput::RecordPowerCycled { saga, step } => {
                Ok(repairing::record_power_cycled(known()?, saga, step))
            }
            HostInput::StartRestart { saga, step } => Ok(repairing::start_restart(known()?, saga, step)),
            HostInput::RecordRestarted { saga, step, service } => {
                Ok(repairing::record_restarted(known()?, saga, step, service))
            }
            HostInput::StartReimage { saga, step, image } => {
                repairing::start_reimage(known()?, saga, step, image)
            }
            HostInput::Traffic { saga, step, told } => Ok(traffic::told(known()?, saga, step, told)),
            HostInput::Timer { name } => match Known::of(state, now) {
                Ok(known) => timers::timer(known, name),
                Err(_unknown) => Ok(Decision::nothing()),
            },
        }
    }

    fn evolve(state: HostState, event: &HostEvent) -> HostState {
        state::evolve(state, event)
    }
}

/// A host that is enrolled, and the moment of the decision.
#[derive(Clone, Copy)]
struct Known<'a> {
    state: &'a HostState,
    profile: &'a HostProfile,
    now: Timestamp,
}

impl<'a> Known<'a> {
    fn of(state: &'a HostState, now: Timestamp) -> Result<Self, HostRefusal> {
        match &state.profile {
            Some(profile) => Ok(Self { state, profile, now }),
            None => Err(HostRefusal::UnknownHost),
        }
    }

    fn host(&self) -> HostId {
        self.profile.host.clone()
    }

    fn phase(&self) -> &'static str {
        self.state.phase.name()
    }

    fn next_own_step(&self, work: OwnWork) -> Result<StepId, HostRefusal> {
        Ok(self.state.next_own_step(&self.profile.host, work)?)
    }

    /// The reply to the saga that had the host undeployed, which is back now.
    fn returned(&self, quarantined: bool) -> Option<StepCommand> {
        let HostState { reservation, undeploy_step, .. } = self.state;
        replies::returned(reservation.as_ref(), undeploy_step.as_ref(), self.host(), quarantined)
    }

    /// What a saga or a person is told who may not work on the host, because somebody else does.
    fn cordoned(&self, cordon: &Cordon) -> HostRefusal {
        let Cordon { saga, reason, .. } = cordon.clone();
        HostRefusal::Cordoned { host: self.host(), saga, reason }
    }

    fn not_possible(&self, moves: &[Move], wanted: &'static str) -> HostRefusal {
        let from = Move::possible_in(moves);
        HostRefusal::NotPossible { host: self.host(), phase: self.phase(), from, wanted }
    }

    fn not_held(&self, saga: &SagaRef) -> HostRefusal {
        HostRefusal::NotHeld { host: self.host(), saga: saga.clone(), phase: self.phase() }
    }
}

/// Whether somebody has to put something right before another try at a verification or a cleaning can help: the BMC refuses, or
/// cannot do what is asked of it.
fn is_permanent(category: Category) -> bool {
    match category {
        Category::Validation | Category::Business => true,
        Category::Transient | Category::Unknown => false,
    }
}

/// How often something failed that is not tried again, as a quarantine says it.
fn failures(category: Category, attempt: u32) -> String {
    match (is_permanent(category), attempt) {
        (true, _) => "for a reason that another try does not change".to_owned(),
        (false, 1) => "once".to_owned(),
        (false, _) => format!("{attempt} times, last"),
    }
}
