//! What pools are scaled by elsewhere, for the same work: static provisioning for the peak, a plan by the hour, and an orchestrator
//! that looks at every host each 30 seconds and decides by the same rules. What the last one is given is more than such systems
//! have: a pass takes no time, it reads the load as it is, everything that it decides is done within the pass, no budget holds it
//! back, and nothing fails.

use std::collections::BTreeMap;

use hostler_core::Decider;
use hostler_core::saga::SagaRef;
use hostler_domain::Phase;
use hostler_domain::pool::{End, PoolDecider, PoolFacts, PoolHost, PoolInput, PoolState, Released};
use hostler_events::pool::{PoolEvent, ScalingDirection};
use hostler_events::signal::{Direction, ReportThreshold, SignalHeader, SignalStatus};
use hostler_events::{HostId, ProvisioningId, ProvisioningPolicy, SitePolicy};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::elastic::Service;
use crate::load::{HIGH, LOW, SAMPLED, Work};

/// How often the polling orchestrator looks at all hosts.
const POLL: SignedDuration = SignedDuration::from_secs(30);
/// How long an image takes until it calls back, as in the model of a site.
const INSTALL: SignedDuration = SignedDuration::from_secs(60);

/// Always enough hosts for the most that there ever is to do.
pub fn statically(work: &Work, seconds: i64) -> Service {
    let hosts = (work.most(seconds) / HIGH).ceil() as u32;
    by_plan(work, seconds, |_| hosts)
}

/// So many hosts for each hour as that hour needs at most by its curve: what happens by chance is not planned.
pub fn by_the_hour(work: &Work, seconds: i64) -> Service {
    let hours = |hour: i64| {
        let seconds = (0..240).map(|n| (hour * 3_600 + n * 15) as f64);
        (seconds.map(|second| work.curve.at(second)).fold(0.0, f64::max) / HIGH).ceil() as u32
    };
    let planned: Vec<u32> = (0..=seconds / 3_600).map(hours).collect();
    by_plan(work, seconds, |second| planned[usize::try_from(second / 3_600).unwrap()])
}

/// What happens to serve with so many hosts at each second.
pub fn by_plan(work: &Work, seconds: i64, hosts: impl Fn(i64) -> u32) -> Service {
    let mut service = Service::default();
    for (sample, todo) in work.samples(seconds).into_iter().enumerate() {
        let second = i64::try_from(sample).unwrap() * SAMPLED.as_secs();
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        service.sampled(now, todo, hosts(second), 0, hosts(second));
    }
    service
}

/// A host of the polling orchestrator's pool.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Free,
    /// Installed at that pass, and in service at the next.
    Comes(Timestamp),
    Serves,
    /// Free again from that pass on.
    Leaves(Timestamp),
}

/// A pool of the polling orchestrator: the same decider as ours, which is asked at each pass.
pub struct Polled {
    facts: PoolFacts,
    state: PoolState,
    at: Vec<At>,
    asked: BTreeMap<usize, (ProvisioningId, Option<Timestamp>)>,
    above: Option<Timestamp>,
    below: Option<Timestamp>,
    pub service: Service,
    /// Looks at hosts.
    pub reads: u64,
    /// Passes that decided something.
    pub useful: u64,
}

impl Polled {
    /// A pool of these hosts, each with its rack, of which so many serve.
    pub fn new(number: usize, racks: &[String], serving: u32, policies: &Value) -> Self {
        let policies: SitePolicy = serde_json::from_value(policies.clone()).unwrap();
        let pool: hostler_events::PoolId = format!("pool-{number}").parse().unwrap();
        let policy = policies.pools[&pool].clone();
        let hosts = racks.iter().enumerate().map(|(n, rack)| PoolHost {
            host: format!("h-{n:05}").parse().unwrap(),
            phase: if n < serving as usize { Phase::InService } else { Phase::Available },
            rack: rack.parse().unwrap(),
            saga: None,
            stays: false,
            is_lent: false,
        });
        let hosts: Vec<PoolHost> = hosts.collect();
        let at = (0..hosts.len()).map(|n| if n < serving as usize { At::Serves } else { At::Free });
        Self {
            at: at.collect(),
            facts: PoolFacts {
                pool,
                scaling: policy.scaling.clone().expect("it scales"),
                policy,
                budget: policies.budget,
                power_domains: BTreeMap::new(),
                policy_version: 1,
                provisioning: ProvisioningPolicy::default(),
                hosts,
                unhealthy: std::sync::Arc::default(),
                lenders: Vec::new(),
            },
            state: PoolState::default(),
            asked: BTreeMap::new(),
            above: None,
            below: None,
            service: Service::default(),
            reads: 0,
            useful: 0,
        }
    }

    /// Lets it look at the pool for so long.
    pub fn runs(mut self, work: &Work, seconds: i64) -> Self {
        let began = Timestamp::UNIX_EPOCH;
        let passes = POLL.as_secs() / SAMPLED.as_secs();
        for (sample, todo) in work.samples(seconds).into_iter().enumerate() {
            let sample = i64::try_from(sample).unwrap();
            let now = began + SAMPLED * i32::try_from(sample).unwrap();
            let (serving, coming) = (self.count(At::Serves), self.asked.len() as u32);
            let held = self.at.len() as u32 - self.count(At::Free);
            self.service.sampled(now, todo, serving, coming, held);
            if sample % passes == 0 {
                self.pass(now, todo);
            }
        }
        self
    }

    fn count(&self, wanted: At) -> u32 {
        self.at.iter().filter(|at| **at == wanted).count() as u32
    }

