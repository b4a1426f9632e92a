//! Reservations under repeats and in large pools, on the ports in memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use hostler_core::saga::SagaRef;
use hostler_core::{
    Actor, CommandEnvelope, CommandId, CorrelationId, Decider, Header, Incoming, Payload, StreamVersion,
};
use hostler_domain::views::{HOSTS, host_group};
use hostler_domain::{
    HostDecider, HostFacts, HostInput, HostPhase, HostState, PowerCycle, ReservationDecider, ReservationInput,
};
use hostler_drivers::memory::{self, MemoryBmc, MemoryBmcs, busy};
use hostler_drivers::{Bmc, Patience, PowerGoal};
use hostler_events::commands::{
    BootOutcome, DeployImage, EnrolHost, FinishDeploy, FinishPowerCycle, PowerCycleHost, ReimageHost,
    ReserveHost, UndeployHost,
};
use hostler_events::host::{BmcAddress, PowerState};
use hostler_events::{HostId, HostPolicy, Image, StepCommand, StepId};
use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::once::Once;
use hostler_runtime::effects::steps::{Step, StepError, StepWorker, Wanted};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::ports::{Clock, Row, Views};
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::state::shell::{Cause, Shell};
use hostler_testkit::memory::{MemoryControl, MemoryLeases, MemoryStore, MemoryViews};
use hostler_testkit::{SeededIds, TestClock};
use serde_json::json;

use crate::{Candidates, DeployHost, DeploySettings, host_stream};

struct World {
    deploy_host: DeployHost,
    bmcs: MemoryBmcs,
    views: MemoryViews,
    clock: TestClock,
}

fn world() -> World {
    let (clock, views) = (TestClock::default(), MemoryViews::default());
    let shell = Shell::new(
        Arc::new(MemoryStore::default()),
        Arc::new(clock.clone()),
        Arc::new(SeededIds::default()),
        "hostler",
    );
    let settings = DeploySettings {
        image_url: "http://images.test".to_owned(),
        cleaning_image: Image::new("cleaner").unwrap(),
        callback_url: "http://api.test/callbacks/boot".to_owned(),
        callback_key: CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap(),
        bmc_login: memory::login(),
        patience: Patience { deadline: Duration::from_secs(1), poll_interval: Duration::from_millis(1) },
    };
    let bmcs = MemoryBmcs::default();
    let (leases, ids) = (Arc::new(MemoryLeases::default()), Arc::new(SeededIds::default()));
    let once = Once::new(leases, Arc::new(clock.clone()), ids.clone());
    let breakers = Breakers::new(Arc::new(MemoryControl::default()), Arc::new(clock.clone()), ids);
    let worker = StepWorker { shell, once, breakers };
    let deploy_host = DeployHost {
        worker,
        candidates: Candidates::new(Arc::new(views.clone())),
        bmcs: Arc::new(bmcs.clone()),
        settings,
    };
    World { deploy_host, bmcs, views, clock }
}

fn saga(name: &str) -> SagaRef {
    SagaRef::new("provisioning", name).unwrap()
}

fn step(name: &str) -> StepId {
    StepId::new(name).unwrap()
}

fn reserve_host(of: &str, at: &str, sku: Option<&str>) -> ReserveHost {
    ReserveHost {
        saga: saga(of),
        step: step(at),
        take_from: Vec::new(),
        pool: hostler_events::PoolId::new("web").unwrap(),
        sku: sku.map(|sku| hostler_events::Sku::new(sku).unwrap()),
    }
}

impl World {
    fn cause(&self) -> Cause {
        Cause {
            id: CommandId(self.deploy_host.worker.shell.new_id()).into(),
            since: self.deploy_host.worker.shell.now(),
            correlation_id: CorrelationId(self.deploy_host.worker.shell.new_id()),
            trace_context: None,
            hops: 0,
            actor: Actor("test".to_owned()),
        }
    }

    fn message(&self, cause: &Cause, command: impl Into<StepCommand>) -> Incoming {
        let command = command.into();
        Incoming::Command(Box::new(CommandEnvelope {
            command_id: cause.id.as_str().parse().unwrap(),
            command_type: command.type_name().to_owned(),
            schema_version: 1,
            timestamp: self.clock.now(),
            source: "hostler".to_owned(),
            header: Header {
                correlation_id: cause.correlation_id,
                causation_id: cause.id.clone(),
                trace_context: None,
                hops: 0,
                actor: cause.actor.clone(),
            },
            data: command.to_data(),
            signature: None,
        }))
    }

