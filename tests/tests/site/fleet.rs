//! The machines of a site: they boot what their BMC is told to insert, and call back.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use hostler_drivers::memory::{MemoryBmc, MemoryBmcState, MemoryBmcs, busy};
use hostler_drivers::{
    At, Bmc, BmcEndpoint, Bmcs, BootImage, BootMethod, ControlState, DriverError, Patience, PlainPackages,
    PowerChange, PowerGoal, PowerState, SystemFacts,
};
use hostler_runtime::ports::{Clock, Control};
use hostler_runtime::serving::http::Request;
use hostler_testkit::memory::MemoryControl;
use hostler_testkit::world::{Callers, Ports, Switch};
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde_json::Value;

use super::systems::Systems;

use super::nodes::Nodes;

/// The service that each host has.
pub const SERVICE: &str = "web-server";
/// How long an image takes until it calls back.
const INSTALL: Duration = Duration::from_secs(60);

/// How a boot from an image ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    Succeeds,
    /// The image reports a failure.
    Fails,
    /// It never calls back.
    Silent,
}

/// What is wrong with a host in service, by what heals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostFault {
    /// A restart of its service, or a power cycle.
    Service,
    /// A power cycle.
    Hang,
    /// A new installation.
    Disk,
    /// Nothing.
    Dead,
}

/// A fault, and how often its host had been switched and installed, and its service restarted, when it came.
#[derive(Debug, Clone, Copy)]
struct Broken {
    fault: HostFault,
    resets: u32,
    inserts: u32,
    restarts: usize,
}

/// Which hosts are broken.
#[derive(Clone)]
pub struct Faults {
    bmcs: MemoryBmcs,
    broken: Arc<Mutex<BTreeMap<String, Broken>>>,
    /// The orders by which the service of each host was restarted.
    restarts: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
    /// How many seconds monitoring lets pass between two samples of a host; 0 where there is a sample whenever one is asked for.
    pub scrape_seconds: Arc<AtomicU32>,
    /// How many seconds a host takes that was healed until it is well.
    pub boot_seconds: Arc<AtomicU32>,
    /// How many seconds a change of packages takes until its end is told; 0 where it is told at once.
    pub install_seconds: Arc<AtomicU32>,
    /// How many requests hosts have that do not end.
    pub requests: Arc<Mutex<BTreeMap<String, u64>>>,
    /// Until when hosts boot that were healed.
    booting: Arc<Mutex<BTreeMap<String, Timestamp>>>,
    /// Versions of packages on which no host is well.
    pub bad_versions: Arc<Mutex<BTreeSet<String>>>,
    /// Where it is read what is installed on hosts, past all that may go wrong.
    disks: Arc<OnceLock<MemoryControl>>,
    clock: Arc<dyn Clock>,
}

impl Faults {
    /// Whether monitoring finds a host well: it is not broken, and has power.
    pub fn is_well(&self, host: &str) -> bool {
        !self.is_broken(host) && self.bmcs.bmc(&system_url(host)).state().power == PowerState::On
    }

    pub fn is_broken(&self, host: &str) -> bool {
        let mut broken = self.broken.lock().unwrap();
        let Some(Broken { fault, resets, inserts, restarts }) = broken.get(host).copied() else {
            return self.is_booting(host);
        };
        let bmc = self.bmcs.bmc(&system_url(host)).state();
        let on = bmc.power == PowerState::On;
        let healed = match fault {
            HostFault::Service => on && (bmc.resets >= resets + 2 || self.restarts(host) > restarts),
            HostFault::Hang => on && bmc.resets >= resets + 2,
            HostFault::Disk => on && bmc.inserts > inserts,
            HostFault::Dead => false,
        };
        if healed {
            broken.remove(host);
            let boots = i64::from(self.boot_seconds.load(Ordering::Relaxed));
            let until = self.clock.now() + SignedDuration::from_secs(boots);
            self.booting.lock().unwrap().insert(host.to_owned(), until);
        }
        !healed || self.is_booting(host)
    }

