//! How a pool's hosts are, as they were read just before a decision, and what that adds up to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hostler_core::saga::{SagaDefinition, SagaRef, StartSaga};
use hostler_events::budget::{Disruption, Unhealthy};
use hostler_events::pool::{PoolCounts, ScalingDecided};
use hostler_events::scaling::ScalingPolicy;
use hostler_events::site::{BudgetPolicy, PolicySet, PoolPolicy, PowerDomain};
use hostler_events::{
    FaultDomain, HostId, Labels, PoolId, ProvisioningId, ProvisioningOrder, ProvisioningPolicy, RequestId,
};
use jiff::Timestamp;

use super::state::VIEW_LAGS;
use super::{PoolState, REQUEST_PREFIX};
use crate::budget::{Claim, Held};
use crate::host::Phase;
use crate::policies::PolicyState;
use crate::provisioning::{self, Provisioning};

/// The label that has a host never chosen to leave, with this value.
const PROTECT: (&str, &str) = ("protect", "scale-in");

/// After how many seconds the claim of a host that leaves is void: longer than it takes to be given back.
const RELEASE_HOLD_SECONDS: u32 = 7_200;

/// A host of the pool. What a view says of it may be a little old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolHost {
    /// The host.
    pub host: HostId,
    /// Where it is in its life.
    pub phase: Phase,
    /// Its rack.
    pub rack: FaultDomain,
    /// The saga that holds it or brought it into service.
    pub saga: Option<SagaRef>,
    /// Whether somebody else works on it, or it is protected: then it is not chosen to leave.
    pub stays: bool,
    /// Whether it is lent by another pool: then it is chosen to leave before the pool's own.
    pub is_lent: bool,
}

impl PoolHost {
    /// Whether these labels have a host never chosen to leave.
    #[must_use]
    pub fn is_protected(labels: &Labels) -> bool {
        labels.get(PROTECT.0).is_some_and(|value| value == PROTECT.1)
    }
}

/// A pool of lower priority, from which hosts may be reclaimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lender {
    /// The pool.
    pub pool: PoolId,
    /// Its free hosts above those that it keeps to spare.
    pub lendable: u32,
    /// Its hosts that are being given back and cleaned: they are free soon.
    pub coming: u32,
    /// Its hosts in service above its minimum.
    pub may_give: u32,
}

/// How a pool is, and by what it is to be decided.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolFacts {
    /// The pool.
    pub pool: PoolId,
    /// Its policy.
    pub policy: PoolPolicy,
    /// The part of it that says how it scales.
    pub scaling: ScalingPolicy,
    /// How many hosts may be disturbed at once, by whomever.
    pub budget: BudgetPolicy,
    /// With what each rack loses its power.
    pub power_domains: BTreeMap<FaultDomain, PowerDomain>,
    /// The version of the policy.
    pub policy_version: u64,
    /// By which hosts are provisioned.
    pub provisioning: ProvisioningPolicy,
    /// Its hosts.
    pub hosts: Vec<PoolHost>,
    /// Those that are in quarantine or known to be faulty, and their racks. Whoever is faulty may be in service all the same.
    pub unhealthy: Arc<BTreeMap<HostId, FaultDomain>>,
    /// The pools from which it may reclaim hosts, in the order in which they are asked.
    pub lenders: Vec<Lender>,
}

/// What the hosts of a pool add up to, with what the pool itself knows better than any view.
pub(super) struct Sizes<'a> {
    /// Hosts in service, without those that leave.
    pub in_service: Vec<&'a PoolHost>,
    pub counts: PoolCounts,
    /// Unhealthy hosts that are not in service.
    pub unhealthy_beside: u32,
}

impl Sizes<'_> {
    /// Hosts in service, and those that come.
    pub(super) fn capacity(&self) -> u32 {
        self.counts.in_service.saturating_add(self.counts.in_flight)
    }
}

impl PoolFacts {
    /// A pool with these hosts and no lenders, by the policies that hold; none where they do not say how it scales.
    #[must_use]
    pub fn of(
        pool: &PoolId,
        policies: &PolicyState,
        provisioning: ProvisioningPolicy,
        hosts: Vec<PoolHost>,
        unhealthy: Arc<BTreeMap<HostId, FaultDomain>>,
    ) -> Option<Self> {
        let policy = policies.policy.pools.get(pool)?.clone();
        let scaling = policy.scaling.clone()?;
        let racks = policies.policy.topology.racks.iter();
        Some(Self {
            pool: pool.clone(),
            policy,
            scaling,
            budget: policies.policy.budget,
            power_domains: racks.map(|(rack, of)| (rack.clone(), of.power_domain.clone())).collect(),
            policy_version: policies.policy_version,
            provisioning,
            hosts,
            unhealthy,
            lenders: Vec::new(),
        })
    }

