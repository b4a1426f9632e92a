//! Signals that are old, late or repeated.

use super::*;

#[test]
fn a_stale_signal_does_nothing_and_says_so() {
    let facts = facts(10, 20);
    let mut pool = Pool::new();
    let old = report(&pool, &above("load", 4.0));
    pass(&mut pool, 3 * 3_600);
    let input = PoolInput::Signal { report: Box::new(old), facts: Box::new(facts.clone()) };
    assert_eq!(pool.names(&input), ["pool.signal-dropped"]);
    assert!(pool.state.edges.is_empty() && pool.commands.is_empty() && pool.timers.is_empty());
    // So is one about something that the pool does not scale by.
    assert_eq!(hears(&mut pool, &above("humidity", 4.0), &facts), ["pool.signal-dropped"]);
}

#[test]
fn a_repeat_writes_nothing_and_a_late_one_neither() {
    let facts = facts(10, 60);
    let mut pool = Pool::new();
    let first = report(&pool, &above("load", 1.5));
    let say = |report: &ReportThreshold| PoolInput::Signal {
        report: Box::new(report.clone()),
        facts: Box::new(facts.clone()),
    };
    pool.when(&say(&first)).unwrap();
    assert!(pool.ignores(&say(&first)));
    // The same end twice; and its beginning, which comes after it.
    let mut end = first.clone();
    end.header.status = SignalStatus::Resolved;
    assert_eq!(pool.names(&say(&end)), ["pool.threshold-crossed"]);
    assert!(pool.ignores(&say(&end)));
    assert!(pool.ignores(&say(&first)));
    let mut older = first.clone();
    older.header.starts_at = first.header.starts_at.checked_sub(SignedDuration::from_secs(60)).unwrap();
    assert!(pool.ignores(&say(&older)));
}

#[test]
fn what_goes_on_is_renewed_when_half_of_its_shelf_life_is_over() {
    let facts = changed(facts(10, 60), |scaling| scaling.max = 11);
    let mut pool = Pool::new();
    let first = report(&pool, &above("load", 1.1));
    let again = |pool: &Pool| {
        let mut again = first.clone();
        again.header.observed_at = pool.now;
        again.header.expires_at = after(pool.now, 900);
        PoolInput::Signal { report: Box::new(again), facts: Box::new(facts.clone()) }
    };
    pool.when(&again(&pool.clone())).unwrap();
    pass(&mut pool, 300);
    let input = again(&pool);
    assert!(pool.ignores(&input));
    pass(&mut pool, 300);
    let input = again(&pool);
    assert_eq!(pool.names(&input), ["pool.threshold-crossed"]);
}
