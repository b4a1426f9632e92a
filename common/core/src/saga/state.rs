//! The state of a saga, folded from its events.

use crate::mutants;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::command::Parent;
use super::event::{Direction, SagaEvent};
use super::input::{SagaRef, StepName};
use crate::failure::Category;
use crate::ids::StepId;

/// What a saga was started with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun<O> {
    /// Its name.
    pub saga: SagaRef,
    /// The version of its definition.
    pub version: u32,
    /// What it is about.
    pub order: O,
}

/// What an attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiting {
    /// Its answer.
    Answer,
    /// The delay before the next attempt.
    Retry,
}

/// A running attempt.
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
    /// Its deadline.
    pub deadline_at: Timestamp,
    /// How many signs of life there were.
    pub beat: u32,
    /// How often it was given more time, because a dependency was away.
    #[serde(default)]
    pub deferrals: u32,
}

impl Attempt {
    /// The name of the timer that ends its wait. A heartbeat has one more.
    #[must_use]
    pub fn timer(&self) -> String {
        match (self.waiting, self.deferrals) {
            (Waiting::Answer, 0) => format!("deadline:{}", self.id),
            (Waiting::Answer, deferrals) => format!("deadline:{}:{deferrals}", self.id),
            (Waiting::Retry, _) => format!("retry:{}", self.id),
        }
    }

    /// The name of the timer that ends its wait for the next sign of life.
    pub(super) fn heartbeat_timer(&self) -> String {
        match self.deferrals {
            0 => format!("heartbeat:{}:{}", self.id, self.beat),
            deferrals => format!("heartbeat:{}:{}:{deferrals}", self.id, self.beat),
        }
    }
}

/// The status of a saga.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum SagaStatus {
    /// Not started.
    #[default]
    NotStarted,
    /// Its steps are being done.
    Running,
    /// Running steps are stopped or awaited, and then what was done is undone.
    Compensating {
        /// Why.
        reason: String,
        /// The kind of failure behind it, where it was a failure.
        category: Option<Category>,
    },
    /// The end: every step is done.
    Completed,
    /// The end: everything is undone.
    Compensated {
        /// Why.
        reason: String,
        /// The kind of failure behind it, where it was a failure.
        category: Option<Category>,
    },
    /// It waits for an operator.
    Stuck {
        /// The compensation, or the step past the point of no return, that cannot be done.
        step: StepName,
        /// Why not.
        failure: String,
        /// The kind of that failure.
        category: Category,
        /// Why it was to be undone; absent where it was going forward.
        compensating: Option<String>,
        /// The kind of failure behind that, where it was a failure.
        #[serde(default)]
        turned_back_by: Option<Category>,
    },
}

const RUNNING: &str = "running";
const COMPENSATING: &str = "compensating";
const COMPLETED: &str = "completed";
const COMPENSATED: &str = "compensated";
const STUCK: &str = "stuck";

impl SagaStatus {
    /// The names of the statuses that a view shows: those of sagas that have started.
    pub const NAMES: [&'static str; 5] = [RUNNING, COMPENSATING, COMPLETED, COMPENSATED, STUCK];

    /// The name in views and errors.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotStarted => "not-started",
            Self::Running => RUNNING,
            Self::Compensating { .. } => COMPENSATING,
            Self::Completed => COMPLETED,
            Self::Compensated { .. } => COMPENSATED,
            Self::Stuck { .. } => STUCK,
        }
    }

    /// Why it is undone or stuck, where it is.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::NotStarted | Self::Running | Self::Completed => None,
            Self::Compensating { reason, .. } | Self::Compensated { reason, .. } => Some(reason),
            Self::Stuck { failure, .. } => Some(failure),
        }
    }

    /// The kind of failure behind that, where there is one.
    #[must_use]
    pub fn category(&self) -> Option<Category> {
        match self {
            Self::NotStarted | Self::Running | Self::Completed => None,
            Self::Compensating { category, .. } | Self::Compensated { category, .. } => *category,
            Self::Stuck { category, .. } => Some(*category),
        }
    }

    /// Whether it has ended, and nothing is left to do.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Completed | Self::Compensated { .. })
    }
}

/// How often a step or compensation was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Tries {
    /// How many attempts have begun. Ids are made from the number and never repeat.
    pub(super) begun: u32,
    /// How many of them no longer count, because an operator renewed the attempts.
    pub(super) forgiven: u32,
}

