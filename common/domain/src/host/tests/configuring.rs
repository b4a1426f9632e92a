//! Roles that a runner applies.

use std::sync::Arc;

use hostler_core::saga::{SagaCommand, StepOutcome};
use hostler_events::ConfigureCommand;
use hostler_events::commands::ApplyRole;
use hostler_events::host::{RunOutcome, RunReport, TASKS_MAX, TaskBegun, TaskResult, TaskRun};

use super::*;

const STEP: &str = "s/apply/1";

fn start(saga: SagaRef, step: &str) -> HostInput {
    HostInput::StartConfiguration { saga, step: id(step), role: id("web"), revision: None }
}

fn report(step: &str, report: RunReport) -> HostInput {
    HostInput::ConfigurationReported { step: id(step), report, policies: Arc::default() }
}

fn ended(step: &str, outcome: RunOutcome, revision: &str) -> HostInput {
    let (changed, message) = (true, "task 'Look' failed: the disk is too small".to_owned());
    let task =
        |result, message: &str| TaskRun { task: "Look".to_owned(), result, message: message.to_owned() };
    let tasks = vec![task(TaskResult::Changed, ""), task(TaskResult::Failed, "the disk is too small")];
    let revision = revision.to_owned();
    let (changes, changes_left_off) = (vec![], 0);
    let tasks_left_off = 0;
    let ended = RunReport::Ended {
        revision,
        outcome,
        changed,
        message,
        tasks,
        tasks_left_off,
        changes,
        changes_left_off,
    };
    report(step, ended)
}

/// What the saga is told in the last commit.
fn told(host: &Host) -> StepOutcome {
    match host.commands.last() {
        Some(StepCommand::Saga(SagaCommand::Answer(reply))) => reply.outcome.clone(),
        other => panic!("{other:?}"),
    }
}

fn begun() -> Host {
    let mut host = at("configuring");
    assert_eq!(host.names(&start(saga_ref("p-1"), STEP)), ["host.configuration-started"]);
    host
}

#[test]
fn a_runners_good_end_is_recorded_with_its_revision_and_answers_the_saga() {
    let mut host = begun();
    assert!(host.ignores(&start(saga_ref("p-1"), STEP)), "asked once");
    let names = host.names(&ended(STEP, RunOutcome::Succeeded, "r1"));
    assert_eq!(names, ["host.role-run", "host.configuration-applied"]);
    assert!(matches!(told(&host), StepOutcome::Succeeded { .. }));
    assert_eq!(host.state.phase, HostPhase::RegisteringMonitoring);
    assert_eq!((host.state.revision.as_deref(), &host.state.configuration), (Some("r1"), &None));
    let repeated = host.when(&ended(STEP, RunOutcome::Succeeded, "r1"));
    assert!(matches!(repeated, Err(HostRefusal::NotWaiting { .. })), "a repeat is over");
}

#[test]
fn a_failed_tasks_own_message_is_the_reason_of_the_step_and_says_whether_to_try_again() {
    for (outcome, wanted) in [
        (RunOutcome::Failed, Category::Business),
        (RunOutcome::FailedTransiently, Category::Transient),
        (RunOutcome::Unreachable, Category::Transient),
        (RunOutcome::TimedOut, Category::Transient),
        (RunOutcome::Lost, Category::Transient),
    ] {
        let mut host = begun();
        assert_eq!(host.names(&ended(STEP, outcome, "r1")), ["host.role-run", "host.step-failed"]);
        let StepOutcome::Failed { category, reason, uncertain } = told(&host) else { panic!("{outcome:?}") };
        assert_eq!((category, uncertain), (wanted, true));
        assert_eq!(reason, "task 'Look' failed: the disk is too small");
        assert_eq!(host.state.configuration, None);
        assert_eq!(host.names(&start(saga_ref("p-1"), "s/apply/2")), ["host.configuration-started"]);
    }
}

#[test]
fn a_sign_of_life_gives_the_step_its_time_again_and_is_no_event() {
    let mut host = begun();
    let decision = host.when(&report(STEP, RunReport::Running { task: None })).unwrap();
    assert!(decision.events.is_empty());
    assert!(matches!(told(&host), StepOutcome::Deferred { until, .. } if until == host.now));
    let other = host.when(&report("s/apply/0", RunReport::Running { task: None }));
    assert!(matches!(other, Err(HostRefusal::NotWaiting { .. })), "of a step that was given up");
}

