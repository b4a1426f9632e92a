//! Commands of Run Command that have ended: what they did is told to their hosts as a runner's report is.

use hostler_app::host_steps;
use hostler_core::{Decider, Failure, StreamId};
use hostler_domain::{HostDecider, HostInput, HostRefusal, HostState};
use hostler_drivers::DriverError;
use hostler_drivers::run_command::{CommandEnd, RanTask, RanTaskResult, Run, RunEnd};
use hostler_events::drift::{CHANGES_MAX, DriftChange, DriftRunKind};
use hostler_events::host::{ReadRoleRun, RunCommandEnd, RunOutcome, RunReport, TaskResult, TaskRun};
use hostler_events::{HostId, StepId};
use hostler_runtime::state::shell::{Cause, ExecuteError};

use crate::ConfigureHost;

/// The step whose run it was.
struct Of {
    step: StepId,
    is_check: bool,
}

impl ConfigureHost {
    /// A command has ended on a node.
    pub(crate) async fn read(&self, cause: &Cause, command: &ReadRoleRun) -> Result<(), Failure> {
        let Some(run_command) = &self.run_command else {
            let reason =
                "no role is applied by Run Command here: give RolesSource, or disable the rule of its events";
            return Err(Failure::invalid(reason));
        };
        let ReadRoleRun { command: id, node, end } = command;
        let Some(run) = run_command.ended(id, node, ended(*end)).await.map_err(unread)? else {
            tracing::debug!(command = %id, node = %node, "a command that is not ours has ended");
            return Ok(());
        };
        let host = HostId::new(&*run.host).map_err(Failure::invalid)?;
        let stream = StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)?;
        let fold = self.worker.shell.load::<HostDecider>(&stream).await?;
        let Some(of) = self.of(&run, &stream, &fold.state) else {
            tracing::info!(host = %host, command = %id, "a role has ended for which nobody waits any more");
            return Ok(());
        };
        let policies = self.policies.now().await?;
        let (shell, step) = (&self.worker.shell, of.step.clone());
        let cause = host_steps::cause_of(shell, cause, &stream, fold.version, &step).await?;
        let input = HostInput::ConfigurationReported { step, report: report(run, of.is_check), policies };
        match shell.execute_from(&stream, fold, &cause, &input).await {
            Ok(_) | Err(ExecuteError::Refused(HostRefusal::NotWaiting { .. })) => Ok(()),
            Err(error) => Err(Failure::from(error)),
        }
    }

    /// The step of the host that waits for this run: by its token, and by whether it has asked for a revision.
    fn of(&self, run: &Run, stream: &StreamId, host: &HostState) -> Option<Of> {
        let asked = run.was_asked_for.then_some(run.revision.as_str());
        let is_of = |step: &StepId| {
            let previous = self.callback_key.previous_token(stream, step);
            run.is_of(&self.callback_key.token(stream, step))
                || previous.is_some_and(|token| run.is_of(&token))
        };
        let of_saga = host.configuration.as_ref().map(|it| (&it.step, it.revision.as_deref(), false));
        let is_check = |kind| kind == DriftRunKind::Check;
        let own = host.drift.run.as_ref().map(|it| (&it.step, Some(&*it.revision), is_check(it.kind)));
        let mut steps = of_saga.into_iter().chain(own);
        let found = steps.find(|(step, revision, _)| *revision == asked && is_of(step));
        found.map(|(step, _, is_check)| Of { step: step.clone(), is_check })
    }
}

fn ended(end: RunCommandEnd) -> CommandEnd {
    match end {
        RunCommandEnd::Succeeded => CommandEnd::Succeeded,
        RunCommandEnd::Failed => CommandEnd::Failed,
        RunCommandEnd::TimedOut => CommandEnd::TimedOut,
        RunCommandEnd::Cancelled => CommandEnd::Cancelled,
    }
}

fn unread(error: DriverError) -> Failure {
    if error.is_transient() { Failure::retryable(error) } else { Failure::invalid(error) }
}

/// What a runner would report of this run.
fn report(run: Run, is_check: bool) -> RunReport {
    let changed = run.has_changed();
    let Run { revision, end, message, tasks, tasks_left_off, is_whole, .. } = run;
    let (outcome, message) = match outcome(end) {
        // What it would change beyond that is not known, and that it changes nothing is not known either.
        RunOutcome::Succeeded if is_check && !is_whole && !changed => {
            let reason = "the check has written more than Run Command keeps, and changes nothing in what was kept: check the host by a runner";
            (RunOutcome::Failed, reason.to_owned())
        }
        outcome => (outcome, message),
    };
    let changes = tasks.iter().filter(|task| is_check && task.result == RanTaskResult::Changed);
    // Run Command shows no differences.
    let told = |task: &RanTask| DriftChange {
        task: task.task.clone(),
        path: task.path.clone(),
        diff: String::new(),
    };
    let changes: Vec<DriftChange> = changes.map(told).collect();
    let ran = |RanTask { task, result, message, .. }| TaskRun { task, result: told_result(result), message };
    let over = u32::try_from(changes.len().saturating_sub(CHANGES_MAX)).unwrap_or(u32::MAX);
    // Of what was not kept it is only known that there may be more.
    let left_off = over.saturating_add(tasks_left_off).max(u32::from(!is_whole));
    RunReport::Ended {
        revision,
        outcome,
        // What it changed may be in what was not kept.
        changed: changed || (!is_check && !is_whole),
        message,
        changes: changes.into_iter().take(CHANGES_MAX).collect(),
        changes_left_off: if is_check { left_off } else { 0 },
        tasks: tasks.into_iter().map(ran).collect(),
        tasks_left_off,
    }
}

fn outcome(end: RunEnd) -> RunOutcome {
    match end {
        RunEnd::Succeeded => RunOutcome::Succeeded,
        RunEnd::Failed => RunOutcome::Failed,
        RunEnd::FailedTransiently => RunOutcome::FailedTransiently,
        RunEnd::Unreachable => RunOutcome::Unreachable,
        RunEnd::TimedOut => RunOutcome::TimedOut,
        RunEnd::Lost => RunOutcome::Lost,
    }
}

fn told_result(result: RanTaskResult) -> TaskResult {
    match result {
        RanTaskResult::Changed => TaskResult::Changed,
        RanTaskResult::Failed => TaskResult::Failed,
        RanTaskResult::Unreachable => TaskResult::Unreachable,
    }
}
