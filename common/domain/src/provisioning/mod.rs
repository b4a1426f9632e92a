//! The provisioning saga: the stream `provisioning#<id>`, which brings one host into service or undoes what it did.
//!
//! Steps: `ReserveHost → DeployImage → ApplyRole → RegisterMonitoring`. Each attempt has an id of its own
//! (`<provisioning>/<kind>/<attempt>`), and its answer names it; what is late or repeated is known by it and
//! ignored. Every wait has a timer that names what is waited for: `deadline:<step id>` for an answer,
//! `retry:<step id>` for the delay after a failure. So every saga that started ends completed, compensated or
//! visibly stuck.

use hostler_core::{Category, Decider, Decision};
use hostler_events::commands::StartProvisioning;
use hostler_events::provisioning::ProvisioningStarted;
use hostler_events::{
    HostEvent, ProvisioningEvent, ProvisioningId, ReservationEvent, StepCommand, StepId, StepKind,
};
use jiff::Timestamp;

mod compensate;
mod evolve;
mod forward;
mod operators;
mod refusal;
mod replies;
mod state;
mod steps;

#[cfg(test)]
mod tests;

pub use refusal::ProvisioningRefusal;
pub use replies::{SAGA_EVENTS, provisioning_of, provisioning_of_reservation};
pub use state::{Attempt, ProvisioningState, Status, Tries, Waiting};

use replies::Reply;
use steps::Failed;

/// The queue to which a saga's timers are delivered.
pub const PROVISIONING_TIMERS_TO: &str = "provision-hosts";
/// The longest reason of a cancellation, in characters.
pub const CANCEL_REASON_CHARS_MAX: usize = 1_000;

/// Decides on `provisioning#` streams.
#[derive(Debug, Clone, Copy)]
pub struct ProvisioningDecider;

/// What a saga is asked or told.
#[derive(Debug, Clone, PartialEq)]
pub enum ProvisioningInput {
    /// Begin.
    Start(StartProvisioning),
    /// Something happened to a host, on the saga's behalf (see [`provisioning_of`]).
    Host(HostEvent),
    /// Something happened to the saga's reservation.
    Reservation(ReservationEvent),
    /// A timer is due.
    Timer {
        /// The timer's name.
        name: String,
    },
    /// An operator wants it undone.
    Cancel {
        /// Why.
        reason: String,
    },
    /// An operator wants a stuck saga to try again.
    Resume,
    /// An operator has seen to the compensation that a saga is stuck at.
    Skip {
        /// The compensation.
        kind: StepKind,
        /// Why, and what was done instead.
        reason: String,
    },
}

type ProvisioningDecision = Decision<ProvisioningEvent, StepCommand>;
type ProvisioningOutcome = Result<ProvisioningDecision, ProvisioningRefusal>;

/// A saga that has started, and the moment of the decision.
#[derive(Clone, Copy)]
struct Saga<'a> {
    state: &'a ProvisioningState,
    order: &'a ProvisioningStarted,
    now: Timestamp,
}

impl Decider for ProvisioningDecider {
    const CATEGORY: &'static str = "provisioning";
    const STATE_VERSION: u32 = 1;
    type State = ProvisioningState;
    type Input = ProvisioningInput;
    type Event = ProvisioningEvent;
    type Command = StepCommand;
    type Refusal = ProvisioningRefusal;

    fn decide(state: &Self::State, input: &Self::Input, now: Timestamp) -> ProvisioningOutcome {
        let saga = state.order.as_ref().map(|order| Saga { state, order, now });
        match (input, saga) {
            (ProvisioningInput::Start(command), _) => forward::start(state, command, now),
            (ProvisioningInput::Host(event), Some(saga)) => {
                hear(saga, provisioning_of(event), replies::of_host(event))
            }
            (ProvisioningInput::Reservation(event), Some(saga)) => {
                hear(saga, Some(provisioning_of_reservation(event)), replies::of_reservation(event))
            }
            (ProvisioningInput::Timer { name }, Some(saga)) => fired(saga, name),
            (ProvisioningInput::Cancel { reason }, Some(saga)) => operators::cancel(saga, reason),
            (ProvisioningInput::Resume, Some(saga)) => operators::resume(saga),
            (ProvisioningInput::Skip { kind, reason }, Some(saga)) => operators::skip(saga, *kind, reason),
            (
                ProvisioningInput::Host(_)
                | ProvisioningInput::Reservation(_)
                | ProvisioningInput::Timer { .. },
                None,
            ) => Ok(Decision::nothing()),
            (
                ProvisioningInput::Cancel { .. } | ProvisioningInput::Resume | ProvisioningInput::Skip { .. },
                None,
            ) => Err(ProvisioningRefusal::Unknown),
        }
    }

