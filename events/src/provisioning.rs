//! Requests, reservations and provisioning sagas: events on `request#`, `reservation#` and `provisioning#`.

use std::fmt;

use hostler_core::{Category, contracts};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{HostId, Image, PoolId, ProvisioningId, RequestId, Role, Sku, StepId};
use crate::policy::ProvisioningPolicy;

contracts! {
    /// What happens to a request for capacity.
    pub enum CapacityEvent as Event {
        "capacity.requested" v 1 => Requested(CapacityRequested),
        "capacity.approval-requested" v 1 => ApprovalRequested(ApprovalRequested),
        "capacity.approved" v 1 => Approved(CapacityApproved),
        "capacity.rejected" v 1 => Rejected(CapacityRejected),
    }
}

contracts! {
    /// How a saga finds its host. The choice is recorded before it is acted on, so that a crash between the
    /// two cannot hold a second host.
    pub enum ReservationEvent as Event {
        "reservation.candidate-chosen" v 1 => CandidateChosen(CandidateChosen),
        "reservation.candidate-lost" v 1 => CandidateLost(CandidateLost),
        "reservation.failed" v 1 => Failed(ReservationFailed),
        "reservation.closed" v 1 => Closed(ReservationClosed),
        "reservation.released" v 1 => Released(ReservationReleased),
    }
}

contracts! {
    /// What a provisioning saga decided.
    pub enum ProvisioningEvent as Event {
        "provisioning.started" v 1 => Started(ProvisioningStarted),
        "provisioning.step-started" v 1 => StepStarted(StepStarted),
        "provisioning.step-succeeded" v 1 => StepSucceeded(StepSucceeded),
        "provisioning.step-failed" v 1 => StepFailed(ProvisioningStepFailed),
        "provisioning.step-deferred" v 1 => StepDeferred(ProvisioningStepDeferred),
        "provisioning.state-sla-exceeded" v 1 => SlaExceeded(StateSlaExceeded),
        "provisioning.cancel-requested" v 1 => CancelRequested(CancelRequested),
        "provisioning.compensation-started" v 1 => CompensationStarted(CompensationStarted),
        "provisioning.compensation-completed" v 1 => CompensationCompleted(CompensationCompleted),
        "provisioning.completed" v 1 => Completed(ProvisioningCompleted),
        "provisioning.stuck" v 1 => Stuck(ProvisioningStuck),
        "provisioning.resumed" v 1 => Resumed(ProvisioningResumed),
        "provisioning.compensation-skipped" v 1 => CompensationSkipped(CompensationSkipped),
    }
}

/// The saga's steps, and what undoes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Find a free host and hold it.
    ReserveHost,
    /// Boot it from its image and wait for its own callback.
    DeployImage,
    /// Apply its role's configuration.
    ApplyRole,
    /// Make it known to monitoring and wait for the first healthy sample.
    RegisterMonitoring,
    /// Undoes `RegisterMonitoring`.
    DeregisterMonitoring,
    /// Undoes `ApplyRole` and `DeployImage`: power off, eject, restore the boot target, clean.
    UndeployHost,
    /// Undoes `ReserveHost`.
    ReleaseReservation,
}

impl StepKind {
    /// The steps in their order.
    pub const FORWARD: [Self; 4] =
        [Self::ReserveHost, Self::DeployImage, Self::ApplyRole, Self::RegisterMonitoring];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReserveHost => "reserve-host",
            Self::DeployImage => "deploy-image",
            Self::ApplyRole => "apply-role",
            Self::RegisterMonitoring => "register-monitoring",
            Self::DeregisterMonitoring => "deregister-monitoring",
            Self::UndeployHost => "undeploy-host",
            Self::ReleaseReservation => "release-reservation",
        }
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Somebody asked for hosts; one saga is started for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityRequested {
    /// The request.
    pub request: RequestId,
    /// The pool that needs them.
    pub pool: PoolId,
    /// What they are to be.
    pub role: Role,
    /// What they run.
    pub image: Image,
    /// The model asked for, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// One saga for each host asked for.
    pub provisionings: Vec<ProvisioningId>,
}

