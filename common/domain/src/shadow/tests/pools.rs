//! What a replay says of pools. What it replays is recorded by a pool whose hosts are known one by one.

use hostler_events::PoolId;
use hostler_events::pool::{PoolEvent, ScalingDirection};
use hostler_events::signal::{Direction, ReportThreshold};

use super::*;
use crate::host::Phase;
use crate::pool::{End, PoolDecider, PoolFacts, PoolHost, PoolInput, PoolState, PoolTimer, Released};

/// How long a host takes to come or to leave.
const HOST_SECONDS: i64 = 90;

fn pool() -> PoolId {
    id("web")
}

fn scales(change: impl Fn(&mut Value)) -> SitePolicy {
    let mut scaling = json!({
        "autonomy": "auto", "metrics": ["load"], "min": 4, "max": 16, "downSeconds": 300,
        "inCooldownSeconds": 300,
    });
    change(&mut scaling);
    policy(|policy| {
        policy["pools"]["web"]["scaling"] = scaling.clone();
        policy["budget"] = json!({ "pool": 20, "poolPercent": 100, "rack": 20, "powerDomain": 20 });
    })
}

/// A pool of twenty hosts, of which eight are in service, and its record.
struct Pool {
    commits: Vec<Recorded<PoolEvent>>,
    policies: Arc<PolicyState>,
    state: PoolState,
    hosts: Vec<PoolHost>,
    now: Timestamp,
    due: Vec<(Timestamp, PoolInputOf)>,
}

enum PoolInputOf {
    Look(Timestamp),
    End(End),
}

impl Pool {
    fn new(policy: &SitePolicy) -> Self {
        let host = |n: usize| PoolHost {
            host: host(n),
            phase: if n < 8 { Phase::InService } else { Phase::Available },
            rack: id(&format!("rack-{}", n % 2)),
            saga: None,
            stays: false,
            is_lent: false,
        };
        let policies = PolicyState { policy: policy.clone(), policy_version: 1, ..PolicyState::default() };
        Self {
            commits: Vec::new(),
            policies: Arc::new(policies),
            state: PoolState::default(),
            hosts: (0..20).map(host).collect(),
            now: moment(0),
            due: Vec::new(),
        }
    }

    fn facts(&self) -> Box<PoolFacts> {
        let hosts = self.hosts.clone();
        Box::new(
            PoolFacts::of(&pool(), &self.policies, ProvisioningPolicy::default(), hosts, Arc::default())
                .unwrap(),
        )
    }

    /// The load of each host was measured, which has a threshold of its own for more and for less.
    fn measures(&mut self, at: i64, direction: Direction, ratio: f64) {
        self.runs_until(moment(at));
        let header = SignalHeader {
            source: "alertmanager".to_owned(),
            fingerprint: format!("load-{direction:?}"),
            status: SignalStatus::Firing,
            starts_at: self.now,
            observed_at: self.now,
            expires_at: self.now + SignedDuration::from_mins(15),
        };
        let report = ReportThreshold {
            pool: pool(),
            header,
            metric: id("load"),
            value: Some(ratio),
            threshold: Some(1.0),
            direction,
        };
        let facts = self.facts();
        self.tell(&PoolInput::Signal { report: Box::new(report), facts });
    }

    fn runs_until(&mut self, until: Timestamp) {
        loop {
            self.due.sort_by_key(|(at, _)| *at);
            if self.due.first().is_none_or(|(at, _)| *at > until) {
                break;
            }
            let (at, input) = self.due.remove(0);
            self.now = at;
            let facts = self.facts();
            match input {
                PoolInputOf::Look(due) => self.tell(&PoolInput::Look { due: Some(due), facts }),
                PoolInputOf::End(end) => {
                    let (of, phase) = match &end {
                        End::Arrived { host, .. } => (host, Phase::InService),
                        End::Left { host } => (host, Phase::Available),
                        End::Failed { .. } => panic!("none fails here"),
                    };
                    self.hosts.iter_mut().find(|host| host.host == *of).unwrap().phase = phase;
                    self.tell(&PoolInput::Ended { pool: pool(), ends: vec![end.clone()] });
                    if self.state.is_look_due_after(&end) {
                        let facts = self.facts();
                        self.tell(&PoolInput::Look { due: None, facts });
                    }
                }
            }
        }
        self.now = until;
    }

    fn tell(&mut self, input: &PoolInput) {
        let decision = PoolDecider::decide(&self.state, input, self.now).unwrap();
        let state = std::mem::take(&mut self.state);
        self.state = decision.events.iter().fold(state, PoolDecider::evolve);
        let ends_at = self.now + SignedDuration::from_secs(HOST_SECONDS);
        for event in &decision.events {
            let PoolEvent::Decided(decided) = event else { continue };
            for provisioning in &decided.provisionings {
                let free = self.hosts.iter_mut().find(|host| host.phase == Phase::Available).unwrap();
                free.phase = Phase::Reserved;
                free.saga = Some(SagaRef::new("provisioning", provisioning.as_str()).unwrap());
                let (provisioning, host) = (provisioning.clone(), free.host.clone());
                self.due.push((ends_at, PoolInputOf::End(End::Arrived { provisioning, host })));
            }
        }
        for timer in &decision.timers {
            if let Some(PoolTimer::Look(at)) = PoolTimer::read(&timer.name) {
                self.due.push((timer.due_at, PoolInputOf::Look(at)));
            }
        }
        if !decision.events.is_empty() {
            self.commits.push(Recorded { at: self.now, events: decision.events });
        }
        let chosen = self.state.leaving.iter().filter(|(_, of)| of.saga.is_none());
        let chosen: Vec<HostId> = chosen.map(|(host, _)| host.clone()).collect();
        if chosen.is_empty() {
            return;
        }
        let mut released = Vec::new();
        for host in chosen {
            let saga = SagaRef::new("deprovisioning", &format!("{host}.1")).unwrap();
            self.due.push((ends_at, PoolInputOf::End(End::Left { host: host.clone() })));
            released.push(Released::By { host, saga });
        }
        self.tell(&PoolInput::Released { pool: pool(), released, held: None });
    }

