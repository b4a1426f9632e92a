//! Configuration that has drifted.

use std::sync::Arc;

use hostler_events::ConfigureCommand;
use hostler_events::drift::{CHANGES_MAX, CheckAsked, DriftChange, DriftRepair};
use hostler_events::host::{RunOutcome, RunReport};

use super::phases::give_back;
use super::*;
use crate::PolicyState;

/// Policies by which hosts are checked each day.
fn policies(autonomy: &str, pool: &str) -> Arc<PolicyState> {
    checking(Some(86_400), autonomy, pool)
}

fn checking(seconds: Option<u32>, autonomy: &str, pool: &str) -> Arc<PolicyState> {
    let policy = serde_json::from_value(serde_json::json!({
        "configuration": { "checkSeconds": seconds, "autonomy": autonomy },
        "pools": { "web": { "role": "web", "image": "debian-13", "hosts": 10, "autonomy": pool } },
    }));
    Arc::new(PolicyState { policy: policy.unwrap(), ..PolicyState::default() })
}

fn change(path: &str) -> DriftChange {
    DriftChange { task: "Write the configuration".into(), path: path.into(), diff: "-a\n+b\n".into() }
}

fn ended(step: &StepId, outcome: RunOutcome, changes: Vec<DriftChange>, by: &Arc<PolicyState>) -> HostInput {
    let report = RunReport::Ended {
        revision: "r-7".to_owned(),
        outcome,
        changed: !changes.is_empty(),
        message: if outcome == RunOutcome::Succeeded { String::new() } else { "the disk is full".to_owned() },
        tasks: vec![],
        tasks_left_off: 0,
        changes,
        changes_left_off: 0,
    };
    HostInput::ConfigurationReported { step: step.clone(), report, policies: Arc::clone(by) }
}

fn drifted(step: &StepId, by: &Arc<PolicyState>) -> HostInput {
    ended(step, RunOutcome::Succeeded, vec![change("/etc/web.conf")], by)
}

fn clean(step: &StepId, by: &Arc<PolicyState>) -> HostInput {
    ended(step, RunOutcome::Succeeded, vec![], by)
}

fn restore() -> HostInput {
    HostInput::Restore { reason: "looked at".to_owned() }
}

/// The check or restoration that is under way.
fn running(host: &Host) -> StepId {
    host.state.drift.run.as_ref().unwrap().step.clone()
}

/// A host that an operator has checked: the check is under way.
fn in_check() -> (Host, StepId) {
    let mut host = at("in-service");
    host.when(&HostInput::Check).unwrap();
    let step = running(&host);
    (host, step)
}

/// A host whose newest check has found drift, by these policies.
fn found(by: &Arc<PolicyState>) -> (Host, Vec<&'static str>) {
    let (mut host, step) = in_check();
    let names = host.names(&drifted(&step, by));
    (host, names)
}

fn repair(host: &Host) -> DriftRepair {
    host.state.drift.found.as_ref().unwrap().repair.clone()
}

#[test]
fn a_check_asks_the_runner_for_the_role_and_revision_that_the_host_has_and_has_a_deadline() {
    let mut host = at("in-service");
    let decision = host.when(&HostInput::Check).unwrap();
    let [HostEvent::CheckStarted(started)] = &decision.events[..] else { panic!("{decision:?}") };
    assert_eq!((started.role.as_str(), started.revision.as_str()), ("web-server", "r-7"));
    assert_eq!(started.asked_by, CheckAsked::Operator);
    let [StepCommand::Configure(ConfigureCommand::CheckRole(order))] = &decision.commands[..] else {
        panic!()
    };
    assert_eq!((&order.step, order.revision.as_str()), (&started.step, "r-7"));
    assert_eq!(decision.timers.len(), 1);
    assert_eq!(decision.timers[0].name, started.step.as_str());
    assert_eq!(host.state.phase, HostPhase::InService);
}

#[test]
fn what_has_not_drifted_is_only_said_to_be_checked() {
    let (mut host, step) = in_check();
    assert_eq!(host.names(&clean(&step, &Arc::default())), ["host.configuration-checked"]);
    assert_eq!(host.state.drift, Drift::default());
}

