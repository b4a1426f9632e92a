//! A host in service is checked for drift of its configuration, and its role is applied again where it has drifted.
//!
//! A check and a restoration are the host's own work: no saga waits for them. They are begun only while no saga works on the
//! host, and give way to one: the report of a run that has lost the host is refused.

use std::sync::Arc;

use hostler_core::failure::clip;
use hostler_core::{Decision, SetTimer, mutants};
use hostler_events::drift::{
    CHANGES_MAX, CheckAsked, CheckRole, CheckScheduled, CheckStarted, ConfigurationChecked,
    ConfigurationDrifted, ConfigurationRestored, ConfigurationRunFailed, DriftChange, DriftRepair,
    DriftRunKind, NextCheck, RestoreRole, RestoreStarted,
};
use hostler_events::host::{RunOutcome, RunReport, TaskRun};
use hostler_events::site::Autonomy;
use hostler_events::{HostEvent, Role, StepId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::configuring::{cut, told};
use super::state::{HostState, OwnWork};
use super::{HOST_TIMERS_TO, HostDecision, HostOutcome, HostRefusal, Known, Move};
use crate::PolicyState;
use crate::support::{after, spread};

/// For how long the report of a check or restoration is waited for: a job may wait behind others before it runs.
pub(super) const RUN_SECONDS_MAX: u32 = 3_600;
/// How much of a change is recorded.
const TASK_CHARS_MAX: usize = 120;
const PATH_CHARS_MAX: usize = 200;
const DIFF_CHARS_MAX: usize = 1_000;

/// How a host keeps the configuration that its role gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// The check or restoration that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<DriftRun>,
    /// What the newest check has found, until the host is restored or a check finds nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<DriftFound>,
    /// The next check by schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextCheck>,
}

/// A check or restoration that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftRun {
    /// Its step, by which its end is reported.
    pub step: StepId,
    /// Which of them it is.
    pub kind: DriftRunKind,
    /// The role.
    pub role: Role,
    /// Its revision.
    pub revision: String,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftFound {
    /// How much the role would change.
    pub changes: u32,
    /// What is done about it.
    pub repair: DriftRepair,
}

impl HostState {
    /// Whether this check or restoration is under way.
    #[must_use]
    pub fn is_checked_by(&self, step: &StepId) -> bool {
        self.drift.run.as_ref().is_some_and(|run| run.step == *step)
    }
}

/// An operator has the host checked.
pub(super) fn check(known: Known<'_>) -> HostOutcome {
    let (role, revision) = configured(known, Move::CheckConfiguration, "checked")?;
    match &known.state.drift.run {
        Some(run) => Err(HostRefusal::RunUnderWay { host: known.host(), step: run.step.clone() }),
        None => start_check(known, CheckAsked::Operator, role, revision),
    }
}

/// Applies the host's role again, for an operator or for whoever else has found drift. A check that is running is ended by that,
/// because its report would be out of date.
pub(super) fn restore(known: Known<'_>, reason: &str) -> HostOutcome {
    let (role, revision) = configured(known, Move::RestoreConfiguration, "configured again")?;
    match &known.state.drift.run {
        Some(run) if run.kind == DriftRunKind::Restore => {
            Err(HostRefusal::RunUnderWay { host: known.host(), step: run.step.clone() })
        }
        Some(_) | None => start_restore(known, Decision::nothing(), role, revision, reason),
    }
}

/// The role that is on the host, where nobody else works on the host.
fn configured<'a>(
    known: Known<'a>,
    what: Move,
    wanted: &'static str,
) -> Result<(&'a Role, &'a str), HostRefusal> {
    if let Some(cordon) = &known.state.cordon {
        return Err(known.cordoned(cordon));
    }
    let is_serving = known.state.phase.allows(what) && !known.state.undone;
    let has = known.state.role.as_ref().zip(known.state.revision.as_deref());
    has.filter(|_| is_serving).ok_or_else(|| known.not_possible(&[what], wanted))
}

/// The schedule goes on from here, so that it does not depend on the check's end.
fn start_check(known: Known<'_>, asked_by: CheckAsked, role: &Role, revision: &str) -> HostOutcome {
    let step = known.next_own_step(OwnWork::Check)?;
    let (host, role, revision) = (known.host(), role.clone(), revision.to_owned());
    let order =
        CheckRole { host: host.clone(), step: step.clone(), role: role.clone(), revision: revision.clone() };
    let deadline = deadline(known, &step);
    let started = CheckStarted { host, step, role, revision, asked_by };
    let decision = Decision::events([HostEvent::CheckStarted(started)]).command(order.into()).timer(deadline);
    Ok(match known.state.drift.next {
        Some(next) => scheduled(known, decision, Some(next.every_seconds)),
        None => decision,
    })
}

