//! How far and how fast a pool grows.

use super::*;

#[test]
fn a_pool_at_most_doubles_or_grows_by_four_in_fifteen_seconds() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 4.0), &facts);
    let first = last(&pool);
    assert_eq!((first.recommended, first.chosen), (40, 20));
    assert_eq!(
        (first.limits[0].rule.as_str(), first.limits[0].limit, first.limits[0].value),
        ("growth", 10, 30)
    );
    assert_eq!(first.look_at, Some(after(pool.now, 15)));
    assert_eq!(pool.timers[0].name, format!("look:{}", after(pool.now, 15)));
    pass(&mut pool, 14);
    let due = first.look_at;
    assert_eq!(
        pool.names(&PoolInput::Look { due, facts: Box::new(facts.clone()) }),
        ["pool.scaling-decided"]
    );
    assert_eq!(last(&pool).chosen, 40);
    // Of two hosts, four may come at once.
    let few = changed(super::tests::facts(2, 60), |scaling| scaling.max = 100);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 8.0), &few);
    assert_eq!(last(&pool).chosen, 6);
}

#[test]
fn never_over_the_maximum_and_never_under_the_minimum() {
    let wide = |scaling: &mut ScalingPolicy| {
        scaling.growth = GrowthPolicy { percent: 1_000, hosts: 250, seconds: 15 }
    };
    let facts = changed(facts(38, 60), wide);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 3.0), &facts);
    assert_eq!((last(&pool).chosen, last(&pool).limits[0].rule.as_str()), (40, "max"));
    pass(&mut pool, 60);
    hears(&mut pool, &above("queue", 4.0), &facts);
    assert_eq!(rule(&pool), "max");
    let (mut pool, facts) = idle(6, 0.01);
    pool.when(&look(&facts)).unwrap();
    assert_eq!((last(&pool).recommended, last(&pool).chosen), (2, 2));
    // Fewer than the minimum are too few, whatever is measured.
    let few = super::tests::facts(1, 10);
    assert_eq!(Pool::new().names(&look(&few)), ["pool.scaling-decided"]);
}

#[test]
fn no_more_hosts_than_the_cost_ceiling_pays_for() {
    let cost = |scaling: &mut ScalingPolicy| {
        scaling.cost = Some(CostPolicy { cents_per_host_hour: 50, cents_per_hour: 640 });
    };
    let facts = changed(facts(10, 60), cost);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 2.0), &facts);
    assert_eq!((last(&pool).chosen, last(&pool).limits[0].rule.as_str()), (12, "cost"));
    pass(&mut pool, 60);
    hears(&mut pool, &above("load", 3.0), &facts);
    let held = pool.state.held.clone().unwrap();
    assert_eq!((held.rule.as_str(), held.until), ("cost", None));
}

#[test]
fn some_hosts_remain_free_for_others() {
    let facts = changed(facts(10, 6), |scaling| scaling.spare_hosts = 4);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 2.0), &facts);
    assert_eq!((last(&pool).chosen, last(&pool).limits[0].rule.as_str()), (12, "spare"));
    pass(&mut pool, 60);
    hears(&mut pool, &above("load", 3.0), &facts);
    let held = pool.state.held.clone().unwrap();
    assert_eq!((held.rule.as_str(), held.limit), ("spare", 0));
    assert!(held.lifts.contains("4 hosts of the pool are free, and 4 of them are kept"), "{}", held.lifts);
    // It is looked at again by a timer, later each time.
    let mut waits = Vec::new();
    for _ in 0..3 {
        let until = pool.state.look_at.unwrap();
        waits.push(until.duration_since(pool.now).as_secs());
        pool.now = until;
        assert_eq!(
            pool.names(&PoolInput::Look { due: Some(until), facts: Box::new(facts.clone()) }),
            [SUPPRESSED[1]]
        );
    }
    assert_eq!(waits, [30, 60, 120]);
}
