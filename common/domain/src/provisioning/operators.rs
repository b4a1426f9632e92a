//! What operators may ask of a saga: cancel it, have a stuck one try again, or go on without what it is stuck at.

use hostler_core::Decision;
use hostler_events::provisioning::{CancelRequested, CompensationSkipped, ProvisioningResumed};
use hostler_events::{ProvisioningEvent, StepKind};

use super::steps::begin;
use super::{CANCEL_REASON_CHARS_MAX, ProvisioningOutcome, ProvisioningRefusal, Saga, Status, compensate};

pub(super) fn cancel(saga: Saga<'_>, reason: &str) -> ProvisioningOutcome {
    let provisioning = saga.order.provisioning.clone();
    match &saga.state.status {
        Status::Running { current: Some(current) } => {
            let characters = reason.chars().count();
            if characters > CANCEL_REASON_CHARS_MAX {
                return Err(ProvisioningRefusal::ReasonTooLong { characters });
            }
            let requested = CancelRequested { provisioning, reason: reason.to_owned() };
            let decision = Decision::events([ProvisioningEvent::CancelRequested(requested)]);
            compensate::start(saga, current.kind, &format!("cancelled: {reason}"), decision)
        }
        Status::Compensating { .. } => Err(ProvisioningRefusal::AlreadyCompensating { provisioning }),
        Status::Completed => Err(ProvisioningRefusal::AlreadyCompleted { provisioning }),
        Status::Compensated { .. } => Err(ProvisioningRefusal::AlreadyCompensated { provisioning }),
        Status::Stuck { .. } => Err(ProvisioningRefusal::IsStuck { provisioning }),
        Status::NotStarted | Status::Running { current: None } => Err(ProvisioningRefusal::Unknown),
    }
}

pub(super) fn resume(saga: Saga<'_>) -> ProvisioningOutcome {
    let provisioning = saga.order.provisioning.clone();
    match &saga.state.status {
        Status::Stuck { kind, .. } => {
            let resumed = ProvisioningEvent::Resumed(ProvisioningResumed { provisioning });
            begin(saga, *kind, saga.state.host.as_ref(), Decision::events([resumed]))
        }
        Status::NotStarted
        | Status::Running { .. }
        | Status::Compensating { .. }
        | Status::Completed
        | Status::Compensated { .. } => {
            Err(ProvisioningRefusal::NotStuck { provisioning, status: saga.state.status_name() })
        }
    }
}

/// What it is stuck at counts as undone, for the operator says so; the rest is undone as ever. What gives the host
/// back cannot be skipped: no host is held by a saga that has ended, and none goes back to its pool uncleaned.
pub(super) fn skip(saga: Saga<'_>, asked: StepKind, reason: &str) -> ProvisioningOutcome {
    let provisioning = saga.order.provisioning.clone();
    let characters = reason.chars().count();
    match &saga.state.status {
        Status::Stuck { kind, .. } if *kind != asked => {
            Err(ProvisioningRefusal::StuckElsewhere { provisioning, stuck: *kind, asked })
        }
        Status::Stuck { kind: kind @ (StepKind::UndeployHost | StepKind::ReleaseReservation), .. } => {
            Err(ProvisioningRefusal::HoldsHost { provisioning, kind: *kind })
        }
        Status::Stuck { .. } if reason.trim().is_empty() => {
            Err(ProvisioningRefusal::NoReason { provisioning })
        }
        Status::Stuck { .. } if characters > CANCEL_REASON_CHARS_MAX => {
            Err(ProvisioningRefusal::ReasonTooLong { characters })
        }
        Status::Stuck { kind, compensating, remaining, .. } => {
            let reason = reason.to_owned();
            let skipped = CompensationSkipped { provisioning, kind: *kind, reason };
            let decision = Decision::events([ProvisioningEvent::CompensationSkipped(skipped)]);
            let (host, quarantined) = (saga.state.host.as_ref(), saga.state.host_quarantined);
            compensate::next(saga, remaining, compensating, host, quarantined, decision)
        }
        Status::NotStarted
        | Status::Running { .. }
        | Status::Compensating { .. }
        | Status::Completed
        | Status::Compensated { .. } => {
            Err(ProvisioningRefusal::NotStuck { provisioning, status: saga.state.status_name() })
        }
    }
}
