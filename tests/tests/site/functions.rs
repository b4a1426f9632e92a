//! All functions of a site, wired to its ports as their `main.rs` wires them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use accept_commands::AcceptCommands;
use answer_queries::AnswerQueries;
use async_trait::async_trait;
use configure_host::ConfigureHost;
use deploy_host::{DeployHost, DeploySettings};
use fire_timers::FireTimers;
use hostler_domain::views::{VIEWED, VIEWS_QUEUE};
use hostler_drivers::memory::busy;
use hostler_drivers::{
    Applied, ApplyRole, CallbackKey, Configuration, ControlState, Deregistered, DriverError, FirstSample,
    Monitoring, Patience, PlainConfiguration, PlainMonitoring, Reapply, RegisterHost, Registered, TlsTrust,
};
use hostler_events::{HostPolicy, Image, ProvisioningPolicy, SOURCE};
use hostler_runtime::relay::Relay;
use hostler_runtime::{
    Backpressure, Batch, Breakers, Clock, Control, EventStore, Handler, Ids, Lanes, Once, Queues, Shell,
    StepWorker, Triage, Views,
};
use hostler_testkit::{SeededIds, TestClock};
use monitor_host::MonitorHost;
use project_views::ProjectViews;
use provision_hosts::ProvisionHosts;
use relay_outbox::FAILURE_QUEUE;
use triage_failures::triage;

use super::fleet::WiredBmcs;
use super::ports::{Skewed, Wired, WiredQueues};
use super::switch::Switch;
use hostler_testkit::memory::{MemoryBus, MemoryControl, MemoryLeases, MemoryStore, MemoryViews};

/// Queues and the functions that read them, with their visibility timeouts in seconds as in the template.
pub const QUEUES: [(&str, u32); 8] = [
    ("commands", 180),
    ("provision-hosts", 180),
    ("deploy-host", 1_080),
    ("configure-host", 3_600),
    ("monitor-host", 360),
    ("timers", 180),
    ("project-views", 180),
    ("failures", 180),
];

/// Where messages come from that could not be handled: triage reads `<origin>-dlq`.
pub const ORIGINS: [&str; 8] = [
    "commands",
    "provision-hosts",
    "deploy-host",
    "configure-host",
    "monitor-host",
    "timers",
    "project-views",
    "relay-outbox",
];

/// How many hosts a request may ask for without a second person's word.
pub const APPROVAL_ABOVE: u32 = 60;

