//! The rows of the read models, which also show states in the past.

use hostler_core::Category;
use hostler_core::saga::{SagaRef, SagaStatus};
use hostler_events::host::{BmcAddress, PowerState};
use hostler_events::pool::{MetricSaid, PoolCounts, ScalingDecided, ScalingSuppressed};
use hostler_events::provisioning::CapacityRequested;
use hostler_events::{
    FaultDomain, HostId, Image, Labels, PoolId, ProvisioningId, RequestId, Role, Sku, StepId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::capacity::{Approval, CapacityState};
use crate::host::HostState;
use crate::pool::{Edge, PoolState, Proposal, Word};
use crate::provisioning::{self, ProvisioningState};

/// The view of all hosts, grouped by pool and phase.
pub const HOSTS: &str = "hosts";
/// The view of all provisioning sagas, grouped by request.
pub const PROVISIONINGS: &str = "provisionings";
/// The view of all requests, grouped by pool.
pub const REQUESTS: &str = "requests";

/// The view of all pools that scale, grouped by their status.
pub const POOLS: &str = "pools";

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

const AWAITS_APPROVAL: &str = "awaits-approval";
const HELD_BACK: &str = "held-back";
const GROWING: &str = "growing";
const SHRINKING: &str = "shrinking";
const STEADY: &str = "steady";

/// The statuses of pools.
pub const POOL_STATUSES: [&str; 5] = [STEADY, GROWING, SHRINKING, HELD_BACK, AWAITS_APPROVAL];

/// A pool as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolView {
    /// The pool.
    pub pool: PoolId,
    /// One of [`POOL_STATUSES`].
    pub status: String,
    /// How many hosts it is to have, since its last decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<u32>,
    /// How many there were when it was last looked at, and what each metric said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<PoolSeen>,
    /// Hosts that were asked for and have not come.
    pub in_flight: Vec<ProvisioningId>,
    /// Hosts that leave.
    pub leaving: Vec<HostId>,
    /// What sources say of its metrics.
    pub signals: Vec<Edge>,
    /// The newest decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<ScalingDecided>,
    /// What holds it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<ScalingSuppressed>,
    /// What waits for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
}

/// A pool as it was when it was last decided about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolSeen {
    /// When.
    pub at: Timestamp,
    /// How many hosts were where.
    pub counts: PoolCounts,
    /// What each metric said.
    pub per_metric: Vec<MetricSaid>,
}

/// A pool as it is shown; none before anything was recorded.
#[must_use]
pub fn pool(state: &PoolState) -> Option<PoolView> {
    let pool = state.pool.clone()?;
    let proposal = state.proposal.clone().filter(|proposal| proposal.word == Word::Awaited);
    let status = match (&proposal, &state.held) {
        (Some(_), _) => AWAITS_APPROVAL,
        (None, Some(_)) => HELD_BACK,
        (None, None) if !state.in_flight.is_empty() => GROWING,
        (None, None) if !state.leaving.is_empty() => SHRINKING,
        (None, None) => STEADY,
    };
    let decided = state.last.as_ref().map(|last| (last.decided_at, last.inputs, &last.per_metric));
    let held = state.held.as_ref().map(|held| (held.since, held.inputs, &held.per_metric));
    let seen = decided.into_iter().chain(held).max_by_key(|(at, ..)| *at);
    Some(PoolView {
        pool,
        status: status.to_owned(),
        desired: state.last.as_ref().map(|last| last.chosen),
        seen: seen.map(|(at, counts, per_metric)| PoolSeen { at, counts, per_metric: per_metric.clone() }),
        in_flight: state.in_flight.keys().cloned().collect(),
        leaving: state.leaving.keys().cloned().collect(),
        signals: state.edges.clone(),
        decision: state.last.clone(),
        held: state.held.clone(),
        proposal,
    })
}
