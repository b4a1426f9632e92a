//! Rules of the provisioning saga: what the tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use hostler_core::Payload;
use hostler_events::host::{
    ConfigurationApplied, DeployCompleted, HostCleaned, HostInService, HostQuarantined, HostReleased,
    HostReserved, MonitoringDeregistered,
};
use hostler_events::provisioning::{ReservationFailed, ReservationReleased};
use hostler_events::{ProvisioningPolicy, StepPolicy};

use super::*;
use crate::testing::{Run, id};

mod compensation;
mod deadlines;
mod operators;
mod properties;
mod routing;
mod running;

type Provisioning = Run<ProvisioningDecider>;

const HOST: &str = "h-1";

fn policy() -> ProvisioningPolicy {
    let step =
        |deadline_seconds, attempts, retry_seconds| StepPolicy { deadline_seconds, attempts, retry_seconds };
    ProvisioningPolicy {
        version: 7,
        reserve_host: step(30, 3, 2),
        deploy_image: step(1_800, 2, 5),
        apply_role: step(900, 2, 0),
        register_monitoring: step(300, 2, 5),
        deregister_monitoring: step(300, 2, 5),
        undeploy_host: step(6_000, 2, 30),
        release_reservation: step(30, 3, 2),
    }
}

fn start() -> ProvisioningInput {
    ProvisioningInput::Start(StartProvisioning {
        provisioning: id("p-1"),
        request: id("r-1"),
        pool: id("web"),
        role: id("web-server"),
        image: id("debian-13"),
        sku: Some(id("cpu-small")),
        policy: policy(),
    })
}

/// The answer that a step hopes for.
fn success(kind: StepKind, step: &str) -> ProvisioningInput {
    let (host, provisioning, step) = (id(HOST), id("p-1"), id(step));
    ProvisioningInput::Host(match kind {
        StepKind::ReserveHost => HostEvent::Reserved(HostReserved { host, provisioning, step }),
        StepKind::DeployImage => HostEvent::DeployCompleted(DeployCompleted { host, provisioning, step }),
        StepKind::ApplyRole => HostEvent::ConfigurationApplied(ConfigurationApplied {
            host,
            provisioning,
            step,
            role: id("web-server"),
            revision: "r-7".into(),
            changed: true,
        }),
        StepKind::RegisterMonitoring => HostEvent::InService(HostInService {
            host,
            provisioning,
            step,
            pool: id("web"),
            role: id("web-server"),
        }),
        StepKind::DeregisterMonitoring => {
            HostEvent::MonitoringDeregistered(MonitoringDeregistered { host, provisioning, step })
        }
        StepKind::UndeployHost => return cleaned(HOST),
        StepKind::ReleaseReservation => {
            let released = ReservationReleased { provisioning, step, host: Some(host) };
            return ProvisioningInput::Reservation(ReservationEvent::Released(released));
        }
    })
}

fn cleaned(host: &str) -> ProvisioningInput {
    ProvisioningInput::Host(HostEvent::Cleaned(HostCleaned {
        host: id(host),
        step: id("h-1/clean/4"),
        provisioning: Some(id("p-1")),
    }))
}

fn quarantined(host: &str) -> ProvisioningInput {
    ProvisioningInput::Host(HostEvent::Quarantined(HostQuarantined {
        host: id(host),
        provisioning: Some(id("p-1")),
        reason: "cleaning failed 3 times".into(),
    }))
}

fn released_by_host(step: &str) -> ProvisioningInput {
    ProvisioningInput::Host(HostEvent::Released(HostReleased {
        host: id(HOST),
        provisioning: id("p-1"),
        step: id(step),
    }))
}

fn failure(kind: StepKind, step: &str, category: Category) -> ProvisioningInput {
    let (provisioning, step, reason) = (id("p-1"), id(step), "it broke".to_owned());
    match kind {
        StepKind::ReserveHost | StepKind::ReleaseReservation => {
            ProvisioningInput::Reservation(ReservationEvent::Failed(ReservationFailed {
                provisioning,
                step,
                category,
                reason,
            }))
        }
        StepKind::DeployImage
        | StepKind::ApplyRole
        | StepKind::RegisterMonitoring
        | StepKind::DeregisterMonitoring
        | StepKind::UndeployHost => {
            ProvisioningInput::Host(HostEvent::StepFailed(hostler_events::host::StepFailed {
                host: id(HOST),
                provisioning,
                step,
                category,
                reason,
            }))
        }
    }
}

fn deferred(step: &str, until: Timestamp) -> ProvisioningInput {
    ProvisioningInput::Host(HostEvent::StepDeferred(hostler_events::host::StepDeferred {
        host: id(HOST),
        provisioning: id("p-1"),
        step: id(step),
        until,
        reason: "configuration is away".to_owned(),
    }))
}

