//! Orders that come late, and those that a runner carries out, on the ports in memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod ended;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_app::FollowedPolicies;
use hostler_core::saga::SagaRef;
use hostler_core::{
    Actor, CommandId, CorrelationId, Decider, Failure, Payload, StepId, StreamId, StreamVersion,
};
use hostler_domain::{HostDecider, HostFacts, HostInput, HostPhase, HostState};
use hostler_drivers::memory::busy;
use hostler_drivers::{Applying, Checking, Configuration, ControlState, DriverError, PlainConfiguration};
use hostler_events::commands::{ApplyRole, BootOutcome, EnrolHost};
use hostler_events::drift::{CheckRole, RestoreRole};
use hostler_events::host::{BmcAddress, PowerState};
use hostler_events::{
    ConfigureCommand, FaultDomain, HostId, HostPolicy, Image, PoolId, Role, Sku, StepCommand,
};
use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::once::Once;
use hostler_runtime::effects::steps::{Step, StepWorker, Wanted};
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::state::shell::{Cause, Shell};
use hostler_testkit::memory::{MemoryControl, MemoryLeases, MemoryStore};
use hostler_testkit::{SeededIds, TestClock};

use crate::ConfigureHost;

fn saga() -> SagaRef {
    SagaRef::new("provisioning", "p").unwrap()
}

fn stream() -> StreamId {
    StreamId::new(HostDecider::CATEGORY, "h-1").unwrap()
}

fn configure_host() -> ConfigureHost {
    let (clock, ids) = (Arc::new(TestClock::default()), Arc::new(SeededIds::default()));
    let shell = Shell::new(Arc::new(MemoryStore::default()), clock.clone(), ids.clone(), "hostler");
    let once = Once::new(Arc::new(MemoryLeases::default()), clock.clone(), ids.clone());
    let breakers = Breakers::new(Arc::new(MemoryControl::default()), clock, ids);
    let state = ControlState(Arc::new(MemoryControl::default()));
    ConfigureHost {
        policies: FollowedPolicies::new(shell.clone()),
        worker: StepWorker { shell, once, breakers },
        configuration: Arc::new(PlainConfiguration::new(state)),
        run_command: None,
        callback_key: CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap(),
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
        revision: None,
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

/// A runner that notes what it is handed, and is away when it is told so.
#[derive(Default)]
struct Runner {
    jobs: Mutex<Vec<hostler_drivers::ApplyRole>>,
    away: AtomicBool,
}

#[async_trait]
impl Configuration for Runner {
    fn calls_back(&self) -> bool {
        true
    }

    async fn apply_role(&self, request: &hostler_drivers::ApplyRole) -> Result<Applying, DriverError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(busy("the runner"));
        }
        self.jobs.lock().unwrap().push(request.clone());
        Ok(Applying::Begun)
    }

    async fn check_role(&self, request: &hostler_drivers::ApplyRole) -> Result<Checking, DriverError> {
        self.apply_role(request).await.map(|_begun| Checking::Begun)
    }
}

/// A host that its saga has deployed, and a function whose roles a runner applies.
struct World {
    function: ConfigureHost,
    runner: Arc<Runner>,
}

impl World {
    async fn new() -> Self {
        let runner = Arc::new(Runner::default());
        let function = ConfigureHost { configuration: runner.clone(), ..configure_host() };
        let world = Self { function, runner };
        let command = EnrolHost {
            host: HostId::new("h-1").unwrap(),
            pool: PoolId::new("web").unwrap(),
            sku: Sku::new("cpu").unwrap(),
            fault_domain: FaultDomain::new("rack-1").unwrap(),
            bmc: BmcAddress { system_url: "https://10.0.0.7/redfish/v1/Systems/1".to_owned() },
            labels: [("site".to_owned(), "berlin".to_owned())].into(),
        };
        let (own, deploy) =
            (|step: &str| StepId::new(step).unwrap(), StepId::new("p/deploy-image/1").unwrap());
        let facts = HostFacts { power_state: PowerState::Off, hardware: Default::default() };
        let booted = |step: &StepId| HostInput::BootReported {
            step: step.clone(),
            outcome: BootOutcome::Succeeded,
            reason: None,
        };
        let clean = own("h-1/clean/2");
        for input in [
            HostInput::Enrol { command, policy: HostPolicy::default() },
            HostInput::RecordFacts { step: own("h-1/verify/1"), facts },
            booted(&clean),
            HostInput::RecordCleaned { step: clean },
            HostInput::Reserve { saga: saga(), step: own("p/reserve-host/1"), lent_to: None },
            HostInput::StartDeploy {
                saga: saga(),
                step: deploy.clone(),
                image: Image::new("debian").unwrap(),
            },
            booted(&deploy),
            HostInput::RecordDeployed { saga: saga(), step: deploy },
        ] {
            let cause = world.cause();
            world.function.worker.shell.execute::<HostDecider>(&stream(), &cause, &input).await.unwrap();
        }
        world
    }

