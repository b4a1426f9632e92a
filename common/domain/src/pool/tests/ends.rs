//! What comes of a decision.

use super::*;
use crate::pool::state::InFlight;

#[test]
fn a_provisioning_that_failed_does_not_count_and_is_tried_again_later_each_time() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.1001), &facts);
    let mut waits = Vec::new();
    for _ in 0..3 {
        let (provisioning, _) = pool.state.in_flight.first_key_value().unwrap();
        let end = End::Failed { provisioning: provisioning.clone(), reason: "no host".to_owned() };
        let other = pool.state.in_flight.keys().nth(1).cloned();
        let mut ends = vec![end];
        ends.extend(
            other.map(|provisioning| End::Arrived { provisioning, host: id("h-010") }).filter(|_| false),
        );
        let names = hears_ends(&mut pool, ends, &facts);
        assert!(names.contains(&"pool.provisioning-failed"), "{names:?}");
        assert_eq!(rule(&pool), "failures");
        let until = pool.state.look_at.unwrap();
        waits.push(until.duration_since(pool.state.failed_at.unwrap()).as_secs());
        pool.now = until;
        let names = pool.names(&PoolInput::Look { due: Some(until), facts: Box::new(facts.clone()) });
        assert_eq!(names, ["pool.scaling-decided"]);
    }
    assert_eq!(waits, [30, 60, 120]);
    assert_eq!(facts.sizes(&pool.state, pool.now).capacity(), 12);
}

#[test]
fn all_ends_of_a_decision_complete_it_once() {
    let mut facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.2), &facts);
    let mut ends = all_arrive(&mut pool, &mut facts);
    let second = ends.pop().unwrap();
    let End::Arrived { provisioning, .. } = second else { panic!() };
    let first = ended(ends);
    assert_eq!(pool.names(&first), ["pool.host-arrived"]);
    assert!(pool.ignores(&first), "told twice");
    let failed = End::Failed { provisioning, reason: "undone".to_owned() };
    let names = pool.names(&ended(vec![failed]));
    assert_eq!(names, ["pool.provisioning-failed", "pool.scaling-completed"]);
    let completed = pool.events.iter().find_map(|event| match event {
        PoolEvent::Completed(completed) => Some(completed.clone()),
        _ => None,
    });
    let completed = completed.unwrap();
    assert_eq!((completed.requested, completed.done, completed.failed), (2, 1, 1));
    assert!(pool.state.open.is_empty() && pool.state.in_flight.is_empty());
}

#[test]
fn an_end_that_nobody_told_is_looked_for_until_its_decision_is_over() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.2), &facts);
    let timer = pool.timers.iter().find(|timer| timer.name.starts_with("reconcile:")).unwrap().clone();
    assert_eq!(PoolTimer::read(&timer.name), Some(PoolTimer::Reconcile(1)));
    assert_eq!(timer.due_at, after(pool.now, 900));
    let decision = pool.when(&PoolInput::StillOpen { number: 1 }).unwrap();
    assert_eq!((decision.events.len(), decision.timers.len()), (0, 1));
    assert!(pool.ignores(&PoolInput::StillOpen { number: 2 }));
}

#[test]
fn a_host_that_was_asked_to_leave_leaves_or_stays_and_the_budget_says_why() {
    let (mut pool, mut facts) = idle(10, 0.8);
    pool.when(&look(&facts)).unwrap();
    let saga = SagaRef::new("deprovisioning", "h-000.3").unwrap();
    let released = vec![
        Released::By { host: id("h-000"), saga: saga.clone() },
        Released::Refused { host: id("h-001"), reason: "held back by the rule rack".to_owned() },
    ];
    let held = HeldByBudget { rule: "budget-rack".to_owned(), limit: 1, value: 1, lifts: "x".to_owned() };
    let input = PoolInput::Released { pool: id("web"), released, held: Some(held) };
    let names = pool.names(&input);
    assert_eq!(names, ["pool.release-started", "pool.release-refused", "pool.scaling-suppressed"]);
    assert_eq!((rule(&pool), pool.state.leaving.len()), ("budget-rack", 1));
    assert!(pool.ignores(&input), "told twice");
    facts.hosts[0].phase = Phase::Available;
    let names = hears_ends(&mut pool, vec![End::Left { host: id("h-000") }], &facts);
    assert_eq!(names, ["pool.host-left", "pool.scaling-completed", "pool.scaling-suppressed"]);
    assert_eq!(rule(&pool), "cooldown");
}