    /// The claim of a host that is to leave, with how many others are unhealthy.
    #[must_use]
    pub fn claim(
        &self,
        budget: PolicySet,
        saga: SagaRef,
        disruption: Disruption,
        unhealthy: Unhealthy,
    ) -> Claim {
        Claim {
            budget,
            saga,
            unhealthy,
            disruption,
            is_unhealthy: false,
            passes_brake: false,
            waits: false,
            hold_seconds: RELEASE_HOLD_SECONDS,
            pool_hosts: self.policy.hosts,
            limits: self.budget,
            policy_version: self.policy_version,
        }
    }

    /// A host is counted once: one that the pool has asked for is in flight until it is seen in service; one that came counts
    /// before a view shows it; one that leaves does not count any more, whatever a view shows.
    pub(super) fn sizes(&self, state: &PoolState, now: Timestamp) -> Sizes<'_> {
        let in_phase = |phase: Phase| self.hosts.iter().filter(move |host| host.phase == phase);
        let is_recent = |at: &Timestamp| now.duration_since(*at) < VIEW_LAGS;
        let is_gone =
            |host: &HostId| state.leaving.contains_key(host) || state.left.get(host).is_some_and(is_recent);
        let in_service: Vec<&PoolHost> =
            in_phase(Phase::InService).filter(|host| !is_gone(&host.host)).collect();
        let shown: BTreeSet<&HostId> =
            self.hosts.iter().filter(|host| host.phase == Phase::InService).map(|host| &host.host).collect();
        let not_shown: BTreeSet<&HostId> = state
            .arrived
            .iter()
            .filter(|(host, at)| !shown.contains(host) && !is_gone(host) && is_recent(at))
            .map(|(host, _)| host)
            .collect();
        let coming = |host: &&PoolHost| {
            matches!(
                host.phase,
                Phase::Reserved | Phase::Deploying | Phase::Configuring | Phase::RegisteringMonitoring
            )
        };
        let ours = |host: &&PoolHost| provisioning_of(host).filter(|id| state.in_flight.contains_key(id));
        let serving: BTreeSet<ProvisioningId> = in_service.iter().filter_map(ours).collect();
        let placed: BTreeSet<ProvisioningId> =
            self.hosts.iter().filter(coming).filter_map(|host| ours(&host)).collect();
        // An operator's request is capacity in flight as well, once it holds a host.
        let others = self.hosts.iter().filter(coming);
        let others = others.filter(|host| ours(host).is_none() && !not_shown.contains(&host.host)).count();
        let own = state.in_flight.keys().filter(|id| !serving.contains(*id)).count();
        let unplaced =
            state.in_flight.keys().filter(|id| !serving.contains(*id) && !placed.contains(*id)).count();
        let leaving = in_phase(Phase::Draining).chain(in_phase(Phase::Deprovisioning)).map(|host| &host.host);
        let leaving: BTreeSet<&HostId> = leaving.chain(state.leaving.keys()).collect();
        let quarantined = in_phase(Phase::Quarantined).map(|host| &host.host);
        let unhealthy: BTreeSet<&HostId> = quarantined.chain(self.unhealthy.keys()).collect();
        let serving_unhealthy = in_service.iter().filter(|host| unhealthy.contains(&host.host)).count();
        let counts = PoolCounts {
            in_service: count(in_service.len().saturating_add(not_shown.len())),
            in_flight: count(own.saturating_add(others)),
            free: count(in_phase(Phase::Available).count().saturating_sub(unplaced)),
            leaving: count(leaving.len()),
            not_ready: count(unhealthy.len()),
            hosts: self.policy.hosts,
            lendable: self.lenders.iter().fold(0, |sum, lender| sum.saturating_add(lender.lendable)),
        };
        Sizes { in_service, counts, unhealthy_beside: count(unhealthy.len() - serving_unhealthy) }
    }

    /// So many hosts that are to leave: those that are lent first, and one after the other from the rack that has the most then.
    pub(super) fn to_leave(&self, in_service: &[&PoolHost], wanted: u32) -> Vec<HostId> {
        let mut chosen = choose_leaving(in_service, wanted, &BTreeSet::new(), |host| host.is_lent);
        let left = wanted.saturating_sub(count(chosen.len()));
        let gone: BTreeSet<HostId> = chosen.iter().cloned().collect();
        chosen.extend(choose_leaving(in_service, left, &gone, |host| !host.is_lent));
        chosen
    }

    /// The ids of so many provisionings of a decision: the same whenever it is made.
    pub(super) fn provisionings(&self, number: u64, hosts: u32) -> Vec<ProvisioningId> {
        (1..=hosts)
            .filter_map(|n| ProvisioningId::new(format!("{}.{n}", self.request(number))).ok())
            .collect()
    }

    fn request(&self, number: u64) -> String {
        format!("{REQUEST_PREFIX}{}-{number}", self.pool)
    }

    /// What is disturbed when a host of this rack leaves.
    #[must_use]
    pub fn disruption(&self, host: &HostId, rack: &FaultDomain) -> Disruption {
        let power_domain = self.power_domains.get(rack).cloned();
        Disruption { host: host.clone(), pool: self.pool.clone(), rack: rack.clone(), power_domain }
    }

    /// What starts the provisionings of a decision: of the pool's own free hosts, without those to spare, and then of others'.
    pub(super) fn starts(&self, decided: &ScalingDecided) -> Vec<StartSaga> {
        let Ok(request) = RequestId::new(self.request(decided.number)) else { return Vec::new() };
        let own = decided.inputs.free.saturating_sub(self.scaling.spare_hosts);
        let own = usize::try_from(own).unwrap_or(usize::MAX).min(decided.provisionings.len());
        let (of_own, of_others) = decided.provisionings.split_at(own);
        let lenders = self.lenders.iter().filter(|lender| lender.lendable > 0);
        let order = ProvisioningOrder {
            request,
            pool: self.pool.clone(),
            take_from: Vec::new(),
            role: self.policy.role.clone(),
            image: self.policy.image.clone(),
            sku: None,
            traffic: self.policy.traffic.clone(),
            policy: self.provisioning,
        };
        let take_from = lenders.map(|lender| lender.pool.clone()).collect();
        let lent = ProvisioningOrder { take_from, ..order.clone() };
        provisioning::starts(&order, of_own).chain(provisioning::starts(&lent, of_others)).collect()
    }
}

