//! The policies of a site as data: what is tolerated, what is done about it, by whose word, and within which limits.
//!
//! A site's file is `infra/sites/<site>.yaml`; `hostler policies apply` sends it. Without one, nothing is done to any host.

use std::collections::BTreeMap;

use hostler_core::text_id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{FaultDomain, Image, PoolId, Role};
use crate::signal::FaultClass;

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
}

const fn auto() -> Autonomy {
    Autonomy::Auto
}

/// Something in a policy that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct SitePolicyError {
    /// Where, such as `faults.unreachable.runbook`.
    pub field: String,
    /// What is wrong there, and what to do.
    pub problem: String,
}

impl SitePolicy {
    /// Checks every number's range and every reference.
    ///
    /// # Errors
    /// All that is wrong, each with its field.
    pub fn check(&self) -> Result<(), Vec<SitePolicyError>> {
        let mut problems = Problems::default();
        for (rack, policy) in &self.topology.racks {
            problems.range(format!("topology.racks.{rack}.hosts"), policy.hosts, 1, 10_000);
        }
        for (class, fault) in &self.faults {
            let at = |field: &str| format!("faults.{class}.{field}");
            problems.range(at("tolerationSeconds"), fault.toleration_seconds, 0, 86_400);
            if !self.runbooks.contains_key(&fault.runbook) {
                let known = self.runbooks.keys().map(RunbookId::as_str).collect::<Vec<_>>().join(", ");
                let problem = format!(
                    "there is no runbook {}: name one of runbooks ({known}), or add it there",
                    fault.runbook
                );
                problems.add(at("runbook"), problem);
            }
        }
        for (name, runbook) in &self.runbooks {
            if runbook.rungs.is_empty() {
                problems
                    .add(format!("runbooks.{name}.rungs"), "it has no rung: give at least one".to_owned());
            }
            for (index, rung) in runbook.rungs.iter().enumerate() {
                let at = |field: &str| format!("runbooks.{name}.rungs[{index}].{field}");
                problems.range(at("attempts"), rung.attempts, 1, 10);
                problems.range(at("delaySeconds"), rung.delay_seconds, 1, 3_600);
            }
        }
        for (name, limit) in [("rack", self.correlation.rack), ("powerDomain", self.correlation.power_domain)]
        {
            problems.range(format!("correlation.{name}.count"), limit.count, 2, 10_000);
            problems.range(format!("correlation.{name}.percent"), limit.percent, 1, 100);
        }
        let budget = &self.budget;
        problems.range("budget.site".to_owned(), budget.site, 0, 10_000);
        problems.range("budget.poolPercent".to_owned(), budget.pool_percent, 0, 100);
        problems.range("budget.pool".to_owned(), budget.pool, 0, 10_000);
        problems.range("budget.rack".to_owned(), budget.rack, 0, 10_000);
        problems.range("budget.powerDomain".to_owned(), budget.power_domain, 0, 10_000);
        problems.range("budget.starts".to_owned(), budget.starts, 0, 10_000);
        problems.range("budget.windowSeconds".to_owned(), budget.window_seconds, 1, 86_400);
        problems.range("budget.brakePercent".to_owned(), budget.brake_percent, 1, 100);
        for (pool, policy) in &self.pools {
            problems.range(format!("pools.{pool}.hosts"), policy.hosts, 1, 250_000);
        }
        match problems.0.is_empty() {
            true => Ok(()),
            false => Err(problems.0),
        }
    }
}

#[derive(Default)]
struct Problems(Vec<SitePolicyError>);

impl Problems {
    fn add(&mut self, field: String, problem: String) {
        self.0.push(SitePolicyError { field, problem });
    }

    fn range(&mut self, field: String, value: u32, min: u32, max: u32) {
        if !(min..=max).contains(&value) {
            self.add(field, format!("it is {value}: give {min} to {max}"));
        }
    }
}