#[test]
fn a_sign_of_life_says_at_which_task_the_run_is() {
    let mut host = begun();
    let task = Some(TaskBegun { name: "web : Install nginx".to_owned(), number: 7 });
    host.when(&report(STEP, RunReport::Running { task })).unwrap();
    let StepOutcome::Deferred { reason, .. } = told(&host) else { panic!() };
    assert_eq!(reason, "the role is at its task 7: web : Install nginx");
}

#[test]
fn an_order_or_a_report_that_comes_late_changes_nothing() {
    let mut late = at("configuring");
    assert!(late.ignores(&start(saga_ref("p-9"), STEP)), "the saga does not hold the host");
    let mut undone = begun();
    undone.when(&undeploy("p-1", "s/undeploy/1")).unwrap();
    assert!(undone.ignores(&start(saga_ref("p-1"), "s/apply/2")));
    let report = undone.when(&ended(STEP, RunOutcome::Succeeded, "r1"));
    assert!(matches!(report, Err(HostRefusal::NotWaiting { .. })));
    for phase in ["available", "deploying", "in-service"] {
        assert!(at(phase).ignores(&start(saga_ref("p-1"), STEP)), "{phase}");
    }
}

/// Given a host that served by a revision and is installed again, when the newest one fails for good, then the one that it had is
/// applied, and the saga hears of the end of that.
#[test]
fn a_host_that_is_installed_again_is_configured_by_no_run_of_its_old_system() {
    let mut host = at("registering-monitoring");
    host.names(&start(saga_ref("p-1"), STEP));
    assert_eq!(host.names(&deploy("p-1", "s/deploy/2")), ["host.deploy-started"]);
    assert_eq!(host.state.configuration, None);
    let late = host.when(&ended(STEP, RunOutcome::Succeeded, "r1"));
    assert!(matches!(late, Err(HostRefusal::NotWaiting { .. })), "{late:?}");
}

#[test]
fn the_last_good_revision_is_applied_where_the_newest_one_fails_for_good() {
    let mut host = at("reimaged");
    let last = host.state.revision.clone().unwrap();
    let saga = recovery("r-1");
    let begin = |step: &str| HostInput::StartConfiguration {
        saga: saga.clone(),
        step: id(step),
        role: host.state.role.clone().unwrap(),
        revision: None,
    };
    let (first, second) = (begin("r/apply/1"), begin("r/apply/2"));
    host.when(&first).unwrap();
    // What passes is tried again as it is.
    let passes = host.names(&ended("r/apply/1", RunOutcome::Unreachable, "newest"));
    assert_eq!(passes, ["host.role-run", "host.step-failed"]);
    host.when(&second).unwrap();
    let names = host.names(&ended("r/apply/2", RunOutcome::Failed, "newest"));
    assert_eq!(names, ["host.role-run", "host.configuration-started"]);
    let asked: Vec<&ApplyRole> = host
        .commands
        .iter()
        .filter_map(|command| match command {
            StepCommand::Configure(ConfigureCommand::ApplyRole(apply)) => Some(apply),
            _ => None,
        })
        .collect();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].revision.as_ref(), asked[0].step.as_str()), (Some(&last), "r/apply/2"));
    assert!(matches!(told(&host), StepOutcome::Deferred { .. }));
    // When that fails as well there is nothing left to go back to.
    let mut failed = host.clone();
    assert_eq!(
        failed.names(&ended("r/apply/2", RunOutcome::Failed, &last)),
        ["host.role-run", "host.step-failed"]
    );
    host.when(&ended("r/apply/2", RunOutcome::Succeeded, &last)).unwrap();
    assert_eq!(host.state.revision.as_ref(), Some(&last));
    assert!(matches!(told(&host), StepOutcome::Succeeded { .. }));
}

#[test]
fn a_report_is_bounded() {
    let mut host = begun();
    let task = TaskRun { task: "x".repeat(10_000), result: TaskResult::Changed, message: "y".repeat(10_000) };
    let (revision, message, tasks) = ("r1".to_owned(), "z".repeat(10_000), vec![task; TASKS_MAX + 3]);
    let report = RunReport::Ended {
        revision,
        outcome: RunOutcome::Failed,
        changed: false,
        message,
        tasks,
        tasks_left_off: 4,
        changes: vec![],
        changes_left_off: 0,
    };
    host.when(&self::report(STEP, report)).unwrap();
    let Some(HostEvent::RoleRun(ran)) = host.events.iter().rev().nth(1) else { panic!("{:?}", host.events) };
    assert_eq!((ran.tasks.len(), ran.tasks_left_off), (TASKS_MAX, 7));
    assert!(
        ran.tasks.iter().all(|task| task.task.chars().count() + task.message.chars().count() == 120 + 500)
    );
}
