//! When a pool shrinks, and which hosts leave.

use super::*;

#[test]
fn shrinking_waits_for_the_window_and_goes_to_the_most_that_was_asked_for_in_it() {
    let facts = facts(10, 10);
    let mut pool = Pool::new();
    hears(&mut pool, &below("load", 0.7), &facts);
    assert_eq!(hears(&mut pool, &below("queue", 0.3), &facts), SUPPRESSED);
    assert_eq!(rule(&pool), "stabilisation");
    let until = pool.state.look_at.unwrap();
    assert_eq!(until, after(pool.now, 300), "its end is a timer");
    // 7 were asked for when the window began, 4 since.
    pass(&mut pool, 200);
    hears(&mut pool, &below("load", 0.4), &facts);
    pool.now = until;
    assert_eq!(
        pool.names(&PoolInput::Look { due: Some(until), facts: Box::new(facts.clone()) }),
        [DECIDED[1]]
    );
    assert_eq!(last(&pool).chosen, 7);
}

#[test]
fn whoever_asked_for_more_within_the_window_keeps_the_pool_as_it_is() {
    let (mut pool, facts) = idle(10, 0.5);
    hears(&mut pool, &above("load", 1.05), &facts);
    hears(&mut pool, &over(above("load", 1.0)), &facts);
    assert_eq!(rule(&pool), "stabilisation");
    assert_eq!(pool.state.look_at, Some(after(pool.now, 300)));
    let until = pool.state.look_at.unwrap();
    pool.now = until;
    assert_eq!(pool.names(&PoolInput::Look { due: Some(until), facts: Box::new(facts) }), [DECIDED[1]]);
}

#[test]
fn after_it_grew_a_pool_does_not_shrink_within_the_cooldown() {
    let facts = changed(facts(10, 20), |scaling| scaling.down_seconds = 0);
    let mut facts = changed(facts, |scaling| scaling.in_cooldown_seconds = 600);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.2), &facts);
    let grown = pool.state.grown_at().unwrap();
    let ends = all_arrive(&mut pool, &mut facts);
    let names = hears_ends(&mut pool, ends, &facts);
    assert_eq!(names, ["pool.host-arrived", "pool.host-arrived", "pool.scaling-completed"]);
    hears(&mut pool, &over(above("load", 1.2)), &facts);
    hears(&mut pool, &below("load", 0.5), &facts);
    hears(&mut pool, &below("queue", 0.5), &facts);
    assert_eq!((rule(&pool), pool.state.look_at), ("cooldown", Some(after(grown, 600))));
}

#[test]
fn while_hosts_are_on_their_way_a_pool_does_not_shrink() {
    let facts = changed(facts(10, 20), |scaling| scaling.down_seconds = 0);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.5), &facts);
    hears(&mut pool, &over(above("load", 1.5)), &facts);
    hears(&mut pool, &below("load", 0.5), &facts);
    hears(&mut pool, &below("queue", 0.5), &facts);
    assert_eq!(rule(&pool), "in-flight");
}

#[test]
fn hosts_leave_from_the_fullest_rack_and_never_protected_ones() {
    let (mut pool, mut facts) = idle(10, 0.6);
    // Racks r-0 and r-1 have three hosts each, the others two.
    pool.when(&look(&facts)).unwrap();
    let leaving: Vec<String> = last(&pool).leaving.iter().map(ToString::to_string).collect();
    assert_eq!(
        leaving,
        ["h-000", "h-001", "h-004", "h-005"],
        "the racks of three first, and then as even as it was"
    );
    let (mut pool, _) = idle(10, 0.6);
    for host in facts.hosts.iter_mut().filter(|host| host.rack.as_str() != "r-3") {
        host.stays = true;
    }
    pool.when(&look(&facts)).unwrap();
    let decided = last(&pool);
    assert_eq!(decided.leaving, [id("h-003"), id("h-007")]);
    assert_eq!((decided.limits[0].rule.as_str(), decided.limits[0].limit), ("protected", 2));
    let (mut pool, _) = idle(10, 0.6);
    facts.hosts.iter_mut().for_each(|host| host.stays = true);
    pool.when(&look(&facts)).unwrap();
    assert_eq!(rule(&pool), "protected");
    let labels = |value: &str| [("protect".to_owned(), value.to_owned())].into();
    assert!(PoolHost::is_protected(&labels("scale-in")) && !PoolHost::is_protected(&labels("no")));
}

#[test]
fn a_pool_of_which_too_much_is_not_ready_neither_grows_nor_shrinks() {
    let mut facts = facts(11, 20);
    for host in facts.hosts.iter_mut().filter(|host| host.phase == Phase::Available).take(9) {
        host.phase = Phase::Quarantined;
    }
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &above("load", 2.0), &facts), SUPPRESSED);
    let held = pool.state.held.clone().unwrap();
    assert_eq!((held.rule.as_str(), held.limit, held.value), ("not-ready", 9, 9));
}

/// A host that is faulty serves no more than one in quarantine, although it is in service until it was repaired.
#[test]
fn hosts_that_are_known_to_be_faulty_stop_scaling_like_those_in_quarantine() {
    let faulty = |hosts: u32, quarantined: u32| {
        let mut facts = facts(20, 20);
        let mut racks: std::collections::BTreeMap<_, _> =
            facts.hosts[..hosts as usize].iter().map(|host| (host.host.clone(), host.rack.clone())).collect();
        for host in facts.hosts.iter_mut().skip(20).take(quarantined as usize) {
            host.phase = Phase::Quarantined;
            // It is known in both ways, and counts once.
            racks.insert(host.host.clone(), host.rack.clone());
        }
        facts.unhealthy = std::sync::Arc::new(racks);
        facts
    };
    // Nine of 20 in service, which are 45 in a hundred.
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &above("load", 2.0), &faulty(9, 0)), SUPPRESSED);
    let held = pool.state.held.clone().unwrap();
    assert_eq!((held.rule.as_str(), held.limit, held.value), ("not-ready", 9, 9));
    // Five of 20 in service and six in quarantine are 42 in a hundred of 26; seven are 44; eight are 46.
    assert_eq!(hears(&mut Pool::new(), &above("load", 2.0), &faulty(5, 6)), DECIDED);
    assert_eq!(hears(&mut Pool::new(), &above("load", 2.0), &faulty(5, 7)), DECIDED);
    assert_eq!(hears(&mut Pool::new(), &above("load", 2.0), &faulty(5, 8)), SUPPRESSED);
}
