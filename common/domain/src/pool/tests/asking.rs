//! What metrics ask for.

use super::*;

#[test]
fn one_metric_is_enough_to_grow_and_the_decision_holds_its_inputs() {
    let facts = facts(10, 30);
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &above("load", 1.5), &facts), DECIDED);
    let decided = last(&pool);
    assert_eq!((decided.direction, decided.recommended, decided.chosen), (ScalingDirection::Out, 15, 15));
    assert_eq!((decided.inputs.in_service, decided.inputs.free, decided.policy_version), (10, 30, 3));
    assert_eq!(decided.provisionings.len(), 5);
    let says: Vec<_> =
        decided.per_metric.iter().map(|said| (said.metric.as_str(), said.says, said.asks)).collect();
    assert_eq!(says, [("load", MetricReading::Above, Some(15)), ("queue", MetricReading::Missing, None)]);
    // The commit carries what it sets in motion.
    let PoolCommand::Saga(SagaCommand::Start(start)) = &pool.commands[0] else {
        panic!("{:?}", pool.commands)
    };
    assert_eq!((start.saga.to_string().as_str(), pool.commands.len()), ("provisioning#scale-web-1.1", 5));
    assert_eq!(
        (&start.order["image"], &start.order["request"]),
        (&"debian-12".into(), &"scale-web-1".into())
    );
}

#[test]
fn of_several_metrics_the_one_that_asks_for_most_counts() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    let slow = changed(facts, |scaling| scaling.up_seconds = 60);
    hears(&mut pool, &above("load", 1.5), &slow);
    hears(&mut pool, &above("queue", 1.9), &slow);
    assert_eq!(rule(&pool), "stabilisation");
    pass(&mut pool, 60);
    assert_eq!(pool.names(&look(&slow)), ["pool.scaling-decided"]);
    assert_eq!(last(&pool).chosen, 19);
}

#[test]
fn all_metrics_must_agree_to_shrink() {
    let facts = facts(10, 10);
    let mut pool = Pool::new();
    hears(&mut pool, &below("load", 0.5), &facts);
    hears(&mut pool, &over(above("queue", 1.0)), &facts);
    pass(&mut pool, 900);
    // One says so, and the other says nothing of the kind.
    assert!(pool.ignores(&look(&facts)));
    let (mut pool, facts) = idle(10, 0.5);
    assert_eq!(pool.names(&look(&facts)), ["pool.scaling-decided"]);
    assert_eq!((last(&pool).chosen, last(&pool).leaving.len()), (5, 5));
}

#[test]
fn a_missing_metric_blocks_shrinking_and_not_growing() {
    let facts = facts(10, 10);
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &below("load", 0.5), &facts), SUPPRESSED);
    assert_eq!(rule(&pool), "missing-metric");
    assert!(pool.state.held.as_ref().unwrap().lifts.contains("queue"));
    pass(&mut pool, 600);
    assert!(pool.ignores(&look(&facts)));
    // One that was known and was not heard of since its shelf life is missing as well.
    let (mut pool, facts) = idle(10, 0.5);
    let renewed = report(&pool, &below("load", 0.5));
    pass(&mut pool, 650);
    pool.when(&PoolInput::Signal {
        report: Box::new(ReportThreshold {
            header: SignalHeader {
                starts_at: pool.state.edges[0].header.starts_at,
                observed_at: pool.now,
                expires_at: after(pool.now, 900),
                ..renewed.header.clone()
            },
            ..renewed
        }),
        facts: Box::new(facts.clone()),
    })
    .unwrap();
    assert_eq!(rule(&pool), "missing-metric");
    assert_eq!(hears(&mut pool, &above("queue", 1.2), &facts), DECIDED);
}

#[test]
fn within_the_tolerance_nothing_changes() {
    let facts = facts(10, 10);
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &above("load", 1.1), &facts), ["pool.threshold-crossed"]);
    let (mut pool, facts) = idle(10, 0.95);
    assert!(pool.ignores(&look(&facts)));
    let (mut pool, facts) = idle(10, 0.85);
    assert_eq!(pool.names(&look(&facts)), ["pool.scaling-decided"]);
    assert_eq!(last(&pool).chosen, 9);
}

#[test]
fn a_signal_without_a_value_asks_for_one_step() {
    let silent = |of: Says<'static>| Says { value: None, ..of };
    let facts = changed(facts(10, 30), |scaling| scaling.step = 3);
    let mut pool = Pool::new();
    hears(&mut pool, &silent(above("load", 1.0)), &facts);
    assert_eq!(last(&pool).chosen, 13);
    // While they are on their way it asks for no more.
    pass(&mut pool, 60);
    assert!(pool.ignores(&look(&facts)));
    // It goes on to fire once they are there: one step more.
    let mut facts = facts;
    let ends = all_arrive(&mut pool, &mut facts);
    hears_ends(&mut pool, ends, &facts);
    assert_eq!(rule(&pool), "cooldown");
    pass(&mut pool, 15);
    assert_eq!(pool.names(&look(&facts)), ["pool.scaling-decided"]);
    assert_eq!(last(&pool).chosen, 16);
}

#[test]
fn capacity_in_flight_counts() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 2.0), &facts);
    assert_eq!((last(&pool).chosen, pool.state.in_flight.len()), (20, 10));
    pass(&mut pool, 60);
    // The same load, measured again while they boot.
    assert_eq!(hears(&mut pool, &above("load", 2.0), &facts), ["pool.threshold-crossed"]);
    // More load: only what is missing.
    pass(&mut pool, 60);
    hears(&mut pool, &above("load", 2.5), &facts);
    assert_eq!((last(&pool).chosen, last(&pool).provisionings.len()), (25, 5));
}

#[test]
fn what_an_operator_has_requested_counts_once_it_holds_a_host() {
    let mut facts = facts(10, 60);
    for host in facts.hosts.iter_mut().filter(|host| host.phase == Phase::Available).take(4) {
        host.phase = Phase::Deploying;
        host.saga = Some(crate::testing::saga_ref("r-1.1"));
    }
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.5), &facts);
    assert_eq!((last(&pool).inputs.in_flight, last(&pool).provisionings.len()), (4, 1));
}

#[test]
fn a_host_counts_once_while_it_comes_into_service() {
    let mut facts = facts(10, 60);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.5), &facts);
    let count = |pool: &Pool, facts: &PoolFacts| facts.sizes(&pool.state, pool.now).counts;
    assert_eq!((count(&pool, &facts).in_service, count(&pool, &facts).in_flight), (10, 5));
    assert_eq!(count(&pool, &facts).free, 55, "five are promised");
    // The pool hears of it before a view shows it.
    let before = facts.clone();
    let ends = all_arrive(&mut pool, &mut facts);
    hears_ends(&mut pool, ends, &before);
    assert_eq!((count(&pool, &before).in_service, count(&pool, &before).in_flight), (15, 0));
    assert_eq!((count(&pool, &facts).in_service, count(&pool, &facts).in_flight), (15, 0));
}
