//! How the failure and the deferral of a saga's step are told to the host that the step works on, and of which request a late
//! word about a step is.

use hostler_core::saga::SagaRef;
use hostler_core::{Commit, Failure, StreamId, StreamVersion};
use hostler_domain::{HostInput, StepFailure};
use hostler_events::StepId;
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::steps::StepError;
use hostler_runtime::state::shell::{Cause, Shell};

/// How far back on a host's stream the commits of a step are looked for.
const COMMITS_OF_STEP_MAX: usize = 32;

/// What a host records of an error of a step.
#[must_use]
pub fn step_failure(error: &StepError) -> StepFailure {
    let StepError { category, reason, uncertain, .. } = error.clone();
    StepFailure { category, reason, uncertain }
}

/// The step has failed. The host's commit answers the saga, which decides whether to try again.
#[must_use]
pub fn failed(saga: &SagaRef, step: &StepId, error: &StepError) -> HostInput {
    HostInput::FailStep { saga: saga.clone(), step: step.clone(), failure: step_failure(error) }
}

/// The step waits for the breaker of its dependency. The host's commit has the saga move the step's deadline.
#[must_use]
pub fn deferred(saga: &SagaRef, step: &StepId, open: &BreakerOpen) -> HostInput {
    let (saga, step) = (saga.clone(), step.clone());
    HostInput::DeferStep { saga, step, until: open.until, reason: open.to_string() }
}

/// The cause of what somebody outside says of a step. It knows its step, and not the request that the step belongs to: the commits
/// around the step do, so that one request keeps one correlation, one trace and one count of hops.
///
/// # Errors
/// When the stream cannot be read.
pub async fn cause_of(
    shell: &Shell,
    cause: &Cause,
    stream: &StreamId,
    newest: StreamVersion,
    step: &StepId,
) -> Result<Cause, Failure> {
    let after = StreamVersion(newest.0.saturating_sub(COMMITS_OF_STEP_MAX as u64));
    let commits = shell.store().read(stream, after, COMMITS_OF_STEP_MAX).await?;
    let of_step =
        |commit: &&Commit| commit.events.iter().any(|event| event.data.to_value()["step"] == step.as_str());
    Ok(match commits.iter().rev().find(of_step) {
        Some(commit) => Cause {
            correlation_id: commit.correlation_id,
            trace_context: commit.trace_context.clone(),
            hops: commit.hops,
            ..cause.clone()
        },
        None => cause.clone(),
    })
}
