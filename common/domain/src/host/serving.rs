//! From its own system to service: configuration and monitoring.

use hostler_core::Decision;
use hostler_core::saga::SagaRef;
use hostler_events::host::{
    ConfigurationApplied, HostInService, MonitoringDeregistered, MonitoringRegistered,
};
use hostler_events::{HostEvent, Role, StepId};

use super::{HostDecision, HostPhase, Known, replies};
use hostler_core::failure::clip;

pub(super) fn record_configuration(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    role: &Role,
    revision: &str,
    changed: bool,
) -> HostDecision {
    if !known.state.is_held_by(saga) || known.state.undone {
        return Decision::nothing();
    }
    match &known.state.phase {
        HostPhase::Configuring | HostPhase::RegisteringMonitoring => {
            Decision::events([HostEvent::ConfigurationApplied(ConfigurationApplied {
                host: known.host(),
                saga: saga.clone(),
                step: step.clone(),
                role: role.clone(),
                revision: clip(revision),
                changed,
            })])
            .command(replies::done(saga, step))
        }
        HostPhase::Unknown
        | HostPhase::Verifying { .. }
        | HostPhase::Cleaning { .. }
        | HostPhase::Available
        | HostPhase::Reserved
        | HostPhase::Deploying { .. }
        | HostPhase::InService
        | HostPhase::Deprovisioning { .. }
        | HostPhase::Quarantined { .. } => Decision::nothing(),
    }
}

/// A host in service says so again when it is asked by another step: the saga has not heard the first answer.
pub(super) fn record_monitoring(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    let told = known.state.service_step.as_ref() == Some(step);
    if !known.state.is_held_by(saga) || known.state.undone || told {
        return Decision::nothing();
    }
    match (&known.state.phase, &known.state.role) {
        (HostPhase::RegisteringMonitoring | HostPhase::InService, Some(role)) => Decision::events([
            HostEvent::MonitoringRegistered(MonitoringRegistered {
                host: known.host(),
                saga: saga.clone(),
                step: step.clone(),
            }),
            HostEvent::InService(HostInService {
                host: known.host(),
                saga: saga.clone(),
                step: step.clone(),
                pool: known.profile.pool.clone(),
                role: role.clone(),
            }),
        ])
        .command(replies::done(saga, step)),
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
        ) => Decision::nothing(),
    }
}

/// Answered in every phase, and whether the saga still holds the host or not: a saga that waits for this hears
/// it. It is the first step back, after which nothing brings the host forward for this saga.
pub(super) fn record_deregistered(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    Decision::events([HostEvent::MonitoringDeregistered(MonitoringDeregistered {
        host: known.host(),
        saga: saga.clone(),
        step: step.clone(),
    })])
    .command(replies::done(saga, step))
}
