//! Requests, reservations and provisionings: events on `request#` and `reservation#`, and what the sagas `provisioning#` are made of.

use hostler_core::saga::SagaRef;
use hostler_core::{Category, contracts};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{HostId, Image, PoolId, ProvisioningId, RequestId, Role, Sku, StepId};
use crate::policy::ProvisioningPolicy;
use crate::traffic::TrafficPolicy;

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

hostler_core::step_names! {
    /// The steps of a provisioning, and what undoes them.
    pub enum ProvisioningStep {
        /// Find a free host and hold it.
        ReserveHost = "reserve-host",
        /// Boot it from its image and wait for its own callback.
        DeployImage = "deploy-image",
        /// Apply its role's configuration.
        ApplyRole = "apply-role",
        /// Make it known to monitoring and wait for the first healthy sample.
        RegisterMonitoring = "register-monitoring",
        /// Have the load balancer send it requests.
        JoinTraffic = "join-traffic",
        /// Undoes `JoinTraffic`.
        LeaveTraffic = "leave-traffic",
        /// Undoes `RegisterMonitoring`.
        DeregisterMonitoring = "deregister-monitoring",
        /// Undoes `ApplyRole` and `DeployImage`: power off, eject, restore the boot target, clean.
        UndeployHost = "undeploy-host",
        /// Undoes `ReserveHost`.
        ReleaseReservation = "release-reservation",
    }
}

/// What a provisioning is started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningOrder {
    /// The request it serves.
    pub request: RequestId,
    /// The pool that needs the host.
    pub pool: PoolId,
    /// The pools that the host is taken from, where it is not taken from its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub take_from: Vec<PoolId>,
    /// What the host is to be.
    pub role: Role,
    /// What it runs.
    pub image: Image,
    /// The model, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// How hosts of the pool take requests, where the policies said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficPolicy>,
    /// The numbers to decide by.
    #[serde(default)]
    pub policy: ProvisioningPolicy,
}

/// The host that a step was given, or gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostHeld {
    /// The host.
    pub host: HostId,
}

/// How a host came back from being undeployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostReturned {
    /// The host.
    pub host: HostId,
    /// Whether it was quarantined instead of cleaned.
    pub quarantined: bool,
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
    /// How hosts of the pool take requests, where the site's policies say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficPolicy>,
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
    pub saga: SagaRef,
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
    pub saga: SagaRef,
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
    pub saga: SagaRef,
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
    pub saga: SagaRef,
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
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host that was given back, if one was held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
}