#[test]
fn what_the_budget_holds_back_is_asked_again_later_each_time() {
    let (mut pool, facts) = idle(10, 0.8);
    pool.when(&look(&facts)).unwrap();
    let mut waits = Vec::new();
    for _ in 0..3 {
        let stays = |host: &HostId| Released::Refused { host: host.clone(), reason: "held".to_owned() };
        let released = last(&pool).leaving.iter().map(stays).collect();
        let held = HeldByBudget { rule: "budget-rack".to_owned(), limit: 1, value: 1, lifts: "x".to_owned() };
        pool.when(&PoolInput::Released { pool: id("web"), released, held: Some(held) }).unwrap();
        let until = pool.state.look_at.unwrap();
        waits.push(until.duration_since(pool.now).as_secs());
        pool.now = until;
        let due = PoolInput::Look { due: Some(until), facts: Box::new(facts.clone()) };
        assert_eq!(pool.names(&due), ["pool.scaling-decided"]);
    }
    assert_eq!(waits, [30, 60, 120]);
}

#[test]
fn a_host_that_left_does_not_count_although_a_view_still_shows_it() {
    let (mut pool, facts) = idle(10, 0.91);
    let quick = changed(facts, |scaling| scaling.tolerance_percent = 0);
    let quick = changed(quick, |scaling| scaling.in_cooldown_seconds = 0);
    hears(&mut pool, &below("load", 0.9), &quick);
    hears(&mut pool, &below("queue", 0.9), &quick);
    pass(&mut pool, 300);
    pool.when(&look(&quick)).unwrap();
    let host = last(&pool).leaving[0].clone();
    let saga = SagaRef::new("deprovisioning", "h-000.3").unwrap();
    let released = vec![Released::By { host: host.clone(), saga }];
    pool.when(&PoolInput::Released { pool: id("web"), released, held: None }).unwrap();
    let names = hears_ends(&mut pool, vec![End::Left { host: host.clone() }], &quick);
    assert_eq!(names, ["pool.host-left", "pool.scaling-completed"], "nine are what was asked for");
    assert_eq!(quick.sizes(&pool.state, pool.now).counts.in_service, 9);
    // Once a view has had its time, it is believed.
    pass(&mut pool, 300);
    assert_eq!(quick.sizes(&pool.state, pool.now).counts.in_service, 10);
}

/// A thousand hosts come one after the other: the pool, all of whose hosts a look reads, is looked at for each 25 of them.
#[test]
fn a_pool_is_looked_at_again_after_so_many_ends_and_after_the_last() {
    let mut pool = Pool::new();
    let hosts: Vec<ProvisioningId> = (0..60).map(|n| id(&format!("scale-web-1.{n:02}"))).collect();
    pool.state.in_flight =
        hosts.iter().map(|of| (of.clone(), InFlight { number: 1, since: pool.now })).collect();
    let mut due_at = Vec::new();
    for (n, provisioning) in hosts.iter().enumerate() {
        let end = End::Arrived { provisioning: provisioning.clone(), host: id(&format!("h-{n:03}")) };
        pool.when(&ended(vec![end.clone()])).unwrap();
        due_at.extend(pool.state.is_look_due_after(&end).then_some(n + 1));
    }
    assert_eq!(due_at, [10, 35, 60], "fifty are on their way, twenty-five, and none");
}

#[test]
fn a_pool_is_looked_at_again_when_a_first_provisioning_fails() {
    let mut pool = Pool::new();
    let hosts: Vec<ProvisioningId> = (0..60).map(|n| id(&format!("scale-web-1.{n:02}"))).collect();
    pool.state.in_flight =
        hosts.iter().map(|of| (of.clone(), InFlight { number: 1, since: pool.now })).collect();
    let mut due_at = Vec::new();
    for (n, provisioning) in hosts.iter().enumerate() {
        let end = End::Failed { provisioning: provisioning.clone(), reason: "no host".to_owned() };
        pool.when(&ended(vec![end.clone()])).unwrap();
        due_at.extend(pool.state.is_look_due_after(&end).then_some(n + 1));
    }
    assert_eq!(due_at, [1, 10, 35, 60]);
}

#[test]
fn a_choice_of_hosts_is_not_followed_for_ever() {
    let now = Timestamp::UNIX_EPOCH;
    assert!(may_release(now, after(now, 899)) && !may_release(now, after(now, 900)));
}