/// So many of the hosts for which this is so, without those that are gone.
fn choose_leaving(
    in_service: &[&PoolHost],
    wanted: u32,
    gone: &BTreeSet<HostId>,
    is_so: impl Fn(&PoolHost) -> bool,
) -> Vec<HostId> {
    let mut racks: BTreeMap<&FaultDomain, (usize, Vec<&HostId>)> = BTreeMap::new();
    for host in in_service.iter().filter(|host| !gone.contains(&host.host)) {
        let (size, may_leave) = racks.entry(&host.rack).or_default();
        *size += 1;
        if !host.stays && is_so(host) {
            may_leave.push(&host.host);
        }
    }
    for (_, may_leave) in racks.values_mut() {
        // The last is taken first.
        may_leave.sort_unstable_by(|a, b| b.cmp(a));
    }
    let mut chosen = Vec::new();
    for _ in 0..wanted {
        let rack = racks.iter_mut().filter(|(_, (_, may_leave))| !may_leave.is_empty());
        // Of two that are as full, the first by name.
        let fullest = rack.max_by(|(a, (size, _)), (b, (other, _))| size.cmp(other).then(b.cmp(a)));
        let Some((_, (size, may_leave))) = fullest else { break };
        *size -= 1;
        chosen.extend(may_leave.pop().cloned());
    }
    chosen
}

/// What the disruption budget says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldByBudget {
    /// The rule, such as `budget-rack`.
    pub rule: String,
    /// What it allows.
    pub limit: u32,
    /// What there is.
    pub value: u32,
    /// What would lift it.
    pub lifts: String,
}

impl From<Held> for HeldByBudget {
    fn from(Held { rule, limit, value, lifts, .. }: Held) -> Self {
        Self { rule: format!("budget-{}", rule.name()), limit, value, lifts }
    }
}

/// The provisioning that holds a host or brought it into service.
fn provisioning_of(host: &&PoolHost) -> Option<ProvisioningId> {
    let saga = host.saga.as_ref().filter(|saga| saga.kind() == Provisioning::KIND)?;
    saga.id().parse().ok()
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
