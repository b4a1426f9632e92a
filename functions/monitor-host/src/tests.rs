//! Orders that come late, on the ports in memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::saga::SagaRef;
use hostler_core::{
    Actor, CommandEnvelope, CommandId, CorrelationId, Decider, Header, Incoming, Payload, StreamId,
};
use hostler_domain::{HostDecider, HostFacts, HostInput, HostPhase, HostState};
use hostler_drivers::memory::{self, MemoryBmcs};
use hostler_drivers::{
    At, ControlState, Deregistered, DriverError, FirstSample, Monitoring, Patience, PlainMonitoring,
    RegisterHost, Registered,
};
use hostler_events::commands::{BootOutcome, DeregisterMonitoring, EnrolHost, RegisterMonitoring};
use hostler_events::host::{BmcAddress, PowerState};
use hostler_events::{FaultDomain, HostId, HostPolicy, Image, MonitorCommand, PoolId, Role, Sku, StepId};
use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::once::Once;
use hostler_runtime::effects::steps::{Step, StepError, StepWorker, Wanted};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::ports::Clock;
use hostler_runtime::state::shell::{Cause, Shell};
use hostler_testkit::memory::{MemoryControl, MemoryLeases, MemoryStore};
use hostler_testkit::{SeededIds, TestClock};
use jiff::{SignedDuration, Timestamp};

use crate::{MonitorHost, OutOfBand};

struct World {
    monitor_host: MonitorHost,
    monitoring: PlainMonitoring<ControlState>,
    clock: TestClock,
}

fn world() -> World {
    let clock = TestClock::default();
    let store = Arc::new(MemoryStore::default());
    let shell = Shell::new(store, Arc::new(clock.clone()), Arc::new(SeededIds::default()), "hostler");
    let control = ControlState(Arc::new(MemoryControl::default()));
    let monitoring = PlainMonitoring::new(control, Arc::new(clock.clone()));
    let (leases, ids) = (Arc::new(MemoryLeases::default()), Arc::new(SeededIds::default()));
    let once = Once::new(leases, Arc::new(clock.clone()), ids.clone());
    let breakers = Breakers::new(Arc::new(MemoryControl::default()), Arc::new(clock.clone()), ids);
    let monitor_host = MonitorHost {
        worker: StepWorker { shell, once, breakers },
        monitoring: Arc::new(monitoring.clone()),
        out_of_band: OutOfBand {
            bmcs: Arc::new(MemoryBmcs::default()),
            login: memory::login(),
            patience: Patience::default(),
        },
    };
    World { monitor_host, monitoring, clock }
}

fn host() -> HostId {
    HostId::new("h-1").unwrap()
}

fn saga(name: &str) -> SagaRef {
    SagaRef::new("provisioning", name).unwrap()
}

fn step(name: &str) -> StepId {
    StepId::new(name).unwrap()
}

fn register(of: &str, at: &str) -> MonitorCommand {
    let role = Role::new("web").unwrap();
    MonitorCommand::RegisterMonitoring(RegisterMonitoring {
        saga: saga(of),
        step: step(at),
        host: host(),
        role,
    })
}

fn deregister(of: &str, at: &str) -> MonitorCommand {
    let command = DeregisterMonitoring { saga: saga(of), step: step(at), host: host() };
    MonitorCommand::DeregisterMonitoring(command)
}

impl World {
    fn stream(&self) -> StreamId {
        StreamId::new(HostDecider::CATEGORY, "h-1").unwrap()
    }

    async fn told(&self, input: HostInput) -> HostState {
        let cause = Cause {
            id: CommandId(self.monitor_host.worker.shell.new_id()).into(),
            since: self.monitor_host.worker.shell.now(),
            correlation_id: CorrelationId(self.monitor_host.worker.shell.new_id()),
            trace_context: None,
            hops: 0,
            actor: Actor("test".to_owned()),
        };
        let done =
            self.monitor_host.worker.shell.execute::<HostDecider>(&self.stream(), &cause, &input).await;
        done.unwrap().fold.state
    }

