//! The way forward: starting, answers, deadlines, retries, and the next stage.

use jiff::Timestamp;
use serde_json::Value;

use super::SagaDecision;
use super::definition::SagaDefinition;
use super::draft::Draft;
use super::event::{Direction, SagaEvent, Wait};
use super::input::{ChildEnd, SagaId, StepId};
use super::plan::{Step, StepKind};
use super::refusal::SagaRefusal;
use super::state::{Attempt, SagaState, SagaStatus, Waiting};
use crate::decider::Decision;
use crate::envelope::Actor;
use crate::failure::Category;

/// How an attempt ended badly.
pub(super) struct Failed<'a> {
    pub(super) reason: &'a str,
    /// Whether it may have taken effect all the same.
    pub(super) uncertain: bool,
    /// Whether another attempt may help.
    pub(super) again: bool,
}

/// Starts a saga, with the newest version. Starting it again does nothing; undoing may have come first.
pub(super) fn start<D: SagaDefinition>(
    state: &SagaState<D::Order>,
    saga: &SagaId,
    order: &D::Order,
    parent: Option<&StepId>,
    now: Timestamp,
) -> Result<SagaDecision<D>, SagaRefusal> {
    match (&state.begun, &state.status) {
        (Some(begun), _) if begun.saga == *saga && begun.order == *order => return Ok(Decision::nothing()),
        (Some(_), _) => return Err(SagaRefusal::OtherOrder { saga: saga.clone() }),
        (None, SagaStatus::NotStarted) => {}
        (
            None,
            SagaStatus::Running
            | SagaStatus::Undoing { .. }
            | SagaStatus::Completed
            | SagaStatus::Compensated { .. }
            | SagaStatus::Stuck { .. },
        ) => return Ok(Decision::nothing()),
    }
    let version = D::VERSION;
    let plan = D::plan(version).ok_or(SagaRefusal::UnknownVersion { version, newest: version })?;
    plan.check()?;
    let mut draft = Draft::<D>::new(state.clone(), plan, now);
    let (saga, order, parent) = (saga.clone(), order.clone(), parent.cloned());
    draft.record(SagaEvent::Started { saga, version, order, parent });
    draft.advance();
    Ok(draft.decision)
}

impl<D: SagaDefinition> Draft<D> {
    /// Goes on as far as it can without an answer.
    pub(super) fn advance(&mut self) {
        if !self.state.running.is_empty() {
            return;
        }
        match &self.state.status {
            SagaStatus::Running => self.next_stage(),
            SagaStatus::Undoing { reason } => {
                let reason = reason.clone();
                self.undo_next(&reason);
            }
            SagaStatus::NotStarted
            | SagaStatus::Completed
            | SagaStatus::Compensated { .. }
            | SagaStatus::Stuck { .. } => {}
        }
    }

    fn next_stage(&mut self) {
        let Some(begun) = &self.state.begun else { return };
        let open = |step: &&Step| {
            let part = step.condition.is_none() || D::applies(begun.version, &step.name, &begun.order);
            part && !self.state.done.contains(&step.name)
        };
        let stages = self.plan.stages.iter();
        let next: Option<Vec<Step>> = stages
            .map(|stage| stage.steps.iter().filter(open).cloned().collect::<Vec<_>>())
            .find(|steps| !steps.is_empty());
        match next {
            Some(steps) => steps.iter().for_each(|step| self.begin(step, Direction::Forward)),
            None => self.record(SagaEvent::Completed { parent: self.state.parent.clone() }),
        }
    }

    /// An attempt worked. Approvals are given by people, and children answer by their ends.
    pub(super) fn succeeded(&mut self, id: &StepId, output: &Value) {
        let Some((step, attempt)) = self.awaiting(id) else { return };
        match (attempt.direction, step.kind) {
            (Direction::Forward, StepKind::Ask | StepKind::Callback { .. }) => {
                self.complete(&step, id, output, None);
            }
            (Direction::Undo, StepKind::Ask | StepKind::Callback { .. } | StepKind::Approval) => {
                self.undone(&step, id);
            }
            (Direction::Forward, StepKind::Child | StepKind::Approval)
            | (Direction::Undo, StepKind::Child) => {}
        }
    }

