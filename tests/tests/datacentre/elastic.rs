//! What must hold of pools after every event, found out from what is done to hosts; and what came of their growing and shrinking.

use std::collections::{BTreeMap, BTreeSet};

use hostler_events::pool::{PoolEvent, ScalingDirection};
use hostler_events::scaling::ScalingPolicy;
use hostler_events::site::BudgetPolicy;
use hostler_events::{HostEvent, ProvisioningId, SitePolicy};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::load::{HIGH, SAMPLED, TOLERANCE};
use crate::model::Place;

/// A pool that goes the other way again within so short a time flaps.
const FLAPS_WITHIN: SignedDuration = SignedDuration::from_mins(30);

/// How a pool was used and served: the same figures for whoever scales it.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// For how many hours hosts were in service, together.
    pub host_hours: f64,
    /// For how many hours hosts were in service or on their way there or back.
    pub held_hours: f64,
    /// What they did, in hours of a host that does nothing else.
    pub work_hours: f64,
    /// What was more than the hosts could do, in minutes of a host.
    pub short_minutes: f64,
    /// For how many minutes there was more than the hosts could do.
    pub over_minutes: f64,
    /// From the sample that shows that more hosts are needed than there are or come to the decision, in seconds.
    pub to_decision: Vec<f64>,
    /// The same to each host's service.
    pub to_service: Vec<f64>,
    /// Since when more are needed than there are or come.
    needed_since: Option<Timestamp>,
    /// How often it was decided, out and in.
    pub decisions: [u64; 2],
    /// How often the direction changed within half an hour.
    pub flaps: u64,
    last: Option<(Timestamp, ScalingDirection)>,
}

impl Service {
    /// A sample: so much to do for so many hosts in service, beside which so many come and so many are held in all.
    pub fn sampled(&mut self, now: Timestamp, todo: f64, serving: u32, coming: u32, held: u32) {
        let hours = SAMPLED.as_secs_f64() / 3_600.0;
        let hosts = f64::from(serving);
        self.host_hours += hosts * hours;
        self.held_hours += f64::from(held) * hours;
        self.work_hours += todo.min(hosts) * hours;
        self.short_minutes += (todo - hosts).max(0.0) * hours * 60.0;
        self.over_minutes += if todo > hosts { hours * 60.0 } else { 0.0 };
        if todo > f64::from(serving + coming) * HIGH * (1.0 + TOLERANCE) {
            self.needed_since.get_or_insert(now);
        } else {
            self.needed_since = None;
        }
    }

    /// It was decided; gives since when more hosts were needed.
    pub fn decided(&mut self, now: Timestamp, direction: ScalingDirection) -> Option<Timestamp> {
        self.decisions[usize::from(direction == ScalingDirection::In)] += 1;
        let turned = |(at, last): &(Timestamp, ScalingDirection)| {
            *last != direction && now.duration_since(*at) < FLAPS_WITHIN
        };
        self.flaps += u64::from(self.last.as_ref().is_some_and(turned));
        self.last = Some((now, direction));
        if direction == ScalingDirection::In {
            return None;
        }
        let since = self.needed_since.take();
        self.to_decision.extend(since.map(|since| now.duration_since(since).as_secs_f64()));
        since
    }

    /// The part of the hosts' time that was used.
    pub fn utilisation(&self) -> f64 {
        100.0 * self.work_hours / self.host_hours
    }
}

/// A pool as its hosts' events say.
#[derive(Default)]
struct Pool {
    scaling: Option<ScalingPolicy>,
    hosts: u32,
    serving: u32,
    free: u32,
    /// Asked for and not in service, and since when more were needed when they were.
    coming: BTreeMap<ProvisioningId, Option<Timestamp>>,
    service: Service,
    /// How often each rule held it back, or made a decision smaller.
    rules: BTreeMap<String, u64>,
    most: u32,
    least: u32,
}

