//! Rules of the budget.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use hostler_events::HostId;
use proptest::prelude::*;

use super::*;
use crate::testing::{Run, id, saga_ref};

type Budget = Run<BudgetDecider>;

fn limits() -> BudgetPolicy {
    BudgetPolicy {
        site: 20,
        pool_percent: 10,
        pool: 5,
        rack: 2,
        power_domain: 4,
        starts: 100,
        window_seconds: 600,
        brake_percent: 20,
    }
}

/// A claim on a sick host of a pool of 100.
fn claim(saga: &str, host: &str, rack: &str) -> Claim {
    Claim {
        budget: id("site"),
        saga: saga_ref(saga),
        disruption: Disruption {
            host: id(host),
            pool: id("web"),
            rack: id(rack),
            power_domain: Some(id("p-1")),
        },
        is_unhealthy: true,
        passes_brake: false,
        waits: false,
        hold_seconds: 3_600,
        pool_hosts: 100,
        unhealthy: Unhealthy::default(),
        limits: limits(),
        policy_version: 1,
    }
}

fn ask(claim: &Claim) -> BudgetInput {
    BudgetInput::Claim(Box::new(claim.clone()))
}

/// A budget of which so many parts are held, each in a rack and a power domain of its own.
fn held_by(count: u32) -> Budget {
    Budget::given((0..count).map(|n| {
        let mut claim = claim(&format!("r-{n}"), &format!("h-{n}"), &format!("rack-{n}"));
        claim.disruption.power_domain = None;
        ask(&claim)
    }))
}

fn rule(budget: &mut Budget, claim: &Claim) -> (Rule, u32, u32) {
    let held = budget.when(&ask(claim)).unwrap_err();
    (held.rule, held.limit, held.value)
}

#[test]
fn so_many_at_once_in_a_pool_by_percent_and_absolutely() {
    // Ten in a hundred of 100 are 10, and 5 is the cap.
    let mut budget = held_by(5);
    assert_eq!(rule(&mut budget, &claim("r-9", "h-9", "rack-9")), (Rule::Pool, 5, 5));
    // Of 20 hosts it is two.
    let small = |name| Claim { pool_hosts: 20, ..claim(name, name, name) };
    let mut budget = Budget::given([ask(&small("a")), ask(&small("b"))]);
    assert_eq!(rule(&mut budget, &small("c")), (Rule::Pool, 2, 2));
    // Another pool has its own.
    let mut other = claim("d", "d", "rack-d");
    other.disruption.pool = id("db");
    assert_eq!(budget.names(&ask(&other)), ["budget.granted"]);
}

#[test]
fn of_an_empty_pool_nothing_may_be_disturbed() {
    let empty = Claim { pool_hosts: 0, is_unhealthy: false, ..claim("r-1", "h-1", "rack-1") };
    let held = Budget::new().when(&ask(&empty)).unwrap_err();
    assert_eq!((held.rule, held.limit), (Rule::Pool, 0));
    assert!(held.to_string().contains("the pool has no hosts by the policy"), "{held}");
}

#[test]
fn a_rack_and_a_power_domain_have_limits_of_their_own() {
    let mut budget = Budget::given([ask(&claim("a", "h-1", "rack-1")), ask(&claim("b", "h-2", "rack-1"))]);
    assert_eq!(rule(&mut budget, &claim("c", "h-3", "rack-1")), (Rule::Rack, 2, 2));
    budget.when(&ask(&claim("d", "h-4", "rack-2"))).unwrap();
    budget.when(&ask(&claim("e", "h-5", "rack-3"))).unwrap();
    assert_eq!(rule(&mut budget, &claim("f", "h-6", "rack-4")), (Rule::PowerDomain, 4, 4));
}

#[test]
fn a_host_is_disturbed_by_one_at_a_time() {
    let mut budget = Budget::given([ask(&claim("heal", "h-1", "rack-1"))]);
    assert_eq!(rule(&mut budget, &claim("patch", "h-1", "rack-1")), (Rule::Host, 1, 1));
}