    fn complete(&mut self, step: &Step, id: &StepId, output: &Value, approved_by: Option<&Actor>) {
        self.record(SagaEvent::StepCompleted {
            step: step.name.clone(),
            id: id.clone(),
            output: output.clone(),
            approved_by: approved_by.cloned(),
        });
        self.advance();
    }

    fn undone(&mut self, step: &Step, id: &StepId) {
        self.record(SagaEvent::StepUndone { step: step.name.clone(), id: id.clone() });
        self.advance();
    }

    /// An attempt did not work, its consumer says.
    pub(super) fn told_failed(&mut self, id: &StepId, category: Category, reason: &str) {
        let Some((step, attempt)) = self.awaiting(id) else { return };
        if step.kind == StepKind::Child
            || step.kind == StepKind::Approval && attempt.direction == Direction::Forward
        {
            return;
        }
        // Undoing has no alternative: it is tried again whatever the reason.
        let again = category == Category::Transient || attempt.direction == Direction::Undo;
        self.failed(&step, &attempt, &Failed { reason, uncertain: false, again });
    }

    /// A sign of life: the heartbeat is armed again; the deadline stays.
    pub(super) fn heartbeat(&mut self, id: &StepId) {
        let Some((step, attempt)) = self.awaiting(id) else { return };
        let (StepKind::Callback { heartbeat_seconds }, Direction::Forward) = (step.kind, attempt.direction)
        else {
            return;
        };
        let (beat, due_at) = (attempt.beat.saturating_add(1), self.after(heartbeat_seconds));
        self.record(SagaEvent::HeartbeatHeard { step: step.name, beat, due_at });
        self.wake(format!("heartbeat:{id}:{beat}"), due_at);
    }

    /// A person approves.
    pub(super) fn approved(&mut self, id: &StepId, actor: &Actor) -> Result<(), SagaRefusal> {
        let (step, _) = self.approval(id)?;
        self.complete(&step, id, &Value::Null, Some(actor));
        Ok(())
    }

    /// A person rejects, and says why.
    pub(super) fn rejected(&mut self, id: &StepId, actor: &Actor, reason: &str) -> Result<(), SagaRefusal> {
        let (step, attempt) = self.approval(id)?;
        if reason.trim().is_empty() {
            return Err(SagaRefusal::NoReason);
        }
        let reason = format!("rejected by {}: {reason}", actor.0);
        self.failed(&step, &attempt, &Failed { reason: &reason, uncertain: false, again: false });
        Ok(())
    }

    fn approval(&self, id: &StepId) -> Result<(Step, Attempt), SagaRefusal> {
        self.awaiting(id)
            .filter(|(step, attempt)| {
                step.kind == StepKind::Approval && attempt.direction == Direction::Forward
            })
            .ok_or_else(|| SagaRefusal::NotWaiting { step: id.clone() })
    }

    /// A child saga ended.
    pub(super) fn child_ended(&mut self, id: &StepId, end: &ChildEnd) {
        let Some((step, attempt)) = self.awaiting(id) else { return };
        if step.kind != StepKind::Child {
            return;
        }
        match (attempt.direction, end) {
            (Direction::Forward, ChildEnd::Completed) => self.complete(&step, id, &Value::Null, None),
            (Direction::Undo, ChildEnd::Compensated { .. }) => self.undone(&step, id),
            // It completed before it heard that it is to be undone; it will hear.
            (Direction::Undo, ChildEnd::Completed) => {}
            (Direction::Forward, ChildEnd::Compensated { reason }) => {
                let reason = format!("the child saga was undone: {reason}");
                self.failed(&step, &attempt, &Failed { reason: &reason, uncertain: false, again: false });
            }
            (Direction::Forward | Direction::Undo, ChildEnd::Stuck { reason }) => {
                let reason = format!("the child saga is stuck: {reason}");
                self.failed(&step, &attempt, &Failed { reason: &reason, uncertain: true, again: true });
            }
        }
    }

