//! What waits for a person, or is only observed.

use super::*;

#[test]
fn a_pool_that_only_observes_records_what_it_would_do_once() {
    let facts = changed(facts(10, 20), |scaling| scaling.autonomy = Autonomy::Observe);
    let mut pool = Pool::new();
    assert_eq!(hears(&mut pool, &above("load", 1.5), &facts), SUPPRESSED);
    let held = pool.state.held.clone().unwrap();
    assert_eq!((held.rule.as_str(), held.value), ("observe", 5));
    assert!(pool.ignores(&look(&facts)) && pool.commands.is_empty());
}

#[test]
fn a_proposal_waits_for_a_person_and_is_decided_anew_then() {
    let facts = changed(facts(10, 20), |scaling| scaling.autonomy = Autonomy::Approve);
    let mut pool = Pool::new();
    let names = hears(&mut pool, &above("load", 1.3), &facts);
    assert_eq!(names, ["pool.threshold-crossed", "pool.scaling-proposed"]);
    assert!(pool.ignores(&look(&facts)) && pool.commands.is_empty());
    let approve =
        |number, reason: &str| PoolInput::Approve { pool: id("web"), number, reason: reason.to_owned() };
    assert_eq!(pool.when(&approve(2, "ok")).unwrap_err().label(), "not-proposed");
    assert_eq!(pool.when(&approve(1, " ")).unwrap_err().label(), "no-reason");
    let decision = pool.when(&approve(1, "ok")).unwrap();
    assert_eq!(decision.events[0].type_name(), "pool.scaling-approved");
    assert!(matches!(&decision.commands[..], [PoolCommand::Scale(ScaleCommand::LookAtPool(_))]));
    // By now more is needed: what was approved is done, and no more.
    hears(&mut pool, &above("load", 1.8), &facts);
    assert_eq!((last(&pool).chosen, last(&pool).provisionings.len()), (13, 3));
    assert_eq!(last(&pool).limits.last().unwrap().rule, "approved");
    assert_eq!(pool.when(&approve(1, "ok")).unwrap_err().label(), "not-proposed");
}

#[test]
fn what_was_rejected_is_not_proposed_again_for_an_hour() {
    let facts = changed(facts(10, 20), |scaling| scaling.autonomy = Autonomy::Approve);
    let mut pool = Pool::new();
    hears(&mut pool, &above("load", 1.3), &facts);
    let reject = PoolInput::Reject { pool: id("web"), number: 1, reason: "a test runs".to_owned() };
    assert_eq!(pool.names(&reject), ["pool.scaling-rejected"]);
    assert!(pool.ignores(&look(&facts)));
    let at = pool.state.look_at;
    pass(&mut pool, 3_600);
    hears(&mut pool, &above("load", 1.3), &facts);
    assert_eq!(pool.state.proposal.as_ref().map(|proposal| proposal.number), Some(2));
    assert!(pool.state.look_at > at);
}

#[test]
fn a_timer_that_is_not_waited_for_any_more_means_nothing() {
    let (mut pool, facts) = idle(10, 0.5);
    let due = pool.state.look_at.map(|at| after(at, 1));
    assert!(pool.ignores(&PoolInput::Look { due, facts: Box::new(facts) }));
    let name = format!("look:{}", pool.now);
    assert_eq!(PoolTimer::read(&name), Some(PoolTimer::Look(pool.now)));
    assert_eq!((PoolTimer::read("look:soon"), PoolTimer::read("else")), (None, None));
}

#[test]
fn a_provisioning_says_which_pool_has_asked_for_it() {
    assert_eq!(pool_of("scale-web-1.2"), Some(id("web")));
    assert_eq!(pool_of("scale-web-eu-17.2"), Some(id("web-eu")));
    assert_eq!((pool_of("r-1.1"), pool_of("scale-web")), (None, None));
}
