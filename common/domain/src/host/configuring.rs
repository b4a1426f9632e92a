//! A role that a runner applies: it is asked, says that it is at work, and reports how that ended.

use std::sync::Arc;

use hostler_core::Category;
use hostler_core::Decision;
use hostler_core::failure::clip;
use hostler_core::saga::{SagaRef, StepReply};
use hostler_events::commands::ApplyRole;
use hostler_events::host::{
    ConfigurationStarted, RoleRun, RunOutcome, RunReport, TASKS_MAX, TaskBegun, TaskRun,
};
use hostler_events::{HostEvent, Role, StepId};

use super::state::Configuration;
use super::{
    HostDecision, HostOutcome, HostRefusal, Known, Move, StepFailure, deploying, drifting, patching, serving,
};
use crate::PolicyState;

/// How much of a task's name, and of what it says of its failure, is recorded.
const NAME_CHARS_MAX: usize = 120;
const MESSAGE_CHARS_MAX: usize = 500;

/// Records that a runner is asked, before it is: its report may come before the answer to the question. An order that came late
/// is not recorded, and [`super::HostState::is_configured_by`] tells whether one is.
pub(super) fn start(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    role: &Role,
    revision: Option<&str>,
) -> HostDecision {
    let state = known.state;
    let configures = state.phase.allows(Move::Configure);
    if !configures || !state.is_held_by(saga) || state.undone || state.is_configured_by(step) {
        return Decision::nothing();
    }
    Decision::events([started(known, saga, step, role, revision)])
}

fn started(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    role: &Role,
    revision: Option<&str>,
) -> HostEvent {
    HostEvent::ConfigurationStarted(ConfigurationStarted {
        host: known.host(),
        saga: saga.clone(),
        step: step.clone(),
        role: role.clone(),
        revision: revision.map(clip),
    })
}

/// The runner's word about this step. Its token was checked at the edge.
pub(super) fn reported(
    known: Known<'_>,
    step: &StepId,
    report: &RunReport,
    policies: &Arc<PolicyState>,
) -> HostOutcome {
    if let Some(run) = known.state.drift.run.as_ref().filter(|run| run.step == *step) {
        return drifting::reported(known, run, report, policies);
    }
    if let Some(cordon) = &known.state.cordon
        && let Some(running) = known.state.package_change(&cordon.saga, step)
    {
        return Ok(match report {
            RunReport::PackagesChanged(report) => patching::changed(known, &cordon.saga, running, report),
            RunReport::Running { .. } => patching::at_work(&cordon.saga, step, known.now),
            RunReport::Ended { .. } => Decision::nothing(),
        });
    }
    let Some(run) = known.state.configuration.as_ref().filter(|run| run.step == *step) else {
        return Err(HostRefusal::NotWaiting { host: known.host(), step: step.clone(), phase: known.phase() });
    };
    let RunReport::Ended { revision, outcome, changed, message, tasks, tasks_left_off, .. } = report else {
        return Ok(Decision::nothing().command(more_time(known, run, &progress(report)).into()));
    };
    let ran = role_run(known, run, revision, *outcome, (tasks, *tasks_left_off));
    let mut decision = Decision::events([HostEvent::RoleRun(ran)]);
    let rest = match category(*outcome) {
        None => serving::record_configuration(known, &run.saga, step, &run.role, revision, *changed),
        Some(category) => match last_good(known, run, revision, category) {
            Some(last) => again(known, run, last),
            None => {
                let failure = StepFailure { category, reason: clip(message), uncertain: true };
                deploying::fail_step(known, &run.saga, step, &failure)
            }
        },
    };
    let is_applied = *outcome == RunOutcome::Succeeded && !rest.events.is_empty();
    decision.events.extend(rest.events);
    decision.commands.extend(rest.commands);
    Ok(if is_applied { drifting::follow(known, decision, policies) } else { decision })
}

/// How far a run is, as the saga's timeline shows it.
fn progress(report: &RunReport) -> String {
    match report {
        RunReport::Running { task: Some(TaskBegun { name, number }) } => {
            format!("the role is at its task {number}: {}", cut(name, NAME_CHARS_MAX))
        }
        RunReport::Running { task: None } | RunReport::PackagesChanged(_) | RunReport::Ended { .. } => {
            "the role is being applied".to_owned()
        }
    }
}

fn role_run(
    known: Known<'_>,
    run: &Configuration,
    revision: &str,
    outcome: RunOutcome,
    (tasks, left_off): (&[TaskRun], u32),
) -> RoleRun {
    let (tasks, tasks_left_off) = told(tasks, left_off);
    RoleRun {
        host: known.host(),
        saga: run.saga.clone(),
        step: run.step.clone(),
        role: run.role.clone(),
        revision: cut(revision, NAME_CHARS_MAX),
        outcome,
        tasks,
        tasks_left_off,
    }
}

/// What is recorded of the tasks of a run, and how many more there were.
pub(super) fn told(tasks: &[TaskRun], left_off: u32) -> (Vec<TaskRun>, u32) {
    let told = |task: &TaskRun| TaskRun {
        task: cut(&task.task, NAME_CHARS_MAX),
        result: task.result,
        message: cut(&task.message, MESSAGE_CHARS_MAX),
    };
    let over = u32::try_from(tasks.len().saturating_sub(TASKS_MAX)).unwrap_or(u32::MAX);
    (tasks.iter().take(TASKS_MAX).map(told).collect(), left_off.saturating_add(over))
}

/// Cut, and without what a terminal would obey.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    clip(text).chars().take(chars_max).collect()
}

/// The kind of failure that an outcome is; none, where it is none.
pub(super) fn category(outcome: RunOutcome) -> Option<Category> {
    match outcome {
        RunOutcome::Succeeded => None,
        RunOutcome::Failed => Some(Category::Business),
        RunOutcome::FailedTransiently | RunOutcome::Unreachable | RunOutcome::TimedOut | RunOutcome::Lost => {
            Some(Category::Transient)
        }
    }
}

/// The revision that this role had on this host when it was applied well, where the newest one has failed for good. A fresh host
/// has none: its deployment is undone.
fn last_good<'a>(known: Known<'a>, run: &Configuration, failed: &str, category: Category) -> Option<&'a str> {
    let last = known.state.revision.as_deref()?;
    let same_role = known.state.role.as_ref() == Some(&run.role);
    let is_other = last != failed && run.revision.is_none();
    (category == Category::Business && same_role && is_other).then_some(last)
}

/// Has the last good revision applied in the place of the one that failed. The saga's step goes on.
fn again(known: Known<'_>, run: &Configuration, revision: &str) -> HostDecision {
    let apply = ApplyRole {
        saga: run.saga.clone(),
        step: run.step.clone(),
        host: known.host(),
        role: run.role.clone(),
        revision: Some(revision.to_owned()),
    };
    Decision::events([started(known, &run.saga, &run.step, &run.role, Some(revision))])
        .command(apply.into())
        .command(more_time(known, run, "the last good revision of the role is applied again").into())
}

/// The saga gives the step its time from now on.
fn more_time(known: Known<'_>, run: &Configuration, why: &str) -> StepReply {
    StepReply::deferred(run.saga.clone(), run.step.clone(), known.now, why)
}
