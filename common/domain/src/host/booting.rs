//! The callback: what the image that a host was booted from says of itself.

use hostler_core::{Category, Decision};
use hostler_events::commands::{BootOutcome, FinishCleaning};
use hostler_events::host::{CleaningBooted, DeployCompleted};
use hostler_events::{HostEvent, ProvisioningId, StepCommand, StepId};

use super::{HostDecision, HostOutcome, HostPhase, HostRefusal, Known, cleaning, deploying};

pub(super) fn reported(
    known: Known<'_>,
    step: &StepId,
    outcome: BootOutcome,
    reason: Option<&str>,
) -> HostOutcome {
    let repeated = outcome == BootOutcome::Succeeded && known.state.booted_step.as_ref() == Some(step);
    if repeated {
        return Ok(Decision::nothing());
    }
    match (&known.state.phase, &known.state.reservation) {
        (HostPhase::Cleaning { step: current, booted: false, delayed: false, .. }, _) if current == step => {
            of_cleaning(known, step, outcome, reason)
        }
        (HostPhase::Deploying { step: current }, Some(provisioning)) if current == step => {
            Ok(of_deployment(known, provisioning, step, outcome, reason))
        }
        (
            HostPhase::Unknown
            | HostPhase::Verifying { .. }
            | HostPhase::Cleaning { .. }
            | HostPhase::Available
            | HostPhase::Reserved
            | HostPhase::Deploying { .. }
            | HostPhase::Configuring
            | HostPhase::RegisteringMonitoring
            | HostPhase::InService
            | HostPhase::Deprovisioning { .. }
            | HostPhase::Quarantined { .. },
            _,
        ) => Err(HostRefusal::NotWaiting { host: known.host(), step: step.clone(), phase: known.phase() }),
    }
}

fn of_cleaning(known: Known<'_>, step: &StepId, outcome: BootOutcome, reason: Option<&str>) -> HostOutcome {
    match outcome {
        BootOutcome::Succeeded => {
            let booted = CleaningBooted { host: known.host(), step: step.clone() };
            let finish = FinishCleaning { host: known.host(), step: step.clone() };
            Ok(Decision::events([HostEvent::CleaningBooted(booted)])
                .command(StepCommand::FinishCleaning(finish)))
        }
        BootOutcome::Failed => {
            let said = reason.unwrap_or("no reason given");
            cleaning::fail(known, step, &format!("the cleaning image reported a failure: {said}"))
        }
    }
}

/// A failed image leaves the host deploying: whether to boot it again is the saga's decision.
fn of_deployment(
    known: Known<'_>,
    provisioning: &ProvisioningId,
    step: &StepId,
    outcome: BootOutcome,
    reason: Option<&str>,
) -> HostDecision {
    match outcome {
        BootOutcome::Succeeded => Decision::events([HostEvent::DeployCompleted(DeployCompleted {
            host: known.host(),
            provisioning: provisioning.clone(),
            step: step.clone(),
        })]),
        BootOutcome::Failed => {
            let said = reason.unwrap_or("no reason given");
            let reason = format!("the image reported a failure: {said}");
            deploying::fail_step(known, provisioning, step, Category::Transient, &reason)
        }
    }
}
