//! What operators may do, always with their name and a reason.

use serde_json::Value;

use super::definition::SagaDefinition;
use super::draft::Draft;
use super::event::SagaEvent;
use super::input::StepName;
use super::refusal::SagaRefusal;
use super::state::SagaStatus;
use crate::envelope::Actor;

impl<D: SagaDefinition> Draft<D> {
    /// Turns a running saga back. One that is on its way back already stays on it.
    pub(super) fn cancel(&mut self, actor: &Actor, reason: &str) -> Result<(), SagaRefusal> {
        said(reason)?;
        match &self.state.status {
            SagaStatus::Running => {
                let reason = format!("cancelled by {}: {reason}", actor.0);
                self.begin_undo(&reason, Some(actor), None);
                Ok(())
            }
            SagaStatus::Undoing { .. } | SagaStatus::Compensated { .. } => Ok(()),
            SagaStatus::NotStarted | SagaStatus::Completed | SagaStatus::Stuck { .. } => {
                Err(SagaRefusal::NotRunning { status: self.state.status.name() })
            }
        }
    }

    /// Tries again what it is stuck at, with all its tries anew.
    pub(super) fn resume(&mut self, actor: &Actor, reason: &str) -> Result<(), SagaRefusal> {
        said(reason)?;
        self.stuck_at()?;
        self.record(SagaEvent::Resumed { actor: actor.clone(), reason: reason.to_owned() });
        self.advance();
        Ok(())
    }

    /// Takes what it is stuck at for undone.
    pub(super) fn skip(&mut self, step: &StepName, actor: &Actor, reason: &str) -> Result<(), SagaRefusal> {
        self.stuck_here(step, reason)?;
        let (step, actor, reason) = (step.clone(), actor.clone(), reason.to_owned());
        self.record(SagaEvent::StepSkipped { step, actor, reason });
        self.advance();
        Ok(())
    }

    /// Tries again what it is stuck at, with another input.
    pub(super) fn edit(
        &mut self,
        step: &StepName,
        input: &Value,
        actor: &Actor,
        reason: &str,
    ) -> Result<(), SagaRefusal> {
        self.stuck_here(step, reason)?;
        self.record(SagaEvent::StepEdited {
            step: step.clone(),
            input: input.clone(),
            actor: actor.clone(),
            reason: reason.to_owned(),
        });
        self.advance();
        Ok(())
    }

    fn stuck_here(&self, asked: &StepName, reason: &str) -> Result<(), SagaRefusal> {
        said(reason)?;
        let stuck = self.stuck_at()?;
        if stuck == *asked {
            return Ok(());
        }
        Err(SagaRefusal::StuckElsewhere { stuck, asked: asked.clone() })
    }

    fn stuck_at(&self) -> Result<StepName, SagaRefusal> {
        match &self.state.status {
            SagaStatus::Stuck { step, .. } => Ok(step.clone()),
            SagaStatus::NotStarted
            | SagaStatus::Running
            | SagaStatus::Undoing { .. }
            | SagaStatus::Completed
            | SagaStatus::Compensated { .. } => {
                Err(SagaRefusal::NotStuck { status: self.state.status.name() })
            }
        }
    }
}

fn said(reason: &str) -> Result<(), SagaRefusal> {
    if reason.trim().is_empty() { Err(SagaRefusal::NoReason) } else { Ok(()) }
}
