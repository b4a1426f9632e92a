//! What a saga records: the same events for every definition, told apart by the category of their streams.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::{SagaId, StepId, StepName};
use crate::data::Data;
use crate::envelope::Actor;
use crate::payload::{ContractError, Payload, tagged, untagged};

/// Which way an attempt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It does a step.
    Forward,
    /// It undoes one.
    Undo,
}

/// What was waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// The answer.
    Answer,
    /// A sign of life.
    Heartbeat,
}

/// What happened in a saga.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum SagaEvent<O> {
    /// It began. The version is kept to the end.
    Started {
        /// Its id.
        saga: SagaId,
        /// The version of its definition.
        version: u32,
        /// What it is about.
        order: O,
        /// The parent's attempt that waits for its end.
        parent: Option<StepId>,
    },
    /// An attempt began.
    StepBegan {
        /// The step.
        step: StepName,
        /// Doing or undoing.
        direction: Direction,
        /// Names the attempt.
        id: StepId,
        /// Its number, from 1.
        attempt: u32,
        /// When it is given up for lost.
        deadline_at: Timestamp,
    },
    /// An outsider showed a sign of life.
    HeartbeatHeard {
        /// The step.
        step: StepName,
        /// How many there were.
        beat: u32,
        /// When the next is due.
        due_at: Timestamp,
    },
    /// Something did not come in time.
    DeadlineExceeded {
        /// The step.
        step: StepName,
        /// The attempt.
        id: StepId,
        /// What did not come.
        wait: Wait,
    },
    /// An attempt failed.
    StepFailed {
        /// The step.
        step: StepName,
        /// Doing or undoing.
        direction: Direction,
        /// The attempt.
        id: StepId,
        /// Why.
        reason: String,
        /// Whether it may have taken effect all the same.
        uncertain: bool,
        /// When it is tried again; never, where absent.
        retry_at: Option<Timestamp>,
    },
    /// A step is done.
    StepCompleted {
        /// The step.
        step: StepName,
        /// The attempt.
        id: StepId,
        /// What came of it.
        output: Value,
        /// Who approved, where a person did.
        approved_by: Option<Actor>,
    },
    /// A step is no longer waited for, because the saga is to be undone.
    StepStopped {
        /// The step.
        step: StepName,
        /// Whether it may have taken effect.
        uncertain: bool,
    },
    /// From here on what was done is undone.
    UndoBegan {
        /// Why.
        reason: String,
        /// The person who wanted it, where one did.
        actor: Option<Actor>,
        /// The parent's attempt that waits for it, where a parent wanted it.
        answers: Option<StepId>,
    },
    /// A step is undone.
    StepUndone {
        /// The step.
        step: StepName,
        /// The attempt.
        id: StepId,
    },
    /// The end: all is done.
    Completed {
        /// The parent's attempt that waits for it.
        parent: Option<StepId>,
    },
    /// The end: all is undone.
    Compensated {
        /// Why.
        reason: String,
        /// The parent's attempt that waits for it.
        parent: Option<StepId>,
    },
    /// A step could not be undone: an operator is needed.
    Stuck {
        /// The step.
        step: StepName,
        /// Why.
        reason: String,
        /// The parent's attempt that waits for the end.
        parent: Option<StepId>,
    },
    /// An operator had it try again.
    Resumed {
        /// Who.
        actor: Actor,
        /// Why.
        reason: String,
    },
    /// An operator has dealt with the step that could not be undone.
    StepSkipped {
        /// The step.
        step: StepName,
        /// Who.
        actor: Actor,
        /// Why.
        reason: String,
    },
    /// An operator gave a step another input.
    StepEdited {
        /// The step.
        step: StepName,
        /// The input.
        input: Value,
        /// Who.
        actor: Actor,
        /// Why.
        reason: String,
    },
}

const NAMES: [&str; 15] = [
    "saga.started",
    "saga.step-began",
    "saga.heartbeat-heard",
    "saga.deadline-exceeded",
    "saga.step-failed",
    "saga.step-completed",
    "saga.step-stopped",
    "saga.undo-began",
    "saga.step-undone",
    "saga.completed",
    "saga.compensated",
    "saga.stuck",
    "saga.resumed",
    "saga.step-skipped",
    "saga.step-edited",
];

impl<O: Serialize + DeserializeOwned + Send + Sync> Payload for SagaEvent<O> {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "saga.started",
            Self::StepBegan { .. } => "saga.step-began",
            Self::HeartbeatHeard { .. } => "saga.heartbeat-heard",
            Self::DeadlineExceeded { .. } => "saga.deadline-exceeded",
            Self::StepFailed { .. } => "saga.step-failed",
            Self::StepCompleted { .. } => "saga.step-completed",
            Self::StepStopped { .. } => "saga.step-stopped",
            Self::UndoBegan { .. } => "saga.undo-began",
            Self::StepUndone { .. } => "saga.step-undone",
            Self::Completed { .. } => "saga.completed",
            Self::Compensated { .. } => "saga.compensated",
            Self::Stuck { .. } => "saga.stuck",
            Self::Resumed { .. } => "saga.resumed",
            Self::StepSkipped { .. } => "saga.step-skipped",
            Self::StepEdited { .. } => "saga.step-edited",
        }
    }

    fn schema_version(&self) -> u32 {
        1
    }

    fn to_data(&self) -> Data {
        untagged(self)
    }

    fn from_data(type_name: &str, schema_version: u32, data: &Data) -> Result<Self, ContractError> {
        tagged("saga.", &NAMES, type_name, schema_version, data)
    }
}