    async fn told(&self, host: &HostId, input: HostInput) -> HostState {
        let stream = host_stream(host).unwrap();
        self.deploy_host
            .worker
            .shell
            .execute::<HostDecider>(&stream, &self.cause(), &input)
            .await
            .unwrap()
            .fold
            .state
    }

    async fn reservation(&self, of: &str, cause: &Cause, input: ReservationInput) {
        let stream = hostler_core::StreamId::new(ReservationDecider::CATEGORY, of).unwrap();
        self.deploy_host.worker.shell.execute::<ReservationDecider>(&stream, cause, &input).await.unwrap();
    }

    async fn state(&self, host: &HostId) -> HostState {
        self.deploy_host.worker.shell.load::<HostDecider>(&host_stream(host).unwrap()).await.unwrap().state
    }

    async fn row(&self, host: &str, sku: &str) {
        self.views
            .put(&Row {
                view: HOSTS.to_owned(),
                key: host.to_owned(),
                group: host_group(&hostler_events::PoolId::new("web").unwrap(), "available"),
                version: StreamVersion(1),
                updated_at: self.clock.now(),
                body: json!({ "host": host, "sku": sku, "faultDomain": "rack-1" }),
            })
            .await
            .unwrap();
    }

    async fn available_host(&self, name: &str, sku: &str) -> HostId {
        let host = HostId::new(name).unwrap();
        let command = EnrolHost {
            host: host.clone(),
            pool: hostler_events::PoolId::new("web").unwrap(),
            sku: hostler_events::Sku::new(sku).unwrap(),
            fault_domain: hostler_events::FaultDomain::new("rack-1").unwrap(),
            bmc: BmcAddress { system_url: format!("https://10.0.0.7/redfish/v1/Systems/{name}") },
            labels: Default::default(),
        };
        let enrolled = self.told(&host, HostInput::Enrol { command, policy: HostPolicy::default() }).await;
        let facts = HostFacts { power_state: PowerState::Off, hardware: Default::default() };
        let step = enrolled.phase.step().unwrap().clone();
        let cleaning = self.told(&host, HostInput::RecordFacts { step, facts }).await;
        let step = cleaning.phase.step().unwrap().clone();
        let booted =
            HostInput::BootReported { step: step.clone(), outcome: BootOutcome::Succeeded, reason: None };
        self.told(&host, booted).await;
        assert!(self.told(&host, HostInput::RecordCleaned { step }).await.is_available());
        self.row(name, sku).await;
        host
    }

    /// In service by the saga `p`, and cordoned by this one. It is on, and boots from its disk.
    async fn cordoned_host(&self, name: &str, by: &SagaRef) -> (HostId, MemoryBmc) {
        let host = self.available_host(name, "cpu").await;
        let (holder, at) = (saga("p"), step("p/deploy-image/1"));
        for input in [
            HostInput::Reserve { saga: holder.clone(), step: step("p/reserve-host/1"), lent_to: None },
            HostInput::StartDeploy {
                saga: holder.clone(),
                step: at.clone(),
                image: Image::new("web").unwrap(),
            },
            HostInput::BootReported { step: at.clone(), outcome: BootOutcome::Succeeded, reason: None },
            HostInput::RecordDeployed { saga: holder.clone(), step: at },
            HostInput::RecordConfiguration {
                saga: holder.clone(),
                step: step("p/apply-role/1"),
                role: "web".parse().unwrap(),
                revision: "r-1".to_owned(),
                changed: true,
            },
            HostInput::RecordMonitoring { saga: holder, step: step("p/register-monitoring/1") },
            HostInput::Cordon {
                saga: by.clone(),
                step: step("r/cordon-host/1"),
                reason: "unreachable".to_owned(),
            },
        ] {
            self.told(&host, input).await;
        }
        let bmc = self.bmcs.bmc(&format!("https://10.0.0.7/redfish/v1/Systems/{name}"));
        bmc.set_power(PowerGoal::On, &self.deploy_host.settings.patience).await.unwrap();
        (host, bmc)
    }

    /// Has the function handle a command.
    async fn handled(&self, cause: &Cause, command: impl Into<StepCommand>) {
        self.deploy_host.handle(&self.message(cause, command)).await.unwrap();
    }
}