/// The state of a saga.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaState<O> {
    /// What it was started with.
    pub begun: Option<Begun<O>>,
    /// Its status.
    pub status: SagaStatus,
    /// The parent's attempt that waits for its end.
    pub parent: Option<Parent>,
    /// The running attempts.
    pub running: BTreeMap<StepName, Attempt>,
    /// The steps that are done, or that the saga goes on without.
    pub done: BTreeSet<StepName>,
    /// The steps that have taken effect or may have, in that order. They are undone from the end.
    pub effects: Vec<StepName>,
    /// What the steps and compensations answered.
    pub outputs: BTreeMap<StepName, Value>,
    /// The inputs that operators have given.
    pub edits: BTreeMap<StepName, Value>,
    /// Steps of which an attempt was given up that may have taken effect.
    pub(super) uncertain: BTreeSet<StepName>,
    pub(super) tries: BTreeMap<StepName, Tries>,
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
            tries: BTreeMap::new(),
        }
    }
}

impl<O> SagaState<O> {
    /// The attempt of this id that waits for its answer.
    #[must_use]
    pub fn awaiting(&self, id: &StepId) -> Option<(&StepName, &Attempt)> {
        let is_late = |attempt: &Attempt| {
            let of_step = |id: &StepId| id.as_str().rsplit_once('/').map(|(step, _)| step.to_owned());
            mutants::on("saga.takes-late-answers") && of_step(&attempt.id) == of_step(id)
        };
        let asked = |attempt: &Attempt| attempt.id == *id || is_late(attempt);
        self.running.iter().find(|(_, attempt)| asked(attempt) && attempt.waiting == Waiting::Answer)
    }

    pub(super) fn tries(&self, step: &StepName) -> Tries {
        self.tries.get(step).copied().unwrap_or_default()
    }

    fn tries_mut(&mut self, step: &StepName) -> &mut Tries {
        self.tries.entry(step.clone()).or_default()
    }

    /// A step that is not tried again, and may have taken effect in any of its attempts.
    fn given_up(&mut self, step: &StepName, uncertain: bool) {
        self.running.remove(step);
        if uncertain || self.uncertain.contains(step) {
            self.took_effect(step);
        }
    }

    fn took_effect(&mut self, step: &StepName) {
        if !self.effects.contains(step) {
            self.effects.push(step.clone());
        }
    }

    /// Whether it goes forward. It may also be stuck past its point of no return.
    pub(super) fn goes_forward(&self) -> bool {
        match &self.status {
            SagaStatus::Running => true,
            SagaStatus::Stuck { compensating, .. } => compensating.is_none(),
            SagaStatus::NotStarted
            | SagaStatus::Compensating { .. }
            | SagaStatus::Completed
            | SagaStatus::Compensated { .. } => false,
        }
    }

    /// From stuck back to the status before, with the attempts renewed of everything that is not running.
    fn resumed(&mut self) {
        if let SagaStatus::Stuck { compensating, turned_back_by, .. } = &self.status {
            let (compensating, category) = (compensating.clone(), *turned_back_by);
            for (step, tries) in &mut self.tries {
                if !self.running.contains_key(step) {
                    tries.forgiven = tries.begun;
                }
            }
            self.status = match compensating {
                Some(reason) => SagaStatus::Compensating { reason, category },
                None => SagaStatus::Running,
            };
        }
    }
}

