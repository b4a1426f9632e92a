//! Orders that come late, on the ports in memory.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use hostler_core::StepId;
use hostler_core::saga::SagaRef;
use hostler_domain::{HostPhase, HostState};
use hostler_drivers::{ControlState, PlainConfiguration};
use hostler_events::commands::ApplyRole;
use hostler_events::{HostId, Role};
use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::once::Once;
use hostler_runtime::effects::steps::{Step, StepWorker, Wanted};
use hostler_runtime::state::shell::Shell;
use hostler_testkit::memory::{MemoryControl, MemoryLeases, MemoryStore};
use hostler_testkit::{SeededIds, TestClock};

use crate::ConfigureHost;

fn configure_host() -> ConfigureHost {
    let (clock, ids) = (Arc::new(TestClock::default()), Arc::new(SeededIds::default()));
    let shell = Shell::new(Arc::new(MemoryStore::default()), clock.clone(), ids.clone(), "hostler");
    let once = Once::new(Arc::new(MemoryLeases::default()), clock.clone(), ids.clone());
    let breakers = Breakers::new(Arc::new(MemoryControl::default()), clock, ids);
    let state = ControlState(Arc::new(MemoryControl::default()));
    ConfigureHost {
        worker: StepWorker { shell, once, breakers },
        configuration: Arc::new(PlainConfiguration::new(state)),
    }
}

#[test]
fn an_order_that_comes_late_changes_no_host() {
    let saga = SagaRef::new("provisioning", "p").unwrap();
    let command = ApplyRole {
        saga: saga.clone(),
        step: StepId::new("p/apply-role/1").unwrap(),
        host: HostId::new("h-1").unwrap(),
        role: Role::new("web").unwrap(),
    };
    let configuring =
        HostState { phase: HostPhase::Configuring, reservation: Some(saga), ..HostState::default() };
    let is_wanted = |host: &HostState| configure_host().is_wanted(&command, host) == Wanted::Yes;
    assert!(is_wanted(&configuring));
    let other = SagaRef::new("provisioning", "q").unwrap();
    for late in [
        HostState { undone: true, ..configuring.clone() },
        HostState { reservation: Some(other), ..configuring.clone() },
        HostState { reservation: None, ..configuring.clone() },
        HostState { phase: HostPhase::InService, ..configuring.clone() },
        HostState { phase: HostPhase::Deploying { step: command.step.clone() }, ..configuring.clone() },
        HostState { phase: HostPhase::Available, ..configuring.clone() },
    ] {
        assert!(!is_wanted(&late), "{:?}", late.phase);
    }
}
