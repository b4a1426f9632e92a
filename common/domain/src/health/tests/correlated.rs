//! What a host shares with others: while that has an incident, nobody is asked or told about the host alone.

use super::*;

fn lost() -> HoldBack {
    HoldBack {
        rule: CORRELATED.to_owned(),
        limit: "3 members and 20 %".to_owned(),
        value: "39 of 40 members of rack.rack-1 are unhealthy: incident 1".to_owned(),
        lifts: "what the members of rack.rack-1 share must work again".to_owned(),
    }
}

/// A host whose runbook was tried in vain. Its next look is due.
fn used_up() -> Host {
    let mut host = Host::with("auto");
    let mut policies = (*host.seen.policies).clone();
    for runbook in policies.policy.runbooks.values_mut() {
        runbook.rungs.truncate(1);
        runbook.rungs[0].attempts = 1;
    }
    host.seen.policies = Arc::new(policies);
    host.fires("a1");
    host.granted_after_toleration();
    host.fails();
    host
}

fn held_back(host: &Host) -> RemediationSuppressed {
    let Some(HealthEvent::Suppressed(held)) = host.run.events.last().cloned() else { panic!() };
    held
}

#[test]
fn while_its_rack_has_an_incident_a_used_up_runbook_is_no_persons() {
    let mut host = used_up();
    host.seen.correlated = Some(lost());
    for delay in [30, 60, 120] {
        assert_eq!(host.wakes(), ["health.remediation-suppressed"]);
        assert_eq!((host.waits(), held_back(&host).rule.as_str()), (delay, CORRELATED));
    }
}

#[test]
fn while_its_rack_has_an_incident_nobody_is_asked_about_a_host() {
    let mut host = Host::with("approve");
    host.seen.correlated = Some(lost());
    host.fires("a1");
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.remediation-suppressed"]);
    let held = held_back(&host);
    assert_eq!((held.rule.as_str(), held.rung), (CORRELATED, Some(Rung::PowerCycle)));
}

#[test]
fn what_was_asked_before_the_incident_is_asked_again_after_it_and_not_escalated() {
    let mut host = Host::with("approve");
    host.fires("a1");
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.approval-requested"]);
    host.seen.correlated = Some(lost());
    assert_eq!(host.wakes(), ["health.remediation-suppressed"], "nobody has approved it in a day");
    host.seen.correlated = None;
    assert_eq!(host.wakes(), ["health.remediation-started"]);
    host.fails();
    assert_eq!(host.wakes(), ["health.approval-requested"]);
}

#[test]
fn after_the_incident_a_host_is_looked_at_and_only_one_that_is_faulty_still_is_a_persons() {
    for still_faulty in [true, false] {
        let mut host = used_up();
        host.seen.correlated = Some(lost());
        host.wakes();
        host.seen.correlated = None;
        assert_eq!(host.wakes(), ["health.remediation-started"]);
        assert_eq!((host.condition(), &host.order()["rung"]), ("verifying", &Value::Null));
        if still_faulty {
            host.fails();
            assert_eq!(host.wakes(), ["health.escalated"]);
        } else {
            host.ends(RemediationOutcome::Needless);
            assert!(host.run.state.open().is_none());
        }
    }
}

#[test]
fn what_heals_the_cause_of_an_incident_is_asked_about_meanwhile() {
    let mut host = Host::with("approve");
    let mut policies = (*host.seen.policies).clone();
    for runbook in policies.policy.runbooks.values_mut() {
        runbook.passes_brake = true;
    }
    host.seen.policies = Arc::new(policies);
    host.seen.correlated = Some(lost());
    host.fires("a1");
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.approval-requested"]);
}

/// What is done by itself asks the budget, where what fails together is looked at as well.
#[test]
fn what_is_done_without_a_person_is_held_back_by_the_answer_to_its_claim() {
    let mut host = Host::healthy();
    host.seen.correlated = Some(lost());
    host.fires("a1");
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.disruption-claimed"]);
    assert_eq!(host.held(CORRELATED), ["health.remediation-suppressed"]);
    host.seen.correlated = None;
    assert_eq!(host.wakes(), ["health.disruption-claimed"]);
}
