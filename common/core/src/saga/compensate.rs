//! The way back: running steps are stopped or awaited, and what was done is undone from the end.

use crate::mutants;
use serde_json::Value;

use super::command::{AnswerChild, Parent};
use super::covered;
use super::definition::{Action, SagaDefinition};
use super::draft::{Done, Draft, Work};
use super::event::SagaEvent;
use super::input::{ChildEnd, StepName};
use super::plan::{OnCancel, StepKind};
use super::state::{SagaStatus, Waiting};
use crate::envelope::Actor;
use crate::failure::{Category, clip};
use crate::ids::StepId;

impl<D: SagaDefinition> Draft<D> {
    /// Turns back. Running steps are stopped, or awaited where only their answer tells what there is to undo.
    pub(super) fn compensate(
        &mut self,
        reason: &str,
        category: Option<Category>,
        actor: Option<&Actor>,
        parent: Option<&Parent>,
    ) -> Done {
        let (reason, actor, parent) = (clip(reason), actor.cloned(), parent.cloned());
        self.record(SagaEvent::CompensationStarted { reason, category, actor, parent });
        for (name, attempt) in self.state.running.clone() {
            let Some(work) = self.work(&name) else { continue };
            let uncertain = match (&attempt.waiting, work.step.kind, work.step.on_cancel) {
                (Waiting::Retry, _, _) | (Waiting::Answer, StepKind::Approval, _) => false,
                (Waiting::Answer, StepKind::Child { .. }, _) => {
                    self.send(&work, Action::Stop, &attempt.id)?;
                    continue;
                }
                (Waiting::Answer, StepKind::Ask | StepKind::Callback { .. }, on_cancel) => {
                    self.send_stop(&work, &attempt.id)?;
                    match on_cancel {
                        OnCancel::Await if mutants::on("saga.awaits-nobody") => false,
                        OnCancel::Await => continue,
                        OnCancel::Stop => true,
                    }
                }
            };
            self.record(SagaEvent::StepStopped { step: name, uncertain });
        }
        self.advance()
    }

    /// Tells a consumer or an outsider to stop, where the definition has a command for that.
    fn send_stop(&mut self, work: &Work<D::Step>, id: &StepId) -> Done {
        self.send(work, Action::Stop, id)
    }

    /// Runs the next compensation, or ends. A step without one leaves nothing to undo. A compensation that several
    /// steps share runs in the place of the first of them, after everything that was built on it is undone.
    pub(super) fn compensate_next(&mut self, reason: &str) -> Done {
        let mut effects: Vec<_> = self.state.effects.iter().filter_map(|name| self.plan.step(name)).collect();
        if mutants::on("saga.undoes-forwards") {
            effects.reverse();
        }
        if mutants::on("saga.leaves-the-first-step") && !effects.is_empty() {
            effects.remove(0);
        }
        let next = effects.iter().enumerate().rev().find(|(place, step)| {
            let name = step.undone_by_name();
            name.is_some() && !effects.iter().take(*place).any(|earlier| earlier.undone_by_name() == name)
        });
        if let Some((_, step)) = next {
            let work = Work { step: (*step).clone(), compensation: step.compensation };
            return self.begin(&work);
        }
        self.record(SagaEvent::Compensated { reason: reason.to_owned(), parent: self.state.parent.clone() });
        self.tell_parent(ChildEnd::Compensated { reason: reason.to_owned() });
        Ok(())
    }

    /// A compensation is done.
    pub(super) fn compensated(&mut self, work: &Work<D::Step>, id: &StepId, output: &Value) -> Done {
        let (step, id, output) = (work.name(), id.clone(), output.clone());
        let undoes = self.undoes(&step);
        self.record(SagaEvent::StepCompensated { step, id, undoes, output });
        self.advance()
    }

    /// The steps that a compensation undoes now: those that name it, and have taken effect or may have.
    pub(super) fn undoes(&self, compensation: &StepName) -> Vec<StepName> {
        let covered = covered(&self.plan, compensation);
        self.state.effects.iter().filter(|effect| covered.contains(effect)).cloned().collect()
    }

    /// The parent wants the saga undone, and waits for the end. A saga that has reached its end tells it again.
    pub(super) fn compensate_for_parent(&mut self, parent: Option<&Parent>, reason: &str) -> Done {
        let asked_before = parent.is_none() || self.state.parent.as_ref() == parent;
        let waits = parent.cloned().or_else(|| self.state.parent.clone());
        match self.state.status.clone() {
            SagaStatus::Running | SagaStatus::Completed if self.pivot_passed().is_some() => {
                let reason = "it is past its point of no return".to_owned();
                self.record(SagaEvent::CompensationRefused { reason: reason.clone(), parent: waits });
                self.tell_parent(ChildEnd::Stuck { reason });
            }
            SagaStatus::Running | SagaStatus::Completed => {
                return self.compensate(reason, None, None, parent);
            }
            SagaStatus::Compensating { .. } | SagaStatus::Compensated { .. } | SagaStatus::Stuck { .. }
                if asked_before => {}
            SagaStatus::Compensating { reason, category } => {
                self.record(SagaEvent::CompensationStarted { reason, category, actor: None, parent: waits });
            }
            SagaStatus::Compensated { reason, .. } => {
                self.record(SagaEvent::Compensated { reason: reason.clone(), parent: waits });
                self.tell_parent(ChildEnd::Compensated { reason });
            }
            SagaStatus::Stuck { step, failure: reason, category, .. } => {
                self.record(SagaEvent::Stuck { step, reason: reason.clone(), category, parent: waits });
                self.tell_parent(ChildEnd::Stuck { reason });
            }
            SagaStatus::NotStarted => {}
        }
        Ok(())
    }

    /// Answers the parent, where one waits.
    pub(super) fn tell_parent(&mut self, end: ChildEnd) {
        if let Some(Parent { saga, step }) = self.state.parent.clone() {
            self.tell(AnswerChild { saga, step, end });
        }
    }
}
