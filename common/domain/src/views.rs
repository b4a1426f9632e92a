//! The rows of the read models, which also show states in the past.

use hostler_core::Category;
use hostler_core::saga::{SagaRef, SagaStatus};
use hostler_events::host::{BmcAddress, PowerState};
use hostler_events::provisioning::CapacityRequested;
use hostler_events::{
    FaultDomain, HostId, Image, Labels, PoolId, ProvisioningId, RequestId, Role, Sku, StepId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::capacity::{Approval, CapacityState};
use crate::host::HostState;
use crate::provisioning::{self, ProvisioningState};

/// The view of all hosts, grouped by pool and phase.
pub const HOSTS: &str = "hosts";
/// The view of all provisioning sagas, grouped by request.
pub const PROVISIONINGS: &str = "provisionings";
/// The view of all requests, grouped by pool.
pub const REQUESTS: &str = "requests";

/// A host as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostView {
    /// The host.
    pub host: HostId,
    /// The pool it serves.
    pub pool: PoolId,
    /// Where it is in its life.
    pub phase: String,
    /// Its model.
    pub sku: Sku,
    /// Its fault domain.
    pub fault_domain: FaultDomain,
    /// Its labels.
    pub labels: Labels,
    /// Where its BMC answers.
    pub bmc: BmcAddress,
    /// The saga that holds it or brought it into service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaRef>,
    /// The saga that has cordoned it, and works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cordoned_by: Option<SagaRef>,
    /// Its role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Its power state, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerState>,
    /// The step whose end it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Why it is in quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The group of the hosts of a pool in a phase.
#[must_use]
pub fn host_group(pool: &PoolId, phase: &str) -> String {
    format!("{pool}/{phase}")
}

/// A host as it is shown; none before it is enrolled.
#[must_use]
pub fn host(state: &HostState) -> Option<HostView> {
    let profile = state.profile.as_ref()?;
    Some(HostView {
        host: profile.host.clone(),
        pool: profile.pool.clone(),
        phase: state.phase.name().to_owned(),
        sku: profile.sku.clone(),
        fault_domain: profile.fault_domain.clone(),
        labels: profile.labels.clone(),
        bmc: profile.bmc.clone(),
        saga: state.reservation.clone(),
        cordoned_by: state.cordon.as_ref().map(|cordon| cordon.saga.clone()),
        role: state.role.clone(),
        power: state.power,
        step: state.phase.step().cloned(),
        reason: state.phase.reason().map(str::to_owned),
    })
}

/// A provisioning saga as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningView {
    /// The saga.
    pub provisioning: ProvisioningId,
    /// The request it serves.
    pub request: RequestId,
    /// The pool that needs the host.
    pub pool: PoolId,
    /// The role that the host gets.
    pub role: Role,
    /// The image that it gets.
    pub image: Image,
    /// Where the saga is: running, compensating, completed, compensated or stuck.
    pub status: String,
    /// The step or compensation that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The number of the attempt, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The host it holds or held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// The deadline there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<Timestamp>,
    /// Why it is undone, or stuck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The kind of failure behind that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// Whether the host was quarantined instead of going back to the pool.
    pub host_quarantined: bool,
}

/// A request as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestView {
    /// The request.
    pub request: RequestId,
    /// The pool that needs hosts.
    pub pool: PoolId,
    /// The role that they get.
    pub role: Role,
    /// The image that they get.
    pub image: Image,
    /// The model asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// One saga for each host.
    pub provisionings: Vec<ProvisioningId>,
    /// `approved`, `awaits-approval` or `rejected`.
    pub status: String,
    /// Why it waits, or was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when it waits for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_due_at: Option<Timestamp>,
}

/// A provisioning as it is shown; none before it is started.
#[must_use]
pub fn provisioning(state: &ProvisioningState) -> Option<ProvisioningView> {
    let begun = state.begun.as_ref()?;
    let (order, at) = (&begun.order, state.running.iter().next());
    let stuck_at = match &state.status {
        SagaStatus::Stuck { step, .. } => Some(step),
        SagaStatus::NotStarted
        | SagaStatus::Running
        | SagaStatus::Compensating { .. }
        | SagaStatus::Completed
        | SagaStatus::Compensated { .. } => None,
    };
    Some(ProvisioningView {
        provisioning: ProvisioningId::new(begun.saga.id()).ok()?,
        request: order.request.clone(),
        pool: order.pool.clone(),
        role: order.role.clone(),
        image: order.image.clone(),
        status: state.status.name().to_owned(),
        step: at.map(|(step, _)| step).or(stuck_at).map(ToString::to_string),
        attempt: at.map(|(_, attempt)| attempt.attempt),
        host: provisioning::host_of(state),
        deadline_at: at.map(|(_, attempt)| attempt.deadline_at),
        reason: state.status.reason().map(ToOwned::to_owned),
        category: state.status.category(),
        host_quarantined: provisioning::is_host_quarantined(state),
    })
}

/// A request as it is shown; none before it is accepted.
#[must_use]
pub fn request(state: &CapacityState) -> Option<RequestView> {
    let CapacityRequested { request, pool, role, image, sku, provisionings } = state.order.clone()?;
    let (reason, approval_due_at) = match &state.approval {
        Approval::Given => (None, None),
        Approval::Awaited { approval_above, deadline_at, .. } => {
            (Some(format!("more than {approval_above} hosts need approval")), Some(*deadline_at))
        }
        Approval::Rejected { reason } => (Some(reason.clone()), None),
    };
    let status = state.approval.name().to_owned();
    Some(RequestView { request, pool, role, image, sku, provisionings, status, reason, approval_due_at })
}
