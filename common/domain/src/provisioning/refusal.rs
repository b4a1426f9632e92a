//! Why a saga says no to an operator.

use hostler_core::InvalidId;
use hostler_events::{ProvisioningId, StepKind};

use super::CANCEL_REASON_CHARS_MAX;
use crate::support::OWNER_ID_BYTES_MAX;

/// Why a saga says no. None of them has changed anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvisioningRefusal {
    /// The saga has not started; a request's sagas start a moment after it is accepted.
    #[error("this provisioning is not known: check its id; if it was requested just now, try again shortly")]
    Unknown,
    /// The id leaves no room for step ids.
    #[error(
        "provisioning id {provisioning} is too long: it may have {OWNER_ID_BYTES_MAX} bytes, as step ids are made from it; use a UUID"
    )]
    IdTooLong {
        /// The saga.
        provisioning: ProvisioningId,
    },
    /// It is being undone already. Wait.
    #[error("{provisioning} is being undone already: wait until it is compensated")]
    AlreadyCompensating {
        /// The saga.
        provisioning: ProvisioningId,
    },
    /// Hosts in service are never undone by a saga. Take the host out of service instead.
    #[error(
        "{provisioning} is completed and its host is in service, so it is not undone: scale the pool in to take the host out"
    )]
    AlreadyCompleted {
        /// The saga.
        provisioning: ProvisioningId,
    },
    /// Nothing is left to undo.
    #[error(
        "{provisioning} is compensated, so nothing is left to undo: request hosts again if they are needed"
    )]
    AlreadyCompensated {
        /// The saga.
        provisioning: ProvisioningId,
    },
    /// It is being undone and cannot go on. Resume it.
    #[error(
        "{provisioning} is stuck in being undone: put right what its reason says, then resume it with resume-provisioning"
    )]
    IsStuck {
        /// The saga.
        provisioning: ProvisioningId,
    },
    /// The operator looked at something else than what it is stuck at. Look again.
    #[error(
        "{provisioning} is stuck at {stuck}, not at {asked}: look at it again before you have it skipped"
    )]
    StuckElsewhere {
        /// The saga.
        provisioning: ProvisioningId,
        /// What it is stuck at.
        stuck: StepKind,
        /// What was to be skipped.
        asked: StepKind,
    },
    /// Skipping it would leave a host held by a saga that has ended. Put it right and resume.
    #[error(
        "{kind} of {provisioning} gives its host back and cannot be skipped: put right what stands in its way, then resume it with resume-provisioning"
    )]
    HoldsHost {
        /// The saga.
        provisioning: ProvisioningId,
        /// What was to be skipped.
        kind: StepKind,
    },
    /// What is skipped is never undone by the saga: it is recorded who has seen to it, and how.
    #[error("no reason was given to skip a compensation of {provisioning}: say what was done instead")]
    NoReason {
        /// The saga.
        provisioning: ProvisioningId,
    },
    /// Only stuck sagas can be resumed. Leave it alone.
    #[error("{provisioning} is {status}, and only a stuck provisioning can be resumed: leave it as it is")]
    NotStuck {
        /// The saga.
        provisioning: ProvisioningId,
        /// How it stands.
        status: &'static str,
    },
    /// The reason is too long. Shorten it.
    #[error("the reason has {characters} characters, and may have {CANCEL_REASON_CHARS_MAX}: shorten it")]
    ReasonTooLong {
        /// How long it is.
        characters: usize,
    },
    /// A step on a host was reached without one: the history is damaged. Look at the stream.
    #[error("{kind} has no host to work on: the saga's history lacks the reservation; look at its events")]
    NoHost {
        /// The step.
        kind: StepKind,
    },
    /// A step id could not be made.
    #[error("a step id could not be made")]
    StepId(#[from] InvalidId),
}

impl ProvisioningRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown-provisioning",
            Self::IdTooLong { .. } => "provisioning-id-too-long",
            Self::AlreadyCompensating { .. } => "already-compensating",
            Self::AlreadyCompleted { .. } => "already-completed",
            Self::AlreadyCompensated { .. } => "already-compensated",
            Self::IsStuck { .. } => "is-stuck",
            Self::StuckElsewhere { .. } => "stuck-elsewhere",
            Self::HoldsHost { .. } => "holds-host",
            Self::NoReason { .. } => "no-reason",
            Self::NotStuck { .. } => "not-stuck",
            Self::ReasonTooLong { .. } => "reason-too-long",
            Self::NoHost { .. } => "no-host",
            Self::StepId(_) => "step-id",
        }
    }
}