    fn evolve(state: Self::State, event: &Self::Event) -> Self::State {
        evolve::evolve(state, event)
    }
}

/// What a saga makes of an answer. Late and repeated answers fall through to nothing.
fn hear(saga: Saga<'_>, concerns: Option<&ProvisioningId>, reply: Reply<'_>) -> ProvisioningOutcome {
    if concerns != Some(&saga.order.provisioning) {
        return Ok(Decision::nothing());
    }
    match &saga.state.status {
        Status::Running { current: Some(current) } => hear_running(saga, current, reply),
        Status::Compensating { current: Some(current), remaining, reason } => {
            hear_compensating(saga, current, remaining, reason, reply)
        }
        Status::NotStarted
        | Status::Running { current: None }
        | Status::Compensating { current: None, .. }
        | Status::Completed
        | Status::Compensated { .. }
        | Status::Stuck { .. } => Ok(Decision::nothing()),
    }
}

fn hear_running(saga: Saga<'_>, current: &Attempt, reply: Reply<'_>) -> ProvisioningOutcome {
    match reply {
        Reply::Succeeded { kind, step, host: Some(host) } if answers(current, kind, step) => {
            forward::advance(saga, current, host)
        }
        Reply::Failed { step, category, reason } if current.awaits(step) => {
            forward::failed(saga, current, Failed { category, reason }, Decision::nothing())
        }
        Reply::Deferred { step, until, reason } if current.awaits(step) => {
            Ok(steps::defer(saga, current, until, reason))
        }
        Reply::Quarantined { host, reason } if saga.state.host.as_ref().is_none_or(|own| own == host) => {
            let reason = format!("host {host} was quarantined: {reason}");
            compensate::start(saga, current.kind, &reason, Decision::nothing())
        }
        Reply::Succeeded { .. }
        | Reply::Failed { .. }
        | Reply::Deferred { .. }
        | Reply::Cleaned { .. }
        | Reply::Quarantined { .. }
        | Reply::Nothing => Ok(Decision::nothing()),
    }
}

fn hear_compensating(
    saga: Saga<'_>,
    current: &Attempt,
    remaining: &[StepKind],
    reason: &str,
    reply: Reply<'_>,
) -> ProvisioningOutcome {
    let own = saga.state.host.as_ref();
    let undeploying = current.kind == StepKind::UndeployHost;
    match reply {
        Reply::Succeeded { kind, step, host } if answers(current, kind, step) => {
            compensate::advance(saga, current, remaining, reason, host, false)
        }
        Reply::Failed { step, category, reason } if current.awaits(step) => {
            compensate::failed(saga, current, Failed { category, reason }, Decision::nothing())
        }
        Reply::Deferred { step, until, reason } if current.awaits(step) => {
            Ok(steps::defer(saga, current, until, reason))
        }
        // The end of cleaning ends the undeploying, whichever attempt asked for it and even in a delay.
        Reply::Cleaned { host } if undeploying && own == Some(host) => {
            compensate::advance(saga, current, remaining, reason, Some(host), false)
        }
        Reply::Quarantined { host, .. } if undeploying && own == Some(host) => {
            compensate::advance(saga, current, remaining, reason, Some(host), true)
        }
        Reply::Succeeded { .. }
        | Reply::Failed { .. }
        | Reply::Deferred { .. }
        | Reply::Cleaned { .. }
        | Reply::Quarantined { .. }
        | Reply::Nothing => Ok(Decision::nothing()),
    }
}

fn answers(current: &Attempt, kind: StepKind, step: &StepId) -> bool {
    current.kind == kind && current.awaits(step)
}

/// A timer is due. Its name tells whether its wait is still on.
fn fired(saga: Saga<'_>, name: &str) -> ProvisioningOutcome {
    let Some(current) = saga.state.current().filter(|current| current.timer() == name) else {
        return Ok(Decision::nothing());
    };
    match current.waiting {
        Waiting::Retry => steps::begin(saga, current.kind, saga.state.host.as_ref(), Decision::nothing()),
        Waiting::Answer => {
            let (exceeded, reason) = steps::overdue(saga, current);
            let decision = Decision::events([exceeded]);
            let failure = Failed { category: Category::Transient, reason: &reason };
            match &saga.state.status {
                Status::Running { .. } => forward::failed(saga, current, failure, decision),
                Status::Compensating { .. } => compensate::failed(saga, current, failure, decision),
                Status::NotStarted
                | Status::Completed
                | Status::Compensated { .. }
                | Status::Stuck { .. } => Ok(Decision::nothing()),
            }
        }
    }
}
