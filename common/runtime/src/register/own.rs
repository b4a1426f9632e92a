//! The runtime's own entities: every application has them.

use hostler_core::flow::FlowDecider;
use hostler_core::triage::{
    DiscardFailure, EditFailure, FailureDecider, FailureInput, FailureRefusal, FailureState, RetryFailure,
};

use super::{Asked, Entity, Operated, Operations, Refused, Shown, Viewed};
use crate::operations::triage::{FAILURES, shown};

/// Messages that could not be handled.
#[derive(Debug, Clone, Copy)]
pub struct Failures;

impl Entity for Failures {
    type Decider = FailureDecider;
    const TIMERS_TO: Option<&'static str> = Some(hostler_core::triage::FAILURES_QUEUE);
}

impl Viewed for Failures {
    const VIEW: &'static str = FAILURES;

    fn show(state: &FailureState) -> Option<Shown> {
        shown(state)
    }
}

impl Operated for Failures {
    fn refused(refusal: &FailureRefusal) -> Refused {
        let status = match refusal {
            FailureRefusal::Unknown => 404,
            FailureRefusal::NoReason | FailureRefusal::Body(_) => 400,
            FailureRefusal::Ended { .. }
            | FailureRefusal::OnItsWay
            | FailureRefusal::Parked { .. }
            | FailureRefusal::NoQueue { .. }
            | FailureRefusal::TooLarge { .. } => 409,
        };
        Refused { status, label: refusal.label() }
    }
}

/// How far queues lag behind.
#[derive(Debug, Clone, Copy)]
pub struct Flows;

impl Entity for Flows {
    type Decider = FlowDecider;
}

impl Operations {
    /// What operators of every application may ask for.
    pub(super) fn of_the_runtime() -> Self {
        Self::empty()
            .on::<Failures, RetryFailure>(|retry| FailureInput::Retry { reason: retry.reason })
            .asking::<Failures, EditFailure>(|EditFailure { body, reason, .. }, shell| {
                Ok(Asked::new(FailureInput::Edit { body, message_id: shell.new_id(), reason }))
            })
            .on::<Failures, DiscardFailure>(|discard| FailureInput::Discard { reason: discard.reason })
    }
}
