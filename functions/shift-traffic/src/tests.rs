//! Joining and leaving on the ports in memory: drains that end and that do not, and orders that come late.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::saga::SagaRef;
use hostler_core::{
    Actor, CommandEnvelope, CommandId, CorrelationId, Decider, Header, Incoming, Payload, StreamId,
};
use hostler_domain::{HostDecider, HostFacts, HostInput, HostState};
use hostler_drivers::{
    ControlState, DriverError, LoadBalancer, PlainLoadBalancer, TrafficServer, TrafficState,
};
use hostler_events::commands::{BootOutcome, EnrolHost};
use hostler_events::host::{BmcAddress, PowerState};
use hostler_events::traffic::{JoinTraffic, LeaveTraffic, ReturnTraffic};
use hostler_events::{
    FaultDomain, HostId, HostPolicy, Image, Labels, PoolId, Role, Sku, StepId, TrafficCommand, TrafficPolicy,
};
use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::once::Once;
use hostler_runtime::effects::steps::StepWorker;
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::ports::Clock;
use hostler_runtime::state::shell::{Cause, Shell};
use hostler_testkit::memory::{MemoryControl, MemoryLeases, MemoryStore};
use hostler_testkit::{SeededIds, TestClock};

use crate::ShiftTraffic;

/// A load balancer whose servers have as many requests as a test says; `None`: it does not count them.
#[derive(Clone)]
struct Busy {
    plain: PlainLoadBalancer<ControlState>,
    sessions: Arc<Mutex<Option<u64>>>,
}

#[async_trait]
impl LoadBalancer for Busy {
    async fn join(&self, server: &TrafficServer) -> Result<(), DriverError> {
        self.plain.join(server).await
    }

    async fn drain(&self, server: &TrafficServer) -> Result<(), DriverError> {
        self.plain.drain(server).await
    }

    async fn sessions(&self, _: &TrafficServer) -> Result<Option<u64>, DriverError> {
        Ok(*self.sessions.lock().unwrap())
    }

    async fn leave(&self, server: &TrafficServer) -> Result<(), DriverError> {
        self.plain.leave(server).await
    }
}

struct World {
    shift_traffic: ShiftTraffic,
    balancer: Busy,
    clock: TestClock,
}

fn saga(name: &str) -> SagaRef {
    name.parse().unwrap()
}

fn step(name: &str) -> StepId {
    StepId::new(name).unwrap()
}

fn host() -> HostId {
    HostId::new("h-1").unwrap()
}

fn policy() -> TrafficPolicy {
    TrafficPolicy { backend: "web".parse().unwrap(), port: 80, drain_seconds: 30 }
}

fn join(of: &str, at: &str) -> TrafficCommand {
    let (saga, step, host, traffic) = (saga(of), step(at), host(), policy());
    TrafficCommand::JoinTraffic(JoinTraffic { saga, step, host, traffic })
}

fn leave(of: &str, at: &str) -> TrafficCommand {
    let (saga, step, host, traffic) = (saga(of), step(at), host(), policy());
    TrafficCommand::LeaveTraffic(LeaveTraffic { saga, step, host, traffic })
}

fn put_back(of: &str, at: &str) -> TrafficCommand {
    let (saga, step, host, traffic) = (saga(of), step(at), host(), policy());
    TrafficCommand::ReturnTraffic(ReturnTraffic { saga, step, host, traffic })
}

const P: &str = "provisioning#p";
const R: &str = "recovery#h-1.1";

impl World {
    /// A host in service that the saga `p` has brought there, with these labels.
    async fn with_labels(labels: &[(&str, &str)]) -> Self {
        let clock = TestClock::default();
        let ids = Arc::new(SeededIds::default());
        let shell =
            Shell::new(Arc::new(MemoryStore::default()), Arc::new(clock.clone()), ids.clone(), "hostler");
        let plain = PlainLoadBalancer::new(ControlState(Arc::new(MemoryControl::default())));
        let balancer = Busy { plain, sessions: Arc::new(Mutex::new(Some(0))) };
        let once = Once::new(Arc::new(MemoryLeases::default()), Arc::new(clock.clone()), ids.clone());
        let breakers = Breakers::new(Arc::new(MemoryControl::default()), Arc::new(clock.clone()), ids);
        let worker = StepWorker { shell, once, breakers };
        let shift_traffic = ShiftTraffic { worker, balancer: Arc::new(balancer.clone()) };
        let world = Self { shift_traffic, balancer, clock };
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        world.enter_service(labels).await;
        world
    }