#[test]
fn healthy_hosts_have_what_the_unhealthy_ones_have_left() {
    let sick = Unhealthy { pool: 5, ..Unhealthy::default() };
    let healthy = Claim { is_unhealthy: false, unhealthy: sick, ..claim("patch", "h-1", "rack-1") };
    assert_eq!(rule(&mut Budget::new(), &healthy), (Rule::Pool, 5, 5));
    // Healing one of the five takes nothing from the pool.
    let sick = Claim { unhealthy: Unhealthy { pool: 4, ..sick }, ..claim("heal", "h-2", "rack-1") };
    assert_eq!(Budget::new().names(&ask(&sick)), ["budget.granted"]);
}

#[test]
fn above_the_brake_nothing_begins_but_what_heals_its_cause() {
    let sick = Unhealthy { pool: 19, ..Unhealthy::default() };
    let stopped = Claim { unhealthy: sick, ..claim("r-1", "h-1", "rack-1") };
    let held = Budget::new().when(&ask(&stopped)).unwrap_err();
    assert_eq!((held.rule, held.limit, held.value), (Rule::Brake, 20, 20));
    assert!(held.lifts.contains("fewer than 20 of the 100 hosts of web"), "{held}");
    let heals = Claim { passes_brake: true, ..stopped };
    assert_eq!(Budget::new().names(&ask(&heals)), ["budget.granted"]);
}

#[test]
fn so_many_begin_within_the_window() {
    let mut budget = Budget::new();
    let tight = |n: u32| {
        let mut claim = claim(&format!("r-{n}"), &format!("h-{n}"), &format!("rack-{n}"));
        claim.limits.starts = 2;
        claim.disruption.power_domain = None;
        claim
    };
    for n in 0..2 {
        budget.when(&ask(&tight(n))).unwrap();
        budget.when(&BudgetInput::Return { budget: id("site"), saga: saga_ref(&format!("r-{n}")) }).unwrap();
    }
    let held = budget.when(&ask(&tight(3))).unwrap_err();
    assert_eq!((held.rule, held.limit, held.value), (Rule::Window, 2, 2));
    assert!(held.since.is_some() && held.lifts.contains("leaves the window at"), "{held}");
    budget.now = after(budget.now, 600);
    assert_eq!(budget.names(&ask(&tight(4))), ["budget.granted"]);
}

/// A claim that begins later, in a budget that lets two begin within ten minutes.
fn later(n: u32) -> Claim {
    let mut claim = claim(&format!("r-{n}"), &format!("h-{n}"), &format!("rack-{n}"));
    claim.limits.starts = 2;
    claim.disruption.power_domain = None;
    claim.waits = true;
    claim
}

fn begin(n: u32) -> BudgetInput {
    BudgetInput::Begin { budget: id("site"), saga: saga_ref(&format!("r-{n}")), step: id("cordon-host") }
}

/// Monitoring may be away between the grant and the beginning, for longer than the window.
#[test]
fn the_window_counts_when_something_begins_and_not_when_it_was_granted() {
    let mut budget = Budget::given([ask(&later(0)), ask(&later(1))]);
    budget.now = after(budget.now, 1_800);
    let held = budget.when(&ask(&later(2))).unwrap_err();
    assert_eq!((held.rule, held.value), (Rule::Window, 2), "both have yet to begin");
    assert!(held.lifts.contains("provisioning#r-0 of host h-0 was granted, and must begin or end"), "{held}");
    for n in 0..2 {
        assert_eq!(budget.names(&begin(n)), ["budget.begun"]);
        assert!(budget.ignores(&begin(n)), "it begins once");
        let back = BudgetInput::Return { budget: id("site"), saga: saga_ref(&format!("r-{n}")) };
        budget.when(&back).unwrap();
    }
    assert_eq!(rule(&mut budget, &later(2)), (Rule::Window, 2, 2));
    budget.now = after(budget.now, 600);
    assert_eq!(budget.names(&ask(&later(2))), ["budget.granted"]);
}

#[test]
fn what_was_granted_and_never_began_takes_no_place_in_the_window() {
    let mut budget = Budget::given([ask(&later(0)), ask(&later(1))]);
    budget.when(&BudgetInput::Return { budget: id("site"), saga: saga_ref("r-0") }).unwrap();
    assert_eq!(budget.names(&ask(&later(2))), ["budget.granted"]);
}