    /// A configured host that the saga `p` holds.
    async fn configured(&self) {
        let command = EnrolHost {
            host: host(),
            pool: PoolId::new("web").unwrap(),
            sku: Sku::new("cpu").unwrap(),
            fault_domain: FaultDomain::new("rack-1").unwrap(),
            bmc: BmcAddress { system_url: "https://10.0.0.7/redfish/v1/Systems/1".to_owned() },
            labels: Default::default(),
        };
        let enrolled = self.told(HostInput::Enrol { command, policy: HostPolicy::default() }).await;
        let facts = HostFacts { power_state: PowerState::Off, hardware: Default::default() };
        let verifying = enrolled.phase.step().unwrap().clone();
        let cleaning = self.told(HostInput::RecordFacts { step: verifying, facts }).await;
        let cleaning = cleaning.phase.step().unwrap().clone();
        let booted = |step| HostInput::BootReported { step, outcome: BootOutcome::Succeeded, reason: None };
        self.told(booted(cleaning.clone())).await;
        self.told(HostInput::RecordCleaned { step: cleaning }).await;
        self.told(HostInput::Reserve { saga: saga("p"), step: step("p/r"), lent_to: None }).await;
        let image = Image::new("debian-12").unwrap();
        self.told(HostInput::StartDeploy { saga: saga("p"), step: step("p/d"), image }).await;
        self.told(booted(step("p/d"))).await;
        self.told(HostInput::RecordDeployed { saga: saga("p"), step: step("p/d") }).await;
        self.told(HostInput::RecordConfiguration {
            saga: saga("p"),
            step: step("p/a"),
            role: Role::new("web").unwrap(),
            revision: "1".to_owned(),
            changed: true,
        })
        .await;
    }

    fn message(&self, command: MonitorCommand) -> Incoming {
        let id = CommandId(self.monitor_host.worker.shell.new_id());
        Incoming::Command(Box::new(CommandEnvelope {
            command_id: id,
            command_type: command.type_name().to_owned(),
            schema_version: 1,
            timestamp: self.clock.now(),
            source: "hostler".to_owned(),
            header: Header {
                correlation_id: CorrelationId(self.monitor_host.worker.shell.new_id()),
                causation_id: id.into(),
                trace_context: None,
                hops: 0,
                actor: Actor("test".to_owned()),
            },
            data: command.to_data(),
            signature: None,
        }))
    }

    async fn handle(&self, command: MonitorCommand) -> Vec<String> {
        let message = self.message(command);
        let before =
            self.monitor_host.worker.shell.load::<HostDecider>(&self.stream()).await.unwrap().version;
        self.monitor_host.handle(&message).await.unwrap();
        let commits = self.monitor_host.worker.shell.store().read(&self.stream(), before, 10).await.unwrap();
        commits.into_iter().flat_map(|commit| commit.events).map(|event| event.event_type).collect()
    }

    async fn is_watched(&self) -> bool {
        self.monitoring.row("h-1").await.unwrap().watched.is_some()
    }
}

#[tokio::test]
async fn a_host_that_is_undone_meanwhile_is_not_registered() {
    let world = world();
    world.configured().await;
    world.told(HostInput::StartUndeploy { saga: saga("p"), step: step("p/u") }).await;
    assert!(world.handle(register("p", "p/m")).await.is_empty());
    assert!(!world.is_watched().await, "nobody would ever have it forgotten");
}

#[tokio::test]
async fn a_saga_that_lost_its_host_has_its_answer_and_another_ones_host_stays_watched() {
    let world = world();
    world.configured().await;
    assert_eq!(world.handle(register("p", "p/m")).await, ["host.monitoring-registered", "host.in-service"]);
    assert_eq!(world.handle(deregister("late", "late/n")).await, ["host.monitoring-deregistered"]);
    assert!(world.is_watched().await);
    assert_eq!(world.handle(deregister("p", "p/n")).await, ["host.monitoring-deregistered"]);
    assert!(!world.is_watched().await);
}

#[tokio::test]
async fn a_registration_that_meets_its_own_undoing_is_taken_back() {
    let world = world();
    world.configured().await;
    // Another worker has registered the host, and the saga has had it deregistered before that was recorded.
    let (host, role) = ("h-1".to_owned(), "web".to_owned());
    let request = RegisterHost { host, role, ..RegisterHost::default() };
    let deregistered = HostInput::RecordDeregistered { saga: saga("p"), step: step("p/n") };
    world.told(deregistered).await;
    world.monitoring.register(&request).await.unwrap();
    assert!(world.handle(register("p", "p/m")).await.is_empty());
    assert!(!world.is_watched().await, "nobody would ever have it forgotten");
}

/// Given a worker that died after it recorded the registration and before it took it back, when the command comes again,
/// then it is taken back.
#[tokio::test]
async fn a_repeat_takes_back_what_was_left() {
    let world = world();
    world.configured().await;
    let message = world.message(register("p", "p/m"));
    world.monitor_host.handle(&message).await.unwrap();
    world.monitor_host.handle(&message).await.unwrap();
    assert!(world.is_watched().await, "a host that serves stays watched");
    world.told(HostInput::RecordDeregistered { saga: saga("p"), step: step("p/n") }).await;
    world.monitor_host.handle(&message).await.unwrap();
    assert!(!world.is_watched().await, "nobody else would ever have it forgotten");
}

