//! The way forward: starting, answers, deadlines, retries, and the next stage.

use crate::mutants;
use jiff::Timestamp;
use serde_json::Value;

use super::SagaDecision;
use super::command::{Answers, CompensateSaga, Parent, StepOutcome};
use super::definition::{SagaDefinition, child_of};
use super::draft::{Done, Draft, Work};
use super::event::{Direction, SagaEvent, Wait};
use super::input::{ChildEnd, SagaRef};
use super::plan::{Step, StepKind};
use super::refusal::SagaRefusal;
use super::state::{Attempt, SagaState, SagaStatus, Waiting};
use crate::decider::Decision;
use crate::envelope::Actor;
use crate::failure::{Category, clip};
use crate::ids::{InvalidId, StepId, check_id};

/// What an id of a saga may have at most, in bytes: the longest step id, `<saga>/<name>.<line>/<attempt>` with a name of
/// 40 bytes and two numbers of 10 digits, has 200.
const ID_BYTES_MAX: usize = 137;

/// How an attempt failed.
pub(super) struct FailedAttempt<'a> {
    pub(super) category: Category,
    pub(super) reason: &'a str,
    /// Whether something may have been done all the same.
    pub(super) uncertain: bool,
    /// Whether another attempt may help.
    pub(super) again: bool,
}

/// Starts a saga, with the newest version. Starting it again does nothing; undoing may have come first.
pub(super) fn start<D: SagaDefinition>(
    state: &SagaState<D::Order>,
    saga: &SagaRef,
    order: &D::Order,
    parent: Option<&Parent>,
    now: Timestamp,
) -> Result<SagaDecision<D>, SagaRefusal> {
    match (&state.begun, &state.status) {
        (Some(begun), _) if begun.saga == *saga && begun.order == *order => {
            return asked_again::<D>(state, parent, now);
        }
        (Some(_), _) => return Err(SagaRefusal::OtherOrder { saga: saga.clone() }),
        (None, SagaStatus::NotStarted) => {}
        (
            None,
            SagaStatus::Running
            | SagaStatus::Compensating { .. }
            | SagaStatus::Completed
            | SagaStatus::Compensated { .. }
            | SagaStatus::Stuck { .. },
        ) => return Ok(Decision::nothing()),
    }
    check_saga_id(saga)?;
    let version = D::VERSION;
    let unknown = SagaRefusal::UnknownVersion { kind: D::KIND, version, newest: version };
    let plan = D::plan(version, order).ok_or(unknown)?;
    plan.check().map_err(|bad| bad.of(D::KIND))?;
    for step in plan.steps() {
        if let StepKind::Child { kind } = step.kind {
            check_saga_id(&child_of(saga, &step.full_name(), kind)?)?;
        }
    }
    let mut draft = Draft::<D>::new(state.clone(), plan, now);
    let (saga, order, parent) = (saga.clone(), order.clone(), parent.cloned());
    draft.record(SagaEvent::Started { saga, version, order, parent });
    draft.advance()?;
    Ok(draft.decision)
}

/// A parent that was stuck and resumed asks again by a later attempt. That attempt is told the end, at once where the saga
/// has ended already.
fn asked_again<D: SagaDefinition>(
    state: &SagaState<D::Order>,
    parent: Option<&Parent>,
    now: Timestamp,
) -> Result<SagaDecision<D>, SagaRefusal> {
    let (Some(begun), Some(parent), Some(before)) = (&state.begun, parent, &state.parent) else {
        return Ok(Decision::nothing());
    };
    if !parent.is_later_than(before) {
        return Ok(Decision::nothing());
    }
    let (kind, version, newest) = (D::KIND, begun.version, D::VERSION);
    let unknown = SagaRefusal::UnknownVersion { kind, version, newest };
    let mut draft = Draft::<D>::new(state.clone(), D::plan(version, &begun.order).ok_or(unknown)?, now);
    draft.record(SagaEvent::ParentChanged { parent: parent.clone() });
    let end = match &state.status {
        SagaStatus::Completed => draft.facts().map(|facts| ChildEnd::Completed { output: D::result(&facts) }),
        SagaStatus::Compensated { reason, .. } => Some(ChildEnd::Compensated { reason: reason.clone() }),
        SagaStatus::Stuck { failure, .. } => Some(ChildEnd::Stuck { reason: failure.clone() }),
        SagaStatus::NotStarted | SagaStatus::Running | SagaStatus::Compensating { .. } => None,
    };
    if let Some(end) = end {
        draft.tell_parent(end);
    }
    Ok(draft.decision)
}

