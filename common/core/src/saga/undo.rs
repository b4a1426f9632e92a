//! The way back: what is under way is stopped or awaited, and what was done is undone from the end.

use super::definition::{Errand, SagaDefinition};
use super::draft::Draft;
use super::event::{Direction, SagaEvent};
use super::input::StepId;
use super::plan::StepKind;
use super::state::{SagaStatus, Waiting};
use crate::envelope::Actor;

impl<D: SagaDefinition> Draft<D> {
    /// Turns back. Consumers and children at work are awaited, for only their answers tell what there is to undo;
    /// people and outsiders are not.
    pub(super) fn begin_undo(&mut self, reason: &str, actor: Option<&Actor>, answers: Option<&StepId>) {
        let (reason, actor, answers) = (reason.to_owned(), actor.cloned(), answers.cloned());
        self.record(SagaEvent::UndoBegan { reason, actor, answers });
        for (name, attempt) in self.state.running.clone() {
            let Some(step) = self.step(&name) else { continue };
            let uncertain = match (&attempt.waiting, step.kind) {
                (Waiting::Retry, _) | (Waiting::Answer, StepKind::Approval) => false,
                (Waiting::Answer, StepKind::Ask) => continue,
                (Waiting::Answer, StepKind::Child) => {
                    self.send(&name, Errand::Stop, &attempt.id);
                    continue;
                }
                (Waiting::Answer, StepKind::Callback { .. }) => {
                    self.send(&name, Errand::Stop, &attempt.id);
                    true
                }
            };
            self.record(SagaEvent::StepStopped { step: name, uncertain });
        }
        self.advance();
    }

    /// Undoes the last of what took effect, or ends. Steps that have no compensation leave nothing to undo.
    pub(super) fn undo_next(&mut self, reason: &str) {
        let mut effects = self.state.effects.iter().rev().filter_map(|name| self.step(name));
        match effects.find(|step| step.compensation.is_some()) {
            Some(step) => self.begin(&step, Direction::Undo),
            None => {
                let (reason, parent) = (reason.to_owned(), self.state.parent.clone());
                self.record(SagaEvent::Compensated { reason, parent });
            }
        }
    }

    /// The parent wants it undone, and waits for the end: where that is reached already, it is told again.
    pub(super) fn undo_for_parent(&mut self, answers: Option<&StepId>, reason: &str) {
        let asked_before = answers.is_none() || self.state.parent.as_ref() == answers;
        let parent = answers.cloned().or_else(|| self.state.parent.clone());
        match self.state.status.clone() {
            SagaStatus::Running | SagaStatus::Completed => self.begin_undo(reason, None, answers),
            SagaStatus::Undoing { .. } | SagaStatus::Compensated { .. } | SagaStatus::Stuck { .. }
                if asked_before => {}
            SagaStatus::Undoing { reason } => {
                self.record(SagaEvent::UndoBegan { reason, actor: None, answers: parent });
            }
            SagaStatus::Compensated { reason } => self.record(SagaEvent::Compensated { reason, parent }),
            SagaStatus::Stuck { step, failure: reason, .. } => {
                self.record(SagaEvent::Stuck { step, reason, parent });
            }
            SagaStatus::NotStarted => {}
        }
    }
}