/// Folds one event into the state. `covered` names the steps that a compensation undoes by the saga's plan.
pub(super) fn evolve<O: Clone>(
    mut state: SagaState<O>,
    event: &SagaEvent<O>,
    covered: impl FnOnce(&SagaState<O>, &StepName) -> Vec<StepName>,
) -> SagaState<O> {
    match event {
        SagaEvent::Started { saga, version, order, parent } => {
            state.begun = Some(Begun { saga: saga.clone(), version: *version, order: order.clone() });
            state.parent.clone_from(parent);
            state.status = SagaStatus::Running;
        }
        SagaEvent::StepStarted { step, direction, id, attempt, deadline_at } => {
            state.tries_mut(step).begun = *attempt;
            let attempt = Attempt {
                id: id.clone(),
                direction: *direction,
                attempt: *attempt,
                waiting: Waiting::Answer,
                deadline_at: *deadline_at,
                beat: 0,
                deferrals: 0,
            };
            state.running.insert(step.clone(), attempt);
        }
        SagaEvent::StepDeferred { step, deferrals, deadline_at, .. } => {
            if let Some(attempt) = state.running.get_mut(step) {
                (attempt.deferrals, attempt.deadline_at) = (*deferrals, *deadline_at);
            }
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
            state.took_effect(step);
        }
        SagaEvent::StepPassedOver { step, .. } => drop(state.done.insert(step.clone())),
        SagaEvent::StepStopped { step, uncertain } => state.given_up(step, *uncertain),
        SagaEvent::CompensationStarted { reason, category, parent, .. } => {
            if parent.is_some() {
                state.parent.clone_from(parent);
            }
            let forward = match &state.status {
                SagaStatus::Running | SagaStatus::Completed => true,
                SagaStatus::Stuck { compensating, .. } => compensating.is_none(),
                SagaStatus::NotStarted | SagaStatus::Compensating { .. } | SagaStatus::Compensated { .. } => {
                    false
                }
            };
            if forward {
                state.status = SagaStatus::Compensating { reason: reason.clone(), category: *category };
            }
        }
        SagaEvent::ParentChanged { parent } => state.parent = Some(parent.clone()),
        SagaEvent::CompensationRefused { parent, .. } => state.parent.clone_from(parent),
        SagaEvent::StepCompensated { step, output, .. } => {
            if !output.is_null() {
                state.outputs.insert(step.clone(), output.clone());
            }
            compensated(&mut state, step, covered);
        }
        SagaEvent::Completed { .. } => state.status = SagaStatus::Completed,
        SagaEvent::Compensated { reason, parent } => {
            state.parent.clone_from(parent);
            let category = state.status.category();
            state.status = SagaStatus::Compensated { reason: reason.clone(), category };
        }
        SagaEvent::Stuck { step, reason: failure, category, parent } => {
            state.parent.clone_from(parent);
            stuck(&mut state, step, failure, *category);
        }
        SagaEvent::Resumed { .. } => state.resumed(),
        SagaEvent::StepSkipped { step, .. } => {
            let compensating = is_compensation(&state, step);
            if matches!(&state.status, SagaStatus::Stuck { step: stuck, .. } if stuck == step) {
                state.resumed();
            }
            if compensating {
                compensated(&mut state, step, covered);
            } else {
                state.given_up(step, false);
                state.done.insert(step.clone());
            }
        }
        SagaEvent::StepEdited { step, input, .. } => {
            if matches!(&state.status, SagaStatus::Stuck { step: stuck, .. } if stuck == step) {
                state.resumed();
            }
            state.edits.insert(step.clone(), input.clone());
        }
    }
    state
}

/// Whether a step that is stuck or under way is a compensation.
pub(super) fn is_compensation<O>(state: &SagaState<O>, step: &StepName) -> bool {
    match &state.status {
        SagaStatus::Stuck { step: stuck, compensating, .. } if stuck == step => compensating.is_some(),
        _ => state.running.get(step).is_some_and(|attempt| attempt.direction == Direction::Back),
    }
}

fn compensated<O>(
    state: &mut SagaState<O>,
    step: &StepName,
    covered: impl FnOnce(&SagaState<O>, &StepName) -> Vec<StepName>,
) {
    state.running.remove(step);
    let covered = covered(state, step);
    state.effects.retain(|effect| !covered.contains(effect));
}

/// The saga may be stuck already: it answers again when its parent asks again.
fn stuck<O>(state: &mut SagaState<O>, step: &StepName, failure: &str, category: Category) {
    let (compensating, turned_back_by) = match &state.status {
        SagaStatus::Compensating { reason, category } => (Some(reason.clone()), *category),
        SagaStatus::Running => (None, None),
        SagaStatus::NotStarted
        | SagaStatus::Completed
        | SagaStatus::Compensated { .. }
        | SagaStatus::Stuck { .. } => return,
    };
    let (step, failure) = (step.clone(), failure.to_owned());
    state.status = SagaStatus::Stuck { step, failure, category, compensating, turned_back_by };
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
        (false, Direction::Back) => drop(state.running.remove(step)),
    }
}
