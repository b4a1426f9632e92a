//! The policies of a site as data: what is tolerated, what is done about it, by whose word, and within which limits.
//!
//! A site's file is `infra/sites/<site>.yaml`; `hostler policies apply` sends it. Without one, nothing is done to any host.

use std::collections::BTreeMap;

use hostler_core::{contracts, text_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::campaigns::CampaignsPolicy;
use crate::drift::ConfigurationPolicy;
use crate::ids::{FaultDomain, Image, PoolId, Role};
use crate::inventory::InventoryPolicy;
use crate::patching::PatchingPolicy;
use crate::scaling::ScalingPolicy;
use crate::signal::FaultClass;
use crate::traffic::{DRAIN_SECONDS_MAX, TrafficPolicy};
use crate::vulnerabilities::VulnerabilityPolicy;

text_id!(
    /// Racks that lose their power together.
    PowerDomain,
    "power domain"
);
text_id!(
    /// A room of a data centre.
    Room,
    "room"
);
text_id!(
    /// A runbook: what is tried, in which order.
    RunbookId,
    "runbook"
);

text_id!(
    /// A set of policies. Functions follow the one that is called [`SITE`].
    PolicySet,
    "set of policies"
);

/// The set of policies that functions follow: a deployment is one site.
pub const SITE: &str = "site";

contracts! {
    /// What happens to a site's policies.
    pub enum PolicyEvent as Event {
        "policies.applied" v 1 => Applied(PoliciesApplied),
    }
}

/// Policies were applied. Who did it is in the event's header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoliciesApplied {
    /// The set.
    pub policies: PolicySet,
    /// Its version: 1 for the first, and one more with each change. Decisions name it.
    pub policy_version: u64,
    /// What holds from now on.
    pub policy: SitePolicy,
    /// What has changed.
    pub changes: Vec<PolicyChange>,
    /// Why.
    pub reason: String,
}

/// One change of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyChange {
    /// Where, such as `budget.rack`.
    pub field: String,
    /// What it was; absent where there was nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it is; absent where it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Have a site follow these policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplyPolicies {
    /// The set.
    pub policies: PolicySet,
    /// All of it: what is not in it has its default.
    pub policy: SitePolicy,
    /// Why.
    pub reason: String,
    /// The version that it was made from, where it must not replace a newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_version: Option<u64>,
}

/// The policies of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SitePolicy {
    /// Where things stand, and what fails together.
    pub topology: Topology,
    /// What is known to go wrong, and what is done about it. A class that is not listed is only observed.
    pub faults: BTreeMap<FaultClass, FaultPolicy>,
    /// What is tried, in which order.
    pub runbooks: BTreeMap<RunbookId, Runbook>,
    /// From when on many faulty hosts are one incident.
    pub correlation: CorrelationPolicy,
    /// How many hosts may be disturbed at once, by whomever.
    pub budget: BudgetPolicy,
    /// How it is seen that a repair has helped.
    pub recovery: RecoveryPolicy,
    /// By which numbers hosts are patched.
    pub patching: PatchingPolicy,
    /// The pools.
    pub pools: BTreeMap<PoolId, PoolPolicy>,
    /// How the fleet is patched.
    pub campaigns: CampaignsPolicy,
    /// How urgent vulnerabilities are.
    pub vulnerabilities: VulnerabilityPolicy,
    /// What is kept of the inventory. Without it, nothing that sources say of hosts is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<InventoryPolicy>,
    /// How hosts in service are kept as their roles have configured them.
    #[serde(skip_serializing_if = "ConfigurationPolicy::is_default")]
    pub configuration: ConfigurationPolicy,
}

/// Where things stand, and what fails together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Topology {
    /// The racks, by the fault domain that their hosts are enrolled with.
    pub racks: BTreeMap<FaultDomain, RackPolicy>,
}

/// A rack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RackPolicy {
    /// Where it stands.
    pub room: Room,
    /// With which racks it loses its power.
    pub power_domain: PowerDomain,
    /// How many hosts it has.
    #[schemars(range(min = 1, max = 10_000))]
    pub hosts: u32,
}

/// What is done about a class of faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultPolicy {
    /// Seconds for which it must go on before anything is done.
    #[schemars(range(min = 0, max = 86_400))]
    pub toleration_seconds: u32,
    /// What is done then.
    pub runbook: RunbookId,
}

/// Whose word it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Autonomy {
    /// Nothing is done; what would have been done is recorded.
    #[default]
    Observe,
    /// A person approves each remediation.
    Approve,
    /// It is done at once.
    Auto,
}

/// What is tried about a fault, from the gentlest to the hardest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Runbook {
    /// Whose word it takes.
    #[serde(default)]
    pub autonomy: Autonomy,
    /// What is tried, in this order.
    pub rungs: Vec<RungPolicy>,
    /// Whether it may go on while the fleet's brake is on, because it heals what the brake waits for.
    #[serde(default)]
    pub passes_brake: bool,
}

