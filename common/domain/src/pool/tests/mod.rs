//! Rules of scaling.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

use hostler_core::Payload;
use hostler_core::saga::SagaRef;
use hostler_events::pool::{MetricReading, ScalingDecided, ScalingDirection};
use hostler_events::scaling::{CostPolicy, GrowthPolicy, ScalingPolicy};
use hostler_events::signal::{Direction, SignalHeader, SignalStatus};
use hostler_events::site::{Autonomy, PoolPolicy};
use hostler_events::{HostId, ProvisioningId};

use super::*;
use crate::host::Phase;
use crate::testing::{Run, id};

mod asking;
mod ends;
mod lending;
mod limits;
mod properties;
mod proposals;
mod shrinking;
mod signals;

type Pool = Run<PoolDecider>;

/// Two metrics, 2 to 40 hosts, no window for growing, 300 s for shrinking.
fn scaling() -> ScalingPolicy {
    serde_json::from_value(serde_json::json!({
        "autonomy": "auto", "metrics": ["load", "queue"], "min": 2, "max": 40,
    }))
    .unwrap()
}

/// A pool of 100 hosts, of which so many are in service, on four racks, and so many free.
fn facts(in_service: u32, free: u32) -> PoolFacts {
    let policy: PoolPolicy =
        serde_json::from_value(serde_json::json!({ "role": "web", "image": "debian-12", "hosts": 100 }))
            .unwrap();
    let host = |n: u32, phase: Phase| PoolHost {
        host: id(&format!("h-{n:03}")),
        phase,
        rack: id(&format!("r-{}", n % 4)),
        saga: None,
        stays: false,
        is_lent: false,
    };
    let hosts = (0..in_service).map(|n| host(n, Phase::InService));
    let hosts = hosts.chain((in_service..in_service + free).map(|n| host(n, Phase::Available))).collect();
    with(PoolFacts {
        pool: id("web"),
        policy,
        scaling: scaling(),
        budget: hostler_events::site::BudgetPolicy::default(),
        power_domains: std::collections::BTreeMap::new(),
        policy_version: 3,
        provisioning: hostler_events::ProvisioningPolicy::default(),
        hosts,
        unhealthy: std::sync::Arc::default(),
        lenders: Vec::new(),
    })
}

/// The two places where the policy is agree.
fn with(mut facts: PoolFacts) -> PoolFacts {
    facts.policy.scaling = Some(facts.scaling.clone());
    facts
}

fn changed(mut facts: PoolFacts, change: impl Fn(&mut ScalingPolicy)) -> PoolFacts {
    change(&mut facts.scaling);
    with(facts)
}

struct Says<'a> {
    metric: &'a str,
    direction: Direction,
    status: SignalStatus,
    value: Option<(f64, f64)>,
}

fn above(metric: &str, ratio: f64) -> Says<'_> {
    Says { metric, direction: Direction::Above, status: SignalStatus::Firing, value: Some((ratio, 1.0)) }
}

fn below(metric: &str, ratio: f64) -> Says<'_> {
    Says { direction: Direction::Below, ..above(metric, ratio) }
}

fn over(of: Says<'_>) -> Says<'_> {
    Says { status: SignalStatus::Resolved, ..of }
}

/// What a source says now. Each metric has one source for each side of its threshold.
fn report(pool: &Pool, of: &Says<'_>) -> ReportThreshold {
    ReportThreshold {
        pool: id("web"),
        header: SignalHeader {
            source: "alertmanager".to_owned(),
            fingerprint: format!("{}-{:?}", of.metric, of.direction),
            status: of.status,
            starts_at: pool.now,
            observed_at: pool.now,
            expires_at: after(pool.now, 900),
        },
        metric: id(of.metric),
        value: of.value.map(|(value, _)| value),
        threshold: of.value.map(|(_, threshold)| threshold),
        direction: of.direction,
    }
}

fn signal(pool: &Pool, of: &Says<'_>, facts: &PoolFacts) -> PoolInput {
    PoolInput::Signal { report: Box::new(report(pool, of)), facts: Box::new(facts.clone()) }
}

fn hears(pool: &mut Pool, of: &Says<'_>, facts: &PoolFacts) -> Vec<&'static str> {
    let input = signal(pool, of, facts);
    pool.names(&input)
}

fn look(facts: &PoolFacts) -> PoolInput {
    PoolInput::Look { due: None, facts: Box::new(facts.clone()) }
}

fn ended(ends: Vec<End>) -> PoolInput {
    PoolInput::Ended { pool: id("web"), ends }
}

/// These have ended, and the pool is looked at.
fn hears_ends(pool: &mut Pool, ends: Vec<End>, facts: &PoolFacts) -> Vec<&'static str> {
    let mut names = pool.names(&ended(ends));
    names.extend(pool.names(&look(facts)));
    names
}

fn pass(pool: &mut Pool, seconds: u32) {
    pool.now = after(pool.now, seconds);
}

fn last(pool: &Pool) -> ScalingDecided {
    pool.state.last.clone().unwrap()
}

fn rule(pool: &Pool) -> &str {
    pool.state.held.as_ref().map_or("none", |held| held.rule.as_str())
}

const DECIDED: [&str; 2] = ["pool.threshold-crossed", "pool.scaling-decided"];
const SUPPRESSED: [&str; 2] = ["pool.threshold-crossed", "pool.scaling-suppressed"];

/// Both metrics of a pool of so many hosts have said for the whole window that it has too many.
fn idle(in_service: u32, ratio: f64) -> (Pool, PoolFacts) {
    let facts = facts(in_service, 10);
    let mut pool = Pool::new();
    hears(&mut pool, &below("load", ratio), &facts);
    hears(&mut pool, &below("queue", ratio), &facts);
    pass(&mut pool, 300);
    (pool, facts)
}

/// What came of the provisionings of the last decision: all of them are in service.
fn all_arrive(pool: &mut Pool, facts: &mut PoolFacts) -> Vec<End> {
    let ids: Vec<ProvisioningId> = pool.state.in_flight.keys().cloned().collect();
    let mut ends = Vec::new();
    for provisioning in ids {
        let host = facts.hosts.iter_mut().find(|host| host.phase == Phase::Available).unwrap();
        host.phase = Phase::InService;
        host.saga = Some(crate::testing::saga_ref(provisioning.as_str()));
        ends.push(End::Arrived { provisioning, host: host.host.clone() });
    }
    ends
}