    /// Finds what has ended, reads the load, and decides.
    fn pass(&mut self, now: Timestamp, todo: f64) {
        self.reads += self.at.len() as u64;
        let ends = self.ends(now);
        if !ends.is_empty() {
            let (pool, facts) = (self.facts.pool.clone(), Box::new(self.facts.clone()));
            self.decide(now, &PoolInput::Ended { pool, ends });
            self.decide(now, &PoolInput::Look { due: None, facts });
        }
        let load = todo / f64::from(self.count(At::Serves).max(1));
        for (direction, fires) in [(Direction::Above, load > HIGH), (Direction::Below, load < LOW)] {
            let above = direction == Direction::Above;
            let known = if above { &mut self.above } else { &mut self.below };
            let (status, starts_at) = match (fires, *known) {
                (true, since) => (SignalStatus::Firing, *known.insert(since.unwrap_or(now))),
                (false, Some(since)) => {
                    *known = None;
                    (SignalStatus::Resolved, since)
                }
                (false, None) => continue,
            };
            let report = ReportThreshold {
                pool: self.facts.pool.clone(),
                header: SignalHeader {
                    source: "poll".to_owned(),
                    fingerprint: format!("{direction:?}"),
                    status,
                    starts_at,
                    observed_at: now,
                    expires_at: now + SignedDuration::from_mins(15),
                },
                metric: "load".parse().unwrap(),
                value: Some(load),
                threshold: Some(if above { HIGH } else { LOW }),
                direction,
            };
            let facts = Box::new(self.facts.clone());
            self.decide(now, &PoolInput::Signal { report: Box::new(report), facts });
        }
        let facts = Box::new(self.facts.clone());
        self.decide(now, &PoolInput::Look { due: None, facts });
    }

    /// What has come to its end by this pass: an image that was installed is found, and its host serves at the pass after that.
    fn ends(&mut self, now: Timestamp) -> Vec<End> {
        let mut ends = Vec::new();
        for n in 0..self.at.len() {
            let host = self.facts.hosts[n].host.clone();
            match self.at[n] {
                At::Comes(at) if at <= now => {
                    let (provisioning, since) = self.asked.remove(&n).unwrap();
                    self.service
                        .to_service
                        .extend(since.map(|since| now.duration_since(since).as_secs_f64()));
                    ends.push(End::Arrived { provisioning, host });
                    self.goes(n, At::Serves, Phase::InService);
                }
                At::Leaves(at) if at <= now => {
                    ends.push(End::Left { host });
                    self.goes(n, At::Free, Phase::Available);
                }
                At::Free | At::Comes(_) | At::Serves | At::Leaves(_) => {}
            }
        }
        ends
    }

    fn goes(&mut self, n: usize, at: At, phase: Phase) {
        (self.at[n], self.facts.hosts[n].phase) = (at, phase);
        if at == At::Free {
            self.facts.hosts[n].saga = None;
        }
    }

    fn decide(&mut self, now: Timestamp, input: &PoolInput) {
        let Ok(decision) = PoolDecider::decide(&self.state, input, now) else { return };
        for event in &decision.events {
            self.state = PoolDecider::evolve(std::mem::take(&mut self.state), event);
            let PoolEvent::Decided(decided) = event else { continue };
            self.useful += 1;
            let since = self.service.decided(now, decided.direction);
            assert!(decided.chosen >= self.facts.scaling.min && decided.chosen <= self.facts.scaling.max);
            // An image takes a minute; a pass finds it installed and configures the host, and the next finds it healthy.
            let there = now + pass_after(INSTALL) + POLL;
            for provisioning in &decided.provisionings {
                let n =
                    self.at.iter().position(|at| *at == At::Free).expect("as many are free as it decides");
                self.asked.insert(n, (provisioning.clone(), since));
                self.facts.hosts[n].saga = SagaRef::new("provisioning", provisioning.as_str()).ok();
                self.goes(n, At::Comes(there), Phase::Deploying);
            }
            let leaving: Vec<HostId> = decided.leaving.clone();
            self.leave(now, &leaving, decided.direction);
        }
    }

    fn leave(&mut self, now: Timestamp, hosts: &[HostId], direction: ScalingDirection) {
        if direction == ScalingDirection::Out {
            return;
        }
        let mut released = Vec::new();
        for host in hosts {
            let n = self.facts.hosts.iter().position(|known| known.host == *host).unwrap();
            self.goes(n, At::Leaves(now + pass_after(INSTALL)), Phase::Draining);
            let saga = SagaRef::new("deprovisioning", &format!("{host}.1")).unwrap();
            released.push(Released::By { host: host.clone(), saga });
        }
        let pool = self.facts.pool.clone();
        self.decide(now, &PoolInput::Released { pool, released, held: None });
    }
}

/// The passes until so much time is over.
fn pass_after(time: SignedDuration) -> SignedDuration {
    SignedDuration::from_secs(time.as_secs().div_euclid(POLL.as_secs()) * POLL.as_secs()).max(POLL)
}

#[test]
fn a_plan_for_the_peak_has_idle_hosts_and_is_never_short() {
    let curve = crate::load::Curve::Day { low: 10.0, high: 30.0, most_at_hour: 12.0 };
    let work = Work { pool: 0, curve, noise_percent: 0 };
    let service = statically(&work, 86_400);
    assert!((service.utilisation() - 50.0).abs() < 0.5, "{service:?}");
    assert_eq!((service.short_minutes, service.host_hours.round()), (0.0, 960.0));
}
