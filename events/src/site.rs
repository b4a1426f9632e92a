//! The policies of a site as data: what is tolerated, what is done about it, by whose word, and within which limits.
//!
//! A site's file is `infra/sites/<site>.yaml`; `hostler policies apply` sends it. Without one, nothing is done to any host.

use std::collections::BTreeMap;

use hostler_core::{contracts, text_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{FaultDomain, Image, PoolId, Role};
use crate::signal::{FaultClass, Metric};

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
    /// The pools.
    pub pools: BTreeMap<PoolId, PoolPolicy>,
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
    /// Its power is taken away and given back.
    PowerCycle,
    /// It is installed anew.
    Reimage,
    /// Another host takes its place, and it is given back.
    Replace,
}

/// From when on faulty hosts are one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CorrelationPolicy {
    /// In a rack: so many of its hosts.
    pub rack: DomainLimit,
    /// In a power domain: so many of its racks.
    pub power_domain: DomainLimit,
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
    /// How it grows and shrinks. Without it, it does neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingPolicy>,
}

const fn auto() -> Autonomy {
    Autonomy::Auto
}

/// How a pool grows and shrinks by what is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingPolicy {
    /// Whose word it takes. The pool's own autonomy is the most that it can be.
    #[serde(default)]
    pub autonomy: Autonomy,
    /// What is measured. The pool grows when any of them asks for it, and shrinks when all of them say so.
    pub metrics: Vec<Metric>,
    /// So many hosts at least.
    #[schemars(range(min = 1, max = 250_000))]
    pub min: u32,
    /// So many hosts at most.
    #[schemars(range(min = 1, max = 250_000))]
    pub max: u32,
    /// How many hosts a signal asks for that names no value.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 250))]
    pub step: u32,
    /// A value this close to its threshold, in a hundred, changes nothing.
    #[serde(default = "ten")]
    #[schemars(range(max = 100))]
    pub tolerance_percent: u32,
    /// For how many seconds more hosts must be asked for before the pool grows.
    #[serde(default)]
    #[schemars(range(max = 86_400))]
    pub up_seconds: u32,
    /// For how many seconds fewer hosts must be asked for before the pool shrinks: to the most that was asked for meanwhile.
    #[serde(default = "five_minutes")]
    #[schemars(range(max = 86_400))]
    pub down_seconds: u32,
    /// How fast it grows at most.
    #[serde(default)]
    pub growth: GrowthPolicy,
    /// Seconds after it grew before it grows again.
    #[serde(default = "quarter_minute")]
    #[schemars(range(max = 86_400))]
    pub out_cooldown_seconds: u32,
    /// Seconds after it grew or shrank before it shrinks.
    #[serde(default = "five_minutes")]
    #[schemars(range(max = 86_400))]
    pub in_cooldown_seconds: u32,
    /// How many free hosts remain for others, such as for replacing a broken one.
    #[serde(default)]
    #[schemars(range(max = 250_000))]
    pub spare_hosts: u32,
    /// From so many hosts in a hundred on that are not ready, the pool neither grows nor shrinks.
    #[serde(default = "forty_five")]
    #[schemars(range(min = 1, max = 100))]
    pub not_ready_percent: u32,
    /// What it may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostPolicy>,
}

/// How fast a pool grows at most: by the percentage or by the number, whichever is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GrowthPolicy {
    /// By so many in a hundred of its hosts.
    #[schemars(range(max = 1_000))]
    pub percent: u32,
    /// By so many hosts.
    #[schemars(range(min = 1, max = 250))]
    pub hosts: u32,
    /// Within so many seconds.
    #[schemars(range(min = 1, max = 3_600))]
    pub seconds: u32,
}

impl Default for GrowthPolicy {
    fn default() -> Self {
        Self { percent: 100, hosts: 4, seconds: 15 }
    }
}