#[test]
fn the_host_hears_whether_a_failed_step_may_have_done_something() {
    let MonitorCommand::RegisterMonitoring(command) = register("p", "p/register/1") else { panic!() };
    for error in [StepError::refused("no such label"), StepError::unavailable("no answer")] {
        let told = Step::<RegisterMonitoring>::failed(&world().monitor_host, &command, &error);
        let Some(HostInput::FailStep { failure, .. }) = told else { panic!("{told:?}") };
        assert_eq!(failure.uncertain, error.uncertain);
    }
}

#[test]
fn an_order_that_comes_late_registers_no_host() {
    let MonitorCommand::RegisterMonitoring(command) = register("p", "p/register/1") else { panic!() };
    let serving = HostState {
        phase: HostPhase::RegisteringMonitoring,
        reservation: Some(saga("p")),
        ..HostState::default()
    };
    let is_wanted = |host: &HostState| {
        Step::<RegisterMonitoring>::is_wanted(&world().monitor_host, &command, host) == Wanted::Yes
    };
    assert!(is_wanted(&serving));
    for late in [
        HostState { undone: true, ..serving.clone() },
        HostState { reservation: Some(saga("q")), ..serving.clone() },
        HostState { phase: HostPhase::Deploying { step: step("p/d/2") }, ..serving.clone() },
        HostState { phase: HostPhase::Draining, ..serving.clone() },
    ] {
        assert!(!is_wanted(&late), "{:?}", late.phase);
    }
}

/// Monitoring that never sees a host well.
struct Unwell;

#[async_trait]
impl Monitoring for Unwell {
    async fn register(&self, _: &RegisterHost) -> Result<Registered, DriverError> {
        Ok(Registered { changed: true, since: TestClock::default().now() })
    }

    async fn first_sample(&self, _: &str, _: Timestamp) -> Result<FirstSample, DriverError> {
        Ok(FirstSample { healthy: false, observed_at: TestClock::default().now() })
    }

    async fn deregister(&self, _: &str) -> Result<Deregistered, DriverError> {
        Ok(Deregistered { changed: true })
    }
}

#[tokio::test]
async fn a_host_whose_first_sample_is_not_healthy_is_not_in_service() {
    let mut world = world();
    world.configured().await;
    world.monitor_host.monitoring = Arc::new(Unwell);
    assert_eq!(world.handle(register("p", "p/m")).await, ["host.step-failed"]);
}

/// Monitoring that looks at hosts each ten minutes, and remembers since when samples were asked for.
#[derive(Default)]
struct Seldom(Mutex<Vec<(String, Timestamp)>>, TestClock);

#[async_trait]
impl Monitoring for Seldom {
    async fn register(&self, request: &RegisterHost) -> Result<Registered, DriverError> {
        let mut asked = self.0.lock().unwrap();
        let known = asked.iter().find(|(order, _)| *order == request.order).map(|(_, since)| *since);
        let since = known.unwrap_or_else(|| self.1.now());
        asked.push((request.order.clone(), since));
        Ok(Registered { changed: known.is_none(), since })
    }

    async fn first_sample(&self, _: &str, not_before: Timestamp) -> Result<FirstSample, DriverError> {
        let observed_at = TestClock::default().now() + SignedDuration::from_mins(10);
        match observed_at >= not_before && observed_at <= self.1.now() {
            true => Ok(FirstSample { healthy: true, observed_at }),
            false => Err(DriverError::StepFailed {
                at: At { system: "h-1".to_owned(), doing: "looking at the first sample" },
                reason: "there is none yet".to_owned(),
                transient: true,
            }),
        }
    }

    async fn deregister(&self, _: &str) -> Result<Deregistered, DriverError> {
        Ok(Deregistered { changed: true })
    }
}

/// Given a sample that comes between two attempts of one step, then the second one takes it: the host is registered since
/// the first attempt, and not since its own.
#[tokio::test]
async fn all_attempts_of_a_registration_wait_for_the_same_first_sample() {
    let mut world = world();
    world.configured().await;
    let seldom = Arc::new(Seldom(Mutex::default(), world.clock.clone()));
    world.monitor_host.monitoring = seldom.clone();
    assert_eq!(world.handle(register("p", "p/m/1")).await, ["host.step-failed"]);
    world.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(world.handle(register("p", "p/m/2")).await, ["host.monitoring-registered", "host.in-service"]);
    let asked = seldom.0.lock().unwrap();
    assert_eq!(asked[0], asked[1], "both are the registration of the saga");
}
