//! How a saga finds its host: the stream `reservation#<saga id>`, and the order of candidates.
//!
//! The choice is recorded before it is acted on, and only one choice stands at a time, so that a crash between
//! the two cannot hold a second host. Once closed, no host is chosen any more.

use hostler_core::mutants;
use hostler_core::saga::{SagaCommand, SagaRef, StepReply};
use hostler_core::{Category, Decider, Decision};
use hostler_events::provisioning::{
    CandidateChosen, CandidateLost, ReservationClosed, ReservationFailed, ReservationReleased,
};
use hostler_events::{HostId, ReservationEvent, StepId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use hostler_core::failure::clip;

mod candidates;
#[cfg(test)]
mod tests;

pub use candidates::{Candidate, candidate_order};

/// How many different hosts may be tried for one saga.
pub const HOSTS_TRIED_MAX: usize = 250;

/// Decides on `reservation#` streams.
#[derive(Debug, Clone, Copy)]
pub struct ReservationDecider;

/// What is known of a saga's search for a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservationState {
    /// The host that is held or about to be held. It is kept after the close, for the release.
    pub chosen: Option<HostId>,
    /// Hosts that others got first, in the current step. A new step may try them again.
    pub lost: Vec<HostId>,
    /// Every host that was ever chosen, each once. A slow attempt may hold one of them after it was lost to a later
    /// attempt, so the release goes through all of them.
    pub tried: Vec<HostId>,
    /// The step that was recorded last.
    pub step: Option<StepId>,
    /// Whether no host may be chosen any more.
    pub closed: bool,
    /// Whether the host was given back.
    pub released: bool,
}

/// What a reservation's stream is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReservationInput {
    /// This host will be tried. Nothing happens when this step has chosen it already. A later step takes the choice
    /// over, so that the earlier one can no longer lose it.
    Choose {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The host.
        host: HostId,
    },
    /// The chosen host is not available.
    Lose {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The host.
        host: HostId,
    },
    /// No host is available in this attempt.
    Fail {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// Transient, when hosts may become free.
        category: Category,
        /// Why, and what to do.
        reason: String,
    },
    /// From now on no host may be chosen.
    Close {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// No host is held any more. It is recorded each time, for the saga's step is a new one in each attempt and needs
    /// an answer.
    Released {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The host that was given back, if one was held.
        host: Option<HostId>,
    },
}

/// Why a host is not chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReservationRefusal {
    /// The saga gives back what it holds. Nothing is left to do for the step.
    #[error("{saga} gives its reservation back, so host {host} is not chosen for it: drop the step")]
    Closed {
        /// The saga.
        saga: SagaRef,
        /// The host that is not chosen.
        host: HostId,
    },
    /// Another host was chosen and perhaps held already. Reserve that one, or lose it first.
    #[error(
        "{saga} has chosen host {chosen}, so host {host} is not chosen for it: reserve {chosen}, or lose it first"
    )]
    AlreadyChosen {
        /// The saga.
        saga: SagaRef,
        /// The host that was chosen.
        chosen: HostId,
        /// The host that is not chosen.
        host: HostId,
    },
    /// The limit of hosts for one saga is reached. Fail the step; the reason says what to do.
    #[error(
        "{saga} has tried {HOSTS_TRIED_MAX} hosts and got none of them: see why they are not available, then request again"
    )]
    TooManyTried {
        /// The saga.
        saga: SagaRef,
    },
}

impl ReservationRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::AlreadyChosen { .. } => "already-chosen",
            Self::TooManyTried { .. } => "too-many-tried",
        }
    }
}

type ReservationDecision = Decision<ReservationEvent, SagaCommand>;

impl Decider for ReservationDecider {
    const CATEGORY: &'static str = "reservation";
    const STATE_VERSION: u32 = 1;
    type State = ReservationState;
    type Input = ReservationInput;
    type Event = ReservationEvent;
    type Command = SagaCommand;
    type Refusal = ReservationRefusal;