    fn cause(&self) -> Cause {
        let shell = &self.function.worker.shell;
        Cause {
            id: CommandId(shell.new_id()).into(),
            since: shell.now(),
            correlation_id: CorrelationId(shell.new_id()),
            trace_context: None,
            hops: 0,
            actor: Actor("test".to_owned()),
        }
    }

    async fn run(&self, cause: &Cause, step: &str) -> Result<(), Failure> {
        let command = ApplyRole {
            saga: saga(),
            step: StepId::new(step).unwrap(),
            host: HostId::new("h-1").unwrap(),
            role: Role::new("web").unwrap(),
            revision: None,
        };
        self.function.worker.run(&self.function, cause, &command).await.map(drop)
    }

    async fn state(&self) -> HostState {
        self.function.worker.shell.load::<HostDecider>(&stream()).await.unwrap().state
    }
}

#[tokio::test]
async fn a_runner_is_handed_the_role_once_it_is_on_record_with_a_token_that_is_the_steps_own() {
    let world = World::new().await;
    let cause = world.cause();
    world.run(&cause, "p/apply-role/1").await.unwrap();
    let state = world.state().await;
    assert!(state.is_configured_by(&StepId::new("p/apply-role/1").unwrap()));
    assert_eq!(state.phase, HostPhase::Configuring, "the runner reports the end");
    // A worker that died after it has handed the job in does so again, and it is the same job.
    world.run(&cause, "p/apply-role/1").await.unwrap();
    let jobs = world.runner.jobs.lock().unwrap().clone();
    assert_eq!(jobs.len(), 2);
    assert_eq!(jobs[0], jobs[1]);
    assert_eq!((jobs[0].role.as_str(), jobs[0].labels["site"].as_str()), ("web", "berlin"));
    let step = StepId::new(&jobs[0].step).unwrap();
    assert!(world.function.callback_key.verify(&stream(), &step, &jobs[0].token));
    // The next attempt takes the place of the one that was given up, whose order is then late.
    world.run(&world.cause(), "p/apply-role/2").await.unwrap();
    world.run(&cause, "p/apply-role/1").await.unwrap();
    let jobs = world.runner.jobs.lock().unwrap().len();
    assert_eq!(jobs, 3, "the order of the attempt that was given up is not handed in again");
}

#[tokio::test]
async fn a_runner_that_is_away_fails_the_attempt_and_not_the_host() {
    let world = World::new().await;
    world.runner.away.store(true, Ordering::Relaxed);
    world.run(&world.cause(), "p/apply-role/1").await.unwrap();
    let state = world.state().await;
    assert_eq!((state.configuration, state.phase), (None, HostPhase::Configuring));
    world.runner.away.store(false, Ordering::Relaxed);
    world.run(&world.cause(), "p/apply-role/2").await.unwrap();
    assert_eq!(world.runner.jobs.lock().unwrap().len(), 1);
}

/// A host in service, whose revision is `7`.
async fn serving(configuration: Option<Arc<dyn Configuration>>) -> World {
    let mut world = World::new().await;
    if let Some(configuration) = configuration {
        world.function.configuration = configuration;
    }
    let (apply, register) = (StepId::new("p/apply-role/1").unwrap(), StepId::new("p/register/1").unwrap());
    let (role, revision) = (Role::new("web").unwrap(), "7".to_owned());
    world
        .tell(&HostInput::RecordConfiguration { saga: saga(), step: apply, role, revision, changed: true })
        .await;
    world.tell(&HostInput::RecordMonitoring { saga: saga(), step: register }).await;
    world
}

