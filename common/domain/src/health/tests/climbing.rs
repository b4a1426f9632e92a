//! What is tried, in which order, and when it is given up.

use super::*;

#[test]
fn the_same_is_tried_again_after_a_delay_that_grows_then_the_next_rung() {
    let mut host = Host::acting();
    for delay in [60, 120] {
        assert_eq!(host.fails(), ["health.remediation-ended"]);
        assert_eq!((host.waits(), host.condition()), (delay, "waiting"));
        assert_eq!(host.wakes(), ["health.disruption-claimed"]);
        host.granted();
        assert_eq!(host.order()["rung"], "power-cycle");
    }
    host.fails();
    assert_eq!(host.waits(), 0, "the third attempt was the last");
    host.wakes();
    host.granted();
    assert_eq!(host.order()["rung"], "reimage");
    assert_eq!(host.acts().to_string(), "recovery#h-1.4", "each has a saga of its own");
}

#[test]
fn when_all_was_tried_a_person_gets_the_whole_story_and_nothing_more_is_done() {
    let mut host = Host::acting();
    for _ in 0..4 {
        host.fails();
        host.wakes();
        host.granted();
    }
    assert_eq!(host.order()["rung"], "replace");
    host.fails();
    assert_eq!(host.wakes(), ["health.escalated"]);
    let Some(HealthEvent::Escalated(escalated)) = host.run.events.last().cloned() else { panic!() };
    assert_eq!(escalated.story.tried.len(), 5);
    assert!(escalated.story.tried.iter().all(|tried| tried.ended_at.is_some() && tried.reason.is_some()));
    assert_eq!(escalated.story.signals.len(), 1);
    for fingerprint in ["a1", "a2"] {
        host.later(600);
        assert!(host.fires(fingerprint).is_empty());
    }
    let closed = HealthInput::Close { reason: "a new mainboard".to_owned() };
    assert_eq!(host.names(&closed), ["health.incident-closed"]);
    assert_eq!(host.fires("a3"), ["health.signal-received", "health.suspected"]);
    assert_eq!(host.run.state.attempts_of(Rung::PowerCycle), 0, "from the beginning again");
}

#[test]
fn attempts_are_counted_over_incidents_until_the_host_was_healthy_for_an_hour() {
    let mut host = Host::healthy();
    host.is_healed_by_a_power_cycle("a1");
    host.later(1_800);
    host.fires("a2");
    assert_eq!(host.run.state.attempts_of(Rung::PowerCycle), 1);
    host.wakes();
    host.granted();
    host.heals();
    host.later(3_601);
    host.fires("a3");
    assert_eq!(host.run.state.attempts_of(Rung::PowerCycle), 0);
}

#[test]
fn a_host_that_recovers_three_times_in_ten_minutes_is_not_repaired_the_same_way_again() {
    let mut host = Host::healthy();
    let mut quick = policies("auto").as_ref().clone();
    quick.policy.faults.get_mut(&id("unreachable")).unwrap().toleration_seconds = 0;
    host.seen.policies = Arc::new(quick);
    for fingerprint in ["a1", "a2", "a3"] {
        host.is_healed_by_a_power_cycle(fingerprint);
    }
    assert!(host.run.state.is_flapping(host.run.now));
    host.fires("a4");
    host.wakes();
    let Some(HealthEvent::Claimed(claimed)) = host.run.events.last().cloned() else { panic!() };
    assert_eq!(claimed.rung, Rung::Replace);
    assert!(claimed.reason.unwrap().contains("recovered 3 times"));
    host.granted();
    assert_eq!(host.order()["rung"], "replace", "another host takes its place, and it goes out of use");
}

#[test]
fn a_flapping_host_without_a_replacement_is_a_persons() {
    let mut host = Host::healthy();
    let mut short = policies("auto").as_ref().clone();
    short.policy.runbooks.get_mut(&id("reboot")).unwrap().rungs.truncate(1);
    host.seen.policies = Arc::new(short);
    host.fires("a1");
    host.run.state.recoveries = vec![host.run.now + SignedDuration::from_mins(4); 3];
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.escalated"]);
}

#[test]
fn a_host_that_is_not_in_service_is_not_repaired_and_that_is_recorded_once() {
    for phase in [Phase::Deploying, Phase::Cleaning, Phase::Draining, Phase::Available, Phase::Quarantined] {
        let mut host = Host::healthy();
        host.is(phase);
        let signal = host.signal("a1", SignalStatus::Firing);
        let said = host.told(signal.clone());
        assert_eq!(said, ["health.remediation-suppressed", "health.signal-dropped"], "{phase:?}");
        assert!(host.told(signal.clone()).is_empty());
        host.is(Phase::InService);
        assert_eq!(
            host.told(signal),
            ["health.signal-received", "health.suspected"],
            "it goes on in service"
        );
    }
}

#[test]
fn a_host_that_leaves_service_while_it_is_tolerated_or_claimed_for_is_left_alone() {
    let mut host = Host::healthy();
    host.fires("a1");
    host.is(Phase::Draining);
    assert_eq!(host.wakes(), ["health.recovered"]);
    let mut host = Host::claiming();
    host.is(Phase::Draining);
    assert_eq!(host.granted(), ["health.recovered"]);
    assert_eq!(host.returned(), 1, "the budget is given back");
}

#[test]
fn a_host_that_a_repair_has_left_out_of_service_can_only_be_replaced() {
    let mut host = Host::acting();
    host.is(Phase::Retired);
    host.fails();
    host.wakes();
    host.granted();
    let order = host.order();
    assert_eq!((&order["rung"], &order["outOfService"]), (&json!("replace"), &json!(true)));
}
