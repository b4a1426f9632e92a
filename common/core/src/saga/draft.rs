//! A decision under construction: each event is folded at once, so that the next step of the decision sees it.

use jiff::{SignedDuration, Timestamp};

use super::command::{CompensateSaga, SagaCommand, StartSaga};
use super::definition::{Action, Ask, Facts, Outgoing, SagaDefinition, child_of, parent_of};
use super::event::{Direction, SagaEvent};
use super::input::StepName;
use super::plan::{Compensation, Plan, RetryPolicy, Step, StepKind};
use super::refusal::SagaRefusal;
use super::state::{Attempt, SagaState};
use super::{SAGAS_QUEUE, SagaDecision, fold};
use crate::decider::{Decision, SetTimer};
use crate::ids::StepId;

/// Whether it worked. A refusal discards the whole decision.
pub(super) type Done = Result<(), SagaRefusal>;

/// What an attempt is about.
#[derive(Debug, Clone)]
pub(super) struct Work<N> {
    /// The step that is done, or the first one that the compensation undoes.
    pub(super) step: Step<N>,
    /// The compensation, where it is one.
    pub(super) compensation: Option<Compensation<N>>,
}

impl<N: super::StepNames> Work<N> {
    pub(super) fn name(&self) -> StepName {
        StepName::of(self.names(), self.step.line)
    }

    fn names(&self) -> N {
        self.compensation.map_or(self.step.name, |compensation| compensation.name)
    }

    pub(super) fn policy(&self) -> RetryPolicy {
        self.compensation.map_or(self.step.policy, |compensation| compensation.policy)
    }

    pub(super) fn direction(&self) -> Direction {
        if self.compensation.is_some() { Direction::Back } else { Direction::Forward }
    }

    pub(super) fn never_skipped(&self) -> Option<&'static str> {
        self.compensation.map_or(self.step.never_skipped, |compensation| compensation.never_skipped)
    }
}

/// A decision in the making.
pub(super) struct Draft<D: SagaDefinition> {
    pub(super) state: SagaState<D::Order>,
    pub(super) plan: Plan<D::Step>,
    pub(super) now: Timestamp,
    pub(super) decision: SagaDecision<D>,
}

impl<D: SagaDefinition> Draft<D> {
    pub(super) fn new(state: SagaState<D::Order>, plan: Plan<D::Step>, now: Timestamp) -> Self {
        Self { state, plan, now, decision: Decision::nothing() }
    }

    /// Records an event.
    pub(super) fn record(&mut self, event: SagaEvent<D::Order>) {
        self.state = fold::<D>(std::mem::take(&mut self.state), &event, &self.plan);
        self.decision.events.push(event);
    }

    /// The moment so many seconds after another, or the last moment that can be told.
    pub(super) fn after(from: Timestamp, seconds: u32) -> Timestamp {
        from.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
    }

    /// Sets a timer.
    pub(super) fn wake(&mut self, name: String, due_at: Timestamp) {
        self.decision.timers.push(SetTimer { name, due_at, deliver_to: SAGAS_QUEUE });
    }

    /// Sends something to another saga.
    pub(super) fn tell(&mut self, command: impl Into<SagaCommand>) {
        self.decision.commands.push(Outgoing::Saga(command.into()));
    }

    /// The step or compensation of a name. A version's plan never changes, so that it has every name its sagas use.
    pub(super) fn work(&self, name: &StepName) -> Option<Work<D::Step>> {
        if let Some(step) = self.plan.step(name) {
            return Some(Work { step: step.clone(), compensation: None });
        }
        let (step, compensation) = self.plan.undone_by(name)?;
        Some(Work { step: step.clone(), compensation: Some(compensation) })
    }

    /// What is known of the saga; nothing before it has started.
    pub(super) fn facts(&self) -> Option<Facts<'_, D>> {
        let begun = self.state.begun.as_ref()?;
        let (saga, version, order) = (&begun.saga, begun.version, &begun.order);
        Some(Facts { saga, version, order, outputs: &self.state.outputs })
    }

    /// The next attempt: its event, its command, its deadline and, where there is one, its heartbeat.
    pub(super) fn begin(&mut self, work: &Work<D::Step>) -> Done {
        let Some(begun) = &self.state.begun else { return Ok(()) };
        let name = work.name();
        let attempt = self.state.tries(&name).begun.saturating_add(1);
        let id = StepId::new(format!("{}/{name}/{attempt}", begun.saga.id()))?;
        let deadline_at = Self::after(self.now, work.policy().deadline_seconds);
        let direction = work.direction();
        self.record(SagaEvent::StepStarted { step: name, direction, id: id.clone(), attempt, deadline_at });
        self.send(work, Action::Do, &id)?;
        self.wake(format!("deadline:{id}"), deadline_at);
        if let (StepKind::Callback { heartbeat_seconds }, Direction::Forward) = (work.step.kind, direction) {
            let due_at = Self::after(self.now, heartbeat_seconds);
            self.wake(format!("heartbeat:{id}:0"), due_at);
        }
        Ok(())
    }

    /// Asks others for something.
    pub(super) fn send(&mut self, work: &Work<D::Step>, action: Action, id: &StepId) -> Done {
        let Some(facts) = self.facts() else { return Ok(()) };
        let edited = self.state.edits.get(&work.name());
        let ask = Ask { facts, step: work.names(), line: work.step.line, action, id, edited };
        let StepKind::Child { kind } = work.step.kind else {
            let command = D::command(&ask)?;
            self.decision.commands.extend(command.map(Outgoing::Step));
            return Ok(());
        };
        let saga = child_of(facts.saga, &work.step.full_name(), kind)?;
        let parent = Some(parent_of(facts.saga, id));
        if work.direction() == Direction::Forward && action == Action::Do {
            let order = D::child_order(&ask)?;
            self.tell(StartSaga { saga, order, parent });
        } else {
            let reason = self.state.status.reason().unwrap_or("its parent turns back").to_owned();
            self.tell(CompensateSaga { saga, parent, reason });
        }
        Ok(())
    }

    /// The attempt of this id that waits for its answer, with what it is about.
    pub(super) fn awaiting(&self, id: &StepId) -> Option<(Work<D::Step>, Attempt)> {
        let (name, attempt) = self.state.awaiting(id)?;
        Some((self.work(name)?, attempt.clone()))
    }

    /// The point of no return, once its step has begun and has not failed for certain; the first step of a plan that never
    /// goes back.
    pub(super) fn pivot_passed(&self) -> Option<StepName> {
        let passed = |name: &StepName| {
            self.state.done.contains(name)
                || self.state.running.contains_key(name)
                || self.state.effects.contains(name)
        };
        let mut steps = self.plan.steps();
        if self.plan.forward_only {
            return steps.next().map(Step::full_name);
        }
        steps.filter(|step| step.pivot).map(Step::full_name).find(passed)
    }
}
