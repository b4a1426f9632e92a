//! What the budget and the saga are told.

use super::*;

#[test]
fn a_claim_without_an_answer_is_made_again_and_a_late_grant_is_given_back() {
    let mut host = Host::claiming();
    let first = host.claim();
    assert_eq!(host.wakes(), ["health.disruption-claimed"]);
    assert_ne!(host.claim(), first);
    let seen = host.seen();
    assert!(host.names(&HealthInput::Granted { saga: first, seen }).is_empty());
    assert_eq!((host.returned(), host.condition()), (1, "claiming"));
    host.granted();
    let (saga, seen) = (host.acts(), host.seen());
    assert!(host.names(&HealthInput::Granted { saga, seen }).is_empty(), "granted twice");
    assert_eq!(host.returned(), 1);
}

#[test]
fn a_host_that_another_saga_works_on_is_left_to_it() {
    let mut host = Host::healthy();
    host.fires("a1");
    host.seen.host.as_mut().unwrap().cordoned_by = Some("patching#p-1".parse().unwrap());
    assert_eq!(host.wakes(), ["health.fault-confirmed", "health.remediation-suppressed"]);
}

#[test]
fn a_saga_that_is_not_wanted_any_more_is_told_so_before_it_begins() {
    let mut host = Host::acting();
    let begin = |host: &Host, saga: &SagaRef| HealthInput::Begin {
        saga: saga.clone(),
        step: id("r/begin-recovery/1"),
        seen: host.seen(),
    };
    let saga = host.acts();
    host.run.when(&begin(&host, &saga)).unwrap();
    assert!(matches!(host.reply(), StepOutcome::Succeeded { .. }));
    host.is(Phase::Draining);
    host.run.when(&begin(&host, &saga)).unwrap();
    assert!(matches!(host.reply(), StepOutcome::Failed { .. }));
    let other: SagaRef = "recovery#h-1.9".parse().unwrap();
    host.run.when(&begin(&host, &other)).unwrap();
    assert!(
        matches!(host.reply(), StepOutcome::Failed { uncertain: true, .. }),
        "so that it is undone and tells so"
    );
}

#[test]
fn a_sample_counts_from_when_monitoring_was_first_asked_and_only_health_ends_a_repair() {
    let mut host = Host::acting();
    let (saga, step) = (host.acts(), id::<StepId>("r/verify-recovery/1"));
    let check = CheckKind::After;
    let begin = HealthInput::BeginCheck { host: id("h-1"), saga: saga.clone(), step: step.clone(), check };
    assert_eq!(host.names(&begin), ["health.host-checked"]);
    host.later(30);
    assert!(host.run.ignores(&begin), "a later attempt asks for samples since the first");
    let checked = |faulty: Option<&str>| {
        let faulty = faulty.map(str::to_owned);
        HealthInput::Checked { saga: saga.clone(), step: step.clone(), check, faulty }
    };
    host.names(&checked(Some("its BMC says that its hardware is Critical")));
    assert!(matches!(host.reply(), StepOutcome::Failed { .. }));
    host.names(&checked(None));
    assert!(matches!(host.reply(), StepOutcome::Succeeded { .. }));
    assert!(host.run.state.incident.as_ref().unwrap().verified_at.is_some());
    let before =
        HealthInput::Checked { saga, step, check: CheckKind::Before, faulty: Some("hung".to_owned()) };
    host.names(&before);
    assert!(matches!(host.reply(), StepOutcome::Succeeded { .. }), "before a repair it may be faulty");
}

/// A host that was patched has no incident, and one that is patched while something is wrong with it has one all the same.
#[test]
fn a_gate_is_of_the_saga_that_has_begun_it_and_needs_no_incident() {
    for mut host in [Host::healthy(), Host::acting()] {
        let (saga, step) = ("patching#c-1.h-1".parse::<SagaRef>().unwrap(), id::<StepId>("p/check-host/1"));
        let check = CheckKind::Gate;
        let begin =
            HealthInput::BeginCheck { host: id("h-1"), saga: saga.clone(), step: step.clone(), check };
        let before = host.run.state.condition.clone();
        assert_eq!(host.names(&begin), ["health.host-checked"]);
        let since = host.run.state.gate.clone().unwrap().since;
        host.later(30);
        assert!(host.run.ignores(&begin), "a later attempt asks for samples since the first");
        let checked = |faulty: Option<&str>| {
            let faulty = faulty.map(str::to_owned);
            HealthInput::Checked { saga: saga.clone(), step: step.clone(), check, faulty }
        };
        assert_eq!(host.names(&checked(Some("monitoring still sees it unhealthy"))), ["health.host-checked"]);
        assert!(matches!(host.reply(), StepOutcome::Failed { category: Category::Transient, .. }));
        host.names(&checked(None));
        assert!(matches!(host.reply(), StepOutcome::Succeeded { .. }));
        assert_eq!((host.run.state.gate.clone().unwrap().since, &host.run.state.condition), (since, &before));
        let other =
            HealthInput::Checked { saga: "patching#c-2.h-1".parse().unwrap(), step, check, faulty: None };
        assert!(host.names(&other).is_empty(), "what is late is answered and not recorded");
    }
}

#[test]
fn the_service_that_a_signal_names_is_restarted_else_that_of_the_role() {
    let mut host = Host::acting();
    assert_eq!(host.order()["service"], "web-server");
    host = Host::healthy();
    let mut signal = host.signal("a1", SignalStatus::Firing);
    signal.labels.insert("service".to_owned(), "nginx.service".to_owned());
    host.told(signal);
    host.granted_after_toleration();
    assert_eq!(host.order()["service"], "nginx.service");
    host = Host::healthy();
    let mut signal = host.signal("a1", SignalStatus::Firing);
    signal.labels.insert("service".to_owned(), "; reboot".to_owned());
    host.told(signal);
    host.granted_after_toleration();
    assert_eq!(host.order()["service"], "web-server", "what can be no service is for people");
}

#[test]
fn a_saga_that_ends_late_is_answered_and_gives_the_budget_back() {
    let mut host = Host::acting();
    let saga = host.acts();
    host.heals();
    let seen = host.seen();
    let (step, reason) = (id("r/abandon-recovery/1"), "late".to_owned());
    assert!(host.names(&HealthInput::Abandoned { saga, step, reason, seen }).is_empty());
    assert_eq!((host.condition(), host.returned()), ("healthy", 2));
}

#[test]
fn a_person_closes_an_incident_but_not_while_a_saga_acts() {
    let close = HealthInput::Close { reason: "planned".to_owned() };
    let mut host = Host::acting();
    let refused = host.run.when(&close).unwrap_err();
    assert!(refused.to_string().contains("recovery#h-1.1 works on host h-1"), "{refused}");
    let mut host = Host::claiming();
    assert_eq!(host.names(&close), ["health.incident-closed"]);
    host.granted();
    assert_eq!((host.condition(), host.returned()), ("healthy", 1), "a grant that comes late is given back");
    assert_eq!(Host::healthy().run.when(&close).unwrap_err().label(), "no-incident");
}

#[test]
fn a_signal_of_a_host_that_nobody_has_enrolled_is_refused_with_its_reason() {
    let mut host = Host::healthy();
    host.seen.host = None;
    let (signal, seen) = (host.signal("a1", SignalStatus::Firing), host.seen());
    let refused = host.run.when(&HealthInput::Signal { signal, seen }).unwrap_err();
    assert_eq!(refused.label(), "unknown-host");
}
