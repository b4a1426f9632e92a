//! The rows of the read models, which also show states in the past.

use hostler_core::Category;
use hostler_core::saga::{SagaRef, SagaStatus};
use hostler_events::health::Tried;
use hostler_events::host::{BmcAddress, PowerState};
use hostler_events::pool::{MetricSaid, PoolCounts, PoolHostsReclaimed, ScalingDecided, ScalingSuppressed};
use hostler_events::provisioning::CapacityRequested;
use hostler_events::site::{DomainLimit, Rung};
use hostler_events::{
    FaultClass, FaultDomain, HostId, Image, Labels, PoolId, ProvisioningId, RequestId, Role, Sku, StepId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::capacity::{Approval, CapacityState};
use crate::fault_domain::FaultDomainState;
use crate::health::{Condition, HealthState, HeldBack};
use crate::host::{DriftFound, HostState};
use crate::pool::{Edge, PoolState, Proposal, Word};
use crate::provisioning::{self, ProvisioningState};

mod findings;

pub use findings::{
    ADVISORIES, AdvisoryView, FINDINGS, FindingView, PACKAGES, PackagesView, advisory, finding,
    finding_group, packages,
};

mod campaigns;

pub use campaigns::{
    CAMPAIGN_RACK_STATUSES, CAMPAIGN_RACKS, CAMPAIGN_STATUSES, CAMPAIGNS, CampaignRackView, CampaignView,
    NotPatched, campaign, campaign_rack, campaign_rack_group, held_racks_group,
};

/// The view of all hosts, grouped by pool and phase.
pub const HOSTS: &str = "hosts";
/// The view of all provisioning sagas, grouped by request.
pub const PROVISIONINGS: &str = "provisionings";
/// The view of all requests, grouped by pool.
pub const REQUESTS: &str = "requests";

/// The view of the newest incident of each host, grouped by pool and by whether it is open.
pub const INCIDENTS: &str = "incidents";
/// The view of racks and power domains, grouped by whether they have an incident.
pub const FAULT_DOMAINS: &str = "fault-domains";
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
    /// Its own pool, where it is lent to that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<PoolId>,
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
    /// Whether it gets requests, where it takes part in traffic: `in-traffic`, `draining` or `out-of-traffic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<String>,
    /// Its role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The revision of the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Since when it has that, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured_at: Option<Timestamp>,
    /// What the newest check has found to have drifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftFound>,
    /// When it is checked for drift next, by schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check: Option<Timestamp>,
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
        home: state.home.clone(),
        phase: state.phase.name().to_owned(),
        sku: profile.sku.clone(),
        fault_domain: profile.fault_domain.clone(),
        labels: profile.labels.clone(),
        bmc: profile.bmc.clone(),
        saga: state.reservation.clone(),
        cordoned_by: state.cordon.as_ref().map(|cordon| cordon.saga.clone()),
        traffic: state.traffic.as_ref().map(|traffic| traffic.part.name().to_owned()),
        role: state.role.clone(),
        revision: state.revision.clone(),
        configured_at: state.role.as_ref().and(state.configured_at),
        drift: state.drift.found.clone(),
        next_check: state.drift.next.map(|next| next.at),
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

/// The newest incident of a host as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentView {
    /// The host.
    pub host: HostId,
    /// The number of the incident among those of the host.
    pub incident: u32,
    /// The host's pool.
    pub pool: PoolId,
    /// The host's rack.
    pub rack: FaultDomain,
    /// What is wrong.
    pub fault: FaultClass,
    /// Where it is: `suspect`, `claiming`, `held`, `awaits-approval`, `acting`, `verifying`, `waiting`, `escalated`, or `closed`.
    pub status: String,
    /// What waits for a person's word, or is done now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
    /// The saga that acts now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaRef>,
    /// When it is looked at again, or is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When it was noticed.
    pub detected_at: Timestamp,
    /// When it had gone on for longer than it is tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// When it was known what is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// When something was first done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted_at: Option<Timestamp>,
    /// When the host was last seen to be healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// How it ended, or why it is a person's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What holds it back, or did so last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<HeldBack>,
    /// What was tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
    /// What sources say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<String>,
}