    /// A host has another version of a package. On a bad one it is not well, until it has a good one again or is installed anew.
    pub fn has_version(&self, host: &str, version: &str) {
        let is_bad = self.bad_versions.lock().unwrap().contains(version);
        let MemoryBmcState { resets, inserts, .. } = self.bmcs.bmc(&system_url(host)).state();
        let restarts = self.restarts(host);
        let mut broken = self.broken.lock().unwrap();
        if is_bad {
            broken.insert(host.to_owned(), Broken { fault: HostFault::Disk, resets, inserts, restarts });
        } else {
            broken.remove(host);
        }
    }

    /// The versions of the packages that are on a host's disk.
    pub fn installed(&self, host: &str) -> BTreeMap<String, String> {
        let key = PlainPackages::<ControlState>::key(host);
        let row = self.disks.get().and_then(|disks| disks.get(&key).now_or_never()?.ok()?);
        let versions = row.and_then(|row| row.value["installed"].as_object().cloned()).unwrap_or_default();
        let text = |version: &Value| version.as_str().unwrap_or_default().to_owned();
        versions.iter().map(|(package, version)| (package.clone(), text(version))).collect()
    }

    /// How often the power of a host was switched.
    pub fn resets(&self, host: &str) -> u32 {
        self.bmcs.bmc(&system_url(host)).state().resets
    }

    /// How often the service of a host was restarted.
    pub fn restarts(&self, host: &str) -> usize {
        self.restarts.lock().unwrap().get(host).map_or(0, Vec::len)
    }

    /// What the agent of a host does, once for each order. The host has one service, which is that of its role.
    pub fn restart(&self, host: &str, service: &str, order: &str) -> Result<(), DriverError> {
        let at = At { system: host.to_owned(), doing: "restarting a service" };
        let fault = self.broken.lock().unwrap().get(host).map(|broken| broken.fault);
        if matches!(fault, Some(HostFault::Hang | HostFault::Dead)) {
            return Err(busy(host));
        }
        if service != SERVICE {
            let reason = format!("its agent knows no service {service}");
            return Err(DriverError::StepFailed { at, reason, transient: false });
        }
        let mut restarts = self.restarts.lock().unwrap();
        let orders = restarts.entry(host.to_owned()).or_default();
        if !orders.iter().any(|known| known == order) {
            orders.push(order.to_owned());
        }
        Ok(())
    }

    fn is_booting(&self, host: &str) -> bool {
        let now = self.clock.now();
        let mut booting = self.booting.lock().unwrap();
        let is_booting = booting.get(host).is_some_and(|until| *until > now);
        if !is_booting {
            booting.remove(host);
        }
        is_booting
    }
}

/// All machines. Shared by its clones.
#[derive(Clone)]
pub struct Fleet {
    pub bmcs: WiredBmcs,
    pub faults: Faults,
    pub nodes: Nodes,
    callers: Callers,
    inner: Rc<RefCell<Inner>>,
}

#[derive(Default)]
struct Inner {
    machines: BTreeMap<String, Machine>,
    /// The image URL of each boot, in order.
    boots: Vec<String>,
    /// What images bring, where that matters.
    systems: Option<Systems>,
}

#[derive(Default)]
struct Machine {
    system_url: String,
    /// The number of the power change by which it was booted last.
    booted_at: u32,
    deploys: VecDeque<Boot>,
    cleans: VecDeque<Boot>,
}

/// Where a host's BMC answers.
pub fn system_url(host: &str) -> String {
    format!("https://bmc.test/{host}/redfish/v1/Systems/1")
}

fn host_of(system_url: &str) -> Option<&str> {
    system_url.strip_prefix("https://bmc.test/")?.split('/').next()
}

impl Fleet {
    pub fn new(ports: &Ports) -> Self {
        let bmcs = WiredBmcs {
            memory: MemoryBmcs::default(),
            switch: ports.switch.clone(),
            inserted: Arc::default(),
            told: Arc::default(),
        };
        let faults = Faults {
            bmcs: bmcs.memory.clone(),
            broken: Arc::default(),
            restarts: Arc::default(),
            scrape_seconds: Arc::default(),
            boot_seconds: Arc::default(),
            install_seconds: Arc::default(),
            requests: Arc::default(),
            booting: Arc::default(),
            bad_versions: Arc::default(),
            disks: Arc::default(),
            clock: ports.clock.clone(),
        };
        let nodes = Nodes::new(ports.clock.clone());
        Self { bmcs, faults, nodes, callers: ports.callers.clone(), inner: Rc::default() }
    }

