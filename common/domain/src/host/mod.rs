//! The stream `host#<id>` of one machine: the only place where a host changes.
//!
//! A host drives its verification and cleaning itself. Its decisions carry the commands to the function that talks to the
//! BMC, and the timers that end the wait for a BMC that does not answer. A saga drives its own steps on the host; here their
//! outcomes are recorded, each under the step that asked.

use hostler_core::saga::SagaRef;
use hostler_core::{Category, Decider, Decision};
use hostler_events::{HostEvent, HostId, StepCommand, StepId};
use jiff::Timestamp;

mod booting;
mod cleaning;
mod configuring;
mod cordoning;
mod deploying;
mod drifting;
mod enrolment;
mod evolving;
mod input;
mod lending;
mod patching;
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

pub use drifting::{Drift, DriftFound, DriftRun, is_scheduled_check};
pub use enrolment::{LABEL_KEY_CHARS_MAX, LABEL_VALUE_CHARS_MAX, LABELS_MAX};
pub use input::{HostFacts, HostInput, StepFailure};
pub use patching::{PATCHING_FAILED, Patch, PatchInput, RunningChange, Undone};
pub use phases::{HostPhase, Move, Phase, TRANSITIONS, Transition};
pub use place::bmc_place;
pub use refusal::HostRefusal;
pub use state::{Configuration, Cordon, Hardware, HostProfile, HostState, PowerCycle, Release};

pub use traffic::{Traffic, TrafficInput, TrafficPart};

use state::OwnWork;

/// The queue to which a host's timers are delivered.
pub const HOST_TIMERS_TO: &str = "deploy-host";

/// Decides on `host#` streams.
#[derive(Debug, Clone, Copy)]
pub struct HostDecider;

type HostDecision = Decision<HostEvent, StepCommand>;
type HostOutcome = Result<HostDecision, HostRefusal>;

impl Decider for HostDecider {
    const CATEGORY: &'static str = "host";
    const STATE_VERSION: u32 = 5;
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
            HostInput::StartConfiguration { saga, step, role, revision } => {
                Ok(configuring::start(known()?, saga, step, role, revision.as_deref()))
            }
            HostInput::ConfigurationReported { step, report, policies } => {
                configuring::reported(known()?, step, report, policies)
            }
            HostInput::Check => drifting::check(known()?),
            HostInput::Restore { reason } => drifting::restore(known()?, reason),
            HostInput::FailRun { step, reason } => Ok(drifting::fail(known()?, step, reason)),
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
            HostInput::Patch { saga, step, told } => Ok(patching::told(known()?, saga, step, told)),
            HostInput::Timer { name } => match Known::of(state, now) {
                Ok(known) => timers::timer(known, name),
                Err(_unknown) => Ok(Decision::nothing()),
            },
        }
    }

    fn evolve(state: HostState, event: &HostEvent) -> HostState {
        evolving::evolve(state, event)
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