    /// A timer is due. Its name tells whether its wait is still on.
    pub(super) fn fired(&mut self, name: &str) {
        let running = self.state.running.iter();
        let found = running.filter_map(|(step, attempt)| Some((step, attempt, due(attempt, name)?))).next();
        let Some((step, attempt, due)) = found else { return };
        let (Some(step), attempt) = (self.step(step), attempt.clone()) else { return };
        let (wait, reason) = match due {
            Due::Retry => return self.begin(&step, attempt.direction),
            Due::Missed(Wait::Answer) => (Wait::Answer, "no answer came in time"),
            Due::Missed(Wait::Heartbeat) => (Wait::Heartbeat, "no sign of life came in time"),
        };
        self.record(SagaEvent::DeadlineExceeded { step: step.name.clone(), id: attempt.id.clone(), wait });
        // What nobody approved took no effect; everything else may have, though its answer is lost.
        let uncertain = step.kind != StepKind::Approval;
        self.failed(&step, &attempt, &Failed { reason, uncertain, again: true });
    }

    /// An attempt failed: another one follows, or what was done is undone, or an operator is needed.
    pub(super) fn failed(&mut self, step: &Step, attempt: &Attempt, failed: &Failed<'_>) {
        let retry_after = self.retry_after(step, attempt, failed.again);
        let retry_at = retry_after.map(|seconds| self.after(seconds));
        self.record(SagaEvent::StepFailed {
            step: step.name.clone(),
            direction: attempt.direction,
            id: attempt.id.clone(),
            reason: failed.reason.to_owned(),
            uncertain: failed.uncertain,
            retry_at,
        });
        match (retry_at, retry_after, attempt.direction) {
            (Some(_), Some(0), direction) => self.begin(step, direction),
            (Some(due_at), _, _) => self.wake(format!("retry:{}", attempt.id), due_at),
            (None, _, Direction::Undo) => self.record(SagaEvent::Stuck {
                step: step.name.clone(),
                reason: failed.reason.to_owned(),
                parent: self.state.parent.clone(),
            }),
            (None, _, Direction::Forward) if self.state.status == SagaStatus::Running => {
                let reason = format!("step {} failed: {}", step.name, failed.reason);
                self.begin_undo(&reason, None, None);
            }
            (None, _, Direction::Forward) => self.advance(),
        }
    }

    /// The seconds until the next try, if there is one. Once the saga is to be undone, no step is tried again.
    fn retry_after(&self, step: &Step, attempt: &Attempt, again: bool) -> Option<u32> {
        let policy = Self::policy(step, attempt.direction)?;
        let forgiven = self.state.tries(&step.name, attempt.direction).forgiven;
        let tried = attempt.attempt.saturating_sub(forgiven);
        let wanted = attempt.direction == Direction::Undo || self.state.status == SagaStatus::Running;
        (again && wanted && tried < policy.attempts).then(|| policy.delay_seconds(tried))
    }
}

/// What a timer means to an attempt.
enum Due {
    Retry,
    Missed(Wait),
}

fn due(attempt: &Attempt, name: &str) -> Option<Due> {
    let id = &attempt.id;
    match attempt.waiting {
        Waiting::Retry => (name == format!("retry:{id}")).then_some(Due::Retry),
        Waiting::Answer if name == format!("deadline:{id}") => Some(Due::Missed(Wait::Answer)),
        Waiting::Answer => {
            (name == format!("heartbeat:{id}:{}", attempt.beat)).then_some(Due::Missed(Wait::Heartbeat))
        }
    }
}
