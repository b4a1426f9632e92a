//! Why a saga refuses.

use super::bad_plan::BadPlan;
use super::input::{SagaRef, StepName};
use crate::ids::InvalidId;

/// Why a saga refuses; each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SagaRefusal {
    /// There is no such saga.
    #[error("there is no such saga: check its id; if it was asked for just now, try again shortly")]
    Unknown,
    /// The saga runs a version that this build does not have. A fault of the deployment: the message must come again.
    #[error(
        "the saga runs version {version} of {kind}, which is not registered here (newest: {newest}): keep a version for as long as a saga of it runs"
    )]
    UnknownVersion {
        /// The definition.
        kind: &'static str,
        /// The saga's version.
        version: u32,
        /// This build's.
        newest: u32,
    },
    /// The definition itself is wrong. A fault of the deployment: the message must come again.
    #[error("sagas of kind {kind} cannot be run: {bad}")]
    Plan {
        /// The definition.
        kind: &'static str,
        /// What is wrong with it.
        bad: BadPlan,
    },
    /// An earlier step's output is needed and missing. A fault of the definition: the message must come again.
    #[error("the output of step {step} cannot be read: {why}")]
    Output {
        /// The step.
        step: StepName,
        /// Why not.
        why: String,
    },
    /// An id that the engine makes would be too long, or would have characters that are not allowed.
    #[error("the saga's id leaves no room for the ids of its steps: {0}")]
    Id(#[from] InvalidId),
    /// The id was used before for another order.
    #[error("saga {saga} was started before with another order: use a new id")]
    OtherOrder {
        /// The saga.
        saga: SagaRef,
    },
    /// The approval comes too late, or is about another step.
    #[error("{what} waits for an approval: look at the saga's timeline")]
    NotWaiting {
        /// What does not wait: nothing (any more), not this step, or more than one.
        what: String,
    },
    /// There is nothing left to cancel.
    #[error("the saga is {status}, and can be cancelled only while it runs")]
    NotRunning {
        /// Where it is.
        status: &'static str,
    },
    /// It is past its point of no return.
    #[error("the saga is past its point of no return, {step}: it can only go forward")]
    PastPivot {
        /// The step.
        step: StepName,
    },
    /// Only what is stuck can be resumed.
    #[error("the saga is {status}, and only a stuck one can be resumed")]
    NotStuck {
        /// Where it is.
        status: &'static str,
    },
    /// Only what is stuck, or waits for its next attempt, can be skipped or edited.
    #[error(
        "{asked} is neither stuck nor waiting for its next attempt, so it cannot be skipped or edited{at}: look at the saga again"
    )]
    NotAt {
        /// What was to be skipped or edited.
        asked: StepName,
        /// Where the saga is, in words.
        at: String,
    },
    /// The definition forbids it.
    #[error("{step} cannot be skipped, for {why}: put right what stands in its way, then resume the saga")]
    NeverSkipped {
        /// The step.
        step: StepName,
        /// Why not.
        why: &'static str,
    },
    /// A child keeps the order that it was started with.
    #[error(
        "{step} is the child saga {child}, which keeps what it was started with: edit the step that holds up {child}, or resume this saga"
    )]
    ChildEdited {
        /// The step, or its compensation.
        step: StepName,
        /// The child.
        child: SagaRef,
    },
    /// Operators give a reason.
    #[error("no reason was given: it is recorded, so say why")]
    NoReason,
    /// The reason is too long. Shorten it.
    #[error("the reason has {characters} characters, and may have {max}: shorten it")]
    ReasonTooLong {
        /// How long it is.
        characters: usize,
        /// How long it may be.
        max: usize,
    },
}

impl SagaRefusal {
    /// Whether the deployment is at fault, and not the request. Then the message must come again, and is never
    /// acknowledged.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::UnknownVersion { .. } | Self::Plan { .. } | Self::Output { .. } => true,
            Self::Unknown
            | Self::Id(_)
            | Self::OtherOrder { .. }
            | Self::NotWaiting { .. }
            | Self::NotRunning { .. }
            | Self::PastPivot { .. }
            | Self::NotStuck { .. }
            | Self::NotAt { .. }
            | Self::NeverSkipped { .. }
            | Self::ChildEdited { .. }
            | Self::NoReason
            | Self::ReasonTooLong { .. } => false,
        }
    }

    /// The HTTP status that says so.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Unknown => 404,
            Self::Id(_) | Self::NoReason | Self::ReasonTooLong { .. } => 400,
            Self::OtherOrder { .. }
            | Self::NotWaiting { .. }
            | Self::NotRunning { .. }
            | Self::PastPivot { .. }
            | Self::NotStuck { .. }
            | Self::NotAt { .. }
            | Self::NeverSkipped { .. }
            | Self::ChildEdited { .. } => 409,
            Self::UnknownVersion { .. } | Self::Plan { .. } | Self::Output { .. } => 503,
        }
    }

    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::UnknownVersion { .. } => "unknown-version",
            Self::Plan { .. } => "bad-plan",
            Self::Output { .. } => "output-missing",
            Self::Id(_) => "bad-id",
            Self::OtherOrder { .. } => "other-order",
            Self::NotWaiting { .. } => "not-waiting",
            Self::NotRunning { .. } => "not-running",
            Self::PastPivot { .. } => "past-pivot",
            Self::NotStuck { .. } => "not-stuck",
            Self::NotAt { .. } => "not-at-step",
            Self::NeverSkipped { .. } => "never-skipped",
            Self::ChildEdited { .. } => "child-edited",
            Self::NoReason => "no-reason",
            Self::ReasonTooLong { .. } => "reason-too-long",
        }
    }
}