/// Somebody asked for more hosts than are started without a second person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRequested {
    /// What was asked for.
    #[serde(flatten)]
    pub order: CapacityRequested,
    /// The policy that its sagas will keep.
    pub policy: ProvisioningPolicy,
    /// How many hosts are started without approval.
    pub approval_above: u32,
    /// When it is rejected if nobody has approved it.
    pub deadline_at: Timestamp,
}

/// A person approved a request. Who it was is the commit's actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityApproved {
    /// The request.
    pub request: RequestId,
    /// Why.
    pub reason: String,
}

/// A request will not be carried out: a person said so, or nobody approved it in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityRejected {
    /// The request.
    pub request: RequestId,
    /// Why.
    pub reason: String,
}

/// This host will be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateChosen {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Somebody else was faster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateLost {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// No host could be had in this try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReservationFailed {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// Transient when hosts may come free.
    pub category: Category,
    /// Why, and what to do.
    pub reason: String,
}

/// No host will be held for this saga any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReservationClosed {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// The host that was held or about to be held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
}

/// No host is held for this saga any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReservationReleased {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The step.
    pub step: StepId,
    /// The host that was given back, if one was held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
}

/// A saga began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningStarted {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The request it serves.
    pub request: RequestId,
    /// The pool that needs the host.
    pub pool: PoolId,
    /// What the host is to be.
    pub role: Role,
    /// What it runs.
    pub image: Image,
    /// The model asked for, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// The numbers that it decides by, from start to end.
    pub policy: ProvisioningPolicy,
}

/// A step, or a compensation, was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepStarted {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// This attempt.
    pub step: StepId,
    /// What is done.
    pub kind: StepKind,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// When its answer is given up for lost.
    pub deadline_at: Timestamp,
}

/// A step, or a compensation, is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepSucceeded {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The attempt that worked.
    pub step: StepId,
    /// What was done.
    pub kind: StepKind,
    /// The host it was done to, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// Whether the host could not be cleaned and was quarantined, which ends the undoing of a deployment too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub host_quarantined: bool,
}

/// A step, or a compensation, did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningStepFailed {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The attempt.
    pub step: StepId,
    /// What was tried.
    pub kind: StepKind,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// Transient failures are worth another try, others are not.
    pub category: Category,
    /// What happened.
    pub reason: String,
    /// When it is tried again; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
}

/// An attempt has more time, for what it needs is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningStepDeferred {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The attempt.
    pub step: StepId,
    /// What it is to do.
    pub kind: StepKind,
    /// How often it had to wait so far.
    pub deferrals: u32,
    /// When the answer is due now.
    pub deadline_at: Timestamp,
    /// What is away.
    pub reason: String,
}

/// A step's deadline passed without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateSlaExceeded {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The attempt.
    pub step: StepId,
    /// What was waited for.
    pub kind: StepKind,
    /// How long.
    pub deadline_seconds: u32,
}

/// An operator wants it undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelRequested {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// Why.
    pub reason: String,
}

/// What was done is being undone, in reverse order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompensationStarted {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// Why.
    pub reason: String,
    /// What will be done, in this order.
    pub plan: Vec<StepKind>,
}

/// Everything is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompensationCompleted {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// Why it was undone.
    pub reason: String,
    /// The host that it had held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// Whether the host could not be cleaned and was quarantined instead of going back to the pool.
    #[serde(default)]
    pub host_quarantined: bool,
}

/// The host is in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningCompleted {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The host.
    pub host: HostId,
}

/// A compensation cannot succeed; an operator is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningStuck {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The compensation that cannot succeed.
    pub kind: StepKind,
    /// Why, and what to do.
    pub reason: String,
}

/// An operator had a stuck saga try again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningResumed {
    /// The saga.
    pub provisioning: ProvisioningId,
}

/// An operator had a stuck saga go on without a compensation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompensationSkipped {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The compensation.
    pub kind: StepKind,
    /// Why, and what was done instead.
    pub reason: String,
}