/// One rung of a runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RungPolicy {
    /// What is done.
    pub rung: Rung,
    /// How often it is tried before the next rung.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 10))]
    pub attempts: u32,
    /// Seconds before it is tried again; doubled with each try, up to an hour.
    #[serde(default = "minute")]
    #[schemars(range(min = 1, max = 3_600))]
    pub delay_seconds: u32,
}

const fn three() -> u32 {
    3
}

const fn minute() -> u32 {
    60
}

/// What can be done about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// It is taken out of traffic, which heals nothing: the next rung follows.
    RedirectTraffic,
    /// The service that has failed is restarted, by the host's own agent.
    RestartService,
    /// Its power is taken away and given back.
    PowerCycle,
    /// It is installed anew.
    Reimage,
    /// Another host takes its place, and it is given back.
    Replace,
}

/// How it is seen that a repair has helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RecoveryPolicy {
    /// Seconds that a host has after a repair until it must be healthy: it boots, and monitoring has to see it. After that the
    /// repair has failed.
    #[schemars(range(min = 5, max = 3_600))]
    pub verify_seconds: u32,
}

impl RecoveryPolicy {
    /// Seconds for a host that takes minutes to boot.
    pub const VERIFY_SECONDS: u32 = 500;
}

impl Default for RecoveryPolicy {
    fn default() -> Self {
        Self { verify_seconds: Self::VERIFY_SECONDS }
    }
}

/// From when on faulty hosts are one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CorrelationPolicy {
    /// In a rack: so many of its hosts.
    pub rack: DomainLimit,
    /// In a power domain: so many of its racks.
    pub power_domain: DomainLimit,
    /// Seconds after which a person is told of an incident that goes on; doubled each time, up to a day.
    #[schemars(range(min = 10, max = 86_400))]
    pub escalate_seconds: u32,
}

/// A part of something: so many members, and so many in a hundred. Both must be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DomainLimit {
    /// So many members.
    #[schemars(range(min = 2, max = 10_000))]
    pub count: u32,
    /// So many in a hundred.
    #[schemars(range(min = 1, max = 100))]
    pub percent: u32,
}

impl Default for CorrelationPolicy {
    fn default() -> Self {
        Self {
            rack: DomainLimit { count: 3, percent: 20 },
            power_domain: DomainLimit { count: 2, percent: 20 },
            escalate_seconds: 1_800,
        }
    }
}

/// How many hosts may be disturbed at once. Hosts that are unhealthy already count as disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BudgetPolicy {
    /// In the whole site.
    #[schemars(range(max = 10_000))]
    pub site: u32,
    /// In one pool, in a hundred of its hosts.
    #[schemars(range(max = 100))]
    pub pool_percent: u32,
    /// In one pool, whatever its size.
    #[schemars(range(max = 10_000))]
    pub pool: u32,
    /// In one rack.
    #[schemars(range(max = 10_000))]
    pub rack: u32,
    /// In one power domain.
    #[schemars(range(max = 10_000))]
    pub power_domain: u32,
    /// How many may begin within the window.
    #[schemars(range(max = 10_000))]
    pub starts: u32,
    /// The window, in seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub window_seconds: u32,
    /// From so many unhealthy hosts in a hundred of a pool on, nothing is begun in it.
    #[schemars(range(min = 1, max = 100))]
    pub brake_percent: u32,
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        Self {
            site: 50,
            pool_percent: 10,
            pool: 10,
            rack: 2,
            power_domain: 10,
            starts: 30,
            window_seconds: 600,
            brake_percent: 20,
        }
    }
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolPolicy {
    /// What its hosts are.
    pub role: Role,
    /// What they run.
    pub image: Image,
    /// How many hosts it has, enrolled ones included: what percentages are of.
    #[schemars(range(min = 1, max = 250_000))]
    pub hosts: u32,
    /// The most that may be done in it without a person, whatever a runbook says.
    #[serde(default = "auto")]
    pub autonomy: Autonomy,
    /// How its hosts take requests. Without it, nobody sends them any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficPolicy>,
    /// How important it is beside other pools, which may reclaim hosts from less important ones.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub priority: u32,
    /// How it grows and shrinks. Without it, it does neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingPolicy>,
}

const fn auto() -> Autonomy {
    Autonomy::Auto
}

/// Something in a policy that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", path.join("."))]
pub struct SitePolicyError {
    /// Where, from the outermost field on, such as `faults`, `unreachable`, `runbook`. A place in a list is its number, from 0.
    pub path: Vec<String>,
    /// What is wrong there, and what to do.
    pub problem: String,
}