fn start_restore(
    known: Known<'_>,
    decision: HostDecision,
    role: &Role,
    revision: &str,
    reason: &str,
) -> HostOutcome {
    let step = known.next_own_step(OwnWork::Restore)?;
    let (host, role, revision) = (known.host(), role.clone(), revision.to_owned());
    let order = RestoreRole {
        host: host.clone(),
        step: step.clone(),
        role: role.clone(),
        revision: revision.clone(),
    };
    let deadline = deadline(known, &step);
    let started = RestoreStarted { host, step, role, revision, reason: clip(reason) };
    Ok(decision.event(HostEvent::RestoreStarted(started)).command(order.into()).timer(deadline))
}

fn deadline(known: Known<'_>, step: &StepId) -> SetTimer {
    let due_at = after(known.now, RUN_SECONDS_MAX);
    SetTimer { name: step.to_string(), due_at, deliver_to: HOST_TIMERS_TO }
}

/// Sets the time of the next check by schedule, or says that there is none any more.
fn scheduled(known: Known<'_>, decision: HostDecision, every_seconds: Option<u32>) -> HostDecision {
    let at = |seconds| after(known.now, seconds);
    let next = every_seconds.map(|every_seconds| NextCheck { at: at(every_seconds), every_seconds });
    next_check(known, decision, next)
}

fn next_check(known: Known<'_>, decision: HostDecision, next: Option<NextCheck>) -> HostDecision {
    let decision = decision.event(HostEvent::CheckScheduled(CheckScheduled { host: known.host(), next }));
    match next {
        Some(next) => decision.timer(SetTimer {
            name: name_of_check(next.at),
            due_at: next.at,
            deliver_to: HOST_TIMERS_TO,
        }),
        None => decision,
    }
}

/// What the names of the timers of scheduled checks begin with.
const CHECK_TIMER: &str = "check:";

fn name_of_check(at: Timestamp) -> String {
    format!("{CHECK_TIMER}{at}")
}

/// Whether this timer has a host checked by schedule.
#[must_use]
pub fn is_scheduled_check(timer: &str) -> bool {
    timer.starts_with(CHECK_TIMER)
}

/// Has the host checked as often as the policies say by now. Where that is news the first check comes at another time for each
/// host, for many may hear of it at once: in the second half of the first span.
pub(super) fn follow(known: Known<'_>, decision: HostDecision, policies: &PolicyState) -> HostDecision {
    let every = known.state.drift.next.map(|next| next.every_seconds);
    let wanted = policies.policy.configuration.check_seconds;
    if every == wanted {
        return decision;
    }
    let next = wanted.map(|every_seconds| {
        let half = every_seconds / 2;
        let part =
            u32::try_from(spread(known.profile.host.as_str().bytes()) % u64::from(half.max(1))).unwrap_or(0);
        NextCheck { at: after(known.now, half.saturating_add(part)), every_seconds }
    });
    next_check(known, decision, next)
}

/// The runner reports on a check or restoration. The report's token was checked at the edge.
pub(super) fn reported(
    known: Known<'_>,
    run: &DriftRun,
    report: &RunReport,
    policies: &Arc<PolicyState>,
) -> HostOutcome {
    let RunReport::Ended {
        outcome, changed, message, tasks, tasks_left_off, changes, changes_left_off, ..
    } = report
    else {
        // A heartbeat. The run has one deadline, for its wait in the queue and for itself, and heartbeats do not move it.
        return Ok(Decision::nothing());
    };
    let (tasks, tasks_left_off) = told(tasks, *tasks_left_off);
    let (host, DriftRun { step, kind, role, revision }) = (known.host(), run.clone());
    let decision = match (kind, *outcome == RunOutcome::Succeeded) {
        (_, false) => Decision::events([failed(known, run, message, tasks)]),
        (DriftRunKind::Restore, true) => {
            let changed = *changed;
            let restored =
                ConfigurationRestored { host, step, role, revision, changed, tasks, tasks_left_off };
            Decision::events([HostEvent::ConfigurationRestored(restored)])
        }
        (DriftRunKind::Check, true) if changes.is_empty() && !changed => {
            let checked = ConfigurationChecked { host, step, role, revision };
            Decision::events([HostEvent::ConfigurationChecked(checked)])
        }
        (DriftRunKind::Check, true) => drifted(known, run, (changes, *changes_left_off), policies)?,
    };
    Ok(follow(known, decision, policies))
}

