//! The callback of the image that a host was booted from.

use hostler_core::saga::SagaRef;
use hostler_core::{Category, Decision};
use hostler_events::commands::{BootOutcome, FinishCleaning, FinishDeploy};
use hostler_events::host::{CleaningBooted, DeployBooted, DeployCompleted};
use hostler_events::{HostEvent, StepId};

use super::{
    HostDecision, HostOutcome, HostPhase, HostRefusal, Known, Move, StepFailure, cleaning, deploying, replies,
};

pub(super) fn reported(
    known: Known<'_>,
    step: &StepId,
    outcome: BootOutcome,
    reason: Option<&str>,
) -> HostOutcome {
    let repeated = outcome == BootOutcome::Succeeded && known.state.has_booted(step);
    if repeated {
        return Ok(Decision::nothing());
    }
    let waits = known.state.waits_for(step);
    if waits && let HostPhase::Cleaning { booted: false, delayed: false, .. } = known.state.phase {
        return of_cleaning(known, step, outcome, reason);
    }
    if waits
        && known.state.phase.allows(Move::FinishDeploy)
        && !known.state.has_booted(step)
        && let Some(saga) = &known.state.reservation
    {
        return Ok(of_deployment(known, saga, step, outcome, reason));
    }
    Err(HostRefusal::NotWaiting { host: known.host(), step: step.clone(), phase: known.phase() })
}

fn of_cleaning(known: Known<'_>, step: &StepId, outcome: BootOutcome, reason: Option<&str>) -> HostOutcome {
    match outcome {
        BootOutcome::Succeeded => {
            let booted = CleaningBooted { host: known.host(), step: step.clone() };
            let finish = FinishCleaning { host: known.host(), step: step.clone() };
            Ok(Decision::events([HostEvent::CleaningBooted(booted)]).command(finish.into()))
        }
        BootOutcome::Failed => {
            let said = reason.unwrap_or("no reason given");
            let reason = format!("the cleaning image reported a failure: {said}");
            cleaning::fail(known, step, Category::Transient, &reason)
        }
    }
}

/// A failed image leaves the host deploying: whether to boot it again is the saga's decision.
fn of_deployment(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    outcome: BootOutcome,
    reason: Option<&str>,
) -> HostDecision {
    match outcome {
        BootOutcome::Succeeded => {
            let (host, saga, step) = (known.host(), saga.clone(), step.clone());
            let finish = FinishDeploy { saga: saga.clone(), step: step.clone(), host: host.clone() };
            Decision::events([HostEvent::DeployBooted(DeployBooted { host, saga, step })])
                .command(finish.into())
        }
        BootOutcome::Failed => {
            let said = reason.unwrap_or("no reason given");
            let reason = format!("the image reported a failure: {said}");
            let failure = StepFailure { category: Category::Transient, reason, uncertain: true };
            deploying::fail_step(known, saga, step, &failure)
        }
    }
}

/// Only when the image is out of the host that has called back from it, the deployment is done.
pub(super) fn record_deployed(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    let deploying = known.state.phase.allows(Move::FinishDeploy) && known.state.waits_for(step);
    if !deploying || !known.state.has_booted(step) || !known.state.is_held_by(saga) {
        return Decision::nothing();
    }
    Decision::events([HostEvent::DeployCompleted(DeployCompleted {
        host: known.host(),
        saga: saga.clone(),
        step: step.clone(),
    })])
    .command(replies::done(saga, step))
}
