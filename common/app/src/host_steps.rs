//! How the failure and the deferral of a saga's step are told to the host that the step works on.

use hostler_core::saga::SagaRef;
use hostler_domain::{HostInput, StepFailure};
use hostler_events::StepId;
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::steps::StepError;

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