/// Each autonomy, and that of the pool, which is the most that it can be.
#[test]
fn drift_is_repaired_by_autonomy_and_a_suppression_says_its_rule() {
    for (own, pool, wanted) in [
        ("observe", "auto", DriftRepair::Suppressed { rule: "configuration.autonomy is observe".into() }),
        ("auto", "observe", DriftRepair::Suppressed { rule: "pools.web.autonomy is observe".into() }),
        ("approve", "auto", DriftRepair::AwaitsApproval { rule: "configuration.autonomy is approve".into() }),
        ("auto", "approve", DriftRepair::AwaitsApproval { rule: "pools.web.autonomy is approve".into() }),
    ] {
        let (host, names) = found(&policies(own, pool));
        assert_eq!(
            names,
            ["host.configuration-drifted", "host.configuration-check-scheduled"],
            "{own} {pool}"
        );
        assert_eq!((repair(&host), &host.state.drift.run), (wanted, &None));
    }
    let (host, _) = found(&Arc::default());
    assert_eq!(repair(&host), DriftRepair::Suppressed { rule: "the policies have no pool web".into() });

    let (mut host, names) = found(&policies("auto", "auto"));
    let begun = ["host.configuration-drifted", "host.configuration-restore-started"];
    assert_eq!(names[..2], begun, "in one commit");
    assert_eq!(repair(&host), DriftRepair::Begun);
    let Some(StepCommand::Configure(ConfigureCommand::RestoreRole(order))) = host.commands.last() else {
        panic!("{:?}", host.commands)
    };
    assert_eq!((order.role.as_str(), order.revision.as_str()), ("web-server", "r-7"));
    let step = order.step.clone();
    assert_eq!(host.names(&clean(&step, &policies("auto", "auto"))), ["host.configuration-restored"]);
    assert_eq!((&host.state.drift.found, &host.state.drift.run), (&None, &None));
}

#[test]
fn an_operator_has_a_host_restored_whether_its_drift_is_known_or_not() {
    let (mut host, _) = found(&policies("approve", "auto"));
    assert_eq!(host.names(&restore()), ["host.configuration-restore-started"]);
    let step = running(&host);
    assert!(matches!(host.when(&restore()), Err(HostRefusal::RunUnderWay { .. })));
    assert!(matches!(host.when(&HostInput::Check), Err(HostRefusal::RunUnderWay { .. })));
    host.when(&clean(&step, &policies("approve", "auto"))).unwrap();
    assert_eq!(host.state.drift.found, None);

    let (mut checked, check) = in_check();
    assert_eq!(
        checked.names(&restore()),
        ["host.configuration-restore-started"],
        "in the place of the check"
    );
    let late = checked.when(&drifted(&check, &Arc::default()));
    assert!(matches!(late, Err(HostRefusal::NotWaiting { .. })), "{late:?}");
}

#[test]
fn a_host_that_a_saga_works_on_is_neither_checked_nor_restored() {
    for input in [HostInput::Check, restore()] {
        let cordoned = at("cordoned").when(&input);
        assert!(matches!(cordoned, Err(HostRefusal::Cordoned { .. })), "{cordoned:?}");
        for phase in ["verifying", "available", "deploying", "configuring", "draining", "quarantined"] {
            let refused = at(phase).when(&input).unwrap_err();
            assert_eq!(refused.label(), "not-possible", "{phase}");
            assert!(refused.to_string().contains("in-service can be"), "{refused}");
        }
        let mut leaving = at("in-service");
        leaving.when(&deregistered("p-1", "s/deregister/1")).unwrap();
        assert_eq!(leaving.when(&input).unwrap_err().label(), "not-possible", "its deployment is undone");
    }
}

/// Given a check or restoration under way, when a saga takes the host, then what is reported of it is late.
#[test]
fn a_saga_that_takes_the_host_ends_a_check_and_its_report_is_refused() {
    let taken = [
        vec![cordon("r-1", "r/cordon/1")],
        vec![give_back(false)],
        vec![undeploy("p-1", "s/undeploy/1")],
        vec![cordon("r-1", "r/cordon/1"), reimage("r-1", "r/reimage/1")],
    ];
    for inputs in taken {
        for restores in [false, true] {
            let (mut host, mut step) = in_check();
            if restores {
                host.when(&restore()).unwrap();
                step = running(&host);
            }
            for input in &inputs {
                host.when(input).unwrap();
            }
            assert!(!host.state.is_checked_by(&step), "{inputs:?}");
            let late = host.when(&drifted(&step, &policies("auto", "auto")));
            assert!(matches!(late, Err(HostRefusal::NotWaiting { .. })), "{inputs:?}: {late:?}");
            assert!(host.ignores(&timer(step.as_str())), "{inputs:?}");
            let reason = "busy".to_owned();
            assert!(host.ignores(&HostInput::FailRun { step, reason }), "{inputs:?}");
        }
    }
}

