//! Hosts for a pool of higher priority.

use hostler_events::signal::LendHosts;

use super::*;

/// A pool that may reclaim from another, which has so many free and so many above its minimum.
fn borrower(in_service: u32, free: u32, lendable: u32, may_give: u32) -> PoolFacts {
    PoolFacts {
        lenders: vec![Lender { pool: id("batch"), lendable, coming: 0, may_give }],
        ..facts(in_service, free)
    }
}

fn ask(hosts: u32, pool: &Pool) -> LendHosts {
    LendHosts { pool: id("web"), to: id("api"), hosts, expires_at: after(pool.now, 600) }
}

fn lend(hosts: u32, pool: &Pool, facts: &PoolFacts) -> PoolInput {
    PoolInput::Lend { ask: ask(hosts, pool), facts: Box::new(facts.clone()) }
}

fn asked(commands: &[PoolCommand]) -> Vec<u32> {
    let ask = |command: &PoolCommand| match command {
        PoolCommand::Scale(ScaleCommand::LendHosts(ask)) => Some(ask.hosts),
        _ => None,
    };
    commands.iter().filter_map(ask).collect()
}

#[test]
fn a_pool_without_free_hosts_asks_a_pool_of_lower_priority_once_in_ten_minutes() {
    let facts = borrower(10, 2, 0, 30);
    let mut pool = Pool::new();
    let names = hears(&mut pool, &above("load", 1.5), &facts);
    assert_eq!(names, ["pool.threshold-crossed", "pool.scaling-decided", "pool.hosts-reclaimed"]);
    assert_eq!((last(&pool).provisionings.len(), asked(&pool.commands)), (2, vec![3]));
    // The two come, and three are still missing.
    let mut facts = facts;
    let ends = all_arrive(&mut pool, &mut facts);
    hears_ends(&mut pool, ends, &facts);
    pass(&mut pool, 60);
    pool.when(&look(&facts)).unwrap();
    assert_eq!(asked(&pool.commands), [3], "not again within ten minutes");
    pass(&mut pool, 600);
    hears(&mut pool, &above("load", 1.4), &facts);
    assert_eq!(asked(&pool.commands).len(), 2);
}

#[test]
fn hosts_that_are_being_given_back_already_are_not_asked_for_again() {
    let mut facts = borrower(10, 2, 0, 30);
    facts.lenders[0].coming = 2;
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.5), &facts);
    assert_eq!(asked(&pool.commands), [1], "three are missing, and two are free soon");
}

#[test]
fn free_hosts_of_a_pool_of_lower_priority_are_taken_after_its_own() {
    let facts = changed(borrower(10, 3, 4, 30), |scaling| scaling.spare_hosts = 1);
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &above("load", 1.5), &facts), DECIDED);
    let decided = last(&pool);
    assert_eq!((decided.provisionings.len(), decided.inputs.lendable), (5, 4));
    let orders: Vec<String> = pool
        .commands
        .iter()
        .filter_map(|command| match command {
            PoolCommand::Saga(SagaCommand::Start(start)) => Some(start.order["takeFrom"].to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(orders, ["null", "null", "[\"batch\"]", "[\"batch\"]", "[\"batch\"]"]);
}

#[test]
fn a_pool_lends_down_to_its_minimum_and_says_for_whom() {
    let facts = facts(8, 0);
    let mut pool = Pool::new();
    let give = lend(20, &pool, &facts);
    assert_eq!(pool.names(&give), ["pool.scaling-decided"]);
    let decided = last(&pool);
    assert_eq!((decided.chosen, decided.leaving.len(), decided.lends_to), (2, 6, Some(id("api"))));
    let again = lend(1, &pool, &facts);
    assert_eq!(pool.names(&again), ["pool.scaling-suppressed"]);
    assert_eq!(rule(&pool), "min");
}

/// A function died, and hosts take longer than ten minutes to leave.
#[test]
fn who_asks_again_while_hosts_leave_for_it_is_not_given_them_twice() {
    let facts = facts(8, 0);
    let mut pool = Pool::new();
    let give = lend(1, &pool, &facts);
    assert_eq!(pool.names(&give), ["pool.scaling-decided"]);
    pass(&mut pool, 700);
    let again = lend(1, &pool, &facts);
    assert_eq!(pool.names(&again), ["pool.scaling-suppressed"]);
    assert_eq!(rule(&pool), "lent");
}

#[test]
fn whoever_lends_tells_the_other_pool_when_the_hosts_are_free_and_does_not_grow_meanwhile() {
    let mut facts = facts(8, 0);
    let mut pool = Pool::new();
    let give = lend(2, &pool, &facts);
    pool.when(&give).unwrap();
    let leaving = last(&pool).leaving;
    let released =
        leaving.iter().map(|host| Released::By { host: host.clone(), saga: crate::testing::saga_ref("d") });
    let released = PoolInput::Released { pool: id("web"), released: released.collect(), held: None };
    pool.when(&released).unwrap();
    facts.hosts.retain(|host| !leaving.contains(&host.host));
    let ends = leaving.into_iter().map(|host| End::Left { host }).collect();
    let done = pool.when(&ended(ends)).unwrap();
    let told = done.commands.iter().any(|command| {
        matches!(command, PoolCommand::Scale(ScaleCommand::LookAtPool(look)) if look.pool == id("api"))
    });
    assert!(told, "{:?}", done.commands);
    // Its own load asks for the hosts back: not for half an hour.
    facts.hosts.extend(super::facts(0, 6).hosts);
    assert_eq!(hears(&mut pool, &above("load", 1.5), &facts), SUPPRESSED);
    assert_eq!(rule(&pool), "lent");
    pass(&mut pool, 1_800);
    let names = hears(&mut pool, &above("load", 1.6), &facts);
    assert_eq!(names, DECIDED);
}

#[test]
fn an_old_ask_and_a_pool_that_only_observes_lend_nothing() {
    let mut pool = Pool::new();
    let old = LendHosts { expires_at: pool.now, ..ask(2, &pool) };
    let healthy = facts(8, 0);
    assert!(pool.ignores(&PoolInput::Lend { ask: old, facts: Box::new(healthy.clone()) }));
    let observes = changed(healthy, |scaling| scaling.autonomy = Autonomy::Observe);
    let give = lend(2, &pool, &observes);
    pool.when(&give).unwrap();
    assert_eq!(rule(&pool), "autonomy");
}

#[test]
fn hosts_that_are_lent_leave_first() {
    let (mut pool, mut facts) = idle(10, 0.6);
    for host in facts.hosts.iter_mut().filter(|host| ["h-002", "h-005"].contains(&host.host.as_str())) {
        host.is_lent = true;
    }
    pool.when(&look(&facts)).unwrap();
    let leaving = last(&pool).leaving;
    assert_eq!(leaving.len(), 4);
    assert!(leaving[..2].contains(&id("h-002")) && leaving[..2].contains(&id("h-005")), "{leaving:?}");
}
