//! What waits for a person or for the budget.

use super::*;

#[test]
fn without_policies_nothing_is_done_and_what_would_be_done_is_recorded_where_it_is_known() {
    let mut host = Host::with("observe");
    host.fires("a1");
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.remediation-suppressed"]);
    let Some(HealthEvent::Suppressed(held)) = host.run.events.last().cloned() else { panic!() };
    assert_eq!((held.rule.as_str(), held.rung), ("observe", Some(Rung::PowerCycle)));
    assert_eq!(host.resolves("a1"), ["health.signal-received", "health.recovered"]);

    let mut host = Host::healthy();
    host.seen.policies = Arc::default();
    host.fires("a1");
    host.wakes();
    let Some(HealthEvent::Suppressed(held)) = host.run.events.last().cloned() else { panic!() };
    assert_eq!((held.rule.as_str(), held.rung), ("observe", None));
    assert!(host.run.commands.iter().all(|command| command.type_name() == "report-member"));
}

#[test]
fn a_person_approves_each_rung_and_a_rejection_is_a_persons_incident() {
    let approve = HealthInput::Approve { reason: "go on".to_owned() };
    let mut host = Host::with("approve");
    host.fires("a1");
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.approval-requested"]);
    let refused = host.run.when(&HealthInput::Approve { reason: " ".to_owned() }).unwrap_err();
    assert_eq!(refused.label(), "no-reason");
    assert_eq!(host.names(&approve), ["health.approved"]);
    assert_eq!(host.run.when(&approve).unwrap_err().label(), "not-awaited", "once");
    assert!(host.waits() <= 0, "at once");
    assert_eq!(host.wakes(), ["health.disruption-claimed"]);
    let mut host = Host::with("approve");
    host.fires("a1");
    host.wakes();
    let reject = HealthInput::Reject { reason: "it is being moved".to_owned() };
    assert_eq!(host.names(&reject), ["health.escalated"]);
}

#[test]
fn what_nobody_approves_in_a_day_is_escalated() {
    let mut host = Host::with("approve");
    host.fires("a1");
    host.wakes();
    assert_eq!(host.waits(), 24 * 3_600);
    assert_eq!(host.wakes(), ["health.escalated"]);
}

#[test]
fn what_is_held_back_says_why_and_is_asked_for_again_ever_more_seldom() {
    let mut host = Host::claiming();
    for delay in [30, 60, 120, 240] {
        assert_eq!(host.held("rack"), ["health.remediation-suppressed"]);
        assert_eq!(host.waits(), delay);
        let renewed = host.signal("a1", SignalStatus::Firing);
        host.told(renewed);
        assert_eq!(host.wakes(), ["health.disruption-claimed"]);
    }
    assert_eq!(host.held("brake"), ["health.remediation-suppressed"]);
    assert_eq!(host.waits(), 30, "another rule");
    let held = host.run.state.incident.as_ref().unwrap().held_back.clone().unwrap();
    assert!(held.why.contains("brake: 9, and the limit is 8; wait"), "{}", held.why);
}

#[test]
fn what_the_budget_holds_back_for_a_day_is_a_persons_and_a_lost_rack_is_waited_for() {
    let mut host = Host::claiming();
    for rule in ["rack", CORRELATED] {
        host.held(rule);
        host.later(25 * 3_600);
        host.fires("a2");
        host.wakes();
        let said = host.held(rule);
        assert_eq!(
            said,
            [if rule == CORRELATED { "health.remediation-suppressed" } else { "health.escalated" }]
        );
        host = Host::claiming();
    }
}

/// A message at the end of a chain of a thousand causes is not handled any more.
#[test]
fn a_fault_that_is_held_back_for_days_has_few_causes_in_a_row() {
    let mut host = Host::claiming();
    let (mut hops, began) = (0, host.run.now);
    while host.run.now.duration_since(began).as_hours() < 7 * 24 {
        host.held(CORRELATED);
        assert_eq!(host.wakes(), ["health.disruption-claimed"]);
        hops += 2;
    }
    assert!(hops < 500, "{hops} hops in a week");
}