/// What a pool may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CostPolicy {
    /// The price of a host for an hour, in cents.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cents_per_host_hour: u32,
    /// What all its hosts may cost in an hour, in cents.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub cents_per_hour: u32,
}

impl CostPolicy {
    /// How many hosts that pays for.
    #[must_use]
    pub fn hosts(self) -> u32 {
        self.cents_per_hour.checked_div(self.cents_per_host_hour).unwrap_or(0)
    }
}

impl PoolPolicy {
    /// Whose word scaling takes; none where the pool does not scale.
    #[must_use]
    pub fn scaling_autonomy(&self) -> Option<Autonomy> {
        self.scaling.as_ref().map(|scaling| scaling.autonomy.min(self.autonomy))
    }
}

const fn one() -> u32 {
    1
}

const fn ten() -> u32 {
    10
}

const fn quarter_minute() -> u32 {
    15
}

const fn forty_five() -> u32 {
    45
}

const fn five_minutes() -> u32 {
    300
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
        check_budget(self.budget, &mut problems);
        for (pool, policy) in &self.pools {
            problems.range(&["pools", pool.as_str(), "hosts"], policy.hosts, 1, 250_000);
            if let Some(scaling) = &policy.scaling {
                check_scaling(pool.as_str(), scaling, policy.hosts, &mut problems);
            }
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

/// The longest name of a pool that scales: the ids of its provisionings are made from it.
const SCALED_POOL_BYTES_MAX: usize = 80;

fn check_scaling(pool: &str, scaling: &ScalingPolicy, hosts: u32, problems: &mut Problems) {
    let at = |field| ["pools", pool, "scaling", field];
    if pool.len() > SCALED_POOL_BYTES_MAX {
        let bytes = pool.len();
        let problem = format!(
            "its name has {bytes} bytes, and that of a pool that scales has {SCALED_POOL_BYTES_MAX} at most"
        );
        problems.add(&["pools", pool, "scaling"], problem);
    }
    if scaling.metrics.is_empty() {
        problems.add(&at("metrics"), "it names no metric: give at least one".to_owned());
    }
    let numbers = [
        ("min", scaling.min, 1, 250_000),
        ("max", scaling.max, 1, 250_000),
        ("step", scaling.step, 1, 250),
        ("tolerancePercent", scaling.tolerance_percent, 0, 100),
        ("upSeconds", scaling.up_seconds, 0, 86_400),
        ("downSeconds", scaling.down_seconds, 0, 86_400),
        ("outCooldownSeconds", scaling.out_cooldown_seconds, 0, 86_400),
        ("inCooldownSeconds", scaling.in_cooldown_seconds, 0, 86_400),
        ("spareHosts", scaling.spare_hosts, 0, 250_000),
        ("notReadyPercent", scaling.not_ready_percent, 1, 100),
    ];
    for (name, value, min, max) in numbers {
        problems.range(&at(name), value, min, max);
    }
    let GrowthPolicy { percent, hosts: step, seconds } = scaling.growth;
    for (name, value, min, max) in
        [("percent", percent, 0, 1_000), ("hosts", step, 1, 250), ("seconds", seconds, 1, 3_600)]
    {
        problems.range(&["pools", pool, "scaling", "growth", name], value, min, max);
    }
    if scaling.min > scaling.max {
        let (min, max) = (scaling.min, scaling.max);
        problems.add(&at("min"), format!("it is {min}, and max is {max}: give {max} at most"));
    }
    if scaling.max > hosts {
        let max = scaling.max;
        problems
            .add(&at("max"), format!("it is {max}, and the pool has {hosts} hosts: give {hosts} at most"));
    }
    if let Some(cost) = scaling.cost {
        let at = |field| ["pools", pool, "scaling", "cost", field];
        problems.range(&at("centsPerHostHour"), cost.cents_per_host_hour, 1, 1_000_000);
        problems.range(&at("centsPerHour"), cost.cents_per_hour, 1, 1_000_000_000);
        if cost.hosts() < scaling.min {
            let (hosts, min) = (cost.hosts(), scaling.min);
            problems
                .add(&at("centsPerHour"), format!("it pays for {hosts} hosts, and min is {min}: give more"));
        }
    }
}

#[derive(Default)]
struct Problems(Vec<SitePolicyError>);

impl Problems {
    fn add(&mut self, path: &[&str], problem: String) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.0.push(SitePolicyError { path, problem });
    }

    fn range(&mut self, path: &[&str], value: u32, min: u32, max: u32) {
        if !(min..=max).contains(&value) {
            self.add(path, format!("it is {value}: give {min} to {max}"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn what_cannot_be_is_named_with_its_place_and_all_of_it() {
        assert_eq!(SitePolicy::default().check(), Ok(()));
        let policy: SitePolicy = serde_json::from_value(serde_json::json!({
            "faults": { "unreachable": { "tolerationSeconds": 300, "runbook": "reboot" } },
            "runbooks": { "restart": { "rungs": [{ "rung": "power-cycle", "attempts": 99 }] }, "idle": { "rungs": [] } },
            "budget": { "poolPercent": 101 },
        }))
        .unwrap();
        let problems: Vec<String> = policy.check().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "faults.unreachable.runbook: there is no runbook reboot: name one of runbooks (idle, restart), or add it there",
                "runbooks.idle.rungs: it has no rung: give at least one",
                "runbooks.restart.rungs.0.attempts: it is 99: give 1 to 10",
                "budget.poolPercent: it is 101: give 0 to 100",
            ]
        );
    }

    #[test]
    fn scaling_that_cannot_be_is_named_with_its_place() {
        let policy: SitePolicy = serde_json::from_value(serde_json::json!({
            "pools": { "web": { "role": "web", "image": "i", "hosts": 10, "scaling": {
                "metrics": [], "min": 20, "max": 12, "growth": { "seconds": 0 },
                "cost": { "centsPerHostHour": 50, "centsPerHour": 100 },
            } } },
        }))
        .unwrap();
        let problems: Vec<String> = policy.check().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "pools.web.scaling.metrics: it names no metric: give at least one",
                "pools.web.scaling.growth.seconds: it is 0: give 1 to 3600",
                "pools.web.scaling.min: it is 20, and max is 12: give 12 at most",
                "pools.web.scaling.max: it is 12, and the pool has 10 hosts: give 10 at most",
                "pools.web.scaling.cost.centsPerHour: it pays for 2 hosts, and min is 20: give more",
            ]
        );
    }

    #[test]
    fn scaling_observes_unless_it_says_otherwise_and_never_has_more_autonomy_than_its_pool() {
        let pool = |pool: &str, scaling: serde_json::Value| {
            let mut policy = serde_json::json!({
                "role": "web", "image": "i", "hosts": 10, "autonomy": pool,
                "scaling": { "metrics": ["load"], "min": 1, "max": 2 },
            });
            if !scaling.is_null() {
                policy["scaling"]["autonomy"] = scaling;
            }
            serde_json::from_value::<PoolPolicy>(policy).unwrap().scaling_autonomy()
        };
        assert_eq!(pool("auto", serde_json::Value::Null), Some(Autonomy::Observe));
        assert_eq!(pool("auto", "auto".into()), Some(Autonomy::Auto));
        assert_eq!(pool("approve", "auto".into()), Some(Autonomy::Approve));
    }

    /// Without a site's file nothing is done to a host.
    #[test]
    fn a_runbook_observes_unless_it_says_otherwise() {
        let runbook: Runbook =
            serde_json::from_value(serde_json::json!({ "rungs": [{ "rung": "reimage" }] })).unwrap();
        assert_eq!(runbook.autonomy, Autonomy::Observe);
        assert_eq!((runbook.rungs[0].attempts, runbook.rungs[0].delay_seconds), (3, 60));
        assert!(SitePolicy::default().faults.is_empty());
    }
}
