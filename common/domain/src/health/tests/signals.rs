//! What is believed of a signal, and for how long.

use super::*;

#[test]
fn a_fault_is_tolerated_then_confirmed_and_the_budget_is_asked_before_anything_is_done() {
    let mut host = Host::healthy();
    assert_eq!(host.fires("a1"), ["health.signal-received", "health.suspected"]);
    assert_eq!(host.waits(), 300, "the toleration of this class of faults");
    assert_eq!(host.run.commands[0].type_name(), "report-member", "its rack hears of it at once");
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.disruption-claimed"]);
    assert_eq!(host.run.commands.last().unwrap().type_name(), "claim-disruption");
    assert_eq!(host.granted(), ["health.remediation-started"]);
    let order = host.order();
    assert_eq!(
        (&order["rung"], &order["host"], &order["image"]),
        (&json!("power-cycle"), &json!("h-1"), &json!("debian-13"))
    );
    assert_eq!(host.acts().to_string(), "recovery#h-1.1");
    assert_eq!(host.heals(), ["health.remediation-ended", "health.recovered"]);
    assert_eq!((host.condition(), host.returned()), ("healthy", 1));
    let incident = host.run.state.incident.clone().unwrap();
    let times = [incident.confirmed_at, incident.decided_at, incident.acted_at, incident.closed_at];
    assert!(times.iter().all(Option::is_some), "each time is kept: {incident:?}");
}

#[test]
fn repeats_of_a_signal_are_one_and_a_storm_of_them_grows_no_stream() {
    let mut host = Host::healthy();
    let signal = host.signal("a1", SignalStatus::Firing);
    host.told(signal.clone());
    let events = host.run.events.len();
    for _ in 0..200 {
        assert!(host.told(signal.clone()).is_empty());
    }
    assert_eq!(host.run.events.len(), events);
    host.granted_after_toleration();
    assert!(host.told(signal).is_empty(), "a repair under way is not begun again");
}

#[test]
fn a_signal_that_goes_on_is_renewed_once_in_half_of_its_shelf_life() {
    let mut host = Host::healthy();
    let first = host.signal("a1", SignalStatus::Firing);
    host.told(first.clone());
    let mut renewed = 0;
    for _ in 0..10 {
        host.later(60);
        let mut again = host.signal("a1", SignalStatus::Firing);
        again.header.starts_at = first.header.starts_at;
        renewed += host.told(again).len();
    }
    assert_eq!(renewed, 1);
}

#[test]
fn a_stale_signal_is_dropped_once_and_never_acted_on() {
    let mut host = Host::healthy();
    let signal = host.signal("a1", SignalStatus::Firing);
    host.later(3_600);
    assert_eq!(host.told(signal.clone()), ["health.signal-dropped"]);
    assert!(host.told(signal).is_empty(), "once");
    assert_eq!((host.condition(), host.run.timers.len()), ("healthy", 0));
}

#[test]
fn what_has_become_stale_while_it_was_tolerated_is_not_acted_on() {
    let mut host = Host::healthy();
    host.fires("a1");
    host.later(3_600);
    assert_eq!(host.wakes(), ["health.recovered"]);
    assert!(host.run.events.last().unwrap().to_data().text().contains("shelf life"));
}

#[test]
fn what_has_become_stale_while_it_was_held_back_has_monitoring_asked_before_anything_is_done() {
    let mut host = Host::claiming();
    host.held("rack");
    host.later(3_600);
    assert_eq!(host.wakes(), ["health.disruption-claimed"]);
    host.granted();
    let order: RecoveryOrder = serde_json::from_value(host.order()).unwrap();
    let plan = Recovery::plan(Recovery::VERSION, &order).unwrap();
    let steps: Vec<String> = plan.steps().map(|step| step.full_name().to_string()).collect();
    assert_eq!(steps[..3], ["begin-recovery", "look-again", "cordon-host"]);
    assert!(plan.steps().skip(2).take(4).all(|step| step.condition == Some("the host is still faulty")));
}

#[test]
fn resolved_while_it_is_tolerated_is_healthy_again() {
    let mut host = Host::healthy();
    host.fires("a1");
    host.later(60);
    assert_eq!(host.resolves("a1"), ["health.signal-received", "health.recovered"]);
    assert!(host.wakes().is_empty(), "the timer of a wait that is over says nothing");
    assert_eq!(host.condition(), "healthy");
}

#[test]
fn resolved_is_no_proof_of_health_once_a_fault_is_confirmed() {
    let mut host = Host::claiming();
    host.held("rack");
    assert_eq!(host.resolves("a1"), ["health.signal-received", "health.remediation-started"]);
    assert_eq!(host.condition(), "verifying");
    assert_eq!(host.ends(RemediationOutcome::Needless), ["health.remediation-ended", "health.recovered"]);
    assert!(host.run.state.recoveries.is_empty(), "nothing was done, so that it counts for no flapping");
}

#[test]
fn resolved_while_a_saga_acts_changes_nothing() {
    let mut host = Host::acting();
    assert_eq!(host.resolves("a1"), ["health.signal-received"]);
    assert_eq!(host.condition(), "acting");
}

#[test]
fn one_signal_that_ends_is_not_the_end_of_another() {
    let mut host = Host::healthy();
    host.fires("a1");
    host.fires("a2");
    host.resolves("a1");
    assert_eq!(host.condition(), "suspect");
}

#[test]
fn signals_that_a_repair_sets_off_begin_no_other() {
    let mut host = Host::acting();
    host.later(5);
    assert_eq!(host.fires("down"), ["health.signal-received"]);
    host.later(60);
    host.resolves("down");
    host.heals();
    assert_eq!(host.condition(), "healthy");
    assert!(host.wakes().is_empty());
}

#[test]
fn what_goes_on_after_a_repair_has_settled_is_a_fault() {
    let mut host = Host::acting();
    host.later(5);
    host.fires("down");
    host.later(60);
    assert_eq!(host.heals(), ["health.remediation-ended", "health.recovered", "health.suspected"]);
    assert_eq!(host.waits(), 300);
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.disruption-claimed"]);
    assert_eq!(host.run.state.incident.as_ref().unwrap().number, 2);
}