/// A host that leaves.
struct Leaving {
    pool: usize,
    rack: usize,
    power_domain: usize,
}

/// All pools.
pub struct Elastic {
    pools: Vec<Pool>,
    budget: BudgetPolicy,
    chosen: BTreeSet<String>,
    leaving: BTreeMap<String, Leaving>,
    began: Vec<Timestamp>,
    /// The most hosts that left at a time, and within the budget's window.
    pub leaving_most: usize,
    pub window_most: usize,
}

impl Elastic {
    pub fn new(places: &[Place], policies: &Value) -> Self {
        let policies: SitePolicy = serde_json::from_value(policies.clone()).unwrap();
        let mut pools: Vec<Pool> = Vec::new();
        for place in places {
            if pools.len() <= place.pool {
                pools.resize_with(place.pool + 1, Pool::default);
            }
            let pool = &mut pools[place.pool];
            pool.hosts += 1;
            *(if place.is_free { &mut pool.free } else { &mut pool.serving }) += 1;
        }
        for (number, pool) in pools.iter_mut().enumerate() {
            let name = format!("pool-{number}").parse().unwrap();
            pool.scaling = policies.pools.get(&name).and_then(|policy| policy.scaling.clone());
            (pool.most, pool.least) = (pool.serving, pool.serving);
        }
        let (budget, chosen, leaving) = (policies.budget, BTreeSet::new(), BTreeMap::new());
        Self { pools, budget, chosen, leaving, began: Vec::new(), leaving_most: 0, window_most: 0 }
    }

    pub fn serving(&self, pool: usize) -> u32 {
        self.pools[pool].serving
    }

    /// Hosts in service and on their way there.
    pub fn capacity(&self, pool: usize) -> u32 {
        let Pool { serving, coming, .. } = &self.pools[pool];
        serving + coming.len() as u32
    }

    pub fn service(&self, pool: usize) -> &Service {
        &self.pools[pool].service
    }

    pub fn rules(&self, pool: usize) -> &BTreeMap<String, u64> {
        &self.pools[pool].rules
    }

    /// The fewest and the most hosts that were in service.
    pub fn range(&self, pool: usize) -> (u32, u32) {
        (self.pools[pool].least, self.pools[pool].most)
    }

    pub fn sampled(&mut self, now: Timestamp, work: &[(usize, f64)]) {
        for (number, todo) in work {
            let pool = &mut self.pools[*number];
            let held = pool.hosts - pool.free;
            pool.service.sampled(now, *todo, pool.serving, pool.coming.len() as u32, held);
        }
    }

    pub fn pool_event(&mut self, name: &str, event: &PoolEvent, at: Timestamp) {
        let number: usize = name.strip_prefix("pool-").unwrap().parse().unwrap();
        let pool = &mut self.pools[number];
        match event {
            PoolEvent::Decided(e) => {
                let since = pool.service.decided(at, e.direction);
                pool.coming.extend(e.provisionings.iter().map(|id| (id.clone(), since)));
                self.chosen.extend(e.leaving.iter().map(ToString::to_string));
                for limit in &e.limits {
                    *pool.rules.entry(format!("{} (less)", limit.rule)).or_default() += 1;
                }
                let scaling = pool.scaling.clone().expect("only a pool that scales decides");
                let capacity = self.capacity(number);
                assert!(capacity <= scaling.max, "{name} would have {capacity} hosts");
            }
            PoolEvent::ProvisioningFailed(e) => drop(pool.coming.remove(&e.provisioning)),
            PoolEvent::ReleaseRefused(e) => drop(self.chosen.remove(e.host.as_str())),
            PoolEvent::Suppressed(e) => *pool.rules.entry(e.rule.clone()).or_default() += 1,
            PoolEvent::ThresholdCrossed(_)
            | PoolEvent::SignalDropped(_)
            | PoolEvent::Proposed(_)
            | PoolEvent::Approved(_)
            | PoolEvent::Rejected(_)
            | PoolEvent::Completed(_)
            | PoolEvent::HostArrived(_)
            | PoolEvent::Reclaimed(_)
            | PoolEvent::ReleaseStarted(_)
            | PoolEvent::HostLeft(_) => {}
        }
    }