    async fn new() -> Self {
        Self::with_labels(&[("metrics.address", "10.0.0.7:9100")]).await
    }

    async fn enter_service(&self, labels: Labels) {
        let command = EnrolHost {
            host: host(),
            pool: PoolId::new("web").unwrap(),
            sku: Sku::new("cpu").unwrap(),
            fault_domain: FaultDomain::new("rack-1").unwrap(),
            bmc: BmcAddress { system_url: "https://10.0.0.7/redfish/v1/Systems/1".to_owned() },
            labels,
        };
        let own = |state: HostState| state.phase.step().unwrap().clone();
        let verifying = own(self.told(HostInput::Enrol { command, policy: HostPolicy::default() }).await);
        let facts = HostFacts { power_state: PowerState::Off, hardware: Default::default() };
        let cleaning = own(self.told(HostInput::RecordFacts { step: verifying, facts }).await);
        let booted = |step| HostInput::BootReported { step, outcome: BootOutcome::Succeeded, reason: None };
        let (role, revision) = (Role::new("web").unwrap(), "1".to_owned());
        for input in [
            booted(cleaning.clone()),
            HostInput::RecordCleaned { step: cleaning },
            HostInput::Reserve { saga: saga(P), step: step("p/r"), lent_to: None },
            HostInput::StartDeploy {
                saga: saga(P),
                step: step("p/d"),
                image: Image::new("debian-12").unwrap(),
            },
            booted(step("p/d")),
            HostInput::RecordDeployed { saga: saga(P), step: step("p/d") },
            HostInput::RecordConfiguration {
                saga: saga(P),
                step: step("p/a"),
                role,
                revision,
                changed: true,
            },
            HostInput::RecordMonitoring { saga: saga(P), step: step("p/m") },
        ] {
            self.told(input).await;
        }
    }

    fn stream(&self) -> StreamId {
        StreamId::new(HostDecider::CATEGORY, "h-1").unwrap()
    }

    async fn state(&self) -> HostState {
        self.shift_traffic.worker.shell.load::<HostDecider>(&self.stream()).await.unwrap().state
    }

    async fn told(&self, input: HostInput) -> HostState {
        let shell = &self.shift_traffic.worker.shell;
        let cause = Cause {
            id: CommandId(shell.new_id()).into(),
            since: shell.now(),
            correlation_id: CorrelationId(shell.new_id()),
            trace_context: None,
            hops: 0,
            actor: Actor("test".to_owned()),
        };
        shell.execute::<HostDecider>(&self.stream(), &cause, &input).await.unwrap().fold.state
    }

    async fn cordoned(&self) {
        let (saga, step, reason) = (saga(R), step("r/c"), "it hangs".to_owned());
        self.told(HostInput::Cordon { saga, step, reason }).await;
    }

    fn message(&self, command: &TrafficCommand) -> Incoming {
        let id = CommandId(self.shift_traffic.worker.shell.new_id());
        Incoming::Command(Box::new(CommandEnvelope {
            command_id: id,
            command_type: command.type_name().to_owned(),
            schema_version: 1,
            timestamp: self.clock.now(),
            source: "hostler".to_owned(),
            header: Header {
                correlation_id: CorrelationId(self.shift_traffic.worker.shell.new_id()),
                causation_id: id.into(),
                trace_context: None,
                hops: 0,
                actor: Actor("test".to_owned()),
            },
            data: command.to_data(),
            signature: None,
        }))
    }

    /// What is recorded because of a command.
    async fn handle(&self, command: TrafficCommand) -> Vec<String> {
        let shell = &self.shift_traffic.worker.shell;
        let before = shell.load::<HostDecider>(&self.stream()).await.unwrap().version;
        self.shift_traffic.handle(&self.message(&command)).await.unwrap();
        let commits = shell.store().read(&self.stream(), before, 10).await.unwrap();
        commits.into_iter().flat_map(|commit| commit.events).map(|event| event.event_type).collect()
    }

    async fn server(&self) -> TrafficState {
        let (backend, address) = ("web".to_owned(), "10.0.0.7:80".to_owned());
        let server = TrafficServer { backend, host: "h-1".to_owned(), address };
        self.balancer.plain.row(&server).await.unwrap().state
    }
}