fn check_saga_id(saga: &SagaRef) -> Result<(), InvalidId> {
    if saga.id().len() > ID_BYTES_MAX {
        // The longest step id of this saga would be refused, and so the saga is.
        return check_id("step id", &format!("{}{}", saga.id(), "-".repeat(200 - ID_BYTES_MAX)));
    }
    Ok(())
}

impl<D: SagaDefinition> Draft<D> {
    /// Goes on as far as it can without an answer.
    pub(super) fn advance(&mut self) -> Done {
        match &self.state.status {
            SagaStatus::Running => self.next_stage(),
            SagaStatus::Compensating { reason, .. } if self.state.running.is_empty() => {
                let reason = reason.clone();
                self.compensate_next(&reason)
            }
            SagaStatus::Compensating { .. }
            | SagaStatus::NotStarted
            | SagaStatus::Completed
            | SagaStatus::Compensated { .. }
            | SagaStatus::Stuck { .. } => Ok(()),
        }
    }

    /// Begins again the steps that failed past the point of no return, after the saga was resumed. Otherwise begins the next
    /// stage, when this one is over. A condition is asked once, when its stage begins, because later outputs may change its
    /// answer.
    fn next_stage(&mut self) -> Done {
        let Some(facts) = self.facts() else { return Ok(()) };
        let begun = |step: &&Step<D::Step>| self.state.tries(&step.full_name()).begun > 0;
        let reached = self.plan.stages.iter().rposition(|stage| stage.steps.iter().any(|step| begun(&step)));
        let failed = |step: &&Step<D::Step>| {
            let name = step.full_name();
            begun(step) && !self.state.done.contains(&name) && !self.state.running.contains_key(&name)
        };
        let stage = reached.and_then(|stage| self.plan.stages.get(stage));
        let again: Vec<Step<D::Step>> =
            stage.into_iter().flat_map(|stage| &stage.steps).filter(failed).cloned().collect();
        if !again.is_empty() {
            return self.begin_all(again);
        }
        if !self.state.running.is_empty() {
            return Ok(());
        }
        let part =
            |step: &&Step<D::Step>| step.condition.is_none() || D::applies(step.name, step.line, &facts);
        let stages = self.plan.stages.iter().skip(reached.map_or(0, |stage| stage + 1));
        let next: Option<Vec<Step<D::Step>>> = stages
            .map(|stage| stage.steps.iter().filter(part).cloned().collect::<Vec<_>>())
            .find(|steps| !steps.is_empty());
        let Some(steps) = next else {
            let output = D::result(&facts);
            self.record(SagaEvent::Completed { output: output.clone() });
            self.tell_parent(ChildEnd::Completed { output });
            return Ok(());
        };
        self.begin_all(steps)
    }

    fn begin_all(&mut self, steps: Vec<Step<D::Step>>) -> Done {
        steps.into_iter().try_for_each(|step| self.begin(&Work { step, compensation: None }))
    }

