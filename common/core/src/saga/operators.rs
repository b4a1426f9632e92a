//! What operators may do, always with their name and a reason.

use crate::mutants;
use serde_json::Value;

use super::definition::{SagaDefinition, child_of};
use super::draft::{Done, Draft, Work};
use super::event::{Direction, SagaEvent};
use super::forward::FailedAttempt;
use super::input::{Operation, StepName};
use super::plan::StepKind;
use super::refusal::SagaRefusal;
use super::state::{Attempt, SagaStatus, Waiting, is_compensation};
use crate::envelope::Actor;
use crate::failure::Category;

/// The longest reason that an operator may give, in characters.
const REASON_CHARS_MAX: usize = 1_000;

impl<D: SagaDefinition> Draft<D> {
    /// Does what an operator wants.
    pub(super) fn operate(&mut self, operation: &Operation, actor: &Actor, reason: &str) -> Done {
        check_reason(reason)?;
        match operation {
            Operation::Cancel => self.cancel(actor, reason),
            Operation::Resume => self.resume(actor, reason),
            Operation::Skip { step } => self.skip(step, actor, reason),
            Operation::Edit { step, input } => self.edit(step, input, actor, reason),
            Operation::Approve { step } => {
                let (work, attempt) = self.approval(step.as_ref())?;
                self.complete(&work, &attempt.id, &Value::Null, Some(actor))
            }
            Operation::Reject { step } => {
                let (work, attempt) = self.approval(step.as_ref())?;
                let reason = &format!("rejected by {}: {reason}", actor.0);
                let category = Category::Business;
                self.failed(
                    &work,
                    &attempt,
                    &FailedAttempt { category, reason, uncertain: false, again: false },
                )
            }
        }
    }

    /// Turns back a saga that runs. A second cancel is refused with the saga's status.
    fn cancel(&mut self, actor: &Actor, reason: &str) -> Done {
        match &self.state.status {
            SagaStatus::Running | SagaStatus::Stuck { compensating: None, .. } => {}
            SagaStatus::NotStarted
            | SagaStatus::Compensating { .. }
            | SagaStatus::Completed
            | SagaStatus::Compensated { .. }
            | SagaStatus::Stuck { .. } => {
                return Err(SagaRefusal::NotRunning { status: self.state.status.name() });
            }
        }
        if mutants::on("saga.ignores-cancels") {
            return Ok(());
        }
        if let Some(step) = self.pivot_passed().filter(|_| !mutants::on("saga.turns-back-past-its-pivot")) {
            return Err(SagaRefusal::PastPivot { step });
        }
        self.compensate(&format!("cancelled by {}: {reason}", actor.0), None, Some(actor), None)
    }

    /// Tries again where the saga is stuck, with all attempts renewed.
    fn resume(&mut self, actor: &Actor, reason: &str) -> Done {
        let SagaStatus::Stuck { .. } = &self.state.status else {
            return Err(SagaRefusal::NotStuck { status: self.state.status.name() });
        };
        self.record(SagaEvent::Resumed { actor: actor.clone(), reason: reason.to_owned() });
        self.advance()
    }

    /// Counts a step as done, or a compensation as undone.
    fn skip(&mut self, step: &StepName, actor: &Actor, reason: &str) -> Done {
        let work = self.held_up(step)?;
        if let Some(why) = work.never_skipped() {
            return Err(SagaRefusal::NeverSkipped { step: step.clone(), why });
        }
        let (step, actor, why) = (step.clone(), actor.clone(), reason.to_owned());
        let undoes = self.undoes(&step);
        self.record(SagaEvent::StepSkipped { step, undoes, actor, reason: why });
        if work.direction() == Direction::Forward {
            self.call_child_back(&work, &format!("the step was skipped: {reason}"))?;
        }
        self.advance()
    }

    /// Tries again with another input.
    fn edit(&mut self, step: &StepName, input: &Value, actor: &Actor, reason: &str) -> Done {
        let work = self.held_up(step)?;
        if let (StepKind::Child { kind }, Some(begun)) = (work.step.kind, &self.state.begun) {
            let child = child_of(&begun.saga, &work.step.full_name(), kind)?;
            return Err(SagaRefusal::ChildEdited { step: step.clone(), child });
        }
        let retries = self.state.running.contains_key(step);
        self.record(SagaEvent::StepEdited {
            step: step.clone(),
            input: input.clone(),
            actor: actor.clone(),
            reason: reason.to_owned(),
        });
        if retries { self.begin(&work) } else { self.advance() }
    }

    /// The step or compensation of this name, which is stuck or waits for its next attempt.
    fn held_up(&self, asked: &StepName) -> Result<Work<D::Step>, SagaRefusal> {
        let retries = self.state.running.get(asked).is_some_and(|attempt| attempt.waiting == Waiting::Retry);
        let (stuck, at) = match &self.state.status {
            SagaStatus::Stuck { step, .. } => (step == asked, format!("; it is stuck at {step}")),
            SagaStatus::NotStarted
            | SagaStatus::Running
            | SagaStatus::Compensating { .. }
            | SagaStatus::Completed
            | SagaStatus::Compensated { .. } => {
                (false, format!("; the saga is {}", self.state.status.name()))
            }
        };
        let not_at = || SagaRefusal::NotAt { asked: asked.clone(), at };
        if !retries && !stuck {
            return Err(not_at());
        }
        let work = self.work(asked).ok_or_else(not_at)?;
        debug_assert_eq!(work.direction() == Direction::Back, is_compensation(&self.state, asked));
        Ok(work)
    }

    /// The approval that waits: that of this name, or the only one.
    fn approval(&self, step: Option<&StepName>) -> Result<(Work<D::Step>, Attempt), SagaRefusal> {
        let running = self.state.running.iter();
        let mut waiting = running.filter(|(name, attempt)| {
            let approves = |work: Work<D::Step>| work.step.kind == StepKind::Approval;
            attempt.direction == Direction::Forward
                && step.is_none_or(|step| step == *name)
                && self.work(name).is_some_and(approves)
        });
        let not_waiting = |what: String| SagaRefusal::NotWaiting { what };
        let none = || step.map_or_else(|| "nothing here".to_owned(), |step| format!("no step {step}"));
        let (name, attempt) = waiting.next().ok_or_else(|| not_waiting(none()))?;
        if let Some((other, _)) = waiting.next() {
            return Err(not_waiting(format!("more than one step (say which of {name} and {other})")));
        }
        let work = self.work(name).ok_or_else(|| not_waiting(none()))?;
        Ok((work, attempt.clone()))
    }
}

fn check_reason(reason: &str) -> Done {
    let characters = reason.chars().count();
    if reason.trim().is_empty() {
        return Err(SagaRefusal::NoReason);
    }
    if characters > REASON_CHARS_MAX {
        return Err(SagaRefusal::ReasonTooLong { characters, max: REASON_CHARS_MAX });
    }
    Ok(())
}
