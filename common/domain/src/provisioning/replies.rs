//! What a saga hears from hosts and reservations, and whom each event concerns.

use hostler_core::Category;
use hostler_events::{HostEvent, HostId, ProvisioningId, ReservationEvent, StepId, StepKind};
use jiff::Timestamp;

/// The wire names of the events that a saga listens to; the bus forwards these and no others.
pub const SAGA_EVENTS: &[&str] = &[
    "host.reserved",
    "host.deploy-completed",
    "host.configuration-applied",
    "host.in-service",
    "host.step-failed",
    "host.step-deferred",
    "host.monitoring-deregistered",
    "host.cleaned",
    "host.released",
    "host.quarantined",
    "reservation.failed",
    "reservation.released",
];

/// What an event means to the saga that it concerns.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reply<'a> {
    /// A step worked. Its id tells whether the answer is late.
    Succeeded { kind: StepKind, step: &'a StepId, host: Option<&'a HostId> },
    /// A step did not work.
    Failed { step: &'a StepId, category: Category, reason: &'a str },
    /// A step waits until then, for what it needs is away.
    Deferred { step: &'a StepId, until: Timestamp, reason: &'a str },
    /// The host is clean on its way back. Cleaning has the host's own step ids, so this is recognised by the
    /// saga and the host.
    Cleaned { host: &'a HostId },
    /// The host is out of use, and not held any more.
    Quarantined { host: &'a HostId, reason: &'a str },
    /// Not for sagas.
    Nothing,
}

pub(super) fn of_host(event: &HostEvent) -> Reply<'_> {
    let succeeded = |kind, step, host| Reply::Succeeded { kind, step, host: Some(host) };
    match event {
        HostEvent::Reserved(e) => succeeded(StepKind::ReserveHost, &e.step, &e.host),
        HostEvent::DeployCompleted(e) => succeeded(StepKind::DeployImage, &e.step, &e.host),
        HostEvent::ConfigurationApplied(e) => succeeded(StepKind::ApplyRole, &e.step, &e.host),
        HostEvent::InService(e) => succeeded(StepKind::RegisterMonitoring, &e.step, &e.host),
        HostEvent::MonitoringDeregistered(e) => succeeded(StepKind::DeregisterMonitoring, &e.step, &e.host),
        // A host that the saga does not hold any more leaves nothing to undeploy. The release that follows from
        // `ReleaseReservation` has that step's id and is not taken for it.
        HostEvent::Released(e) => succeeded(StepKind::UndeployHost, &e.step, &e.host),
        HostEvent::StepFailed(e) => Reply::Failed { step: &e.step, category: e.category, reason: &e.reason },
        HostEvent::StepDeferred(e) => Reply::Deferred { step: &e.step, until: e.until, reason: &e.reason },
        HostEvent::Cleaned(e) => Reply::Cleaned { host: &e.host },
        HostEvent::Quarantined(e) => Reply::Quarantined { host: &e.host, reason: &e.reason },
        HostEvent::Enrolled(_)
        | HostEvent::Verified(_)
        | HostEvent::Inspected(_)
        | HostEvent::VerificationFailed(_)
        | HostEvent::Labelled(_)
        | HostEvent::CleaningStarted(_)
        | HostEvent::CleaningBooted(_)
        | HostEvent::CleaningFailed(_)
        | HostEvent::DeployStarted(_)
        | HostEvent::DeployBooted(_)
        | HostEvent::PowerStateChanged(_)
        | HostEvent::MonitoringRegistered(_)
        | HostEvent::UndeployStarted(_)
        | HostEvent::Undeployed(_)
        | HostEvent::Requalified(_) => Reply::Nothing,
    }
}

pub(super) fn of_reservation(event: &ReservationEvent) -> Reply<'_> {
    match event {
        ReservationEvent::Failed(e) => {
            Reply::Failed { step: &e.step, category: e.category, reason: &e.reason }
        }
        ReservationEvent::Released(e) => {
            Reply::Succeeded { kind: StepKind::ReleaseReservation, step: &e.step, host: e.host.as_ref() }
        }
        ReservationEvent::CandidateChosen(_)
        | ReservationEvent::CandidateLost(_)
        | ReservationEvent::Closed(_) => Reply::Nothing,
    }
}

/// The saga that a host's event concerns, if it concerns one.
#[must_use]
pub fn provisioning_of(event: &HostEvent) -> Option<&ProvisioningId> {
    match event {
        HostEvent::Cleaned(e) => e.provisioning.as_ref(),
        HostEvent::Quarantined(e) => e.provisioning.as_ref(),
        HostEvent::Reserved(e) => Some(&e.provisioning),
        HostEvent::Released(e) => Some(&e.provisioning),
        HostEvent::DeployStarted(e) => Some(&e.provisioning),
        HostEvent::DeployBooted(e) => Some(&e.provisioning),
        HostEvent::DeployCompleted(e) => Some(&e.provisioning),
        HostEvent::ConfigurationApplied(e) => Some(&e.provisioning),
        HostEvent::MonitoringRegistered(e) => Some(&e.provisioning),
        HostEvent::InService(e) => Some(&e.provisioning),
        HostEvent::StepFailed(e) => Some(&e.provisioning),
        HostEvent::StepDeferred(e) => Some(&e.provisioning),
        HostEvent::MonitoringDeregistered(e) => Some(&e.provisioning),
        HostEvent::UndeployStarted(e) => Some(&e.provisioning),
        HostEvent::Undeployed(e) => Some(&e.provisioning),
        HostEvent::Enrolled(_)
        | HostEvent::Verified(_)
        | HostEvent::Inspected(_)
        | HostEvent::VerificationFailed(_)
        | HostEvent::Labelled(_)
        | HostEvent::CleaningStarted(_)
        | HostEvent::CleaningBooted(_)
        | HostEvent::CleaningFailed(_)
        | HostEvent::PowerStateChanged(_)
        | HostEvent::Requalified(_) => None,
    }
}

/// The saga that a reservation's event concerns.
#[must_use]
pub fn provisioning_of_reservation(event: &ReservationEvent) -> &ProvisioningId {
    match event {
        ReservationEvent::CandidateChosen(e) => &e.provisioning,
        ReservationEvent::CandidateLost(e) => &e.provisioning,
        ReservationEvent::Failed(e) => &e.provisioning,
        ReservationEvent::Closed(e) => &e.provisioning,
        ReservationEvent::Released(e) => &e.provisioning,
    }
}