    /// Here is what is installed on hosts.
    pub fn has_disks(&self, disks: &MemoryControl) {
        assert!(self.faults.disks.set(disks.clone()).is_ok(), "there is one world");
    }

    /// From here on images bring packages.
    pub fn runs(&self, systems: Systems) {
        self.inner.borrow_mut().systems = Some(systems);
    }

    /// Breaks a host.
    pub fn breaks(&self, host: &str, fault: HostFault) {
        let bmc = self.bmc(host).state();
        let restarts = self.faults.restarts(host);
        let broken = Broken { fault, resets: bmc.resets, inserts: bmc.inserts, restarts };
        self.faults.broken.lock().unwrap().insert(host.to_owned(), broken);
    }

    /// Has a host so many requests that do not end.
    pub fn has_requests(&self, host: &str, count: u64) {
        self.faults.requests.lock().unwrap().insert(host.to_owned(), count);
    }

    pub fn add(&self, host: &str) {
        let machine = Machine { system_url: system_url(host), ..Machine::default() };
        self.inner.borrow_mut().machines.insert(host.to_owned(), machine);
    }

    pub fn bmc(&self, host: &str) -> MemoryBmc {
        self.bmcs.memory.bmc(&system_url(host))
    }

    /// Whatever was wrong with a host is over.
    pub fn heals(&self, host: &str) {
        self.faults.broken.lock().unwrap().remove(host);
    }

    /// How a host's next boots from an image end; after these they succeed.
    pub fn deploys(&self, host: &str, boots: impl IntoIterator<Item = Boot>) {
        self.inner.borrow_mut().machines.get_mut(host).unwrap().deploys.extend(boots);
    }

    /// How a host's next boots from the cleaning image end; after these they succeed.
    pub fn cleans(&self, host: &str, boots: impl IntoIterator<Item = Boot>) {
        self.inner.borrow_mut().machines.get_mut(host).unwrap().cleans.extend(boots);
    }

    /// The image URL of each boot, in order.
    pub fn boots(&self) -> Vec<String> {
        self.inner.borrow().boots.clone()
    }

    /// Looks at every machine whose BMC was told something since the last look; one that was just booted from an image will call back,
    /// if it still runs what it was booted from.
    pub fn look(&self) {
        let Inner { machines, boots, systems } = &mut *self.inner.borrow_mut();
        if let Some(systems) = systems {
            systems.pass_time();
        }
        for host in std::mem::take(&mut *self.bmcs.told.lock().unwrap()) {
            let Some(machine) = machines.get_mut(&host) else { continue };
            let bmc = self.bmcs.memory.bmc(&machine.system_url);
            let state = bmc.state();
            let Some(url) = state.image.filter(|_| state.power == PowerState::On && state.boots_from_image)
            else {
                continue;
            };
            let resets = state.resets;
            if machine.booted_at == resets {
                continue;
            }
            machine.booted_at = resets;
            let image = BootImage::parse(&url).unwrap();
            assert_eq!(image.host, host, "it is told its own name");
            let cleaning = image.image.ends_with("/cleaner");
            let next = if cleaning { machine.cleans.pop_front() } else { machine.deploys.pop_front() };
            boots.push(url);
            let runs_it = move || {
                let state = bmc.state();
                state.power == PowerState::On && state.resets == resets
            };
            let body = match next.unwrap_or(Boot::Succeeds) {
                Boot::Succeeds => {
                    if let Some(systems) = systems {
                        systems.boots(&host, cleaning, INSTALL, runs_it.clone());
                    }
                    r#"{"outcome":"succeeded"}"#
                }
                Boot::Fails => r#"{"outcome":"failed","reason":"the disk is full"}"#,
                Boot::Silent => continue,
            };
            self.callers.call_if_there(INSTALL, callback(&image.callback, body), runs_it);
        }
    }
}