impl IncidentView {
    /// Whether the host is known to be faulty: the fault goes on, for longer than it is tolerated.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.closed_at.is_none() && self.confirmed_at.is_some()
    }
}

/// The group of the open incidents of a pool.
#[must_use]
pub fn open_incidents(pool: &PoolId) -> String {
    format!("{pool}/open")
}

/// The group of an incident.
#[must_use]
pub fn incident_group(view: &IncidentView) -> String {
    if view.closed_at.is_none() { open_incidents(&view.pool) } else { format!("{}/closed", view.pool) }
}

/// The newest incident of a host as it is shown; none before the first.
#[must_use]
pub fn incident(state: &HealthState) -> Option<IncidentView> {
    let (host, incident) = (state.host.clone()?, state.incident.clone()?);
    let (rung, saga, until, escalated) = match &state.condition {
        Condition::Healthy => (None, None, None, None),
        Condition::Suspect { until } | Condition::Held { until } | Condition::Waiting { until } => {
            (None, None, Some(*until), None)
        }
        Condition::AwaitingApproval { rung, until } => (Some(*rung), None, Some(*until), None),
        Condition::Claiming { claim, until } => (claim.rung, None, Some(*until), None),
        Condition::Acting { claim, .. } => (claim.rung, Some(claim.saga.clone()), None, None),
        Condition::Escalated { reason } => (None, None, None, Some(reason.clone())),
    };
    let signals = state.story().map(|story| story.signals).unwrap_or_default();
    let status = if incident.closed_at.is_some() { "closed" } else { state.condition.name() };
    Some(IncidentView {
        host,
        incident: incident.number,
        pool: incident.pool,
        rack: incident.rack,
        fault: incident.fault,
        status: status.to_owned(),
        rung,
        saga,
        until,
        detected_at: incident.detected_at,
        confirmed_at: incident.confirmed_at,
        decided_at: incident.decided_at,
        acted_at: incident.acted_at,
        verified_at: incident.verified_at,
        closed_at: incident.closed_at,
        reason: incident.ended.or(escalated),
        held_back: incident.held_back,
        tried: incident.tried,
        signals,
    })
}

/// A rack or a power domain as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultDomainView {
    /// The rack or power domain, as `rack.<rack>` or `power.<power domain>`.
    pub domain: String,
    /// `incident` or `normal`.
    pub status: String,
    /// The number of its newest incident; 0 for none.
    pub incident: u32,
    /// Its members that are unhealthy.
    pub unhealthy: Vec<String>,
    /// How many members it has; 0 where nobody knows.
    pub size: u32,
    /// From when on it is one incident, as of the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<DomainLimit>,
    /// When its newest incident began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    /// When that was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// How often a person was told that it goes on.
    #[serde(default)]
    pub escalated: u32,
}

/// A rack or a power domain as it is shown; none before something was told of it.
#[must_use]
pub fn fault_domain(state: &FaultDomainState) -> Option<FaultDomainView> {
    let incident = state.incident.as_ref();
    let status = if state.open().is_some() { "incident" } else { "normal" };
    Some(FaultDomainView {
        domain: state.domain.clone()?,
        status: status.to_owned(),
        incident: incident.map_or(0, |incident| incident.number),
        unhealthy: state.unhealthy(),
        size: incident.map_or(0, |incident| incident.size),
        limit: incident.map(|incident| incident.limit),
        opened_at: incident.map(|incident| incident.opened_at),
        closed_at: incident.and_then(|incident| incident.closed_at),
        escalated: incident.map_or(0, |incident| incident.escalated),
    })
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
    /// What it has asked pools of lower priority for, the newest of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reclaimed: Vec<PoolHostsReclaimed>,
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
        reclaimed: state.reclaimed.values().cloned().collect(),
        signals: state.edges.clone(),
        decision: state.last.clone(),
        held: state.held.clone(),
        proposal,
    })
}
