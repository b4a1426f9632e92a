//! All functions of a site, wired to its ports as their `main.rs` wires them.

use std::sync::Arc;
use std::time::Duration;

use accept_commands::AcceptCommands;
use async_trait::async_trait;
use configure_host::ConfigureHost;
use deploy_host::{DeployHost, DeploySettings};
use hostler_app::{Hostler, Register, Settings};
use hostler_core::saga::SAGAS_QUEUE;
use hostler_drivers::memory::busy;
use hostler_drivers::{
    Applied, ApplyRole, CallbackKey, Configuration, ControlState, Deregistered, DriverError, FirstSample,
    Monitoring, Patience, PlainConfiguration, PlainMonitoring, Reapply, RegisterHost, Registered, TlsTrust,
};
use hostler_events::Image;
use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::leases::Leases;
use hostler_runtime::effects::once::Once;
use hostler_runtime::effects::steps::StepWorker;
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::operations::flow::Backpressure;
use hostler_runtime::ports::{Control, Views};
use hostler_runtime::register::Queue;
use hostler_testkit::memory::{MemoryBus, MemoryControl, MemoryLeases, MemoryStore, MemoryViews};
use hostler_testkit::{SeededIds, TestClock, world};
use monitor_host::MonitorHost;

use super::fleet::WiredBmcs;
use super::ports::{Skewed, Wired, WiredQueues};
use super::switch::Switch;

/// The queues, in the order of the register.
pub fn queues() -> Vec<&'static Queue> {
    Register::queues().map(|(queue, _)| queue).collect()
}

/// How many hosts a request may ask for without a second person's word.
pub const APPROVAL_ABOVE: u32 = 60;

pub struct Functions {
    /// What is wired by the register.
    pub registered: world::Functions,
    pub accept_commands: Arc<AcceptCommands>,
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
    let views: Arc<dyn Views> = Arc::new(views);
    let control: Arc<dyn Control> = Arc::new(control);
    let leases: Arc<dyn Leases> = Arc::new(leases);
    let ports = world::Ports {
        store: Arc::new(store),
        bus: Arc::new(bus),
        queues: Arc::new(queues),
        views: views.clone(),
        control: control.clone(),
        leases: leases.clone(),
        outages: world::Outages::new(Arc::new(clock.clone())),
        clock: Arc::new(Skewed { clock, switch: switch.clone() }),
        ids: Arc::new(ids),
    };
    let (clock, ids, shell) = (ports.clock.clone(), ports.ids.clone(), ports.shell::<Hostler>());
    let once = Once::new(leases, clock.clone(), ids.clone());
    let breakers = || Breakers::new(control.clone(), clock.clone(), ids.clone());
    let breakers = || if breakers_off { breakers().switched_off() } else { breakers() };
    let worker = || StepWorker { shell: shell.clone(), once: once.clone(), breakers: breakers() };
    let callback_key = CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap();
    let accept_commands = Arc::new(AcceptCommands::new(
        shell.clone(),
        Backpressure::new(control.clone(), clock.clone()),
        callback_key.clone(),
        Settings { approval_above: Some(APPROVAL_ABOVE), ..Settings::default() },
    ));
    let deploy_host =
        DeployHost { worker: worker(), views, bmcs: Arc::new(bmcs), settings: settings(callback_key) };
    let configuration = PlainConfiguration::new(ControlState(control.clone()));
    let configuration = Flaky { inner: configuration, switch: switch.clone() };
    let configure_host = ConfigureHost { worker: worker(), configuration: Arc::new(configuration) };
    let monitoring = PlainMonitoring::new(ControlState(control.clone()));
    let monitoring = Flaky { inner: monitoring, switch };
    let monitor_host = MonitorHost { worker: worker(), monitoring: Arc::new(monitoring) };
    let sagas = Register::sagas(shell.clone()).unwrap();
    let own: Vec<(&str, Arc<dyn Handler>)> = vec![
        ("accept-commands", accept_commands.clone()),
        (SAGAS_QUEUE, Arc::new(sagas)),
        ("deploy-host", Arc::new(deploy_host)),
        ("configure-host", Arc::new(configure_host)),
        ("monitor-host", Arc::new(monitor_host)),
    ];
    Functions { registered: world::Functions::of::<Hostler>(&ports, own), accept_commands }
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
