//! From the host's own system to service: configuration and monitoring.

use hostler_core::Decision;
use hostler_core::saga::SagaRef;
use hostler_events::host::{
    ConfigurationApplied, HostInService, MonitoringDeregistered, MonitoringRegistered,
};
use hostler_events::{HostEvent, Role, StepId};

use super::{HostDecision, Known, Move, replies};
use hostler_core::failure::clip;

pub(super) fn record_configuration(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    role: &Role,
    revision: &str,
    changed: bool,
) -> HostDecision {
    let configures = known.state.phase.allows(Move::Configure);
    if !configures || !known.state.is_held_by(saga) || known.state.undone {
        return Decision::nothing();
    }
    Decision::events([HostEvent::ConfigurationApplied(ConfigurationApplied {
        host: known.host(),
        saga: saga.clone(),
        step: step.clone(),
        role: role.clone(),
        revision: clip(revision),
        changed,
        at: Some(known.now),
    })])
    .command(replies::done(saga, step))
}

/// A host in service that is asked by another step says so again: the saga has not had the first answer.
pub(super) fn record_monitoring(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    let told = known.state.service_step.as_ref() == Some(step);
    if !known.state.is_held_by(saga) || known.state.undone || told {
        return Decision::nothing();
    }
    if !known.state.phase.allows(Move::Serve) {
        return Decision::nothing();
    }
    let Some(role) = &known.state.role else { return Decision::nothing() };
    let registered = MonitoringRegistered { host: known.host(), saga: saga.clone(), step: step.clone() };
    let serves = HostInService {
        host: known.host(),
        saga: saga.clone(),
        step: step.clone(),
        pool: known.profile.pool.clone(),
        role: role.clone(),
    };
    Decision::events([HostEvent::MonitoringRegistered(registered), HostEvent::InService(serves)])
        .command(replies::done(saga, step))
}

/// This is recorded and answered in every phase, whether the saga still holds the host or not, because the saga waits
/// for it. It is the first step back: nothing brings the host forward for this saga after it.
pub(super) fn record_deregistered(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    Decision::events([HostEvent::MonitoringDeregistered(MonitoringDeregistered {
        host: known.host(),
        saga: saga.clone(),
        step: step.clone(),
    })])
    .command(replies::done(saga, step))
}