#[tokio::test]
async fn a_try_that_was_overtaken_does_not_hold_what_the_reservation_has_lost() {
    let world = world();
    let host = world.available_host("h-1", "cpu").await;
    world.told(&host, HostInput::Reserve { saga: saga("z"), step: step("z/1"), lent_to: None }).await;

    // The first try chooses the host, loses it to another saga, and dies before it says that it failed.
    let (first, late) = (world.cause(), reserve_host("p", "p/1", None));
    let holder = saga("p");
    let choose = ReservationInput::Choose { saga: holder, step: step("p/1"), host: host.clone() };
    world.reservation("p", &first.part("choose:h-1").unwrap(), choose).await;
    let lose = ReservationInput::Lose { saga: saga("p"), step: step("p/1"), host: host.clone() };
    world.reservation("p", &first.part("lose:h-1").unwrap(), lose).await;
    // The second one finds nothing, and then the host comes free again.
    let second = reserve_host("p", "p/2", None);
    world.deploy_host.handle(&world.message(&world.cause(), second)).await.unwrap();
    world.told(&host, HostInput::Release { saga: saga("z"), step: step("z/2") }).await;

    world.deploy_host.handle(&world.message(&first, late)).await.unwrap();
    assert!(world.state(&host).await.is_available(), "nobody would ever give it back");

    let third = reserve_host("p", "p/3", None);
    world.deploy_host.handle(&world.message(&world.cause(), third)).await.unwrap();
    assert!(world.state(&host).await.is_held_by(&saga("p")));
}

#[tokio::test]
async fn a_rare_model_is_found_behind_a_thousand_others() {
    let world = world();
    for number in 0..1_100 {
        world.row(&format!("cpu-{number:04}"), "cpu").await;
    }
    let host = world.available_host("gpu-1", "gpu").await;
    let command = reserve_host("p", "p/1", Some("gpu"));
    world.deploy_host.handle(&world.message(&world.cause(), command)).await.unwrap();
    assert!(world.state(&host).await.is_held_by(&saga("p")));
}

#[test]
fn the_host_hears_whether_a_failed_step_may_have_done_something() {
    let world = world();
    let command = UndeployHost { saga: saga("p"), step: step("p/1"), host: HostId::new("h-1").unwrap() };
    for error in [StepError::refused("it is not enrolled"), StepError::unavailable("no answer")] {
        let told = Step::<UndeployHost>::failed(&world.deploy_host, &command, &error);
        let Some(HostInput::FailStep { failure, .. }) = told else { panic!("{told:?}") };
        assert_eq!(failure.uncertain, error.uncertain);
    }
}

#[tokio::test]
async fn a_boot_that_began_before_the_callback_key_was_rotated_is_not_begun_again() {
    let mut world = world();
    let host = world.available_host("h-1", "small").await;
    let state = world.state(&host).await;
    let (step, image) = (step("p-1/deploy-image/1"), Image::new("web").unwrap());
    world.deploy_host.boot(&host, &state, &step, &image).await.unwrap();
    let bmc = world.bmcs.bmc("https://10.0.0.7/redfish/v1/Systems/h-1");
    let begun = bmc.state();
    assert_eq!((begun.inserts, begun.power.clone()), (1, hostler_drivers::PowerState::On));

    let rotated = CallbackKey::new(b"fedcba9876543210fedcba9876543210").unwrap();
    let rotated = rotated.after(b"0123456789abcdef0123456789abcdef").unwrap();
    world.deploy_host.settings.callback_key = rotated;
    world.deploy_host.boot(&host, &state, &step, &image).await.unwrap();
    assert_eq!(
        (bmc.state().inserts, bmc.state().resets),
        (begun.inserts, begun.resets),
        "it runs from its image"
    );

    // A later step is given a token of the new key.
    let later = self::step("p-1/deploy-image/2");
    world.deploy_host.boot(&host, &state, &later, &image).await.unwrap();
    let stream = host_stream(&host).unwrap();
    let token = world.deploy_host.settings.callback_key.token(&stream, &later);
    assert!(bmc.state().image.unwrap().contains(&token));
}

#[tokio::test]
async fn an_image_stays_in_its_folder() {
    let world = world();
    let url = |image| {
        let image = Image::new(image).unwrap();
        world.deploy_host.image_url(&HostId::new("h-1").unwrap(), &step("s/1"), &image, "token")
    };
    assert!(url("debian/12").unwrap().starts_with("http://images.test/debian/12?callback="));
    for image in ["../secret", "debian/../../secret", "/etc/passwd", "debian//12", "."] {
        let error = url(image).unwrap_err().to_string();
        assert!(error.contains(image) && error.contains("image"), "{error}");
    }
}

