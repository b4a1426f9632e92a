//! Beginning an attempt, and what follows when it fails: what steps and compensations have in common.

use hostler_core::{Category, Decision, SetTimer};
use hostler_events::commands::{
    ApplyRole, DeployImage, DeregisterMonitoring, RegisterMonitoring, ReleaseReservation, ReserveHost,
    UndeployHost,
};
use hostler_events::provisioning::{
    ProvisioningStepDeferred, ProvisioningStepFailed, StateSlaExceeded, StepStarted, StepSucceeded,
};
use hostler_events::{HostId, ProvisioningEvent, StepCommand, StepId, StepKind, StepPolicy};

use jiff::Timestamp;

use super::state::policy_of;
use super::{Attempt, PROVISIONING_TIMERS_TO, ProvisioningDecision, ProvisioningRefusal, Saga};
use crate::support::{after, clip};

/// The next attempt at a step: its event, its command and its deadline.
pub(super) fn begin(
    saga: Saga<'_>,
    kind: StepKind,
    host: Option<&HostId>,
    decision: ProvisioningDecision,
) -> Result<ProvisioningDecision, ProvisioningRefusal> {
    let provisioning = &saga.order.provisioning;
    let attempt = saga.state.tries(kind).begun.saturating_add(1);
    let step = StepId::new(format!("{provisioning}/{kind}/{attempt}"))?;
    let deadline_at = after(saga.now, policy_of(&saga.order.policy, kind).deadline_seconds);
    let started =
        StepStarted { provisioning: provisioning.clone(), step: step.clone(), kind, attempt, deadline_at };
    let deadline = SetTimer {
        name: format!("deadline:{step}"),
        due_at: deadline_at,
        deliver_to: PROVISIONING_TIMERS_TO,
    };
    let command = command(saga, kind, host, step)?;
    Ok(decision.event(ProvisioningEvent::StepStarted(started)).command(command).timer(deadline))
}

fn command(
    saga: Saga<'_>,
    kind: StepKind,
    host: Option<&HostId>,
    step: StepId,
) -> Result<StepCommand, ProvisioningRefusal> {
    let order = saga.order;
    let provisioning = order.provisioning.clone();
    let host = || host.cloned().ok_or(ProvisioningRefusal::NoHost { kind });
    Ok(match kind {
        StepKind::ReserveHost => StepCommand::ReserveHost(ReserveHost {
            provisioning,
            step,
            pool: order.pool.clone(),
            sku: order.sku.clone(),
        }),
        StepKind::DeployImage => StepCommand::DeployImage(DeployImage {
            provisioning,
            step,
            host: host()?,
            image: order.image.clone(),
        }),
        StepKind::ApplyRole => {
            StepCommand::ApplyRole(ApplyRole { provisioning, step, host: host()?, role: order.role.clone() })
        }
        StepKind::RegisterMonitoring => StepCommand::RegisterMonitoring(RegisterMonitoring {
            provisioning,
            step,
            host: host()?,
            role: order.role.clone(),
        }),
        StepKind::DeregisterMonitoring => {
            StepCommand::DeregisterMonitoring(DeregisterMonitoring { provisioning, step, host: host()? })
        }
        StepKind::UndeployHost => {
            StepCommand::UndeployHost(UndeployHost { provisioning, step, host: host()? })
        }
        StepKind::ReleaseReservation => {
            StepCommand::ReleaseReservation(ReleaseReservation { provisioning, step })
        }
    })
}

/// The event of an attempt that worked.
pub(super) fn succeeded(
    saga: Saga<'_>,
    attempt: &Attempt,
    host: Option<&HostId>,
    host_quarantined: bool,
) -> ProvisioningEvent {
    ProvisioningEvent::StepSucceeded(StepSucceeded {
        provisioning: saga.order.provisioning.clone(),
        step: attempt.step.clone(),
        kind: attempt.kind,
        host: host.cloned(),
        host_quarantined,
    })
}

/// How an attempt ended badly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed<'a> {
    pub(super) category: Category,
    pub(super) reason: &'a str,
}

/// Whether and when a failed attempt is followed by another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Another {
    Now,
    After { seconds: u32 },
    None,
}

/// Tries count from the start, or from the last time that an operator had the saga try again.
pub(super) fn another(saga: Saga<'_>, attempt: &Attempt) -> Another {
    let policy = policy_of(&saga.order.policy, attempt.kind);
    let tried = tried(saga, attempt);
    if tried >= policy.attempts {
        return Another::None;
    }
    match policy.delay_seconds(tried) {
        0 => Another::Now,
        seconds => Another::After { seconds },
    }
}

/// Which try this attempt is, from 1.
pub(super) fn tried(saga: Saga<'_>, attempt: &Attempt) -> u32 {
    attempt.attempt.saturating_sub(saga.state.tries(attempt.kind).forgiven)
}

/// Records the failure, and begins or schedules the next attempt if there is to be one.
pub(super) fn fail(
    saga: Saga<'_>,
    attempt: &Attempt,
    failed: Failed<'_>,
    another: Another,
    decision: ProvisioningDecision,
) -> Result<ProvisioningDecision, ProvisioningRefusal> {
    let retry_at = match another {
        Another::Now => Some(saga.now),
        Another::After { seconds } => Some(after(saga.now, seconds)),
        Another::None => None,
    };
    let decision = decision.event(ProvisioningEvent::StepFailed(ProvisioningStepFailed {
        provisioning: saga.order.provisioning.clone(),
        step: attempt.step.clone(),
        kind: attempt.kind,
        attempt: attempt.attempt,
        category: failed.category,
        reason: clip(failed.reason),
        retry_at,
    }));
    match (another, retry_at) {
        (Another::Now, _) => begin(saga, attempt.kind, saga.state.host.as_ref(), decision),
        (Another::After { .. }, Some(due_at)) => Ok(decision.timer(SetTimer {
            name: format!("retry:{}", attempt.step),
            due_at,
            deliver_to: PROVISIONING_TIMERS_TO,
        })),
        (Another::After { .. }, None) | (Another::None, _) => Ok(decision),
    }
}

/// More time for an attempt whose dependency is away: a new deadline, counted from when it is looked at again. That it
/// waits no longer than its message may is the queue's business.
pub(super) fn defer(
    saga: Saga<'_>,
    attempt: &Attempt,
    until: Timestamp,
    reason: &str,
) -> ProvisioningDecision {
    let from = until.max(saga.now);
    let deadline_at = after(from, policy_of(&saga.order.policy, attempt.kind).deadline_seconds);
    let deferrals = attempt.deferrals + 1;
    let name = Attempt { deferrals, ..attempt.clone() }.timer();
    Decision::events([ProvisioningEvent::StepDeferred(ProvisioningStepDeferred {
        provisioning: saga.order.provisioning.clone(),
        step: attempt.step.clone(),
        kind: attempt.kind,
        deferrals,
        deadline_at,
        reason: clip(reason),
    })])
    .timer(SetTimer { name, due_at: deadline_at, deliver_to: PROVISIONING_TIMERS_TO })
}

/// The event of a deadline that passed, and how it counts as a failure.
pub(super) fn overdue(saga: Saga<'_>, attempt: &Attempt) -> (ProvisioningEvent, String) {
    let StepPolicy { deadline_seconds, .. } = policy_of(&saga.order.policy, attempt.kind);
    let exceeded = StateSlaExceeded {
        provisioning: saga.order.provisioning.clone(),
        step: attempt.step.clone(),
        kind: attempt.kind,
        deadline_seconds,
    };
    (ProvisioningEvent::SlaExceeded(exceeded), format!("no answer within {deadline_seconds} s"))
}
