//! What a host answers to the saga whose step it is: the commit that records an outcome carries its reply.

use hostler_core::saga::{Answers, SagaRef, StepOutcome, StepReply};
use hostler_events::provisioning::{HostHeld, HostReturned};
use hostler_events::{HostId, StepCommand, StepId};
use serde::Serialize;
use serde_json::Value;

/// The attempt succeeded.
pub(super) fn succeeded(saga: &SagaRef, step: &StepId, output: &impl Serialize) -> StepCommand {
    // Outputs are plain records with text keys, for which this cannot fail.
    let output = serde_json::to_value(output).unwrap_or_default();
    StepReply::succeeded(saga.clone(), step.clone(), output).into()
}

/// The attempt succeeded, and there is nothing more to say.
pub(super) fn done(saga: &SagaRef, step: &StepId) -> StepCommand {
    StepReply::succeeded(saga.clone(), step.clone(), Value::Null).into()
}

/// The step is done, whichever of its attempts the saga waits for.
pub(super) fn done_by_any_attempt(saga: &SagaRef, step: &StepId) -> Option<StepCommand> {
    let answers = Answers::any_attempt_of(step)?;
    let outcome = StepOutcome::Succeeded { output: Value::Null };
    Some(StepReply { saga: saga.clone(), answers, outcome }.into())
}

/// The saga holds this host.
pub(super) fn held(saga: &SagaRef, step: &StepId, host: HostId) -> StepCommand {
    succeeded(saga, step, &HostHeld { host })
}

/// The host is back, cleaned or quarantined. This answers every attempt at undeploying, also in the delay between two
/// of them, because the host ends its cleaning by itself. None, where no saga had it undeployed.
pub(super) fn returned(
    saga: Option<&SagaRef>,
    undeploy_step: Option<&StepId>,
    host: HostId,
    quarantined: bool,
) -> Option<StepCommand> {
    let answers = Answers::any_attempt_of(undeploy_step?)?;
    let output = serde_json::to_value(HostReturned { host, quarantined }).unwrap_or_default();
    Some(StepReply { saga: saga?.clone(), answers, outcome: StepOutcome::Succeeded { output } }.into())
}