/// The saga closes its reservation between the choice of a host and the hold.
#[tokio::test]
async fn a_host_that_is_held_after_the_close_is_given_back_at_once() {
    let world = world();
    let host = world.available_host("h-1", "cpu").await;
    let (cause, command) = (world.cause(), reserve_host("p", "p/1", None));
    let choose = ReservationInput::Choose { saga: saga("p"), step: step("p/1"), host: host.clone() };
    world.reservation("p", &cause.part("choose:h-1").unwrap(), choose).await;
    let close = ReservationInput::Close { saga: saga("p"), step: step("p/release/1") };
    world.reservation("p", &world.cause(), close).await;

    world.deploy_host.handle(&world.message(&cause, command)).await.unwrap();
    let state = world.state(&host).await;
    assert!(state.is_available(), "nobody else would ever give it back: {:?}", state.phase);
    assert!(state.released.contains(&saga("p")), "the saga never gets it again");
}

#[test]
fn a_host_that_has_called_back_is_not_booted_again() {
    let world = world();
    let command = DeployImage {
        saga: saga("p"),
        step: step("p/deploy-image/1"),
        host: HostId::new("h-1").unwrap(),
        image: Image::new("web").unwrap(),
    };
    let phase = HostPhase::Deploying { step: command.step.clone() };
    let deploying = HostState { phase, ..HostState::default() };
    assert_eq!(world.deploy_host.is_wanted(&command, &deploying), Wanted::Yes);
    let booted = HostState { booted_step: Some(command.step.clone()), ..deploying };
    assert_eq!(world.deploy_host.is_wanted(&command, &booted), Wanted::No);
}

#[tokio::test]
async fn the_image_is_taken_out_of_a_host_that_has_called_back() {
    let world = world();
    let host = world.available_host("h-1", "cpu").await;
    let (state, step) = (world.state(&host).await, step("p/deploy-image/1"));
    world.deploy_host.boot(&host, &state, &step, &Image::new("web").unwrap()).await.unwrap();
    let bmc = world.bmcs.bmc("https://10.0.0.7/redfish/v1/Systems/h-1");
    assert!(bmc.state().image.is_some());
    let command = FinishDeploy { saga: saga("p"), step, host };
    Step::<FinishDeploy>::perform(&world.deploy_host, &command, &state, Fence(1)).await.unwrap();
    assert_eq!(bmc.state().image, None, "a host that boots from it once more would be installed once more");
}

fn recovery(name: &str) -> SagaRef {
    SagaRef::new("recovery", name).unwrap()
}

fn power_cycle(of: &str, at: &str, host: &HostId) -> PowerCycleHost {
    PowerCycleHost { saga: recovery(of), step: step(at), host: host.clone() }
}

fn finish(of: &str, at: &str, host: &HostId) -> FinishPowerCycle {
    FinishPowerCycle { saga: recovery(of), step: step(at), host: host.clone() }
}

#[tokio::test]
async fn a_power_cycle_switches_a_host_off_and_on_once_however_often_it_is_asked_for() {
    let world = world();
    let (host, bmc) = world.cordoned_host("h-1", &recovery("r")).await;
    bmc.set_boot_once().await.unwrap();
    let before = bmc.state().resets;
    let first = world.cause();
    for cause in [&first, &first, &world.cause()] {
        world.handled(cause, power_cycle("r", "r/power-cycle-host/1", &host)).await;
        let (bmc, host) = (bmc.state(), world.state(&host).await);
        assert_eq!((bmc.power, bmc.resets), (hostler_drivers::PowerState::Off, before + 1));
        assert!(!bmc.boots_from_image, "it boots from its disk next");
        assert_eq!(host.cordon.unwrap().power_cycle, PowerCycle::Off);
    }
    for cause in [&world.cause(), &world.cause()] {
        world.handled(cause, finish("r", "r/power-cycle-host/1", &host)).await;
        let (bmc, host) = (bmc.state(), world.state(&host).await);
        assert_eq!((bmc.power, bmc.resets), (hostler_drivers::PowerState::On, before + 2));
        assert_eq!((host.power, host.phase), (Some(PowerState::On), HostPhase::InService));
        assert_eq!(host.cordon.unwrap().power_cycle, PowerCycle::Done);
    }
    world.handled(&world.cause(), power_cycle("r", "r/power-cycle-host/2", &host)).await;
    assert_eq!(bmc.state().resets, before + 2, "an attempt that comes late");
}