#[tokio::test]
async fn a_host_joins_and_leaves_when_it_has_nothing_left() {
    let world = World::new().await;
    assert_eq!(world.handle(join(P, "p/join-traffic/1")).await, ["host.joined-traffic"]);
    assert_eq!(world.server().await, TrafficState::In);
    world.cordoned().await;
    *world.balancer.sessions.lock().unwrap() = Some(2);
    assert_eq!(world.handle(leave(R, "r/leave-traffic/1")).await, ["host.drain-started", "host.step-failed"]);
    assert_eq!(world.server().await, TrafficState::Draining, "it keeps what it has");
    *world.balancer.sessions.lock().unwrap() = Some(0);
    assert_eq!(world.handle(leave(R, "r/leave-traffic/2")).await, ["host.left-traffic"]);
    assert_eq!(world.server().await, TrafficState::Out);
    assert_eq!(world.handle(join(R, "r/join-traffic/1")).await, ["host.joined-traffic"]);
    assert_eq!(world.server().await, TrafficState::In);
}

#[tokio::test]
async fn requests_that_never_end_are_cut_off_when_the_time_is_over_and_not_before() {
    leaves_when_the_time_is_over(Some(7)).await;
}

#[tokio::test]
async fn a_host_whose_requests_nobody_counts_leaves_when_the_time_is_over_and_not_before() {
    leaves_when_the_time_is_over(None).await;
}

async fn leaves_when_the_time_is_over(sessions: Option<u64>) {
    let world = World::new().await;
    world.handle(join(P, "p/join-traffic/1")).await;
    world.cordoned().await;
    *world.balancer.sessions.lock().unwrap() = sessions;
    for attempt in 1..=3 {
        world.handle(leave(R, &format!("r/leave-traffic/{attempt}"))).await;
        assert_eq!(world.server().await, TrafficState::Draining);
        world.clock.advance(Duration::from_secs(9));
    }
    world.clock.advance(Duration::from_secs(9));
    assert_eq!(world.handle(leave(R, "r/leave-traffic/4")).await, ["host.left-traffic"]);
    assert_eq!(world.server().await, TrafficState::Out);
}

#[tokio::test]
async fn a_repair_that_is_given_up_puts_back_what_it_has_taken_out_and_nothing_else() {
    let world = World::new().await;
    world.handle(join(P, "p/join-traffic/1")).await;
    world.cordoned().await;
    world.handle(leave(R, "r/leave-traffic/1")).await;
    assert_eq!(world.handle(put_back(R, "r/return-traffic/1")).await, ["host.joined-traffic"]);
    assert_eq!(world.server().await, TrafficState::In);
    // One that was out before stays out.
    let world = World::new().await;
    world.cordoned().await;
    assert!(world.handle(leave(R, "r/leave-traffic/1")).await.is_empty());
    assert!(world.handle(put_back(R, "r/return-traffic/1")).await.is_empty());
    assert_eq!(world.server().await, TrafficState::Out);
}

#[tokio::test]
async fn an_order_that_comes_late_sends_no_requests_to_a_host_that_is_repaired() {
    let world = World::new().await;
    world.cordoned().await;
    assert!(world.handle(join(P, "p/join-traffic/1")).await.is_empty());
    assert_eq!(world.server().await, TrafficState::Out);
}

/// Given a saga that has undone its work while another worker was about to record that the host has joined, then the host is taken
/// out again, for nobody else would.
#[tokio::test]
async fn a_host_that_joins_while_its_saga_turns_back_is_taken_out_again() {
    let world = World::new().await;
    assert_eq!(
        world.handle(leave(P, "p/leave-traffic/1")).await,
        ["host.drain-started", "host.left-traffic"]
    );
    let (backend, address) = ("web".to_owned(), "10.0.0.7:80".to_owned());
    world.balancer.join(&TrafficServer { backend, host: "h-1".to_owned(), address }).await.unwrap();
    assert!(world.handle(join(P, "p/join-traffic/1")).await.is_empty());
    assert_eq!(world.server().await, TrafficState::Out);
    assert!(!world.state().await.is_in_traffic());
}

#[tokio::test]
async fn a_host_of_which_nobody_knows_where_it_takes_requests_says_which_label_is_missing() {
    let world = World::with_labels(&[]).await;
    assert_eq!(world.handle(join(P, "p/join-traffic/1")).await, ["host.step-failed"]);
    assert!(!world.state().await.is_in_traffic());
}