#[test]
fn a_check_that_is_reported_twice_or_of_an_earlier_life_changes_nothing() {
    let (mut host, step) = in_check();
    host.when(&clean(&step, &Arc::default())).unwrap();
    let again = host.when(&drifted(&step, &policies("auto", "auto")));
    assert!(matches!(again, Err(HostRefusal::NotWaiting { .. })), "{again:?}");

    let (mut host, early) = in_check();
    for input in [cordon("r-1", "r/cordon/1"), reimage("r-1", "r/reimage/1"), booted("r/reimage/1")] {
        host.when(&input).unwrap();
    }
    for input in [
        recovered("r/reimage/1"),
        configured_for(recovery("r-1"), "r/apply/1"),
        monitored_for(recovery("r-1"), "r/register/1"),
        uncordon("r-1", "r/uncordon/1"),
        HostInput::Check,
    ] {
        host.when(&input).unwrap();
    }
    assert_ne!(running(&host), early, "step ids never repeat");
    let late = host.when(&drifted(&early, &policies("auto", "auto")));
    assert!(matches!(late, Err(HostRefusal::NotWaiting { .. })), "{late:?}");
}

#[test]
fn a_run_of_which_nothing_is_heard_is_given_up_at_its_deadline_and_the_host_serves_on() {
    for restores in [false, true] {
        let (mut host, mut step) = in_check();
        if restores {
            host.when(&restore()).unwrap();
            step = running(&host);
        }
        let alive = HostInput::ConfigurationReported {
            step: step.clone(),
            report: RunReport::Running { task: None },
            policies: Arc::default(),
        };
        assert!(host.ignores(&alive), "a sign of life is no event");
        assert_eq!(host.names(&timer(step.as_str())), ["host.configuration-run-failed"]);
        assert_eq!((&host.state.drift.run, &host.state.phase), (&None, &HostPhase::InService));
        let late = host.when(&clean(&step, &Arc::default()));
        assert!(matches!(late, Err(HostRefusal::NotWaiting { .. })), "{late:?}");
        assert_eq!(host.names(&HostInput::Check), ["host.configuration-check-started"]);
    }
}

/// What is known of drift stays known when another run says nothing about it.
#[test]
fn a_run_that_fails_says_why_and_leaves_what_is_known_of_drift() {
    let by = policies("approve", "auto");
    for outcome in [RunOutcome::Failed, RunOutcome::Unreachable, RunOutcome::TimedOut, RunOutcome::Lost] {
        let (mut host, _) = found(&by);
        let known = host.state.drift.found.clone();
        host.when(&restore()).unwrap();
        let step = running(&host);
        assert_eq!(host.names(&ended(&step, outcome, vec![], &by)), ["host.configuration-run-failed"]);
        let Some(HostEvent::ConfigurationRunFailed(failed)) = host.events.last() else { panic!() };
        assert_eq!(failed.reason, "the disk is full");
        assert_eq!((&host.state.drift.found, &host.state.drift.run), (&known, &None));
    }
    let (mut host, step) = in_check();
    let refused = HostInput::FailRun { step, reason: "there is no such revision".to_owned() };
    assert_eq!(host.names(&refused), ["host.configuration-run-failed"]);
}

