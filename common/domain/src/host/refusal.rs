//! Why a host's decider says no.

use hostler_core::InvalidId;
use hostler_core::saga::SagaRef;
use hostler_events::{HostId, StepId};

use super::enrolment::{LABEL_KEY_CHARS_MAX, LABEL_VALUE_CHARS_MAX, LABELS_MAX};
use crate::support::OWNER_ID_BYTES_MAX;

/// Why a host's decider says no. None of them has changed anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostRefusal {
    /// Nobody has enrolled the host. Enrol it, or correct its id.
    #[error("this host is not known: check its id, or enrol it first with enrol-host")]
    UnknownHost,
    /// The id leaves no room for step ids.
    #[error(
        "host id {host} is too long: it may have {OWNER_ID_BYTES_MAX} bytes, as step ids are made from it; choose a shorter one"
    )]
    HostIdTooLong {
        /// The host.
        host: HostId,
    },
    /// The address of the BMC cannot be used.
    #[error("the BMC address of host {host} cannot be used: {why}")]
    BmcAddress {
        /// The host.
        host: HostId,
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// The host is enrolled as something else.
    #[error("host {host} is enrolled already with another {field} ({enrolled}, now {asked}): {advice}")]
    EnrolledDifferently {
        /// The host.
        host: HostId,
        /// The first field that differs.
        field: &'static str,
        /// What it is.
        enrolled: String,
        /// What was asked for.
        asked: String,
        /// What to do.
        advice: &'static str,
    },
    /// More labels than a host may have.
    #[error(
        "host {host} would have {count} labels, and may have {LABELS_MAX}: remove some in the same command"
    )]
    TooManyLabels {
        /// The host.
        host: HostId,
        /// How many it would have.
        count: usize,
    },
    /// A label's key is empty or too long.
    #[error("label key {key:?} of host {host} must have 1 to {LABEL_KEY_CHARS_MAX} characters")]
    LabelKey {
        /// The host.
        host: HostId,
        /// The key, cut where it is very long.
        key: String,
    },
    /// A label's value is too long.
    #[error("the value of label {key:?} of host {host} may have {LABEL_VALUE_CHARS_MAX} characters at most")]
    LabelValue {
        /// The host.
        host: HostId,
        /// The label's key.
        key: String,
    },
    /// An operator asks for what the host's phase does not allow.
    #[error("host {host} is {phase}, and only one that is {from} can be {wanted}: leave it as it is")]
    NotPossible {
        /// The host.
        host: HostId,
        /// Where it is.
        phase: &'static str,
        /// From where it is possible.
        from: String,
        /// What was asked for, such as `requalified`.
        wanted: &'static str,
    },
    /// A saga works on the host. Wait until it is done.
    #[error("host {host} is cordoned by {saga} ({reason}): wait until that saga has ended, or cancel it")]
    Cordoned {
        /// The host.
        host: HostId,
        /// The saga.
        saga: SagaRef,
        /// Why it works on the host.
        reason: String,
    },
    /// A check or restoration of its configuration is under way. Wait until it has ended.
    #[error("{step} is under way on host {host}: wait until it has ended, and look at the host's timeline")]
    RunUnderWay {
        /// The host.
        host: HostId,
        /// The check or restoration.
        step: StepId,
    },
    /// The saga may not work on the host, for it has not cordoned it, or not any more. Drop the step.
    #[error("host {host} is {phase} and not cordoned by {saga}: drop the step")]
    NotCordoned {
        /// The host.
        host: HostId,
        /// The saga.
        saga: SagaRef,
        /// Where the host is.
        phase: &'static str,
    },
    /// A boot was reported that the host is not waiting for: HTTP 409. The caller should stop reporting.
    #[error(
        "host {host} is {phase} and is not waiting for a report of step {step}: it is over or was given up; stop reporting it"
    )]
    NotWaiting {
        /// The host.
        host: HostId,
        /// The reported step.
        step: StepId,
        /// Where the host is.
        phase: &'static str,
    },
    /// Somebody else has the host, or it is not ready. Try another candidate.
    #[error("host {host} is {phase}, and only an available host can be reserved: try another one")]
    NotAvailable {
        /// The host.
        host: HostId,
        /// Where it is.
        phase: &'static str,
    },
    /// The saga had given the host back or lost it before it asked. Drop the step.
    #[error("{saga} has given host {host} back or lost it, so it does not get it again: drop the step")]
    AlreadyReleased {
        /// The host.
        host: HostId,
        /// The saga.
        saga: SagaRef,
    },
    /// The saga does not hold the host. Drop the step.
    #[error("host {host} is {phase} and not held by {saga}: drop the step")]
    NotHeld {
        /// The host.
        host: HostId,
        /// The saga.
        saga: SagaRef,
        /// Where the host is.
        phase: &'static str,
    },
    /// The saga holds the host, but the step does not fit where it is. Drop the step.
    #[error("host {host} is {phase}, and cannot be {wanted} from there: drop the step")]
    WrongPhase {
        /// The host.
        host: HostId,
        /// Where it is.
        phase: &'static str,
        /// What was to be done.
        wanted: &'static str,
    },
    /// The host may have been written to. It goes back by way of cleaning only.
    #[error(
        "host {host} is {phase} and may have been written to, so it cannot go back to its pool: undeploy it first"
    )]
    Dirty {
        /// The host.
        host: HostId,
        /// Where it is.
        phase: &'static str,
    },
    /// The saga has begun to undo its deployment. Drop the step.
    #[error("the deployment of host {host} for {saga} is undone, so it is not deployed again: drop the step")]
    Undone {
        /// The host.
        host: HostId,
        /// The saga.
        saga: SagaRef,
    },
    /// A step id could not be made.
    #[error("a step id could not be made")]
    StepId(#[from] InvalidId),
}

impl HostRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::UnknownHost => "unknown-host",
            Self::HostIdTooLong { .. } => "host-id-too-long",
            Self::BmcAddress { .. } => "bmc-address",
            Self::EnrolledDifferently { .. } => "enrolled-differently",
            Self::TooManyLabels { .. } => "too-many-labels",
            Self::LabelKey { .. } => "label-key",
            Self::LabelValue { .. } => "label-value",
            Self::NotPossible { .. } => "not-possible",
            Self::Cordoned { .. } => "cordoned",
            Self::NotCordoned { .. } => "not-cordoned",
            Self::RunUnderWay { .. } => "run-under-way",
            Self::NotWaiting { .. } => "not-waiting",
            Self::NotAvailable { .. } => "not-available",
            Self::AlreadyReleased { .. } => "already-released",
            Self::NotHeld { .. } => "not-held",
            Self::WrongPhase { .. } => "wrong-phase",
            Self::Dirty { .. } => "dirty",
            Self::Undone { .. } => "undone",
            Self::StepId(_) => "step-id",
        }
    }
}
