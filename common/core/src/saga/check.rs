//! A definition is checked with its examples before it runs.
//!
//! The check calls `command` with the outputs that are certain to be there when the step begins, and with no others.
//! A command that then refuses because an output is missing would do so in a running saga as well, and that saga
//! would never go on. A command that does without an output refuses nothing, so that there are no false alarms.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value;

use super::bad_plan::BadPlan;
use super::definition::{Action, Ask, Facts, SagaDefinition};
use super::input::{SagaRef, StepName};
use super::plan::{Plan, Step, StepKind};
use super::refusal::SagaRefusal;
use crate::ids::StepId;

/// Checks a definition with its examples, as is done at every cold start.
///
/// # Errors
/// What is wrong, and where.
pub fn check<D: SagaDefinition>() -> Result<(), SagaRefusal> {
    let (kind, version) = (D::KIND, D::VERSION);
    let saga = SagaRef::new(kind, "example")?;
    let examples = D::examples();
    if examples.is_empty() {
        return Err(BadPlan::NoExample.of(kind));
    }
    for order in &examples {
        let unknown = SagaRefusal::UnknownVersion { kind, version, newest: version };
        let plan = D::plan(version, order).ok_or(unknown)?;
        plan.check().map_err(|bad| bad.of(kind))?;
        Example::<D> { saga: &saga, order, plan: &plan }.check()?;
    }
    Ok(())
}

/// The outputs that are certain to be there. One has no value where the definition gives no example of it.
type Certain = BTreeMap<StepName, Option<Value>>;

/// An order, and the plan for it.
struct Example<'a, D: SagaDefinition> {
    saga: &'a SagaRef,
    order: &'a D::Order,
    plan: &'a Plan<D::Step>,
}

/// The step or compensation that is asked for.
struct Asked<'a, N> {
    name: N,
    step: &'a Step<N>,
    certain: &'a Certain,
}