/// Given policies that have hosts checked, then each check sets the time of the next one, and a timer of an older schedule does nothing.
#[test]
fn checks_follow_each_other_by_the_policies_schedule() {
    let by = policies("observe", "auto");
    let (mut host, step) = in_check();
    let names = host.names(&clean(&step, &by));
    assert_eq!(names, ["host.configuration-checked", "host.configuration-check-scheduled"]);
    let (next, due) = (host.state.drift.next.unwrap(), host.timers.last().unwrap().clone());
    assert_eq!((next.every_seconds, next.at), (86_400, due.due_at));
    let wait = next.at.as_second() - host.now.as_second();
    assert!((43_200..86_400).contains(&wait), "hosts are spread over the second half: {wait}");

    let names = host.names(&timer(&due.name));
    assert_eq!(names, ["host.configuration-check-started", "host.configuration-check-scheduled"]);
    let Some(HostEvent::CheckStarted(started)) = host.events.iter().rev().nth(1) else { panic!() };
    assert_eq!(started.asked_by, CheckAsked::Schedule);
    assert!(host.ignores(&timer(&due.name)), "the timer comes twice");
    let (step, second) = (running(&host), host.state.drift.next.unwrap());
    assert_eq!(second.at.as_second() - host.now.as_second(), 86_400 - 1);
    assert_eq!(host.names(&clean(&step, &by)), ["host.configuration-checked"], "it is scheduled already");

    // Another interval takes the place of the one before; none ends it.
    host.when(&HostInput::Check).unwrap();
    let (step, third) = (running(&host), host.timers.last().unwrap().name.clone());
    let hourly = checking(Some(3_600), "observe", "auto");
    assert_eq!(host.names(&clean(&step, &hourly)).len(), 2);
    assert!(host.ignores(&timer(&third)), "the timer of the older schedule");
    host.when(&HostInput::Check).unwrap();
    let step = running(&host);
    host.when(&clean(&step, &checking(None, "observe", "auto"))).unwrap();
    assert_eq!(host.state.drift.next, None);
    let last = host.timers.last().unwrap().name.clone();
    assert!(host.ignores(&timer(&last)));
}

#[test]
fn a_host_that_is_configured_by_a_runner_is_checked_from_then_on_where_the_policies_say_so() {
    let mut host = at("configuring");
    let (role, step) = (id("web"), id::<StepId>("s/apply/1"));
    let start =
        HostInput::StartConfiguration { saga: saga_ref("p-1"), step: step.clone(), role, revision: None };
    host.when(&start).unwrap();
    let names = host.names(&clean(&step, &policies("auto", "auto")));
    assert_eq!(names.last(), Some(&"host.configuration-check-scheduled"));
    let due = host.timers.last().unwrap().name.clone();
    // It does not serve yet.
    assert_eq!(host.names(&timer(&due)), ["host.configuration-check-scheduled"]);
    host.when(&monitored("p-1", "s/register/1")).unwrap();
    host.when(&cordon("r-1", "r/cordon/1")).unwrap();
    let due = host.timers.last().unwrap().name.clone();
    assert_eq!(host.names(&timer(&due)), ["host.configuration-check-scheduled"], "a saga works on it");
    host.when(&uncordon("r-1", "r/uncordon/1")).unwrap();
    let due = host.timers.last().unwrap().name.clone();
    assert_eq!(host.names(&timer(&due))[0], "host.configuration-check-started");
    host.when(&give_back(false)).unwrap();
    assert_eq!(host.state.drift, Drift::default());
    let due = host.timers.last().unwrap().name.clone();
    assert!(host.ignores(&timer(&due)), "its schedule ends with its service");
}

#[test]
fn a_report_of_drift_is_bounded() {
    let (mut host, step) = in_check();
    let much =
        DriftChange { task: "t".repeat(9_000), path: "p".repeat(9_000), diff: "d\u{1b}\n".repeat(9_000) };
    let many = vec![much; CHANGES_MAX + 3];
    host.when(&ended(&step, RunOutcome::Succeeded, many, &Arc::default())).unwrap();
    let Some(HostEvent::ConfigurationDrifted(drifted)) = host.events.last() else { panic!() };
    assert_eq!((drifted.changes.len(), drifted.changes_left_off), (CHANGES_MAX, 3));
    let lengths =
        |change: &DriftChange| [&change.task, &change.path, &change.diff].map(|text| text.chars().count());
    assert!(drifted.changes.iter().all(|change| lengths(change) == [120, 200, 1_000]));
    assert!(drifted.changes[0].diff.starts_with("d\u{fffd}\nd"), "lines stay lines");
    assert_eq!(host.state.drift.found.as_ref().unwrap().changes, 23);
}