    fn recorded(mut self, until: i64) -> Recording {
        self.runs_until(moment(until));
        let mut recording = Recording::between(moment(0), moment(until));
        let applied = PoliciesApplied {
            policies: id(SITE),
            policy_version: 1,
            policy: self.policies.policy.clone(),
            changes: Vec::new(),
            reason: "the first".to_owned(),
        };
        recording.policies.push(Recorded { at: moment(-1), events: vec![PolicyEvent::Applied(applied)] });
        recording.pools.insert(pool(), self.commits);
        recording.members.insert(pool(), self.hosts);
        recording
    }
}

/// A sale: twice the load for half an hour, and then half of it.
fn sale(policy: &SitePolicy) -> Recording {
    let mut pool = Pool::new(policy);
    pool.measures(60, Direction::Above, 1.5);
    pool.measures(400, Direction::Above, 1.2);
    for repeat in 0..8 {
        pool.measures(1_800 + repeat * 400, Direction::Below, 0.5);
    }
    pool.recorded(7_200)
}

fn said(report: &Report) -> Vec<String> {
    let decisions = report.differences.iter().flat_map(|compared| &compared.decisions);
    decisions.filter_map(|pair| pair.would.as_ref()).map(|would| would.what.to_string()).collect()
}

#[test]
fn the_same_policies_scale_the_same() {
    let policy = scales(|_| {});
    let report = try_policies(&sale(&policy), &policy);
    assert_eq!((&report.differences, &report.not_reproduced), (&Vec::new(), &Vec::new()));
    assert!(report.recorded.hosts_added >= 4 && report.recorded.hosts_removed >= 4, "{:?}", report.recorded);
    assert_eq!((&report.recorded, &report.control), (&report.would, &report.would));
}

#[test]
fn a_lower_maximum_adds_fewer_hosts_and_says_by_which_rule() {
    let report = try_policies(&sale(&scales(|_| {})), &scales(|scaling| scaling["max"] = json!(10)));
    assert_eq!(report.not_reproduced, []);
    assert_eq!(report.would.hosts_added, 2, "{:?}", said(&report));
    assert!(report.would.scaling_held.contains_key("max"), "{:?}", report.would);
}

#[test]
fn who_only_observes_scales_nothing() {
    let observe = scales(|scaling| scaling["autonomy"] = json!("observe"));
    let report = try_policies(&sale(&scales(|_| {})), &observe);
    assert_eq!((report.would.hosts_added, report.would.hosts_removed), (0, 0));
    assert!(report.would.scaling_held.contains_key("observe"), "{:?}", report.would);
}

#[test]
fn who_asks_a_person_that_was_not_asked_waits() {
    let approve = scales(|scaling| scaling["autonomy"] = json!("approve"));
    let report = try_policies(&sale(&scales(|_| {})), &approve);
    assert!(report.would.asked > 0 && report.would.hosts_added == 0, "{:?}", report.would);
    let proposed = What::Proposed { direction: ScalingDirection::Out, hosts: 4 };
    assert_eq!(said(&report)[0], proposed.to_string());
}

/// A budget of one host at a time lets one leave at a time.
#[test]
fn a_lower_budget_holds_back_what_leaves() {
    let mut narrow = scales(|_| {});
    narrow.budget.pool = 1;
    let report = try_policies(&sale(&scales(|_| {})), &narrow);
    assert!(report.would.scaling_held.contains_key("budget-pool"), "{:?}", report.would);
    // It takes more decisions, one host each, and comes to the same.
    assert_eq!(report.would.hosts_removed, report.recorded.hosts_removed);
    assert!(said(&report).len() > 11, "{:?}", said(&report));
}

/// Which hosts leave, and in which racks they are, is on record.
#[test]
fn the_budget_of_a_rack_holds_back_what_leaves() {
    let mut narrow = scales(|_| {});
    narrow.budget.rack = 1;
    let report = try_policies(&sale(&scales(|_| {})), &narrow);
    assert!(report.would.scaling_held.contains_key("budget-rack"), "{:?}", report.would);
    assert_eq!(report.not_reproduced, []);
}

#[test]
fn a_pool_that_does_not_scale_by_the_other_policies_is_left_alone() {
    let report = try_policies(&sale(&scales(|_| {})), &policy(|_| {}));
    assert_eq!((report.would.hosts_added, report.would.hosts_removed), (0, 0));
    assert!(said(&report).is_empty());
}

#[test]
fn what_was_measured_says_less_of_more_hosts() {
    // With twelve hosts in the beginning, the same load would not have asked for more.
    let report = try_policies(&sale(&scales(|_| {})), &scales(|scaling| scaling["min"] = json!(14)));
    let grown = report.would.hosts_added;
    assert_eq!(grown, 6, "it grows to its minimum, and the load asks for no more: {:?}", said(&report));
}
