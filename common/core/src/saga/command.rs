//! What sagas are sent: the same commands for every definition, on the one queue where sagas are run.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::{ChildEnd, Operation, SagaRef, StepName};
use crate::data::Data;
use crate::failure::Category;
use crate::ids::StepId;
use crate::payload::{Addressed, ContractError, Payload, tagged_by, untagged_by};

/// The logical name of the queue, and of the function, that runs all sagas of an application.
pub const SAGAS_QUEUE: &str = "run-sagas";

/// What a reply answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Answers {
    /// One attempt. A reply to an attempt that the saga has given up is ignored.
    Attempt(StepId),
    /// A step or a compensation, whichever attempt asked for it and even in the delay between two attempts: for ends
    /// that come from outside, such as a host that is clean. Ignored while the saga is not at that step.
    Step(StepName),
}

/// How a step went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "result", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum StepOutcome {
    /// It is done.
    Succeeded {
        /// What came of it, for later steps.
        #[serde(default)]
        output: Value,
    },
    /// It did not work.
    Failed {
        /// Transient failures are worth another attempt.
        category: Category,
        /// What happened, and what to do.
        reason: String,
        /// Whether something may have been done all the same. Then the step is undone as if it had succeeded.
        uncertain: bool,
    },
    /// It waits, for what it needs is away. The saga moves the step's deadline, and counts no attempt.
    Deferred {
        /// When it is looked at again.
        until: Timestamp,
        /// What is away.
        reason: String,
    },
    /// It is still being worked on: a callback's sign of life.
    Alive,
}

/// The standard answer of a step to its saga.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepReply {
    /// The saga that asked.
    pub saga: SagaRef,
    /// What is answered.
    pub answers: Answers,
    /// How it went.
    pub outcome: StepOutcome,
}

impl StepReply {
    /// The attempt succeeded.
    #[must_use]
    pub fn succeeded(saga: SagaRef, step: StepId, output: Value) -> Self {
        Self { saga, answers: Answers::Attempt(step), outcome: StepOutcome::Succeeded { output } }
    }

    /// The attempt failed. Use [`StepOutcome::Failed`] itself where it is certain that nothing was done.
    #[must_use]
    pub fn failed(saga: SagaRef, step: StepId, category: Category, reason: impl Into<String>) -> Self {
        let outcome = StepOutcome::Failed { category, reason: reason.into(), uncertain: true };
        Self { saga, answers: Answers::Attempt(step), outcome }
    }

    /// The attempt waits until then.
    #[must_use]
    pub fn deferred(saga: SagaRef, step: StepId, until: Timestamp, reason: impl Into<String>) -> Self {
        let outcome = StepOutcome::Deferred { until, reason: reason.into() };
        Self { saga, answers: Answers::Attempt(step), outcome }
    }
}

/// The parent's attempt that waits for the end of a child saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    /// The parent.
    pub saga: SagaRef,
    /// Its attempt.
    pub step: StepId,
}

impl Parent {
    /// Whether it is a later attempt of the same step.
    pub(super) fn is_later_than(&self, other: &Self) -> bool {
        let attempt = |parent: &Self| {
            let (step, attempt) = parent.step.as_str().rsplit_once('/')?;
            Some((step.to_owned(), attempt.parse::<u32>().ok()?))
        };
        let (Some((step, later)), Some((same, earlier))) = (attempt(self), attempt(other)) else {
            return false;
        };
        self.saga == other.saga && step == same && later > earlier
    }
}

/// What a saga is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "command", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum SagaCommand {
    /// Begin. Sending it again is safe.
    StartSaga {
        /// The saga.
        saga: SagaRef,
        /// What it is about: the order of its definition.
        order: Value,
        /// The parent's attempt that waits for its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// A step's answer.
    AnswerStep(StepReply),
    /// A child saga's end, for its parent.
    AnswerChild {
        /// The parent.
        saga: SagaRef,
        /// The parent's attempt that waited.
        step: StepId,
        /// How the child ended.
        end: ChildEnd,
    },
    /// The parent wants a child undone, even when it is complete.
    CompensateSaga {
        /// The child.
        saga: SagaRef,
        /// The parent's attempt that waits for the end; absent where none waits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
        /// Why.
        reason: String,
    },
}

/// The wire names of [`SagaCommand`].
pub const SAGA_COMMANDS: [&str; 4] = ["start-saga", "answer-step", "answer-child", "compensate-saga"];