    pub fn host_event(&mut self, place: &Place, event: &HostEvent, at: Timestamp) {
        let pool = &mut self.pools[place.pool];
        match event {
            HostEvent::Reserved(_) => {
                pool.free -= 1;
                let spare = pool.scaling.as_ref().map_or(0, |scaling| scaling.spare_hosts);
                assert!(pool.free >= spare, "{} of {spare} hosts are left to spare", pool.free);
            }
            HostEvent::Released(_) => pool.free += 1,
            HostEvent::InService(e) => {
                pool.serving += 1;
                let asked = e.saga.id().parse().ok().and_then(|id: ProvisioningId| pool.coming.remove(&id));
                if let Some(since) = asked.flatten() {
                    pool.service.to_service.push(at.duration_since(since).as_secs_f64());
                }
                pool.most = pool.most.max(pool.serving);
                let max = pool.scaling.as_ref().map_or(u32::MAX, |scaling| scaling.max);
                assert!(pool.serving <= max, "{} of at most {max} hosts serve", pool.serving);
            }
            HostEvent::ReleaseRequested(_) => {
                let host = &place.host;
                assert!(self.chosen.remove(host), "{host} leaves, and nobody has decided so");
                pool.serving -= 1;
                pool.least = pool.least.min(pool.serving);
                let min = pool.scaling.as_ref().map_or(0, |scaling| scaling.min);
                assert!(pool.serving >= min, "{} of at least {min} hosts serve", pool.serving);
                let Place { pool, rack, power_domain, .. } = *place;
                self.leaving.insert(host.clone(), Leaving { pool, rack, power_domain });
                self.check_budget(at);
            }
            HostEvent::Cleaned(_) => {
                pool.free += 1;
                self.leaving.remove(&place.host);
            }
            _ => {}
        }
    }

    fn check_budget(&mut self, at: Timestamp) {
        let limits = self.budget;
        let most = |of: fn(&Leaving) -> usize| {
            let mut counts = BTreeMap::<usize, usize>::new();
            self.leaving.values().for_each(|leaving| *counts.entry(of(leaving)).or_default() += 1);
            counts.into_iter().max_by_key(|(_, count)| *count).unwrap_or_default()
        };
        let (all, (_, rack)) = (self.leaving.len(), most(|leaving| leaving.rack));
        let ((number, pool), (_, power_domain)) =
            (most(|leaving| leaving.pool), most(|leaving| leaving.power_domain));
        let part = (self.pools[number].hosts * limits.pool_percent).div_ceil(100);
        self.leaving_most = self.leaving_most.max(all);
        assert!(all <= limits.site as usize, "{all} hosts of the site leave at a time");
        assert!(pool <= limits.pool.min(part) as usize, "{pool} hosts of pool {number} leave at a time");
        assert!(rack <= limits.rack as usize, "{rack} hosts of a rack leave at a time");
        assert!(power_domain <= limits.power_domain as usize, "{power_domain} hosts of a power domain leave");
        let window = SignedDuration::from_secs(limits.window_seconds.into()) - SignedDuration::from_secs(5);
        self.began.push(at);
        self.began.retain(|began| at.duration_since(*began) < window);
        self.window_most = self.window_most.max(self.began.len());
        assert!(self.began.len() <= limits.starts as usize, "{} began to leave", self.began.len());
    }

    /// Nothing goes on, and nobody waits.
    pub fn check_end(&self) {
        assert!(self.leaving.is_empty() && self.chosen.is_empty(), "{:?}", self.leaving.keys());
        for pool in &self.pools {
            assert!(pool.coming.is_empty(), "{:?}", pool.coming);
        }
    }
}