    fn decide(
        state: &Self::State,
        input: &Self::Input,
        _now: Timestamp,
    ) -> Result<ReservationDecision, Self::Refusal> {
        match input {
            ReservationInput::Choose { saga, step, host } => choose(state, saga, step, host),
            ReservationInput::Lose { saga, step, host } => Ok(lose(state, saga, step, host)),
            ReservationInput::Fail { saga, step, category, reason } => {
                Ok(fail(state, saga, step, *category, reason))
            }
            ReservationInput::Close { saga, step } => Ok(close(state, saga, step)),
            ReservationInput::Released { saga, step, host } => {
                Ok(Decision::events([ReservationEvent::Released(ReservationReleased {
                    saga: saga.clone(),
                    step: step.clone(),
                    host: host.clone(),
                })])
                .command(StepReply::succeeded(saga.clone(), step.clone(), Value::Null).into()))
            }
        }
    }

    fn evolve(state: Self::State, event: &Self::Event) -> Self::State {
        match event {
            ReservationEvent::CandidateChosen(e) => {
                let mut state = in_step(state, &e.step);
                if !state.tried.contains(&e.host) {
                    state.tried.push(e.host.clone());
                }
                ReservationState { chosen: Some(e.host.clone()), ..state }
            }
            ReservationEvent::CandidateLost(e) => {
                let mut state = in_step(state, &e.step);
                state.chosen = state.chosen.filter(|chosen| chosen != &e.host);
                state.lost.push(e.host.clone());
                state
            }
            ReservationEvent::Failed(e) => in_step(state, &e.step),
            ReservationEvent::Closed(e) => ReservationState { closed: true, ..in_step(state, &e.step) },
            ReservationEvent::Released(e) => {
                ReservationState { closed: true, released: true, ..in_step(state, &e.step) }
            }
        }
    }
}

/// The state as a step finds it: hosts that were lost in another step may be tried again.
fn in_step(mut state: ReservationState, step: &StepId) -> ReservationState {
    if state.step.as_ref() != Some(step) {
        state.lost.clear();
        state.step = Some(step.clone());
    }
    state
}

fn choose(
    state: &ReservationState,
    saga: &SagaRef,
    step: &StepId,
    host: &HostId,
) -> Result<ReservationDecision, ReservationRefusal> {
    let (saga, host) = (saga.clone(), host.clone());
    if state.closed && !mutants::on("reservation.chooses-once-closed") {
        return Err(ReservationRefusal::Closed { saga, host });
    }
    match &state.chosen {
        Some(chosen) if *chosen == host && state.step.as_ref() == Some(step) => Ok(Decision::nothing()),
        Some(chosen) if *chosen != host && !mutants::on("reservation.chooses-two") => {
            let chosen = chosen.clone();
            Err(ReservationRefusal::AlreadyChosen { saga, chosen, host })
        }
        Some(_) | None => {
            if state.tried.len() >= HOSTS_TRIED_MAX && !state.tried.contains(&host) {
                return Err(ReservationRefusal::TooManyTried { saga });
            }
            let chosen = CandidateChosen { saga, step: step.clone(), host };
            Ok(Decision::events([ReservationEvent::CandidateChosen(chosen)]))
        }
    }
}

fn lose(state: &ReservationState, saga: &SagaRef, step: &StepId, host: &HostId) -> ReservationDecision {
    let stands = state.chosen.as_ref() == Some(host) && state.step.as_ref() == Some(step);
    if state.closed || !stands {
        return Decision::nothing();
    }
    Decision::events([ReservationEvent::CandidateLost(CandidateLost {
        saga: saga.clone(),
        step: step.clone(),
        host: host.clone(),
    })])
}

fn fail(
    state: &ReservationState,
    saga: &SagaRef,
    step: &StepId,
    category: Category,
    reason: &str,
) -> ReservationDecision {
    if state.closed {
        return Decision::nothing();
    }
    Decision::events([ReservationEvent::Failed(ReservationFailed {
        saga: saga.clone(),
        step: step.clone(),
        category,
        reason: clip(reason),
    })])
    .command(StepReply::failed(saga.clone(), step.clone(), category, clip(reason)).into())
}

fn close(state: &ReservationState, saga: &SagaRef, step: &StepId) -> ReservationDecision {
    if state.closed {
        return Decision::nothing();
    }
    Decision::events([ReservationEvent::Closed(ReservationClosed {
        saga: saga.clone(),
        step: step.clone(),
        host: state.chosen.clone(),
    })])
}