impl<D: SagaDefinition> Example<'_, D> {
    fn check(&self) -> Result<(), SagaRefusal> {
        let mut certain = Certain::new();
        let mut past_pivot = self.plan.forward_only;
        for stage in &self.plan.stages {
            for step in &stage.steps {
                self.check_step(step, &certain)?;
            }
            past_pivot |= stage.steps.iter().any(|step| step.pivot);
            for step in stage.steps.iter().filter(|step| may_have_no_output(step, past_pivot).is_none()) {
                certain.insert(step.full_name(), self.example_output(step)?);
            }
        }
        Ok(())
    }

    /// Checks the commands of a step and of its compensation. A compensation may run after only the first of its
    /// steps was given up. Then it has the same outputs as that step had.
    fn check_step(&self, step: &Step<D::Step>, certain: &Certain) -> Result<(), SagaRefusal> {
        let forward = Asked { name: step.name, step, certain };
        if let StepKind::Child { .. } = step.kind {
            // The engine stops and undoes children by itself.
            return self.with_ask(&forward, Action::Do, |ask| self.judge(&forward, D::child_order(ask)));
        }
        let asked = self.with_ask(&forward, Action::Do, |ask| D::command(ask));
        let asks_nobody = matches!(asked, Ok(None)) && step.kind != StepKind::Approval;
        self.judge(&forward, asked)?;
        if asks_nobody {
            return Err(BadPlan::NoCommand { step: step.full_name() }.of(D::KIND));
        }
        if step.kind != StepKind::Approval {
            self.with_ask(&forward, Action::Stop, |ask| self.judge(&forward, D::command(ask)))?;
        }
        let first = |name: &StepName| self.plan.undone_by(name).is_some_and(|(first, _)| first == step);
        if let (Some(compensation), Some(name)) = (step.compensation, step.undone_by_name())
            && first(&name)
        {
            let back = Asked { name: compensation.name, step, certain };
            let asked = self.with_ask(&back, Action::Do, |ask| D::command(ask));
            let asks_nobody = matches!(asked, Ok(None));
            self.judge(&back, asked)?;
            if asks_nobody {
                return Err(BadPlan::NoCommand { step: name }.of(D::KIND));
            }
        }
        Ok(())
    }

    fn with_ask<T>(
        &self,
        asked: &Asked<'_, D::Step>,
        action: Action,
        ask_for: impl FnOnce(&Ask<'_, D>) -> Result<T, SagaRefusal>,
    ) -> Result<T, SagaRefusal> {
        let known = asked.certain.iter().filter_map(|(step, value)| Some((step.clone(), value.clone()?)));
        let outputs = known.collect();
        let (version, line) = (D::VERSION, asked.step.line);
        let facts = Facts { saga: self.saga, version, order: self.order, outputs: &outputs };
        let id = StepId::new(format!("example/{}/1", StepName::of(asked.name, line)))?;
        ask_for(&Ask { facts, step: asked.name, line, action, id: &id, edited: None })
    }

    /// Judges a missing output only: other refusals may be about the example.
    fn judge<T>(
        &self,
        asked: &Asked<'_, D::Step>,
        answer: Result<T, SagaRefusal>,
    ) -> Result<(), SagaRefusal> {
        let Err(SagaRefusal::Output { step: read, why }) = answer else { return Ok(()) };
        let step = StepName::of(asked.name, asked.step.line);
        match asked.certain.get(&read) {
            // It is certain to be there, and its form is not known: the command cannot be judged.
            Some(None) => Ok(()),
            Some(Some(_)) => Err(BadPlan::OutputForm { step, read, why }.of(D::KIND)),
            None => {
                let why = self.why_uncertain(asked, &read);
                Err(BadPlan::OutputUncertain { step, read, why }.of(D::KIND))
            }
        }
    }

    fn why_uncertain(&self, asked: &Asked<'_, D::Step>, read: &StepName) -> &'static str {
        let stages = &self.plan.stages;
        let stage_of = |name: &StepName| {
            stages.iter().position(|stage| stage.steps.iter().any(|step| step.full_name() == *name))
        };
        let pivot = stages.iter().position(|stage| stage.steps.iter().any(|step| step.pivot));
        let own = asked.step.full_name();
        let (Some(step), Some(there)) = (self.plan.step(read), stage_of(read)) else {
            return "is no step of the plan";
        };
        if *read == own && asked.name == asked.step.name {
            return "is that step itself";
        }
        if *read == own {
            return "may be given up before it answers";
        }
        match Some(there).cmp(&stage_of(&own)) {
            Ordering::Greater => "comes later",
            Ordering::Equal => "runs at the same time",
            Ordering::Less => {
                let past_pivot = self.plan.forward_only || pivot.is_some_and(|pivot| there >= pivot);
                may_have_no_output(step, past_pivot).unwrap_or("may not have run")
            }
        }
    }

    /// The example that the definition gives of a step's output, which the step's own check must accept.
    fn example_output(&self, step: &Step<D::Step>) -> Result<Option<Value>, SagaRefusal> {
        if step.kind == StepKind::Approval {
            return Ok(Some(Value::Null));
        }
        let Some(output) = D::example_output(step.name) else { return Ok(None) };
        match D::check_output(step.name, step.line, &output) {
            Ok(()) => Ok(Some(output)),
            Err(error) => {
                let (step, why) = (step.full_name(), error.to_string());
                Err(BadPlan::ExampleOutput { step, why }.of(D::KIND))
            }
        }
    }
}

/// Why a step may leave no output although the saga goes on after it. An operator can skip a step that waits for
/// another attempt or is stuck. A step with one attempt never waits for another, and is stuck only past the point of
/// no return.
fn may_have_no_output<N>(step: &Step<N>, past_pivot: bool) -> Option<&'static str> {
    let held_up = step.policy.attempts > 1 || past_pivot;
    if step.condition.is_some() {
        Some("has a condition, so it may be left out")
    } else if step.best_effort {
        Some("is best effort, so the saga may go on without it")
    } else if held_up && step.never_skipped.is_none() {
        Some("may be skipped by an operator; `never_skipped` forbids that")
    } else {
        None
    }
}
