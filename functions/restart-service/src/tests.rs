//! Orders that come late, on the ports in memory.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use hostler_core::StepId;
use hostler_core::saga::SagaRef;
use hostler_domain::{Cordon, HostPhase, Patch, PowerCycle};
use hostler_drivers::DriverError;
use hostler_events::{HostId, Service};
use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::once::Once;
use hostler_runtime::state::shell::Shell;
use hostler_testkit::memory::{MemoryControl, MemoryLeases, MemoryStore};
use hostler_testkit::{SeededIds, TestClock};

use super::*;

/// Services of which none is there to be asked.
struct NoServices;

#[async_trait]
impl Services for NoServices {
    async fn restart(&self, _: &hostler_drivers::RestartService) -> Result<(), DriverError> {
        Ok(())
    }
}

fn restart_services() -> RestartServices {
    let (clock, ids) = (Arc::new(TestClock::default()), Arc::new(SeededIds::default()));
    let shell = Shell::new(Arc::new(MemoryStore::default()), clock.clone(), ids.clone(), "hostler");
    let once = Once::new(Arc::new(MemoryLeases::default()), clock.clone(), ids.clone());
    let breakers = Breakers::new(Arc::new(MemoryControl::default()), clock, ids);
    RestartServices { worker: StepWorker { shell, once, breakers }, services: Arc::new(NoServices) }
}

#[test]
fn an_order_that_comes_late_restarts_nothing() {
    let saga = SagaRef::new("recovery", "h-1.1").unwrap();
    let service = Service::new("nginx.service").unwrap();
    let command = RestartService {
        saga: saga.clone(),
        step: StepId::new("h-1.1/restart-service/1").unwrap(),
        host: HostId::new("h-1").unwrap(),
        service: service.clone(),
    };
    let cordon = |saga: &SagaRef, restarted: Option<Service>| {
        let reason = "service".to_owned();
        let patch = Patch::default();
        Some(Cordon { saga: saga.clone(), reason, power_cycle: PowerCycle::NotBegun, restarted, patch })
    };
    let cordoned =
        HostState { phase: HostPhase::InService, cordon: cordon(&saga, None), ..HostState::default() };
    let is_wanted = |host: &HostState| restart_services().is_wanted(&command, host) == Wanted::Yes;
    assert!(is_wanted(&cordoned));
    let other = SagaRef::new("recovery", "h-1.2").unwrap();
    for late in [
        HostState { cordon: None, ..cordoned.clone() },
        HostState { cordon: cordon(&other, None), ..cordoned.clone() },
        HostState { cordon: cordon(&saga, Some(service)), ..cordoned.clone() },
        HostState { phase: HostPhase::Configuring, ..cordoned.clone() },
    ] {
        assert!(!is_wanted(&late), "{:?}", late.cordon);
    }
}
