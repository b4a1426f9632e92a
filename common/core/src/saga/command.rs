//! The commands to sagas, which are the same for every definition and go to the one queue where sagas are run.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::{ChildEnd, Operation, SagaRef, StepName};
use crate::failure::Category;
use crate::ids::StepId;

/// The logical name of the queue, and of the function, that runs all sagas of an application.
pub const SAGAS_QUEUE: &str = "run-sagas";

/// What a reply answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Answers {
    /// One attempt. A reply to an attempt that the saga has given up is ignored.
    Attempt(StepId),
    /// A step or a compensation, whichever attempt asked for it, also in the delay between two attempts. This is for
    /// ends that come from outside, such as a host that is clean. Ignored while the saga is not at that step.
    Step(StepName),
}

impl Answers {
    /// All attempts of the step that this attempt belongs to. None, where the id is not the id of an attempt.
    #[must_use]
    pub fn any_attempt_of(step: &StepId) -> Option<Self> {
        let name = step.as_str().rsplit('/').nth(1)?;
        Some(Self::Step(StepName::said(name)))
    }
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
    /// It failed.
    Failed {
        /// Transient failures are worth another attempt.
        category: Category,
        /// What happened, and what to do.
        reason: String,
        /// Whether something may have been done all the same. Then the step is undone as if it had succeeded.
        uncertain: bool,
    },
    /// It waits, because a dependency is away. The saga moves the step's deadline, and counts no attempt.
    Deferred {
        /// When it is looked at again.
        until: Timestamp,
        /// Which dependency is away.
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

    /// The attempt was refused, and it is certain that nothing was done. Another attempt is of no use.
    #[must_use]
    pub fn refused(saga: SagaRef, step: StepId, reason: impl Into<String>) -> Self {
        let (category, reason) = (Category::Business, reason.into());
        let outcome = StepOutcome::Failed { category, reason, uncertain: false };
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

crate::contracts! {
    /// What a saga is sent.
    pub enum SagaCommand as Command {
        "start-saga" v 1 @ "run-sagas" => Start(StartSaga) of saga,
        "answer-step" v 1 @ "run-sagas" => Answer(StepReply) of saga,
        "answer-child" v 1 @ "run-sagas" => AnswerChild(AnswerChild) of saga,
        "compensate-saga" v 1 @ "run-sagas" => Compensate(CompensateSaga) of saga,
    }
}

/// Start a saga. Sending it again is safe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartSaga {
    /// The saga.
    pub saga: SagaRef,
    /// What it is about: the order of its definition.
    pub order: Value,
    /// The parent's attempt that waits for its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

/// A child saga's end, for its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswerChild {
    /// The parent.
    pub saga: SagaRef,
    /// The parent's attempt that waited.
    pub step: StepId,
    /// How the child ended.
    pub end: ChildEnd,
}

/// The parent wants a child undone, even when it is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompensateSaga {
    /// The child.
    pub saga: SagaRef,
    /// The parent's attempt that waits for the end; absent where none waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// Why.
    pub reason: String,
}

impl SagaCommand {
    /// The saga that it is for.
    #[must_use]
    pub fn saga(&self) -> &SagaRef {
        match self {
            Self::Start(StartSaga { saga, .. })
            | Self::Answer(StepReply { saga, .. })
            | Self::AnswerChild(AnswerChild { saga, .. })
            | Self::Compensate(CompensateSaga { saga, .. }) => saga,
        }
    }
}

crate::contracts! {
    /// What operators of any application may ask of a saga, whatever its kind.
    pub enum SagaOperation as Command {
        "cancel-saga" v 1 @ "commands" => Cancel(CancelSaga) of saga,
        "resume-saga" v 1 @ "commands" => Resume(ResumeSaga) of saga,
        "skip-step" v 1 @ "commands" => Skip(SkipStep) of saga,
        "edit-step" v 1 @ "commands" => Edit(EditStep) of saga,
        "approve-step" v 1 @ "commands" => Approve(ApproveStep) of saga,
        "reject-step" v 1 @ "commands" => Reject(RejectStep) of saga,
    }
}

/// Cancel a saga: what it has done is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelSaga {
    /// The saga.
    pub saga: SagaRef,
    /// Why.
    pub reason: String,
}

/// Let a stuck saga try again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResumeSaga {
    /// The saga.
    pub saga: SagaRef,
    /// Why.
    pub reason: String,
}

/// Go on without a step, or a compensation, that is stuck or waits for its next attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SkipStep {
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepName,
    /// Why, and what was done instead.
    pub reason: String,
}

/// Try a step, or a compensation, that is stuck or waits for its next attempt with another input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditStep {
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepName,
    /// What takes the place of its input.
    pub input: Value,
    /// Why.
    pub reason: String,
}

/// Approve a step that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveStep {
    /// The saga.
    pub saga: SagaRef,
    /// The approval, where several wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// Why.
    pub reason: String,
}

/// Reject a step that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejectStep {
    /// The saga.
    pub saga: SagaRef,
    /// The approval, where several wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// Why.
    pub reason: String,
}

impl SagaOperation {
    /// The saga that it is for.
    #[must_use]
    pub fn saga(&self) -> &SagaRef {
        match self {
            Self::Cancel(CancelSaga { saga, .. })
            | Self::Resume(ResumeSaga { saga, .. })
            | Self::Skip(SkipStep { saga, .. })
            | Self::Edit(EditStep { saga, .. })
            | Self::Approve(ApproveStep { saga, .. })
            | Self::Reject(RejectStep { saga, .. }) => saga,
        }
    }

    /// The saga, what is to be done about it, and why.
    #[must_use]
    pub fn into_parts(self) -> (SagaRef, Operation, String) {
        match self {
            Self::Cancel(CancelSaga { saga, reason }) => (saga, Operation::Cancel, reason),
            Self::Resume(ResumeSaga { saga, reason }) => (saga, Operation::Resume, reason),
            Self::Skip(SkipStep { saga, step, reason }) => (saga, Operation::Skip { step }, reason),
            Self::Edit(EditStep { saga, step, input, reason }) => {
                (saga, Operation::Edit { step, input }, reason)
            }
            Self::Approve(ApproveStep { saga, step, reason }) => (saga, Operation::Approve { step }, reason),
            Self::Reject(RejectStep { saga, step, reason }) => (saga, Operation::Reject { step }, reason),
        }
    }
}
