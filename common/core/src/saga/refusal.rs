//! Why a saga says no.

use super::input::{SagaId, StepId, StepName};
use super::plan::BadPlan;

/// Why a saga says no; each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SagaRefusal {
    /// There is no such saga.
    #[error("there is no such saga: check its id")]
    Unknown,
    /// The saga runs a version that this build does not have.
    #[error(
        "the saga runs version {version} of its definition, which is not registered here (newest: {newest}): keep a version for as long as a saga of it runs"
    )]
    UnknownVersion {
        /// The saga's.
        version: u32,
        /// This build's.
        newest: u32,
    },
    /// The definition itself is wrong.
    #[error("the definition cannot be run: {0}")]
    Plan(#[from] BadPlan),
    /// The id was used before for another order.
    #[error("saga {saga} was started before with another order: use a new id")]
    OtherOrder {
        /// The saga.
        saga: SagaId,
    },
    /// The decision comes too late, or is about something else.
    #[error("{step} does not wait for an approval (any more): look at the saga's timeline")]
    NotWaiting {
        /// The attempt.
        step: StepId,
    },
    /// There is nothing left to cancel.
    #[error("the saga is {status}, and can be cancelled only while it runs")]
    NotRunning {
        /// Where it is.
        status: &'static str,
    },
    /// Only what is stuck can be resumed or edited.
    #[error("the saga is {status}, and only a stuck one is resumed or edited")]
    NotStuck {
        /// Where it is.
        status: &'static str,
    },
    /// The operator looked at something else than what the saga is stuck at.
    #[error("the saga is stuck at {stuck}, not at {asked}: look again before you edit it")]
    StuckElsewhere {
        /// Where it is stuck.
        stuck: StepName,
        /// What was to be edited.
        asked: StepName,
    },
    /// Operators say why.
    #[error("no reason was given: it is recorded, so say why")]
    NoReason,
}

impl SagaRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::UnknownVersion { .. } => "unknown-version",
            Self::Plan(_) => "bad-plan",
            Self::OtherOrder { .. } => "other-order",
            Self::NotWaiting { .. } => "not-waiting",
            Self::NotRunning { .. } => "not-running",
            Self::NotStuck { .. } => "not-stuck",
            Self::StuckElsewhere { .. } => "stuck-elsewhere",
            Self::NoReason => "no-reason",
        }
    }
}
