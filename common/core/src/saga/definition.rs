//! What a team writes to have a saga: its plan, and the command of each step.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::command::{Parent, SagaCommand};
use super::input::{SagaRef, StepName};
use super::plan::{Plan, StepNames};
use super::refusal::SagaRefusal;
use crate::data::Data;
use crate::ids::StepId;
use crate::payload::{Addressed, ContractError, Payload};

/// A kind of saga. It is data and a few pure functions; [`super::Saga`] runs it.
pub trait SagaDefinition: Send + Sync + Sized + 'static {
    /// The kind, which is the category of its streams, such as `order`.
    const KIND: &'static str;
    /// The version that new sagas start with. A running saga keeps its own.
    const VERSION: u32;
    /// What it is started with; kept from start to end.
    type Order: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;
    /// The names of its steps and compensations.
    type Step: StepNames;
    /// What it asks others to do.
    type Command: Payload + Addressed;

    /// The plan of a version for an order; none where the version is not known. A version is kept for as long as a
    /// saga of it may run, and is never changed, because its history was made by it. The same order must always give
    /// the same plan.
    fn plan(version: u32, order: &Self::Order) -> Option<Plan<Self::Step>>;

    /// Whether a step with a [`super::Step::condition`] is part of this saga. It is asked when the step's stage
    /// begins. `line` is the line of the order, where the plan has a step for each line.
    fn applies(step: Self::Step, line: Option<u32>, facts: &Facts<'_, Self>) -> bool {
        let (_, _, _) = (step, line, facts);
        true
    }

    /// The command by which a step or a compensation is asked for. An approval may have none, because people learn of
    /// it from the event. The engine starts children itself.
    ///
    /// A command may rely on the outputs of earlier stages, except of steps that have a condition, are best effort,
    /// or may be skipped by an operator. A compensation may not rely on the output of the step that it undoes,
    /// because that step may be given up before it answers. Where an output may be missing, read [`Facts::output`]
    /// with `.ok()`.
    ///
    /// # Errors
    /// Where an earlier step's output is missing or has another form.
    fn command(ask: &Ask<'_, Self>) -> Result<Option<Self::Command>, SagaRefusal>;

    /// What the child saga of a step is started with.
    ///
    /// # Errors
    /// As [`Self::command`].
    fn child_order(ask: &Ask<'_, Self>) -> Result<Value, SagaRefusal> {
        let _ = ask;
        Ok(Value::Null)
    }

    /// Whether a step's output has the form that later steps read. If not, the step has failed.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_output(step: Self::Step, line: Option<u32>, output: &Value) -> Result<(), serde_json::Error> {
        let (_, _, _) = (step, line, output);
        Ok(())
    }

    /// An example of a step's output. [`check`](super::check) calls `command` with it. Without it, a command that
    /// reads the output of this step is checked up to that point only.
    fn example_output(step: Self::Step) -> Option<Value> {
        let _ = step;
        None
    }

    /// What a completed saga gives to its parent.
    fn result(facts: &Facts<'_, Self>) -> Value {
        let _ = facts;
        Value::Null
    }

    /// Orders of every shape. The definition is checked with them before it runs, and its plan is drawn from them.
    fn examples() -> Vec<Self::Order>;
}

/// What is to be done about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Do it. A compensation is also done: it has a name of its own.
    Do,
    /// Stop it, because the saga turns back. The plan says whether its answer is awaited.
    Stop,
}

/// What is known of a saga.
#[derive(Debug)]
pub struct Facts<'a, D: SagaDefinition> {
    /// The saga.
    pub saga: &'a SagaRef,
    /// The version it runs.
    pub version: u32,
    /// What the saga was started with.
    pub order: &'a D::Order,
    /// What the completed steps answered.
    pub outputs: &'a BTreeMap<StepName, Value>,
}

impl<D: SagaDefinition> Clone for Facts<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: SagaDefinition> Copy for Facts<'_, D> {}

impl<D: SagaDefinition> Facts<'_, D> {
    /// What a completed step answered.
    ///
    /// # Errors
    /// [`SagaRefusal::Output`] where the step is not done, or answered something else.
    pub fn output<T: DeserializeOwned>(&self, step: D::Step) -> Result<T, SagaRefusal> {
        self.read(&StepName::of(step, None))
    }

    /// What a completed step answered for a line of the order.
    ///
    /// # Errors
    /// As [`Self::output`].
    pub fn output_of_line<T: DeserializeOwned>(&self, step: D::Step, line: u32) -> Result<T, SagaRefusal> {
        self.read(&StepName::of(step, Some(line)))
    }

    fn read<T: DeserializeOwned>(&self, step: &StepName) -> Result<T, SagaRefusal> {
        let refuse = |why: String| SagaRefusal::Output { step: step.clone(), why };
        let output = self.outputs.get(step).ok_or_else(|| refuse("the step is not done".to_owned()))?;
        T::deserialize(output).map_err(|error| refuse(error.to_string()))
    }
}

/// Everything from which a command can be made.
#[derive(Debug)]
pub struct Ask<'a, D: SagaDefinition> {
    /// What is known of the saga.
    pub facts: Facts<'a, D>,
    /// The step, or the compensation.
    pub step: D::Step,
    /// The line of the order, where the plan has a step for each.
    pub line: Option<u32>,
    /// What to do about it.
    pub action: Action,
    /// The attempt that the answer must name. For a callback, the edge derives the outsider's token from it by a
    /// keyed hash, and accepts only answers with the right token. No secret is kept in the stream.
    pub id: &'a StepId,
    /// The input that an operator has given instead of the step's own.
    pub edited: Option<&'a Value>,
}

impl<'a, D: SagaDefinition> Deref for Ask<'a, D> {
    type Target = Facts<'a, D>;

    fn deref(&self) -> &Self::Target {
        &self.facts
    }
}

/// What a saga sends: its definition's commands, and the engine's own to other sagas.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing<C> {
    /// To a step's consumer.
    Step(C),
    /// To a child or a parent.
    Saga(SagaCommand),
}

impl<C: Addressed> Addressed for Outgoing<C> {
    fn queue(&self) -> &'static str {
        match self {
            Self::Step(command) => command.queue(),
            Self::Saga(command) => command.queue(),
        }
    }
}

impl<C: Payload> Payload for Outgoing<C> {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Step(command) => command.type_name(),
            Self::Saga(command) => command.type_name(),
        }
    }

    fn schema_version(&self) -> u32 {
        match self {
            Self::Step(command) => command.schema_version(),
            Self::Saga(command) => command.schema_version(),
        }
    }

    fn to_data(&self) -> Data {
        match self {
            Self::Step(command) => command.to_data(),
            Self::Saga(command) => command.to_data(),
        }
    }

    fn from_data(type_name: &str, schema_version: u32, data: &Data) -> Result<Self, ContractError> {
        match SagaCommand::from_data(type_name, schema_version, data) {
            Err(ContractError::UnknownType { .. }) => {
                C::from_data(type_name, schema_version, data).map(Self::Step)
            }
            known => known.map(Self::Saga),
        }
    }
}

/// The child saga of a step. A step has one child, so that starting, stopping and undoing are about the same saga.
///
/// # Errors
/// Where the id would be too long.
pub(super) fn child_of(saga: &SagaRef, step: &StepName, kind: &str) -> Result<SagaRef, SagaRefusal> {
    Ok(SagaRef::new(kind, &format!("{}.{step}", saga.id()))?)
}

/// The parent that a child of this attempt answers.
pub(super) fn parent_of(saga: &SagaRef, step: &StepId) -> Parent {
    Parent { saga: saga.clone(), step: step.clone() }
}