    /// A step answered.
    pub(super) fn answered(&mut self, answers: &Answers, outcome: &StepOutcome) -> Done {
        let found = match answers {
            Answers::Attempt(id) => self.awaiting(id),
            Answers::Step(name) => {
                let attempt = self.state.running.get(name).cloned();
                attempt.and_then(|attempt| Some((self.work(name)?, attempt)))
            }
        };
        let Some((work, attempt)) = found else { return Ok(()) };
        let by_person = work.step.kind == StepKind::Approval && attempt.direction == Direction::Forward;
        if matches!(work.step.kind, StepKind::Child { .. }) || by_person {
            return Ok(());
        }
        let waits = attempt.waiting == Waiting::Answer;
        match outcome {
            StepOutcome::Succeeded { output } => self.succeeded(&work, &attempt, output),
            StepOutcome::Failed { category, reason, uncertain } if waits => {
                // Undoing has no alternative: it is tried again whatever the reason.
                let again = *category == Category::Transient || attempt.direction == Direction::Back;
                let (category, uncertain) = (*category, *uncertain);
                self.failed(&work, &attempt, &FailedAttempt { category, reason, uncertain, again })
            }
            StepOutcome::Deferred { until, reason } if waits => {
                self.deferred(&work, &attempt, *until, reason);
                Ok(())
            }
            StepOutcome::Alive if waits => {
                self.heartbeat(&work, &attempt);
                Ok(())
            }
            StepOutcome::Failed { .. } | StepOutcome::Deferred { .. } | StepOutcome::Alive => Ok(()),
        }
    }

    /// An output that later steps could not read is a failure of its step, which may have been done.
    fn succeeded(&mut self, work: &Work<D::Step>, attempt: &Attempt, output: &Value) -> Done {
        if work.compensation.is_some() {
            return self.compensated(work, &attempt.id, output);
        }
        match D::check_output(work.step.name, work.step.line, output) {
            Ok(()) => self.complete(work, &attempt.id, output, None),
            Err(error) => {
                let reason = format!("its output has another form than the saga reads: {error}");
                let (category, reason) = (Category::Validation, reason.as_str());
                self.failed(work, attempt, &FailedAttempt { category, reason, uncertain: true, again: false })
            }
        }
    }

    pub(super) fn complete(
        &mut self,
        work: &Work<D::Step>,
        id: &StepId,
        output: &Value,
        approved_by: Option<&Actor>,
    ) -> Done {
        self.record(SagaEvent::StepCompleted {
            step: work.name(),
            id: id.clone(),
            output: output.clone(),
            approved_by: approved_by.cloned(),
        });
        self.advance()
    }

    /// More time for an attempt whose dependency is away: a new deadline, counted from when it is looked at again. The queue
    /// limits how long its message waits.
    fn deferred(&mut self, work: &Work<D::Step>, attempt: &Attempt, until: Timestamp, reason: &str) {
        let deadline_at = match mutants::on("saga.deferral-keeps-the-deadline") {
            true => attempt.deadline_at,
            false => Self::after(until.max(self.now), work.policy().deadline_seconds),
        };
        let deferrals = attempt.deferrals.saturating_add(1);
        self.record(SagaEvent::StepDeferred {
            step: work.name(),
            id: attempt.id.clone(),
            deferrals,
            deadline_at,
            reason: clip(reason),
        });
        let attempt = Attempt { deferrals, ..attempt.clone() };
        self.wake(attempt.timer(), deadline_at);
        if let (StepKind::Callback { heartbeat_seconds }, Direction::Forward) =
            (work.step.kind, attempt.direction)
        {
            self.wake(attempt.heartbeat_timer(), Self::after(until.max(self.now), heartbeat_seconds));
        }
    }

    /// A sign of life: the heartbeat is armed again; the deadline stays.
    fn heartbeat(&mut self, work: &Work<D::Step>, attempt: &Attempt) {
        let (StepKind::Callback { heartbeat_seconds }, Direction::Forward) =
            (work.step.kind, attempt.direction)
        else {
            return;
        };
        let beat = attempt.beat.saturating_add(1);
        let due_at = Self::after(self.now, heartbeat_seconds);
        self.record(SagaEvent::HeartbeatHeard { step: work.name(), beat, due_at });
        self.wake(Attempt { beat, ..attempt.clone() }.heartbeat_timer(), due_at);
    }

