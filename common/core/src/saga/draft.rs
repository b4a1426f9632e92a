//! A decision in the making: each event is folded at once, so that what follows sees it.

use jiff::{SignedDuration, Timestamp};

use super::SagaDecision;
use super::definition::{Ask, Errand, SagaDefinition};
use super::event::{Direction, SagaEvent};
use super::input::{StepId, StepName};
use super::plan::{Plan, RetryPolicy, Step, StepKind};
use super::state::{self, Attempt, SagaState};
use crate::decider::SetTimer;

/// A decision in the making.
pub(super) struct Draft<D: SagaDefinition> {
    pub(super) state: SagaState<D::Order>,
    pub(super) plan: Plan,
    pub(super) now: Timestamp,
    pub(super) decision: SagaDecision<D>,
}

impl<D: SagaDefinition> Draft<D> {
    pub(super) fn new(state: SagaState<D::Order>, plan: Plan, now: Timestamp) -> Self {
        Self { state, plan, now, decision: SagaDecision::<D>::nothing() }
    }

    /// Records an event.
    pub(super) fn record(&mut self, event: SagaEvent<D::Order>) {
        self.state = state::evolve(std::mem::take(&mut self.state), &event);
        self.decision.events.push(event);
    }

    /// The moment so many seconds from now; the end of time where there is none such.
    pub(super) fn after(&self, seconds: u32) -> Timestamp {
        self.now.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
    }

    /// Wakes the saga.
    pub(super) fn wake(&mut self, name: String, due_at: Timestamp) {
        self.decision.timers.push(SetTimer { name, due_at, deliver_to: D::TIMERS_TO });
    }

    /// A step of the plan. A version's plan never changes, so the steps of its sagas are in it.
    pub(super) fn step(&self, name: &StepName) -> Option<Step> {
        self.plan.step(name).cloned()
    }

    /// How an attempt is tried.
    pub(super) fn policy(step: &Step, direction: Direction) -> Option<RetryPolicy> {
        match direction {
            Direction::Forward => Some(step.policy),
            Direction::Undo => step.compensation,
        }
    }

    /// The next attempt: its event, its command, its deadline and, where there is one, its heartbeat.
    pub(super) fn begin(&mut self, step: &Step, direction: Direction) {
        let Some(begun) = &self.state.begun else { return };
        let Some(policy) = Self::policy(step, direction) else { return };
        let attempt = self.state.tries(&step.name, direction).begun.saturating_add(1);
        let (undo, errand) = match direction {
            Direction::Forward => ("", Errand::Do),
            Direction::Undo => ("undo-", Errand::Undo),
        };
        let id = StepId::new(format!("{}/{undo}{}/{attempt}", begun.saga, step.name));
        let deadline_at = self.after(policy.deadline_seconds);
        self.record(SagaEvent::StepBegan {
            step: step.name.clone(),
            direction,
            id: id.clone(),
            attempt,
            deadline_at,
        });
        self.send(&step.name, errand, &id);
        self.wake(format!("deadline:{id}"), deadline_at);
        if let (StepKind::Callback { heartbeat_seconds }, Direction::Forward) = (step.kind, direction) {
            let due_at = self.after(heartbeat_seconds);
            self.wake(format!("heartbeat:{id}:0"), due_at);
        }
    }

    /// Asks others for something.
    pub(super) fn send(&mut self, step: &StepName, errand: Errand, id: &StepId) {
        let Some(begun) = &self.state.begun else { return };
        let ask = Ask {
            saga: &begun.saga,
            version: begun.version,
            step,
            errand,
            id,
            order: &begun.order,
            edited: self.state.edits.get(step),
            outputs: &self.state.outputs,
        };
        self.decision.commands.extend(D::command(&ask));
    }

    /// The attempt of this id that waits for its answer, with its step.
    pub(super) fn awaiting(&self, id: &StepId) -> Option<(Step, Attempt)> {
        let (name, attempt) = self.state.awaiting(id)?;
        Some((self.step(name)?, attempt.clone()))
    }
}