fn callback(url: &str, body: &str) -> Request {
    let url = Url::parse(url).unwrap();
    Request {
        method: "POST".to_owned(),
        path: url.path().to_owned(),
        query: url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        body: body.to_owned(),
        ..Request::default()
    }
}

/// The BMCs behind the fault switch.
#[derive(Clone)]
pub struct WiredBmcs {
    pub memory: MemoryBmcs,
    switch: Switch,
    /// Every image URL that was really put into a drive, in order.
    pub inserted: Arc<Mutex<Vec<String>>>,
    /// The hosts whose BMCs were told something.
    told: Told,
}

type Told = Arc<Mutex<BTreeSet<String>>>;

impl Bmcs for WiredBmcs {
    fn connect(&self, endpoint: &BmcEndpoint) -> Result<Arc<dyn Bmc>, DriverError> {
        let bmc = self.memory.bmc(&endpoint.system_url);
        if self.switch.call_fails("bmc") {
            return Err(busy(bmc.address()));
        }
        let host = host_of(&endpoint.system_url).map(ToOwned::to_owned);
        let (switch, inserted, told) = (self.switch.clone(), self.inserted.clone(), self.told.clone());
        Ok(Arc::new(WiredBmc { bmc, host, switch, inserted, told }))
    }
}

struct WiredBmc {
    bmc: MemoryBmc,
    host: Option<String>,
    switch: Switch,
    inserted: Arc<Mutex<Vec<String>>>,
    told: Told,
}

impl WiredBmc {
    async fn write<T>(
        &self,
        what: &'static str,
        act: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        let act = async {
            let done = act.await;
            self.told.lock().unwrap().extend(self.host.clone());
            done
        };
        self.switch.write(what, self.bmc.address(), act, || Err(busy(self.bmc.address()))).await
    }
}

#[async_trait]
impl Bmc for WiredBmc {
    fn address(&self) -> &str {
        self.bmc.address()
    }

    async fn inspect(&self) -> Result<SystemFacts, DriverError> {
        self.switch.read(self.bmc.address(), self.bmc.inspect()).await
    }

    async fn power_state(&self) -> Result<PowerState, DriverError> {
        self.switch.read(self.bmc.address(), self.bmc.power_state()).await
    }

    async fn settled_power_state(&self, patience: &Patience) -> Result<PowerState, DriverError> {
        let settled = self.switch.read(self.bmc.address(), self.bmc.settled_power_state(patience)).await?;
        // Two readings in a row must agree, so that one that is wrong costs two more.
        while self.switch.lies(self.bmc.address()) {
            self.switch.read(self.bmc.address(), self.bmc.settled_power_state(patience)).await?;
        }
        Ok(settled)
    }

    async fn set_power(&self, goal: PowerGoal, patience: &Patience) -> Result<PowerChange, DriverError> {
        self.write("power", self.bmc.set_power(goal, patience)).await
    }

    async fn boot_method(&self) -> Result<BootMethod, DriverError> {
        self.switch.read(self.bmc.address(), self.bmc.boot_method()).await
    }

    async fn set_boot_once(&self) -> Result<bool, DriverError> {
        self.write("boot target", self.bmc.set_boot_once()).await
    }

    async fn restore_boot(&self) -> Result<bool, DriverError> {
        self.write("boot target", self.bmc.restore_boot()).await
    }

    async fn boot_image(&self) -> Result<Option<String>, DriverError> {
        self.switch.read(self.bmc.address(), self.bmc.boot_image()).await
    }

    async fn set_boot_image(&self, image_url: &str) -> Result<bool, DriverError> {
        let insert = async {
            let changed = self.bmc.set_boot_image(image_url).await?;
            if changed {
                self.inserted.lock().unwrap().push(image_url.to_owned());
            }
            Ok(changed)
        };
        self.write("insert", insert).await
    }

    async fn clear_boot_image(&self) -> Result<bool, DriverError> {
        self.write("eject", self.bmc.clear_boot_image()).await
    }
}