/// Whether it began with its grant or has yet to begin: nobody has looked at the budget since.
#[test]
fn a_claim_that_is_void_must_not_begin() {
    for waits in [true, false] {
        let mut budget = Budget::given([ask(&Claim { waits, ..later(0) })]);
        budget.now = after(budget.now, 3_600);
        let told = budget.when(&begin(0)).unwrap();
        assert!(told.events.is_empty() && !budget.state.has_begun(&saga_ref("r-0"), budget.now));
        let SagaCommand::Answer(reply) = told.commands[0].clone() else { panic!("{:?}", told.commands) };
        assert!(format!("{reply:?}").contains("it must be claimed anew"), "{reply:?}");
    }
}

#[test]
fn a_claim_is_granted_once_and_returned_once() {
    let one = ask(&claim("r-1", "h-1", "rack-1"));
    let mut budget = Budget::given([one.clone()]);
    assert!(budget.ignores(&one));
    let back = BudgetInput::Return { budget: id("site"), saga: saga_ref("r-1") };
    assert_eq!(budget.names(&back), ["budget.returned"]);
    assert!(budget.ignores(&back));
    assert!(!budget.state.is_held_by(&saga_ref("r-1")));
}

/// Whoever holds it may be gone: nobody else waits for it for ever.
#[test]
fn a_claim_whose_holder_vanished_expires() {
    let mut budget = held_by(5);
    let last = claim("late", "h-9", "rack-9");
    let held = budget.when(&ask(&last)).unwrap_err();
    assert!(held.lifts.contains("provisioning#r-0 of host h-0 must end, by"), "{held}");
    budget.now = after(budget.now, 3_600);
    assert_eq!(budget.names(&ask(&last)).iter().filter(|name| **name == "budget.expired").count(), 5);
    assert_eq!(budget.state.holders.len(), 1);
}

proptest! {
    /// Whatever is asked and returned, no limit is ever exceeded.
    #[test]
    fn the_budget_is_never_exceeded(
        asked in proptest::collection::vec((0_u32..40, 0_u32..6, 0_u32..2, any::<bool>(), 0_u32..30), 1..120),
    ) {
        let mut budget = Budget::new();
        let mut begun = Vec::new();
        for (host, rack, pool, is_unhealthy, sick) in asked {
            let mut claim = claim(&format!("{is_unhealthy}-{host}"), &format!("h-{host}"), &format!("rack-{rack}"));
            claim.disruption.pool = id(&format!("pool-{pool}"));
            claim.disruption.power_domain = Some(id(&format!("p-{}", rack / 2)));
            claim.is_unhealthy = is_unhealthy;
            claim.unhealthy = Unhealthy { pool: sick, rack: sick % 3, power_domain: sick % 5 };
            if sick % 4 == 0 {
                budget.when(&BudgetInput::Return { budget: id("site"), saga: claim.saga.clone() }).unwrap();
            }
            (claim.limits.starts, claim.waits) = (5, sick % 2 == 0);
            budget.now = after(budget.now, sick * 7);
            // Held back is fine: what is granted must fit.
            let mut done: Vec<BudgetEvent> = budget.when(&ask(&claim)).map_or_else(|_| Vec::new(), |done| done.events);
            if sick % 3 == 0 {
                let (budget_of, saga) = (id("site"), claim.saga.clone());
                let began = BudgetInput::Begin { budget: budget_of, saga, step: id("cordon-host") };
                done.extend(budget.when(&began).unwrap().events);
            }
            let begins = |event: &&BudgetEvent| match event {
                BudgetEvent::Granted(granted) => !granted.waits,
                BudgetEvent::Begun(_) => true,
                BudgetEvent::Returned(_) | BudgetEvent::Expired(_) => false,
            };
            begun.extend(done.iter().filter(begins).map(|_| budget.now));
            let oldest = before(budget.now, 600);
            prop_assert!(begun.iter().filter(|at| **at > oldest).count() <= 5);
            let holders = &budget.state.holders;
            let most = |of: &dyn Fn(&Holder) -> bool| holders.iter().filter(|holder| of(holder)).count();
            for holder in holders {
                let of = &holder.disruption;
                prop_assert!(most(&|other| other.disruption.rack == of.rack) <= 2);
                prop_assert!(most(&|other| other.disruption.pool == of.pool) <= 5);
                prop_assert!(most(&|other| other.disruption.power_domain == of.power_domain) <= 4);
                let hosts: Vec<&HostId> = holders.iter().map(|holder| &holder.disruption.host).collect();
                prop_assert_eq!(hosts.iter().filter(|host| ***host == of.host).count(), 1);
            }
        }
    }
}