fn drifted(
    known: Known<'_>,
    run: &DriftRun,
    (changes, left_off): (&[DriftChange], u32),
    policies: &PolicyState,
) -> HostOutcome {
    let over = u32::try_from(changes.len().saturating_sub(CHANGES_MAX)).unwrap_or(u32::MAX);
    let changes: Vec<DriftChange> = changes.iter().take(CHANGES_MAX).map(clipped).collect();
    let changes_left_off = left_off.saturating_add(over);
    let repair = repair(known, policies);
    let (host, DriftRun { step, role, revision, .. }) = (known.host(), run.clone());
    let is_begun = repair == DriftRepair::Begun && !mutants::on("host.only-says-that-it-restores");
    let drifted =
        ConfigurationDrifted { host, step: step.clone(), role, revision, changes, changes_left_off, repair };
    let decision = Decision::events([HostEvent::ConfigurationDrifted(drifted)]);
    if !is_begun {
        return Ok(decision);
    }
    start_restore(known, decision, &run.role, &run.revision, &format!("{step} has found drift"))
}

/// Whether drift is repaired automatically, needs approval or is only recorded, and by which rule.
fn repair(known: Known<'_>, policies: &PolicyState) -> DriftRepair {
    let (policy, name) = (&policies.policy, &known.profile.pool);
    let own = policy.configuration.autonomy;
    let Some(pool) = policy.pools.get(name) else {
        return DriftRepair::Suppressed { rule: format!("the policies have no pool {name}") };
    };
    let rule = |autonomy: &str| match own <= pool.autonomy {
        true => format!("configuration.autonomy is {autonomy}"),
        false => format!("pools.{name}.autonomy is {autonomy}"),
    };
    match own.min(pool.autonomy) {
        Autonomy::Auto => DriftRepair::Begun,
        Autonomy::Approve => DriftRepair::AwaitsApproval { rule: rule("approve") },
        Autonomy::Observe => DriftRepair::Suppressed { rule: rule("observe") },
    }
}

/// The runner does not take the order, or nothing was heard of it.
pub(super) fn fail(known: Known<'_>, step: &StepId, reason: &str) -> HostDecision {
    match &known.state.drift.run {
        Some(run) if run.step == *step => Decision::events([failed(known, run, reason, Vec::new())]),
        Some(_) | None => Decision::nothing(),
    }
}

fn failed(known: Known<'_>, run: &DriftRun, reason: &str, tasks: Vec<TaskRun>) -> HostEvent {
    let (host, DriftRun { step, kind, role, revision }) = (known.host(), run.clone());
    let reason = clip(reason);
    HostEvent::ConfigurationRunFailed(ConfigurationRunFailed {
        host,
        step,
        run: kind,
        role,
        revision,
        reason,
        tasks,
    })
}

/// What a timer ends: the wait for a report, or that for the next check. None where it is not one of ours.
pub(super) fn timer(known: Known<'_>, name: &str) -> Option<HostOutcome> {
    let Drift { run, next, .. } = &known.state.drift;
    if let Some(run) = run.as_ref().filter(|run| run.step.as_str() == name) {
        let reason = format!("nothing was heard of its end within {RUN_SECONDS_MAX} s");
        return Some(Ok(fail(known, &run.step, &reason)));
    }
    let next = next.filter(|next| name_of_check(next.at) == name)?;
    Some(match configured(known, Move::CheckConfiguration, "checked") {
        Ok((role, revision)) if run.is_none() => start_check(known, CheckAsked::Schedule, role, revision),
        // Somebody works on it, or it does not serve yet: it is looked at next time.
        Ok(_) | Err(_) => Ok(scheduled(known, Decision::nothing(), Some(next.every_seconds))),
    })
}

fn clipped(change: &DriftChange) -> DriftChange {
    DriftChange {
        task: cut(&change.task, TASK_CHARS_MAX),
        path: cut(&change.path, PATH_CHARS_MAX),
        diff: cut(&change.diff, DIFF_CHARS_MAX),
    }
}

/// A check or restoration is under way.
pub(super) fn run_started(
    state: &mut HostState,
    kind: DriftRunKind,
    (step, role, revision): (&StepId, &Role, &str),
) {
    state.own_steps = state.own_steps.saturating_add(1);
    let (step, role, revision) = (step.clone(), role.clone(), revision.to_owned());
    state.drift.run = Some(DriftRun { step, kind, role, revision });
}

/// It has ended, and has found so much; nothing where the host is as its role has it configured.
pub(super) fn run_ended(state: &mut HostState, found: Option<DriftFound>) {
    state.drift.run = None;
    state.drift.found = found;
}

/// How much a check has found.
pub(super) fn found(e: &ConfigurationDrifted) -> DriftFound {
    let told = u32::try_from(e.changes.len()).unwrap_or(u32::MAX);
    DriftFound { changes: told.saturating_add(e.changes_left_off), repair: e.repair.clone() }
}
