//! What a team writes to have a saga: its plan, and the command of each errand.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::input::{SagaId, StepId, StepName};
use super::plan::Plan;
use crate::payload::{Addressed, Payload};

/// A kind of saga. It is data and two pure functions; [`super::Saga`] runs it.
pub trait SagaDefinition: Send + Sync + 'static {
    /// The category of its streams, such as `order`.
    const CATEGORY: &'static str;
    /// The version that new sagas start with. A running saga keeps its own.
    const VERSION: u32;
    /// The logical name of the queue to which its timers are delivered.
    const TIMERS_TO: &'static str;
    /// What it is started with; kept from start to end.
    type Order: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;
    /// What it asks others to do.
    type Command: Payload + Addressed;

    /// The plan of a version: none where the version is not known. A version stays for as long as one saga of it
    /// may still run, and is never changed: history was made by it.
    fn plan(version: u32) -> Option<Plan>;

    /// Whether a step with a [`super::Step::condition`] is part of the saga of this order. It must answer the same
    /// for as long as the version exists.
    fn applies(version: u32, step: &StepName, order: &Self::Order) -> bool {
        let (_, _, _) = (version, step, order);
        true
    }

    /// The command of an errand. Approvals may do without; then people learn of them from the event.
    fn command(ask: &Ask<'_, Self::Order>) -> Option<Self::Command>;
}

/// What is to be done about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Do it.
    Do,
    /// A sibling failed: stop what is still under way. The step's own answer tells how it ended.
    Stop,
    /// Undo it, whether or not it was done: the last answer may have been lost. Must be idempotent.
    Undo,
}

/// Everything that a command may be made of.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a, O> {
    /// The saga.
    pub saga: &'a SagaId,
    /// The version it runs.
    pub version: u32,
    /// The step.
    pub step: &'a StepName,
    /// What to do about it.
    pub errand: Errand,
    /// The attempt that the answer must name. For callbacks, the edge makes the outsider's token of it, by a keyed
    /// hash, and lets only answers with the right token in: no secret is kept in the stream.
    pub id: &'a StepId,
    /// What the saga was started with.
    pub order: &'a O,
    /// What an operator put in place of the step's input.
    pub edited: Option<&'a Value>,
    /// What the completed steps answered.
    pub outputs: &'a BTreeMap<StepName, Value>,
}

impl<O> Ask<'_, O> {
    /// The id of the saga that a child step starts, stops and undoes: one for each step, so that all three errands
    /// are about the same child.
    #[must_use]
    pub fn child(&self) -> SagaId {
        SagaId::of_child(self.saga, self.step)
    }
}
