//! Rules of hosts: what the tests share.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use hostler_core::Category;
use hostler_events::commands::{BootOutcome, EnrolHost};
use hostler_events::host::{BmcAddress, BootMethod, PowerState};
use hostler_events::patching::Fix;
use hostler_events::{DeployCommand, HostPolicy, Labels, StepPolicy};

use super::*;
use crate::testing::{Run, id, saga_ref};

mod cleaning;
mod configuring;
mod cordoning;
mod deploying;
mod drifting;
mod enrolment;
mod patching;
pub(super) mod phases;
mod properties;
mod repairing;
mod traffic;
mod undeploying;
mod verifying;

use phases::at;

type Host = Run<HostDecider>;

fn command() -> EnrolHost {
    EnrolHost {
        host: id("h-1"),
        pool: id("web"),
        sku: id("cpu-small"),
        fault_domain: id("rack-1"),
        bmc: BmcAddress { system_url: "https://10.0.0.7/redfish/v1/Systems/1".into() },
        labels: Labels::new(),
    }
}

fn policy(retry_seconds: u32) -> HostPolicy {
    HostPolicy {
        verify: StepPolicy { deadline_seconds: 300, attempts: 3, retry_seconds },
        clean: StepPolicy { deadline_seconds: 1_800, attempts: 3, retry_seconds },
    }
}

fn enrol() -> HostInput {
    HostInput::Enrol { command: command(), policy: policy(10) }
}

fn facts(step: &str) -> HostInput {
    let hardware = Hardware {
        manufacturer: Some("ACME".into()),
        model: None,
        serial: Some("S-1".into()),
        processors: Some(2),
        memory_gib: Some(64.0),
        boot_method: Some(BootMethod::VirtualMedia),
    };
    HostInput::RecordFacts { step: id(step), facts: HostFacts { power_state: PowerState::Off, hardware } }
}

fn booted(step: &str) -> HostInput {
    HostInput::BootReported { step: id(step), outcome: BootOutcome::Succeeded, reason: None }
}

fn deployed(step: &str) -> HostInput {
    HostInput::RecordDeployed { saga: saga_ref("p-1"), step: id(step) }
}

fn boot_failed(step: &str) -> HostInput {
    let reason = Some("disk is gone".to_owned());
    HostInput::BootReported { step: id(step), outcome: BootOutcome::Failed, reason }
}

fn cleaned(step: &str) -> HostInput {
    HostInput::RecordCleaned { step: id(step) }
}

fn timer(name: &str) -> HostInput {
    HostInput::Timer { name: name.to_owned() }
}

fn reserve(saga: &str, step: &str) -> HostInput {
    HostInput::Reserve { saga: saga_ref(saga), step: id(step), lent_to: None }
}

fn release(saga: &str, step: &str) -> HostInput {
    HostInput::Release { saga: saga_ref(saga), step: id(step) }
}

fn deploy(saga: &str, step: &str) -> HostInput {
    HostInput::StartDeploy { saga: saga_ref(saga), step: id(step), image: id("debian-13") }
}

fn configured(saga: &str, step: &str) -> HostInput {
    configured_for(saga_ref(saga), step)
}

fn configured_for(saga: SagaRef, step: &str) -> HostInput {
    HostInput::RecordConfiguration {
        saga,
        step: id(step),
        role: id("web-server"),
        revision: "r-7".into(),
        changed: true,
    }
}

fn monitored(saga: &str, step: &str) -> HostInput {
    monitored_for(saga_ref(saga), step)
}

fn monitored_for(saga: SagaRef, step: &str) -> HostInput {
    HostInput::RecordMonitoring { saga, step: id(step) }
}

fn recovery(saga: &str) -> SagaRef {
    SagaRef::new("recovery", saga).unwrap()
}

fn cordon(saga: &str, step: &str) -> HostInput {
    HostInput::Cordon { saga: recovery(saga), step: id(step), reason: "it is unreachable".to_owned() }
}

fn uncordon(saga: &str, step: &str) -> HostInput {
    HostInput::Uncordon { saga: recovery(saga), step: id(step) }
}

fn start_power_cycle(saga: &str, step: &str) -> HostInput {
    HostInput::StartPowerCycle { saga: recovery(saga), step: id(step) }
}