pub struct Functions {
    pub relay: Relay,
    pub accept_commands: Arc<AcceptCommands>,
    pub answer_queries: AnswerQueries,
    pub triage: Triage,
    /// By queue, in the order of [`QUEUES`].
    pub of_queues: Vec<(&'static str, Batch, Arc<dyn Handler>)>,
    /// The processes of project-views, which remember what they have folded.
    projectors: Mutex<Vec<Arc<ProjectViews>>>,
    store: Arc<dyn EventStore>,
    views: Arc<dyn Views>,
}

impl Functions {
    /// Who handles a batch of the queue at this place. Functions that remember something do so in a process of their own,
    /// which has one invocation at a time, as on Lambda.
    pub fn handler(&self, at: usize) -> Arc<dyn Handler> {
        let (queue, _, handler) = &self.of_queues[at];
        if *queue != VIEWS_QUEUE {
            return Arc::clone(handler);
        }
        let mut projectors = self.projectors.lock().unwrap();
        let idle = projectors.iter().find(|process| Arc::strong_count(process) == 1);
        if let Some(process) = idle {
            return process.clone();
        }
        let process = Arc::new(ProjectViews::new(self.store.clone(), self.views.clone()));
        projectors.push(process.clone());
        process
    }
}

pub struct Ports {
    pub store: Wired<MemoryStore>,
    pub bus: Wired<MemoryBus>,
    pub queues: WiredQueues,
    pub views: Wired<MemoryViews>,
    pub control: Wired<MemoryControl>,
    pub leases: Wired<MemoryLeases>,
    pub bmcs: WiredBmcs,
    pub clock: TestClock,
    pub ids: SeededIds,
    /// Breakers never open.
    pub breakers_off: bool,
}

pub fn wire(ports: Ports) -> Functions {
    let Ports { store, bus, queues, views, control, leases, bmcs, clock, ids, breakers_off } = ports;
    let switch = bus.switch.clone();
    let store: Arc<dyn EventStore> = Arc::new(store);
    let queues: Arc<dyn Queues> = Arc::new(queues);
    let views: Arc<dyn Views> = Arc::new(views);
    let control: Arc<dyn Control> = Arc::new(control);
    let clock: Arc<dyn Clock> = Arc::new(Skewed { clock, switch: switch.clone() });
    let ids: Arc<dyn Ids> = Arc::new(ids);
    let shell = Shell::new(store.clone(), clock.clone(), ids.clone(), SOURCE);
    let once = Once::new(Arc::new(leases), clock.clone(), ids.clone());
    let breakers = || Breakers::new(control.clone(), clock.clone(), ids.clone());
    let breakers = || if breakers_off { breakers().switched_off() } else { breakers() };
    let worker = || StepWorker { shell: shell.clone(), once: once.clone(), breakers: breakers() };
    let callback_key = CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap();
    let accept_commands = Arc::new(AcceptCommands {
        shell: shell.clone(),
        backpressure: Backpressure::new(control.clone(), clock.clone()),
        callback_key: callback_key.clone(),
        provisioning_policy: ProvisioningPolicy::default(),
        approval_above: Some(APPROVAL_ABOVE),
        host_policy: HostPolicy::default(),
    });
    let deploy_host = DeployHost {
        worker: worker(),
        views: views.clone(),
        bmcs: Arc::new(bmcs),
        settings: settings(callback_key),
    };
    let configuration = PlainConfiguration::new(ControlState(control.clone()));
    let configuration = Flaky { inner: configuration, switch: switch.clone() };
    let configure_host = ConfigureHost { worker: worker(), configuration: Arc::new(configuration) };
    let monitoring = PlainMonitoring::new(ControlState(control.clone()));
    let monitoring = Flaky { inner: monitoring, switch };
    let monitor_host = MonitorHost { worker: worker(), monitoring: Arc::new(monitoring) };
    let triage = triage(shell.clone(), queues.clone(), control.clone());
    let lanes = Lanes::new(control);
    let handlers: [Arc<dyn Handler>; 8] = [
        accept_commands.clone(),
        Arc::new(ProvisionHosts { shell }),
        Arc::new(deploy_host),
        Arc::new(configure_host),
        Arc::new(monitor_host),
        Arc::new(FireTimers { clock: clock.clone(), queues: queues.clone() }),
        Arc::new(ProjectViews::new(store.clone(), views.clone())),
        Arc::new(triage.clone()),
    ];
    let of_queue = |((queue, _), handler): ((&'static str, u32), Arc<dyn Handler>)| {
        let batch = Batch::new(queue, queue, queues.clone(), clock.clone(), ids.clone());
        let batch = if queue == "commands" { batch.in_lanes(lanes.clone()) } else { batch };
        (queue, batch, handler)
    };
    Functions {
        relay: Relay::new(Arc::new(bus), queues.clone(), clock.clone(), FAILURE_QUEUE)
            .hinting(VIEWS_QUEUE, VIEWED),
        accept_commands,
        answer_queries: AnswerQueries { store: store.clone(), views: views.clone() },
        projectors: Mutex::default(),
        store,
        views,
        triage,
        of_queues: QUEUES.into_iter().zip(handlers).map(of_queue).collect(),
    }
}

fn settings(callback_key: CallbackKey) -> DeploySettings {
    DeploySettings {
        image_url: "http://images.test".to_owned(),
        cleaning_image: Image::new("cleaner").unwrap(),
        callback_url: "http://api.test/callbacks/boot".to_owned(),
        callback_key,
        bmc_username: "admin".to_owned(),
        bmc_password: "secret".to_owned(),
        bmc_trust: TlsTrust::System,
        patience: Patience { deadline: Duration::from_secs(60), poll_interval: Duration::from_millis(1) },
    }
}

/// A driver whose calls fail by chance, or because what it drives is down.
struct Flaky<T> {
    inner: T,
    switch: Switch,
}

impl<T> Flaky<T> {
    fn check(&self, dependency: &'static str) -> Result<(), DriverError> {
        if self.switch.driver_fails(dependency) { Err(busy(dependency)) } else { Ok(()) }
    }
}

#[async_trait]
impl<T: Configuration> Configuration for Flaky<T> {
    async fn apply_role(&self, request: &ApplyRole) -> Result<Applied, DriverError> {
        let _worked_on = self.switch.work_on(&format!("configuration of {}", request.host)).await;
        self.check("configuration")?;
        self.inner.apply_role(request).await
    }

    async fn reapply(&self, request: &Reapply) -> Result<Option<Applied>, DriverError> {
        self.check("configuration")?;
        self.inner.reapply(request).await
    }
}

#[async_trait]
impl<T: Monitoring> Monitoring for Flaky<T> {
    async fn register(&self, request: &RegisterHost) -> Result<Registered, DriverError> {
        let _worked_on = self.switch.work_on(&format!("monitoring of {}", request.host)).await;
        self.check("monitoring")?;
        self.inner.register(request).await
    }

    async fn first_sample(&self, host: &str) -> Result<FirstSample, DriverError> {
        self.inner.first_sample(host).await
    }

    async fn deregister(&self, host: &str) -> Result<Deregistered, DriverError> {
        self.check("monitoring")?;
        self.inner.deregister(host).await
    }
}
