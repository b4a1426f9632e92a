//! What a saga records. The events are the same for every definition; the category of the stream tells the
//! definitions apart.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::command::Parent;
use super::input::{SagaRef, StepName};
use crate::contract::{Contract, Contracts, Kind, variant_schema};
use crate::data::Data;
use crate::envelope::Actor;
use crate::failure::Category;
use crate::ids::StepId;
use crate::payload::{ContractError, Payload, tagged, untagged};

/// Whether an attempt does a step or undoes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It does a step.
    Forward,
    /// It is a compensation.
    Back,
}

/// What did not come in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// The answer.
    Answer,
    /// A sign of life.
    Heartbeat,
}

/// What happened in a saga. A `step` is a step or a compensation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum SagaEvent<O> {
    /// It began. The version is kept to the end.
    Started {
        /// Its name.
        saga: SagaRef,
        /// The version of its definition.
        version: u32,
        /// What it is about.
        order: O,
        /// The parent's attempt that waits for its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// An attempt began.
    StepStarted {
        /// The step.
        step: StepName,
        /// Doing or undoing.
        direction: Direction,
        /// Names the attempt.
        id: StepId,
        /// Its number, from 1.
        attempt: u32,
        /// Its deadline.
        deadline_at: Timestamp,
    },
    /// An attempt waits, because a dependency is away. It has more time.
    StepDeferred {
        /// The step.
        step: StepName,
        /// The attempt.
        id: StepId,
        /// How often it was deferred.
        deferrals: u32,
        /// Its deadline now.
        deadline_at: Timestamp,
        /// Which dependency is away.
        reason: String,
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
        /// Its number, from 1.
        attempt: u32,
        /// The kind of failure.
        category: Category,
        /// Why.
        reason: String,
        /// Whether something may have been done all the same.
        uncertain: bool,
        /// When it is tried again; absent where it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// A step is done.
    StepCompleted {
        /// The step.
        step: StepName,
        /// The attempt.
        id: StepId,
        /// What came of it.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        output: Value,
        /// Who approved, where a person did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved_by: Option<Actor>,
    },
    /// A best-effort step failed, and the saga goes on without it.
    StepPassedOver {
        /// The step.
        step: StepName,
        /// Why it failed.
        reason: String,
    },
    /// A step is no longer waited for, because the saga turns back.
    StepStopped {
        /// The step.
        step: StepName,
        /// Whether something may have been done.
        uncertain: bool,
    },
    /// A later attempt of the parent waits for the end.
    ParentChanged {
        /// The attempt.
        parent: Parent,
    },
    /// The saga turns back: from here on it undoes what was done.
    CompensationStarted {
        /// Why.
        reason: String,
        /// The kind of failure that made it turn back; absent where a person or a parent wanted it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Option<Category>,
        /// The person who wanted it, where one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actor: Option<Actor>,
        /// The parent's attempt that waits for it, where a parent wanted it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// The parent wants the saga undone, which is past its point of no return.
    CompensationRefused {
        /// Why not.
        reason: String,
        /// The parent's attempt that waits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// A compensation is done.
    StepCompensated {
        /// The compensation.
        step: StepName,
        /// The attempt.
        id: StepId,
        /// The steps that it undoes: those that have taken effect or may have. Absent in events from before this was
        /// recorded.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        undoes: Vec<StepName>,
        /// What came of it.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        output: Value,
    },
    /// The end: every step is done.
    Completed {
        /// What came of it.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        output: Value,
    },
    /// The end: everything is undone.
    Compensated {
        /// Why.
        reason: String,
        /// The parent's attempt that waits for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// It cannot go on by itself, and waits for an operator.
    Stuck {
        /// The compensation, or the step past the point of no return.
        step: StepName,
        /// Why it failed.
        reason: String,
        /// The kind of failure.
        category: Category,
        /// The parent's attempt that waits for the end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// An operator had it try again.
    Resumed {
        /// Who.
        actor: Actor,
        /// Why.
        reason: String,
    },
    /// An operator has seen to a step otherwise.
    StepSkipped {
        /// The step.
        step: StepName,
        /// The steps that count as undone, where it is a compensation.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        undoes: Vec<StepName>,
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

macro_rules! names {
    ($($variant:ident = $tag:literal),+ $(,)?) => {
        impl<O> SagaEvent<O> {
            /// The wire names of all events of sagas.
            pub const NAMES: &'static [&'static str] = &[$(concat!("saga.", $tag)),+];
        }

        impl<O: Serialize + DeserializeOwned + JsonSchema + Send + Sync> Contracts for SagaEvent<O> {
            const NAMES: &'static [&'static str] = Self::NAMES;

            fn contracts() -> Vec<Contract> {
                vec![$(
                    Contract {
                        name: concat!("saga.", $tag),
                        version: 1,
                        kind: Kind::Event,
                        queue: None,
                        schema: || variant_schema::<Self>($tag),
                        check: |data| {
                            let read = Self::from_data(concat!("saga.", $tag), 1, data);
                            read.map(drop).map_err(serde::de::Error::custom)
                        },
                    },
                )+]
            }
        }

        impl<O: Serialize + DeserializeOwned + Send + Sync> Payload for SagaEvent<O> {
            fn type_name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => concat!("saga.", $tag) ),+ }
            }

            fn schema_version(&self) -> u32 {
                1
            }

            fn to_data(&self) -> Data {
                untagged(self)
            }

            fn from_data(type_name: &str, schema_version: u32, data: &Data) -> Result<Self, ContractError> {
                tagged("saga.", Self::NAMES, type_name, schema_version, data)
            }
        }
    };
}

names! {
    Started = "started",
    StepStarted = "step-started",
    StepDeferred = "step-deferred",
    HeartbeatHeard = "heartbeat-heard",
    DeadlineExceeded = "deadline-exceeded",
    StepFailed = "step-failed",
    StepCompleted = "step-completed",
    StepPassedOver = "step-passed-over",
    StepStopped = "step-stopped",
    ParentChanged = "parent-changed",
    CompensationStarted = "compensation-started",
    CompensationRefused = "compensation-refused",
    StepCompensated = "step-compensated",
    Completed = "completed",
    Compensated = "compensated",
    Stuck = "stuck",
    Resumed = "resumed",
    StepSkipped = "step-skipped",
    StepEdited = "step-edited",
}
