//! How much the pools of a fleet have to do, and the share of each host.
//!
//! The fleet is not told which host serves which pool: monitoring says so with each scrape (`/metrics/<host>?pool=<pool>`). A
//! host whose system answers serves its pool until it was not scraped for a while; what there is to do is shared evenly among
//! those that do.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The load of a host whose pool was given no demand. It lies between the thresholds of infra/monitoring/rules.yaml, so that
/// nothing scales by itself.
pub(crate) const LOAD_WITHOUT_DEMAND: f64 = 0.6;
/// How long a host counts after it was scraped: three times the interval of the local cloud.
const COUNTS_FOR: Duration = Duration::from_secs(3);
/// The most that a pool can be given to do.
pub(crate) const DEMAND_MAX: f64 = 1e6;

/// What a pool has to do. As JSON: `{"demand": 4.0}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// By how many fully loaded hosts it could be done.
    pub demand: f64,
}

/// How a pool of the fleet stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolLoad {
    /// The pool.
    pub pool: String,
    /// What it has to do; none where nothing was set.
    pub demand: Option<f64>,
    /// The hosts that serve it, as monitoring last saw them.
    pub hosts: Vec<String>,
    /// The load of each of them: 1 is as much as a host can do.
    pub load: f64,
}

/// What all pools have to do.
#[derive(Debug, Default)]
pub struct Loads {
    pools: Mutex<BTreeMap<String, Pool>>,
}

#[derive(Debug, Default)]
struct Pool {
    demand: Option<f64>,
    /// The hosts that serve it, and when they were last scraped.
    serving: BTreeMap<String, Instant>,
}

impl Pool {
    fn forget_before(&mut self, now: Instant) {
        self.serving.retain(|_, scraped| now.duration_since(*scraped) < COUNTS_FOR);
    }

    fn share(&self) -> f64 {
        let hosts = u32::try_from(self.serving.len()).unwrap_or(u32::MAX);
        self.demand.map_or(LOAD_WITHOUT_DEMAND, |demand| demand / f64::from(hosts.max(1)))
    }
}

impl Loads {
    /// Gives a pool so much to do, from now on. False where that is no amount: it is from 0 to a million.
    #[must_use]
    pub fn set(&self, pool: &str, Demand { demand }: Demand) -> bool {
        let is_amount = (0.0..=DEMAND_MAX).contains(&demand);
        if is_amount {
            self.pools().entry(pool.to_owned()).or_default().demand = Some(demand);
        }
        is_amount
    }

    /// Has the hosts of a pool say again what they say without a demand.
    pub fn clear(&self, pool: &str) {
        if let Some(pool) = self.pools().get_mut(pool) {
            pool.demand = None;
        }
    }

    /// All pools that have something to do, or hosts.
    #[must_use]
    pub fn all(&self) -> Vec<PoolLoad> {
        let (mut pools, now) = (self.pools(), Instant::now());
        pools.values_mut().for_each(|pool| pool.forget_before(now));
        pools.retain(|_, pool| pool.demand.is_some() || !pool.serving.is_empty());
        let status = |(name, pool): (&String, &Pool)| PoolLoad {
            pool: name.clone(),
            demand: pool.demand,
            hosts: pool.serving.keys().cloned().collect(),
            load: pool.share(),
        };
        pools.iter().map(status).collect()
    }

    /// A host of a pool is scraped, and its system answers or does not: what it has to do.
    pub(crate) fn scraped(&self, pool: Option<&str>, host_id: &str, answers: bool, now: Instant) -> f64 {
        let Some(name) = pool else { return LOAD_WITHOUT_DEMAND };
        let mut pools = self.pools();
        for (_, other) in pools.iter_mut().filter(|(other, _)| *other != name) {
            other.serving.remove(host_id);
        }
        let pool = pools.entry(name.to_owned()).or_default();
        pool.forget_before(now);
        match answers {
            true => pool.serving.insert(host_id.to_owned(), now),
            false => pool.serving.remove(host_id),
        };
        pool.share()
    }

    fn pools(&self) -> MutexGuard<'_, BTreeMap<String, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const WEB: Option<&str> = Some("web");

    #[test]
    fn what_there_is_to_do_is_shared_by_those_that_answer() {
        let (loads, now) = (Loads::default(), Instant::now());
        let load = |host, answers, now| loads.scraped(WEB, host, answers, now);
        assert_eq!(load("h-01", true, now), LOAD_WITHOUT_DEMAND);
        assert!(loads.set("web", Demand { demand: 3.0 }));
        assert_eq!(load("h-01", true, now), 3.0);
        assert_eq!((load("h-02", true, now), load("h-01", true, now)), (1.5, 1.5));
        // One that hangs does nothing any more, and one that is not looked at any more has left.
        let _ = load("h-02", false, now);
        assert_eq!(load("h-01", true, now), 3.0);
        assert_eq!(load("h-03", true, now), 1.5);
        assert_eq!(load("h-01", true, now + COUNTS_FOR), 3.0);
        // A host serves one pool.
        assert_eq!(loads.scraped(Some("db"), "h-01", true, now), LOAD_WITHOUT_DEMAND);
        assert_eq!(load("h-03", true, now), 3.0);
        loads.clear("web");
        assert_eq!(load("h-03", true, now), LOAD_WITHOUT_DEMAND);
    }

    #[test]
    fn no_amount_is_refused_and_nobody_divides_by_zero() {
        let loads = Loads::default();
        for demand in [-1.0, f64::NAN, f64::INFINITY, DEMAND_MAX * 2.0] {
            assert!(!loads.set("web", Demand { demand }), "{demand}");
        }
        assert!(loads.set("web", Demand { demand: 2.0 }));
        assert_eq!(
            loads.all(),
            [PoolLoad { pool: "web".to_owned(), demand: Some(2.0), hosts: vec![], load: 2.0 }]
        );
        assert_eq!(loads.scraped(None, "h-01", true, Instant::now()), LOAD_WITHOUT_DEMAND);
    }

    /// Otherwise pools would grow or shrink although nobody has given them anything to do.
    #[test]
    fn without_a_demand_no_rule_fires() {
        let rules = include_str!("../../../infra/monitoring/rules.yaml");
        let after = |text: &str| {
            let (_, after) = rules.split_once(text).unwrap();
            after.split_whitespace().next().unwrap().parse::<f64>().unwrap()
        };
        let load = "avg by (pool) (node_load1{job=\"hosts\"})";
        let (high, low) = (after(&format!("{load} > ")), after(&format!("{load} < ")));
        assert!((low..high).contains(&LOAD_WITHOUT_DEMAND), "{low} {high}");
    }
}
