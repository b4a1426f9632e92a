//! What operators may ask of a saga: cancel it, or have a stuck one try again.

use hostler_core::Decision;
use hostler_events::ProvisioningEvent;
use hostler_events::provisioning::{CancelRequested, ProvisioningResumed};

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