impl World {
    async fn tell(&self, input: &HostInput) -> Vec<StepCommand> {
        let shell = &self.function.worker.shell;
        let done = shell.execute::<HostDecider>(&stream(), &self.cause(), input).await.unwrap();
        let newest = done.fold.version;
        let before = StreamVersion(newest.0 - 1);
        let commits = shell.store().read(&stream(), before, 1).await.unwrap();
        let commands = commits[0].commands.iter();
        commands
            .map(|it| StepCommand::from_data(&it.command_type, it.schema_version, &it.data).unwrap())
            .collect()
    }

    /// Has the host checked, and gives the order.
    async fn check(&self) -> CheckRole {
        match self.tell(&HostInput::Check).await.pop() {
            Some(StepCommand::Configure(ConfigureCommand::CheckRole(order))) => order,
            other => panic!("{other:?}"),
        }
    }

    async fn restore(&self) -> RestoreRole {
        match self.tell(&HostInput::Restore { reason: "drifted".to_owned() }).await.pop() {
            Some(StepCommand::Configure(ConfigureCommand::RestoreRole(order))) => order,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_runner_is_asked_for_a_check_of_the_revision_on_the_host_and_reports_its_end_itself() {
    let world = serving(None).await;
    let order = world.check().await;
    let cause = world.cause();
    world.function.worker.run(&world.function, &cause, &order).await.unwrap();
    let jobs = world.runner.jobs.lock().unwrap().clone();
    assert_eq!((jobs.len(), jobs[0].revision.as_deref()), (1, Some("7")));
    assert_eq!((jobs[0].saga.as_str(), jobs[0].step.as_str()), ("host#h-1", order.step.as_str()));
    assert!(world.function.callback_key.verify(&stream(), &order.step, &jobs[0].token));
    assert!(world.state().await.is_checked_by(&order.step), "until it reports");
    // A restoration takes its place, and the check's order comes late.
    let restore = world.restore().await;
    world.function.worker.run(&world.function, &cause, &order).await.unwrap();
    assert_eq!(world.runner.jobs.lock().unwrap().len(), 1);
    world.function.worker.run(&world.function, &world.cause(), &restore).await.unwrap();
    assert_eq!(world.runner.jobs.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_runner_that_is_away_ends_a_check_and_the_host_serves_on() {
    let world = serving(None).await;
    let order = world.check().await;
    world.runner.away.store(true, Ordering::Relaxed);
    world.function.worker.run(&world.function, &world.cause(), &order).await.unwrap();
    let state = world.state().await;
    assert_eq!((state.drift.run, state.phase), (None, HostPhase::InService));
}

/// Without a runner the row of the host is what drifts.
#[tokio::test]
async fn what_is_checked_and_restored_at_once_is_recorded_at_once() {
    let store = ControlState(Arc::new(MemoryControl::default()));
    let plain = Arc::new(PlainConfiguration::new(store));
    let by_hand = |revision: &str| hostler_drivers::ApplyRole {
        host: "h-1".to_owned(),
        role: "web".to_owned(),
        revision: Some(revision.to_owned()),
        ..hostler_drivers::ApplyRole::default()
    };
    plain.apply_role(&by_hand("8")).await.unwrap();
    let world = serving(Some(plain.clone())).await;
    let order = world.check().await;
    world.function.worker.run(&world.function, &world.cause(), &order).await.unwrap();
    let found = world.state().await.drift.found.unwrap();
    assert_eq!(found.changes, 1);
    let order = world.restore().await;
    world.function.worker.run(&world.function, &world.cause(), &order).await.unwrap();
    assert_eq!(world.state().await.drift, hostler_domain::Drift::default());
    assert_eq!(plain.row("h-1").await.unwrap().revision, 7);
    let order = world.check().await;
    world.function.worker.run(&world.function, &world.cause(), &order).await.unwrap();
    assert_eq!(world.state().await.drift.found, None, "the second check finds nothing");
}