impl SitePolicy {
    /// Checks every number's range and every reference.
    ///
    /// # Errors
    /// All that is wrong, each with its place.
    pub fn check(&self) -> Result<(), Vec<SitePolicyError>> {
        let mut problems = Problems::default();
        for (rack, policy) in &self.topology.racks {
            problems.range(&["topology", "racks", rack.as_str(), "hosts"], policy.hosts, 1, 10_000);
        }
        for (class, fault) in &self.faults {
            self.check_fault(class.as_str(), fault, &mut problems);
        }
        for (name, runbook) in &self.runbooks {
            check_runbook(name.as_str(), runbook, &mut problems);
        }
        let correlation = [("rack", self.correlation.rack), ("powerDomain", self.correlation.power_domain)];
        for (name, limit) in correlation {
            problems.range(&["correlation", name, "count"], limit.count, 2, 10_000);
            problems.range(&["correlation", name, "percent"], limit.percent, 1, 100);
        }
        let escalate_seconds = self.correlation.escalate_seconds;
        problems.range(&["correlation", "escalateSeconds"], escalate_seconds, 10, 86_400);
        check_budget(self.budget, &mut problems);
        self.configuration.check(&mut problems);
        problems.range(&["recovery", "verifySeconds"], self.recovery.verify_seconds, 5, 3_600);
        self.patching.check(&mut problems);
        for (pool, policy) in &self.pools {
            problems.range(&["pools", pool.as_str(), "hosts"], policy.hosts, 1, 250_000);
            if let Some(traffic) = &policy.traffic {
                let at = |field| ["pools", pool.as_str(), "traffic", field];
                problems.range(&at("port"), traffic.port, 1, 65_535);
                problems.range(&at("drainSeconds"), traffic.drain_seconds, 0, DRAIN_SECONDS_MAX);
            }
            problems.range(&["pools", pool.as_str(), "priority"], policy.priority, 0, 100);
            if let Some(scaling) = &policy.scaling {
                scaling.check(pool.as_str(), policy.hosts, &mut problems);
                scaling.check_reclaim(pool, policy.priority, &self.pools, &mut problems);
            }
        }
        self.campaigns.check(&mut problems);
        self.vulnerabilities.check(&mut problems);
        if let Some(inventory) = &self.inventory {
            inventory.check(&mut problems);
        }
        if problems.0.is_empty() { Ok(()) } else { Err(problems.0) }
    }

    fn check_fault(&self, class: &str, fault: &FaultPolicy, problems: &mut Problems) {
        problems.range(&["faults", class, "tolerationSeconds"], fault.toleration_seconds, 0, 86_400);
        if !self.runbooks.contains_key(&fault.runbook) {
            let known = self.runbooks.keys().map(RunbookId::as_str).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            let runbook = &fault.runbook;
            let problem =
                format!("there is no runbook {runbook}: name one of runbooks ({known}), or add it there");
            problems.add(&["faults", class, "runbook"], problem);
        }
    }
}

fn check_runbook(name: &str, runbook: &Runbook, problems: &mut Problems) {
    if runbook.rungs.is_empty() {
        problems.add(&["runbooks", name, "rungs"], "it has no rung: give at least one".to_owned());
    }
    for (index, rung) in runbook.rungs.iter().enumerate() {
        let index = index.to_string();
        let at = |field| ["runbooks", name, "rungs", index.as_str(), field];
        problems.range(&at("attempts"), rung.attempts, 1, 10);
        problems.range(&at("delaySeconds"), rung.delay_seconds, 1, 3_600);
    }
}

fn check_budget(budget: BudgetPolicy, problems: &mut Problems) {
    let numbers = [
        ("site", budget.site, 0, 10_000),
        ("poolPercent", budget.pool_percent, 0, 100),
        ("pool", budget.pool, 0, 10_000),
        ("rack", budget.rack, 0, 10_000),
        ("powerDomain", budget.power_domain, 0, 10_000),
        ("starts", budget.starts, 0, 10_000),
        ("windowSeconds", budget.window_seconds, 1, 86_400),
        ("brakePercent", budget.brake_percent, 1, 100),
    ];
    for (name, value, min, max) in numbers {
        problems.range(&["budget", name], value, min, max);
    }
}

/// All that is wrong with a policy.
#[derive(Default)]
pub(crate) struct Problems(Vec<SitePolicyError>);

impl Problems {
    pub(crate) fn add(&mut self, path: &[&str], problem: String) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.0.push(SitePolicyError { path, problem });
    }

    pub(crate) fn range(&mut self, path: &[&str], value: u32, min: u32, max: u32) {
        if !(min..=max).contains(&value) {
            self.add(path, format!("it is {value}: give {min} to {max}"));
        }
    }
}

#[cfg(test)]
mod tests;
