//! Where a saga is, folded from its events.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::{Direction, SagaEvent};
use super::input::{SagaId, StepId, StepName};

/// What a saga was started with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun<O> {
    /// Its id.
    pub saga: SagaId,
    /// The version of its definition.
    pub version: u32,
    /// What it is about.
    pub order: O,
}

/// What an attempt waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiting {
    /// Its answer.
    Answer,
    /// The delay before the next attempt.
    Retry,
}

/// An attempt under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Names it.
    pub id: StepId,
    /// Doing or undoing.
    pub direction: Direction,
    /// Its number, from 1.
    pub attempt: u32,
    /// What it waits for.
    pub waiting: Waiting,
    /// When it is given up for lost.
    pub deadline_at: Timestamp,
    /// How many signs of life there were.
    pub beat: u32,
}

/// Where a saga is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum SagaStatus {
    /// Not started.
    #[default]
    NotStarted,
    /// Steps are done.
    Running,
    /// What is under way is stopped or awaited, and then what was done is undone.
    Undoing {
        /// Why.
        reason: String,
    },
    /// The end: all is done.
    Completed,
    /// The end: all is undone.
    Compensated {
        /// Why.
        reason: String,
    },
    /// It waits for an operator.
    Stuck {
        /// Why it was to be undone.
        reason: String,
        /// The step that could not be undone.
        step: StepName,
        /// Why not.
        failure: String,
    },
}

impl SagaStatus {
    /// The name in views and errors.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotStarted => "not-started",
            Self::Running => "running",
            Self::Undoing { .. } => "undoing",
            Self::Completed => "completed",
            Self::Compensated { .. } => "compensated",
            Self::Stuck { .. } => "stuck",
        }
    }
}

/// Attempts at one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Tries {
    /// How many began.
    pub(super) begun: u32,
    /// How many of them an operator has forgiven.
    pub(super) forgiven: u32,
}

/// Where a saga is, and what it needs to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaState<O> {
    /// What it was started with.
    pub begun: Option<Begun<O>>,
    /// Where it is.
    pub status: SagaStatus,
    /// The parent's attempt that waits for its end.
    pub parent: Option<StepId>,
    /// The attempts under way.
    pub running: BTreeMap<StepName, Attempt>,
    /// The steps that are done.
    pub done: BTreeSet<StepName>,
    /// The steps that took effect or may have, in that order; undone from the end.
    pub effects: Vec<StepName>,
    /// What the steps answered.
    pub outputs: BTreeMap<StepName, Value>,
    /// What operators put in place of inputs.
    pub edits: BTreeMap<StepName, Value>,
    /// Steps of which an attempt was given up that may have taken effect.
    pub(super) uncertain: BTreeSet<StepName>,
    pub(super) forward: BTreeMap<StepName, Tries>,
    pub(super) undoing: BTreeMap<StepName, Tries>,
}

impl<O> Default for SagaState<O> {
    fn default() -> Self {
        Self {
            begun: None,
            status: SagaStatus::NotStarted,
            parent: None,
            running: BTreeMap::new(),
            done: BTreeSet::new(),
            effects: Vec::new(),
            outputs: BTreeMap::new(),
            edits: BTreeMap::new(),
            uncertain: BTreeSet::new(),
            forward: BTreeMap::new(),
            undoing: BTreeMap::new(),
        }
    }
}

impl<O> SagaState<O> {
    /// The attempt of this id that waits for its answer.
    #[must_use]
    pub fn awaiting(&self, id: &StepId) -> Option<(&StepName, &Attempt)> {
        self.running.iter().find(|(_, attempt)| attempt.id == *id && attempt.waiting == Waiting::Answer)
    }

    pub(super) fn tries(&self, step: &StepName, direction: Direction) -> Tries {
        let tries = match direction {
            Direction::Forward => &self.forward,
            Direction::Undo => &self.undoing,
        };
        tries.get(step).copied().unwrap_or_default()
    }

    fn tries_mut(&mut self, step: &StepName, direction: Direction) -> &mut Tries {
        let tries = match direction {
            Direction::Forward => &mut self.forward,
            Direction::Undo => &mut self.undoing,
        };
        tries.entry(step.clone()).or_default()
    }