fn timer(name: &str) -> ProvisioningInput {
    ProvisioningInput::Timer { name: name.to_owned() }
}

fn cancel() -> ProvisioningInput {
    ProvisioningInput::Cancel { reason: "not needed any more".into() }
}

impl Provisioning {
    /// The attempt at work: its kind, number and id.
    fn at_work(&self) -> (StepKind, u32, String) {
        let current = self.state.current().expect("the saga waits for nothing");
        (current.kind, current.attempt, current.step.to_string())
    }

    fn succeed(&mut self) -> Vec<&'static str> {
        let (kind, _, step) = self.at_work();
        self.names(&success(kind, &step))
    }

    fn fail(&mut self, category: Category) -> Vec<&'static str> {
        let (kind, _, step) = self.at_work();
        self.names(&failure(kind, &step, category))
    }

    /// Answers everything well until the saga waits for nothing.
    fn finish(&mut self) {
        for _ in 0..20 {
            match self.state.current().map(|current| current.waiting) {
                Some(Waiting::Answer) => self.succeed(),
                Some(Waiting::Retry) => self.fire(),
                None => return,
            };
        }
        panic!("the saga goes on for ever: {:?}", self.state.status);
    }

    /// Fires the one timer that is live; it must have been set.
    fn fire(&mut self) -> Vec<&'static str> {
        let name = self.state.live_timer().expect("the saga waits for nothing");
        assert!(self.timers.iter().any(|timer| timer.name == name), "{name} was never set");
        self.names(&timer(&name))
    }

    /// Answers well until this step is at work.
    fn up_to(mut self, kind: StepKind) -> Self {
        for _ in 0..StepKind::FORWARD.len() {
            if self.at_work().0 == kind {
                return self;
            }
            self.succeed();
        }
        panic!("{kind} never comes");
    }

    /// Lets the attempt at work fail until there is no other one of its kind.
    fn use_up(&mut self, category: Category) {
        let (kind, ..) = self.at_work();
        for _ in 0..40 {
            match self.state.current() {
                Some(current) if current.kind == kind => match current.waiting {
                    Waiting::Answer => self.fail(category),
                    Waiting::Retry => self.fire(),
                },
                Some(_) | None => return,
            };
        }
        panic!("{kind} is tried for ever");
    }

    /// The compensations that were begun, each once, in their order.
    fn compensations(&self) -> Vec<StepKind> {
        let mut kinds = Vec::new();
        for event in &self.events {
            if let ProvisioningEvent::StepStarted(started) = event
                && !StepKind::FORWARD.contains(&started.kind)
                && !kinds.contains(&started.kind)
            {
                kinds.push(started.kind);
            }
        }
        kinds
    }
}

/// A saga that waits for the first answer of this step.
fn running(kind: StepKind) -> Provisioning {
    Provisioning::given([start()]).up_to(kind)
}

/// A saga that was cancelled at monitoring and waits for the first answer of this compensation.
fn compensating(kind: StepKind) -> Provisioning {
    let mut saga = running(StepKind::RegisterMonitoring);
    saga.when(&cancel()).unwrap();
    saga.up_to(kind)
}

fn completed() -> Provisioning {
    let mut saga = running(StepKind::RegisterMonitoring);
    saga.succeed();
    saga
}

fn compensated() -> Provisioning {
    let mut saga = compensating(StepKind::ReleaseReservation);
    saga.succeed();
    saga
}

fn stuck(kind: StepKind) -> Provisioning {
    let mut saga = compensating(kind);
    saga.use_up(Category::Unknown);
    assert_eq!(saga.state.status_name(), "stuck");
    saga
}

const COMPENSATIONS: [StepKind; 3] =
    [StepKind::DeregisterMonitoring, StepKind::UndeployHost, StepKind::ReleaseReservation];

/// A saga in each state there is, with its name.
fn everywhere() -> Vec<(String, Provisioning)> {
    let mut sagas = vec![("completed".to_owned(), completed()), ("compensated".to_owned(), compensated())];
    for kind in StepKind::FORWARD {
        sagas.push((format!("running {kind}"), running(kind)));
    }
    for kind in COMPENSATIONS {
        sagas.push((format!("compensating {kind}"), compensating(kind)));
        sagas.push((format!("stuck in {kind}"), stuck(kind)));
    }
    let mut delayed = running(StepKind::DeployImage);
    delayed.fail(Category::Transient);
    sagas.push(("running, in a delay".to_owned(), delayed));
    let mut delayed = compensating(StepKind::ReleaseReservation);
    delayed.fail(Category::Transient);
    sagas.push(("compensating, in a delay".to_owned(), delayed));
    sagas
}