    /// A child saga ended.
    pub(super) fn child_ended(&mut self, id: &StepId, end: &ChildEnd) -> Done {
        let Some((work, attempt)) = self.awaiting(id) else { return Ok(()) };
        if !matches!(work.step.kind, StepKind::Child { .. }) {
            return Ok(());
        }
        let category = Category::Business;
        match (attempt.direction, end) {
            (Direction::Forward, ChildEnd::Completed { output }) => self.succeeded(&work, &attempt, output),
            (Direction::Back, ChildEnd::Compensated { .. }) => self.compensated(&work, id, &Value::Null),
            // It completed before it was told to undo itself, and will be told.
            (Direction::Back, ChildEnd::Completed { .. }) => Ok(()),
            (Direction::Forward, ChildEnd::Compensated { reason }) => {
                let reason = &format!("the child saga was undone: {reason}");
                self.failed(
                    &work,
                    &attempt,
                    &FailedAttempt { category, reason, uncertain: false, again: false },
                )
            }
            (Direction::Forward | Direction::Back, ChildEnd::Stuck { reason }) => {
                let reason = &format!("the child saga is stuck: {reason}");
                self.failed(
                    &work,
                    &attempt,
                    &FailedAttempt { category, reason, uncertain: true, again: true },
                )
            }
        }
    }

    /// A timer is due. Its name tells whether the saga still waits for it.
    pub(super) fn fired(&mut self, name: &str) -> Done {
        let running = self.state.running.iter();
        let found = running.filter_map(|(step, attempt)| Some((step, attempt, due(attempt, name)?))).next();
        let Some((step, attempt, due)) = found else { return Ok(()) };
        let (Some(work), attempt) = (self.work(step), attempt.clone()) else { return Ok(()) };
        let seconds = work.policy().deadline_seconds;
        if mutants::on("saga.ignores-deadlines") && matches!(due, Due::Missed(_)) {
            return Ok(());
        }
        let (wait, reason) = match due {
            Due::Retry => return self.begin(&work),
            Due::Missed(Wait::Answer) => (Wait::Answer, format!("no answer within {seconds} s")),
            Due::Missed(Wait::Heartbeat) => (Wait::Heartbeat, "no sign of life came in time".to_owned()),
        };
        self.record(SagaEvent::DeadlineExceeded { step: work.name(), id: attempt.id.clone(), wait });
        // An approval that is not given has no effect. Any other step may have one, though its answer is lost.
        let uncertain = work.step.kind != StepKind::Approval || work.compensation.is_some();
        let (category, goes_forward) = (Category::Transient, self.state.goes_forward());
        self.failed(&work, &attempt, &FailedAttempt { category, reason: &reason, uncertain, again: true })?;
        if matches!(work.step.kind, StepKind::Child { .. }) && goes_forward {
            self.call_child_back(&work, &reason)?;
        }
        Ok(())
    }

    /// Undoes a child whose parent has gone on, or turned back, without its answer: nobody would hear of its end. Where the
    /// step has a compensation, that one undoes the child and waits for it. Where the parent is stuck at the step, an
    /// operator decides, and the child goes on meanwhile.
    pub(super) fn call_child_back(&mut self, work: &Work<D::Step>, reason: &str) -> Done {
        let StepKind::Child { kind } = work.step.kind else { return Ok(()) };
        let waits_for_operator = matches!(self.state.status, SagaStatus::Stuck { .. });
        let is_undone = !self.state.goes_forward() && work.step.compensation.is_some();
        let Some(begun) = self.state.begun.as_ref().filter(|_| !waits_for_operator && !is_undone) else {
            return Ok(());
        };
        let saga = child_of(&begun.saga, &work.step.full_name(), kind)?;
        let reason = clip(&format!("its parent {} gave it up: {reason}", begun.saga));
        self.tell(CompensateSaga { saga, parent: None, reason });
        Ok(())
    }