    /// A step that is no longer tried, and may have taken effect in any of its attempts.
    fn given_up(&mut self, step: &StepName, uncertain: bool) {
        self.running.remove(step);
        if (uncertain || self.uncertain.contains(step)) && !self.effects.contains(step) {
            self.effects.push(step.clone());
        }
    }

    fn undone(&mut self, step: &StepName) {
        self.running.remove(step);
        self.effects.retain(|effect| effect != step);
    }

    /// From stuck back to undoing, with all tries forgiven.
    fn resumed(&mut self) {
        if let SagaStatus::Stuck { reason, step, .. } = &self.status {
            let (reason, step) = (reason.clone(), step.clone());
            let tries = self.tries_mut(&step, Direction::Undo);
            tries.forgiven = tries.begun;
            self.status = SagaStatus::Undoing { reason };
        }
    }
}

/// Folds one event into the state.
pub(super) fn evolve<O: Clone>(mut state: SagaState<O>, event: &SagaEvent<O>) -> SagaState<O> {
    match event {
        SagaEvent::Started { saga, version, order, parent } => {
            state.begun = Some(Begun { saga: saga.clone(), version: *version, order: order.clone() });
            state.parent.clone_from(parent);
            state.status = SagaStatus::Running;
        }
        SagaEvent::StepBegan { step, direction, id, attempt, deadline_at } => {
            state.tries_mut(step, *direction).begun = *attempt;
            let attempt = Attempt {
                id: id.clone(),
                direction: *direction,
                attempt: *attempt,
                waiting: Waiting::Answer,
                deadline_at: *deadline_at,
                beat: 0,
            };
            state.running.insert(step.clone(), attempt);
        }
        SagaEvent::HeartbeatHeard { step, beat, .. } => {
            if let Some(attempt) = state.running.get_mut(step) {
                attempt.beat = *beat;
            }
        }
        SagaEvent::DeadlineExceeded { .. } => {}
        SagaEvent::StepFailed { step, direction, uncertain, retry_at, .. } => {
            failed(&mut state, step, *direction, *uncertain, retry_at.is_some());
        }
        SagaEvent::StepCompleted { step, output, .. } => {
            state.running.remove(step);
            state.done.insert(step.clone());
            state.outputs.insert(step.clone(), output.clone());
            if !state.effects.contains(step) {
                state.effects.push(step.clone());
            }
        }
        SagaEvent::StepStopped { step, uncertain } => state.given_up(step, *uncertain),
        SagaEvent::UndoBegan { reason, answers, .. } => {
            if answers.is_some() {
                state.parent.clone_from(answers);
            }
            if matches!(state.status, SagaStatus::Running | SagaStatus::Completed) {
                state.status = SagaStatus::Undoing { reason: reason.clone() };
            }
        }
        SagaEvent::StepUndone { step, .. } => state.undone(step),
        SagaEvent::Completed { .. } => state.status = SagaStatus::Completed,
        SagaEvent::Compensated { reason, parent } => {
            state.parent.clone_from(parent);
            state.status = SagaStatus::Compensated { reason: reason.clone() };
        }
        SagaEvent::Stuck { step, reason: failure, parent } => {
            state.parent.clone_from(parent);
            // A parent that asks again is answered again: then the saga is stuck already.
            if let SagaStatus::Undoing { reason } = &state.status {
                let (reason, step, failure) = (reason.clone(), step.clone(), failure.clone());
                state.status = SagaStatus::Stuck { reason, step, failure };
            }
        }
        SagaEvent::Resumed { .. } => state.resumed(),
        SagaEvent::StepSkipped { step, .. } => {
            state.resumed();
            state.undone(step);
        }
        SagaEvent::StepEdited { step, input, .. } => {
            state.resumed();
            state.edits.insert(step.clone(), input.clone());
        }
    }
    state
}

fn failed<O>(state: &mut SagaState<O>, step: &StepName, direction: Direction, uncertain: bool, again: bool) {
    if uncertain && direction == Direction::Forward {
        state.uncertain.insert(step.clone());
    }
    match (again, direction) {
        (true, _) => {
            if let Some(attempt) = state.running.get_mut(step) {
                attempt.waiting = Waiting::Retry;
            }
        }
        (false, Direction::Forward) => state.given_up(step, uncertain),
        (false, Direction::Undo) => drop(state.running.remove(step)),
    }
}