impl SagaCommand {
    /// The saga that it is for.
    #[must_use]
    pub fn saga(&self) -> &SagaRef {
        match self {
            Self::StartSaga { saga, .. }
            | Self::AnswerChild { saga, .. }
            | Self::CompensateSaga { saga, .. } => saga,
            Self::AnswerStep(reply) => &reply.saga,
        }
    }
}

impl From<StepReply> for SagaCommand {
    fn from(reply: StepReply) -> Self {
        Self::AnswerStep(reply)
    }
}

impl Addressed for SagaCommand {
    fn queue(&self) -> &'static str {
        SAGAS_QUEUE
    }
}

impl Payload for SagaCommand {
    fn type_name(&self) -> &'static str {
        match self {
            Self::StartSaga { .. } => "start-saga",
            Self::AnswerStep(_) => "answer-step",
            Self::AnswerChild { .. } => "answer-child",
            Self::CompensateSaga { .. } => "compensate-saga",
        }
    }

    fn schema_version(&self) -> u32 {
        1
    }

    fn to_data(&self) -> Data {
        untagged_by("command", self)
    }

    fn from_data(type_name: &str, schema_version: u32, data: &Data) -> Result<Self, ContractError> {
        tagged_by("command", "", &SAGA_COMMANDS, type_name, schema_version, data)
    }
}

/// What an operator asks of a saga, whatever its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "command", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum OperateSaga {
    /// Undo a saga that is on its way forward.
    CancelSaga {
        /// The saga.
        saga: SagaRef,
        /// Why.
        reason: String,
    },
    /// Have a stuck saga try again.
    ResumeSaga {
        /// The saga.
        saga: SagaRef,
        /// Why.
        reason: String,
    },
    /// Go on without a step, or a compensation, that is stuck or waits for its next attempt.
    SkipStep {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepName,
        /// Why, and what was done instead.
        reason: String,
    },
    /// Try a step, or a compensation, that is stuck or waits for its next attempt with another input.
    EditStep {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepName,
        /// What takes the place of its input.
        input: Value,
        /// Why.
        reason: String,
    },
    /// Approve what waits for a person.
    ApproveStep {
        /// The saga.
        saga: SagaRef,
        /// The approval, where several wait.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepName>,
        /// Why.
        reason: String,
    },
    /// Reject what waits for a person.
    RejectStep {
        /// The saga.
        saga: SagaRef,
        /// The approval, where several wait.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepName>,
        /// Why.
        reason: String,
    },
}

/// The wire names of [`OperateSaga`].
pub const OPERATOR_COMMANDS: [&str; 6] =
    ["cancel-saga", "resume-saga", "skip-step", "edit-step", "approve-step", "reject-step"];

impl OperateSaga {
    /// The saga, what is to be done about it, and why.
    #[must_use]
    pub fn into_parts(self) -> (SagaRef, Operation, String) {
        match self {
            Self::CancelSaga { saga, reason } => (saga, Operation::Cancel, reason),
            Self::ResumeSaga { saga, reason } => (saga, Operation::Resume, reason),
            Self::SkipStep { saga, step, reason } => (saga, Operation::Skip { step }, reason),
            Self::EditStep { saga, step, input, reason } => (saga, Operation::Edit { step, input }, reason),
            Self::ApproveStep { saga, step, reason } => (saga, Operation::Approve { step }, reason),
            Self::RejectStep { saga, step, reason } => (saga, Operation::Reject { step }, reason),
        }
    }

    /// The saga that it is for.
    #[must_use]
    pub fn saga(&self) -> &SagaRef {
        match self {
            Self::CancelSaga { saga, .. }
            | Self::ResumeSaga { saga, .. }
            | Self::SkipStep { saga, .. }
            | Self::EditStep { saga, .. }
            | Self::ApproveStep { saga, .. }
            | Self::RejectStep { saga, .. } => saga,
        }
    }
}

impl Addressed for OperateSaga {
    fn queue(&self) -> &'static str {
        "commands"
    }
}

impl Payload for OperateSaga {
    fn type_name(&self) -> &'static str {
        match self {
            Self::CancelSaga { .. } => "cancel-saga",
            Self::ResumeSaga { .. } => "resume-saga",
            Self::SkipStep { .. } => "skip-step",
            Self::EditStep { .. } => "edit-step",
            Self::ApproveStep { .. } => "approve-step",
            Self::RejectStep { .. } => "reject-step",
        }
    }

    fn schema_version(&self) -> u32 {
        1
    }

    fn to_data(&self) -> Data {
        untagged_by("command", self)
    }

    fn from_data(type_name: &str, schema_version: u32, data: &Data) -> Result<Self, ContractError> {
        tagged_by("command", "", &OPERATOR_COMMANDS, type_name, schema_version, data)
    }
}