    /// An attempt failed: it is tried again, or the saga goes on without the step, or turns back, or waits for an operator.
    pub(super) fn failed(
        &mut self,
        work: &Work<D::Step>,
        attempt: &Attempt,
        failed: &FailedAttempt<'_>,
    ) -> Done {
        let retry_after = self.retry_after(work, attempt, failed.again);
        let retry_at = retry_after.map(|seconds| Self::after(self.now, seconds));
        let (step, reason) = (work.name(), clip(failed.reason));
        let category = failed.category;
        self.record(SagaEvent::StepFailed {
            step: step.clone(),
            direction: attempt.direction,
            id: attempt.id.clone(),
            attempt: attempt.attempt,
            category,
            reason: reason.clone(),
            uncertain: failed.uncertain && !mutants::on("saga.believes-that-nothing-was-done"),
            retry_at,
        });
        match (retry_at, retry_after, attempt.direction) {
            (Some(_), Some(0), _) => self.begin(work),
            (Some(due_at), _, _) => {
                self.wake(format!("retry:{}", attempt.id), due_at);
                Ok(())
            }
            (None, _, Direction::Back) => {
                self.stuck(work, attempt, &reason, category);
                Ok(())
            }
            (None, _, Direction::Forward) if !self.state.goes_forward() => self.advance(),
            (None, _, Direction::Forward) if work.step.best_effort => {
                self.record(SagaEvent::StepPassedOver { step, reason });
                self.advance()
            }
            // Another step is stuck already: both are tried again when the saga is resumed.
            (None, _, Direction::Forward) if self.state.status != SagaStatus::Running => Ok(()),
            (None, _, Direction::Forward) if self.pivot_passed().is_some() => {
                self.stuck(work, attempt, &reason, category);
                Ok(())
            }
            (None, _, Direction::Forward) => {
                if mutants::on("saga.stuck-instead-of-turning-back") {
                    self.stuck(work, attempt, &reason, category);
                    return Ok(());
                }
                let reason = format!("{step} failed: {reason}");
                self.compensate(&reason, Some(category), None, None)
            }
        }
    }

    /// The seconds until the next attempt, if there is one. Once the saga turns back, no step is tried again.
    fn retry_after(&self, work: &Work<D::Step>, attempt: &Attempt, again: bool) -> Option<u32> {
        let policy = work.policy();
        let tried = self.tried(work, attempt);
        let wanted = attempt.direction == Direction::Back
            || self.state.goes_forward()
            || mutants::on("saga.retries-after-turning-back");
        (again && wanted && tried < policy.attempts).then(|| policy.delay_seconds(tried))
    }

    /// Which attempt it is, counted from the start or from the last time that an operator had it tried again.
    fn tried(&self, work: &Work<D::Step>, attempt: &Attempt) -> u32 {
        let tried = attempt.attempt.saturating_sub(self.state.tries(&work.name()).forgiven);
        let deferrals = if mutants::on("saga.deferral-uses-an-attempt") { attempt.deferrals } else { 0 };
        if mutants::on("saga.counts-no-attempts") { 1 } else { tried + deferrals }
    }

    /// The advice comes first, so that a long reason cannot cut it off.
    fn stuck(&mut self, work: &Work<D::Step>, attempt: &Attempt, reason: &str, category: Category) {
        let tried = self.tried(work, attempt);
        let reason = clip(&format!(
            "{} failed {tried} times: put right what stands in its way, then resume the saga; last failure: {reason}",
            work.name()
        ));
        let parent = self.state.parent.clone();
        self.record(SagaEvent::Stuck { step: work.name(), reason: reason.clone(), category, parent });
        self.tell_parent(ChildEnd::Stuck { reason });
    }
}

/// What a timer means to an attempt.
enum Due {
    Retry,
    Missed(Wait),
}

fn due(attempt: &Attempt, name: &str) -> Option<Due> {
    match attempt.waiting {
        Waiting::Retry => (name == attempt.timer()).then_some(Due::Retry),
        Waiting::Answer if name == attempt.timer() => Some(Due::Missed(Wait::Answer)),
        Waiting::Answer => (name == attempt.heartbeat_timer()).then_some(Due::Missed(Wait::Heartbeat)),
    }
}