fn power_cut(saga: &str, step: &str) -> HostInput {
    let (found, health) = (PowerState::On, Some("OK".to_owned()));
    HostInput::RecordPowerCut { saga: recovery(saga), step: id(step), found, health }
}

fn power_cycled(saga: &str, step: &str) -> HostInput {
    HostInput::RecordPowerCycled { saga: recovery(saga), step: id(step) }
}

fn start_restart(saga: &str, step: &str) -> HostInput {
    HostInput::StartRestart { saga: recovery(saga), step: id(step) }
}

fn restarted(saga: &str, step: &str) -> HostInput {
    HostInput::RecordRestarted { saga: recovery(saga), step: id(step), service: id("nginx.service") }
}

fn packages(saga: &str, step: &str, told: PatchInput) -> HostInput {
    HostInput::Patch { saga: recovery(saga), step: id(step), told }
}

fn fixes(version: &str) -> Vec<Fix> {
    vec![Fix { package: "openssl".to_owned(), version: version.to_owned() }]
}

fn packages_found(saga: &str, step: &str) -> HostInput {
    let found = PatchInput::Found { before: fixes("1.0"), to: fixes("1.1"), reboot_pending: false };
    packages(saga, step, found)
}

fn reimage(saga: &str, step: &str) -> HostInput {
    HostInput::StartReimage { saga: recovery(saga), step: id(step), image: id("debian-13") }
}

/// The host that `r-1` has installed again called back, and its image is out.
fn recovered(step: &str) -> HostInput {
    HostInput::RecordDeployed { saga: recovery("r-1"), step: id(step) }
}

fn step_failed(saga: &str, step: &str) -> HostInput {
    let failure =
        StepFailure { category: Category::Business, reason: "playbook failed".into(), uncertain: false };
    HostInput::FailStep { saga: saga_ref(saga), step: id(step), failure }
}

fn deregistered(saga: &str, step: &str) -> HostInput {
    HostInput::RecordDeregistered { saga: saga_ref(saga), step: id(step) }
}

fn undeploy(saga: &str, step: &str) -> HostInput {
    HostInput::StartUndeploy { saga: saga_ref(saga), step: id(step) }
}

fn undeployed(saga: &str, step: &str) -> HostInput {
    HostInput::RecordUndeployed { saga: saga_ref(saga), step: id(step) }
}

/// Lets a cleaning fail until the host is quarantined.
fn quarantine(host: &mut Host) {
    for _ in 0..10 {
        let HostPhase::Cleaning { step, delayed, .. } = &host.state.phase else { break };
        let name = if *delayed { format!("retry:{step}") } else { step.to_string() };
        host.when(&timer(&name)).unwrap();
    }
    assert_eq!(host.state.phase.name(), "quarantined");
}

#[test]
fn the_stations_are_where_they_say() {
    for phase in Phase::ALL {
        let name = phase.name();
        assert_eq!(at(name).state.phase.name(), name);
        assert_eq!(at(name).state.is_available(), name == "available");
    }
    assert_eq!(at("cleaning-held").state.phase.name(), "cleaning");
    assert!(at("in-service").state.is_held_by(&saga_ref("p-1")));
}

#[test]
fn nothing_can_be_done_to_an_unknown_host() {
    for input in [
        HostInput::Label {
            command: hostler_events::commands::LabelHost {
                host: id("h-1"),
                set: Labels::new(),
                remove: vec![],
            },
        },
        HostInput::Requalify,
        facts("x"),
        booted("x"),
        cleaned("x"),
        reserve("p-1", "x"),
        release("p-1", "x"),
        deploy("p-1", "x"),
        undeploy("p-1", "x"),
        undeployed("p-1", "x"),
        configured("p-1", "x"),
        monitored("p-1", "x"),
        deregistered("p-1", "x"),
        step_failed("p-1", "x"),
        cordon("r-1", "x"),
        uncordon("r-1", "x"),
        start_power_cycle("r-1", "x"),
        start_restart("r-1", "x"),
        reimage("r-1", "x"),
        HostInput::Check,
        HostInput::Restore { reason: "x".to_owned() },
    ] {
        assert_eq!(Host::new().when(&input).unwrap_err(), HostRefusal::UnknownHost, "{input:?}");
    }
    assert!(Host::new().ignores(&timer("h-1/verify/1")));
}
