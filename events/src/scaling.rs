//! How a pool grows and shrinks by what is measured, as its site's policies say.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::PoolId;
use crate::signal::Metric;
use crate::site::{Autonomy, PoolPolicy, Problems};

/// The longest name of a pool that scales: the ids of its provisionings are made from it.
const SCALED_POOL_BYTES_MAX: usize = 80;

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
    /// Pools of lower priority from which it takes hosts when it has no free ones left, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reclaim_from: Vec<PoolId>,
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

impl ScalingPolicy {
    /// Checks every number's range, for a pool of so many hosts.
    pub(crate) fn check(&self, pool: &str, hosts: u32, problems: &mut Problems) {
        let scaling = self;
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
            problems.add(
                &at("max"),
                format!("it is {max}, and the pool has {hosts} hosts: give {hosts} at most"),
            );
        }
        if let Some(cost) = scaling.cost {
            let at = |field| ["pools", pool, "scaling", "cost", field];
            problems.range(&at("centsPerHostHour"), cost.cents_per_host_hour, 1, 1_000_000);
            problems.range(&at("centsPerHour"), cost.cents_per_hour, 1, 1_000_000_000);
            if cost.hosts() < scaling.min {
                let (hosts, min) = (cost.hosts(), scaling.min);
                problems.add(
                    &at("centsPerHour"),
                    format!("it pays for {hosts} hosts, and min is {min}: give more"),
                );
            }
        }
    }
}

impl ScalingPolicy {
    /// Checks the pools from which hosts are reclaimed. As each is of lower priority, no two reclaim from each other.
    pub(crate) fn check_reclaim(
        &self,
        pool: &PoolId,
        priority: u32,
        pools: &BTreeMap<PoolId, PoolPolicy>,
        problems: &mut Problems,
    ) {
        for from in &self.reclaim_from {
            let problem = match pools.get(from) {
                None => format!("there is no pool {from}: name one of pools"),
                Some(PoolPolicy { scaling: None, .. }) => {
                    format!("pool {from} does not scale: give it pools.{from}.scaling, whose min it keeps")
                }
                Some(lender) if lender.priority >= priority => format!(
                    "pool {from} has the priority {}, and {pool} has {priority}: give {pool} a higher one",
                    lender.priority
                ),
                Some(_) => continue,
            };
            problems.add(&["pools", pool.as_str(), "scaling", "reclaimFrom"], problem);
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;
    use crate::SitePolicy;

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
    fn hosts_are_reclaimed_only_from_pools_of_lower_priority_that_scale() {
        let scaling = |from: &[&str]| serde_json::json!({ "metrics": ["load"], "min": 1, "max": 2, "reclaimFrom": from });
        let policy: SitePolicy = serde_json::from_value(serde_json::json!({ "pools": {
            "web": { "role": "web", "image": "i", "hosts": 9, "priority": 5, "scaling": scaling(&["batch", "db", "api", "no"]) },
            "batch": { "role": "web", "image": "i", "hosts": 9, "scaling": scaling(&[]) },
            "db": { "role": "web", "image": "i", "hosts": 9 },
            "api": { "role": "web", "image": "i", "hosts": 9, "priority": 5, "scaling": scaling(&["web"]) },
        } }))
        .unwrap();
        let problems: Vec<String> = policy.check().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "pools.api.scaling.reclaimFrom: pool web has the priority 5, and api has 5: give api a higher one",
                "pools.web.scaling.reclaimFrom: pool db does not scale: give it pools.db.scaling, whose min it keeps",
                "pools.web.scaling.reclaimFrom: pool api has the priority 5, and web has 5: give web a higher one",
                "pools.web.scaling.reclaimFrom: there is no pool no: name one of pools",
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
}