#[tokio::test]
async fn a_host_that_is_off_is_only_powered_on() {
    let world = world();
    let (host, bmc) = world.cordoned_host("h-1", &recovery("r")).await;
    bmc.set_power(PowerGoal::ForceOff, &world.deploy_host.settings.patience).await.unwrap();
    let before = bmc.state().resets;
    world.handled(&world.cause(), power_cycle("r", "r/power-cycle-host/1", &host)).await;
    world.handled(&world.cause(), finish("r", "r/power-cycle-host/1", &host)).await;
    assert_eq!((bmc.state().power, bmc.state().resets), (hostler_drivers::PowerState::On, before + 1));
}

#[tokio::test]
async fn nobody_but_the_saga_that_has_cordoned_a_host_has_it_power_cycled_or_installed_again() {
    let world = world();
    let (host, bmc) = world.cordoned_host("h-1", &recovery("r")).await;
    let before = bmc.state();
    world.handled(&world.cause(), power_cycle("s", "s/power-cycle-host/1", &host)).await;
    world.handled(&world.cause(), finish("s", "s/power-cycle-host/1", &host)).await;
    let (saga, image) = (recovery("s"), Image::new("web").unwrap());
    let reimage = ReimageHost { saga, step: step("s/reimage-host/1"), host: host.clone(), image };
    world.handled(&world.cause(), reimage).await;
    assert_eq!(bmc.state(), before);
    assert_eq!(world.state(&host).await.phase, HostPhase::InService);
}

/// Out of band nothing is known: that monitoring does not see the host is not enough.
#[tokio::test]
async fn without_two_readings_of_the_bmc_no_power_is_cut() {
    let world = world();
    let (host, bmc) = world.cordoned_host("h-1", &recovery("r")).await;
    let before = bmc.state();
    for attempt in 1..=2 {
        bmc.fail_next(busy("h-1"));
        world
            .handled(&world.cause(), power_cycle("r", &format!("r/power-cycle-host/{attempt}"), &host))
            .await;
        assert_eq!(bmc.state(), before);
        assert_eq!(world.state(&host).await.cordon.unwrap().power_cycle, PowerCycle::NotBegun);
    }
}

/// The BMC does not answer the first attempt: nothing is done, and the saga's next attempt does it.
#[tokio::test]
async fn a_power_cycle_that_failed_is_done_by_the_next_attempt() {
    let world = world();
    let (host, bmc) = world.cordoned_host("h-1", &recovery("r")).await;
    let before = bmc.state().resets;
    bmc.fail_next(busy("h-1"));
    world.handled(&world.cause(), power_cycle("r", "r/power-cycle-host/1", &host)).await;
    assert_eq!(bmc.state().resets, before);
    world.handled(&world.cause(), power_cycle("r", "r/power-cycle-host/2", &host)).await;
    bmc.fail_next(busy("h-1"));
    world.handled(&world.cause(), finish("r", "r/power-cycle-host/2", &host)).await;
    assert_eq!(bmc.state().power, hostler_drivers::PowerState::Off);
    world.handled(&world.cause(), power_cycle("r", "r/power-cycle-host/3", &host)).await;
    world.handled(&world.cause(), finish("r", "r/power-cycle-host/3", &host)).await;
    assert_eq!((bmc.state().power, bmc.state().resets), (hostler_drivers::PowerState::On, before + 2));
}

#[tokio::test]
async fn a_reimaged_host_is_booted_from_its_image_for_the_saga_that_has_cordoned_it() {
    let world = world();
    let (host, bmc) = world.cordoned_host("h-1", &recovery("r")).await;
    let (saga, at, image) = (recovery("r"), step("r/reimage-host/1"), Image::new("web").unwrap());
    let reimage = ReimageHost { saga: saga.clone(), step: at.clone(), host: host.clone(), image };
    for cause in [&world.cause(), &world.cause()] {
        world.handled(cause, reimage.clone()).await;
        let bmc = bmc.state();
        assert_eq!((bmc.inserts, bmc.power), (1, hostler_drivers::PowerState::On));
        assert!(bmc.boots_from_image && bmc.image.unwrap().contains("/web?"));
    }
    let state = world.state(&host).await;
    assert!(state.is_held_by(&saga) && state.waits_for(&at), "{state:?}");
    let reported =
        HostInput::BootReported { step: at.clone(), outcome: BootOutcome::Succeeded, reason: None };
    world.told(&host, reported).await;
    world.handled(&world.cause(), FinishDeploy { saga, step: at, host: host.clone() }).await;
    assert_eq!((bmc.state().image, world.state(&host).await.phase), (None, HostPhase::Configuring));
}
