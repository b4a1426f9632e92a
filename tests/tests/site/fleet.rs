//! The machines of a site: they boot what their BMC is told to insert, and call back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_drivers::memory::{MemoryBmc, MemoryBmcs, busy};
use hostler_drivers::{
    Bmc, BmcEndpoint, Bmcs, BootImage, DriverError, Patience, PowerChange, PowerGoal, PowerState, SystemFacts,
};
use hostler_runtime::serving::http::Request;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;

use super::switch::Switch;

/// How long an image takes until it calls back.
const INSTALL_SECONDS: i64 = 60;
/// After how long a machine calls again that got no answer.
const CALL_AGAIN_SECONDS: i64 = 10;
const CALLS_MAX: u32 = 60;

/// How a boot from an image ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    Succeeds,
    /// The image reports a failure.
    Fails,
    /// It never calls back.
    Silent,
}

/// All machines.
pub struct Fleet {
    pub bmcs: WiredBmcs,
    machines: BTreeMap<String, Machine>,
    calls: Vec<Call>,
    /// The image URL of each boot, in order.
    pub boots: Vec<String>,
}

#[derive(Default)]
struct Machine {
    system_url: String,
    /// The number of the power change by which it was booted last.
    booted_at: u32,
    deploys: VecDeque<Boot>,
    cleans: VecDeque<Boot>,
}

/// A callback on its way.
#[derive(Debug, Clone)]
pub struct Call {
    pub due_at: Timestamp,
    host: String,
    /// The power change by which the caller was booted; one that was switched since does not call.
    resets: u32,
    pub request: Request,
    tries: u32,
    /// Sent by the network once more, whatever became of the machine.
    replay: bool,
}

/// Where a host's BMC answers.
pub fn system_url(host: &str) -> String {
    format!("https://bmc.test/{host}/redfish/v1/Systems/1")
}

impl Fleet {
    pub fn new(switch: &Switch) -> Self {
        let bmcs =
            WiredBmcs { twins: MemoryBmcs::default(), switch: switch.clone(), inserted: Arc::default() };
        Self { bmcs, machines: BTreeMap::new(), calls: Vec::new(), boots: Vec::new() }
    }

    pub fn add(&mut self, host: &str) {
        let machine = Machine { system_url: system_url(host), ..Machine::default() };
        self.machines.insert(host.to_owned(), machine);
    }

    pub fn bmc(&self, host: &str) -> MemoryBmc {
        self.bmcs.twins.bmc(&system_url(host))
    }

    /// How a host's next boots from an image end; after these they succeed.
    pub fn deploys(&mut self, host: &str, boots: impl IntoIterator<Item = Boot>) {
        self.machines.get_mut(host).unwrap().deploys.extend(boots);
    }

    /// How a host's next boots from the cleaning image end; after these they succeed.
    pub fn cleans(&mut self, host: &str, boots: impl IntoIterator<Item = Boot>) {
        self.machines.get_mut(host).unwrap().cleans.extend(boots);
    }

    /// Looks at every machine; one that was just booted from an image will call back.
    pub fn look(&mut self, now: Timestamp) {
        for (host, machine) in &mut self.machines {
            let state = self.bmcs.twins.bmc(&machine.system_url).state();
            let Some(url) = state.image.filter(|_| state.power == PowerState::On && state.boots_from_cd)
            else {
                continue;
            };
            if machine.booted_at == state.resets {
                continue;
            }
            machine.booted_at = state.resets;
            let image = BootImage::parse(&url).unwrap();
            assert_eq!(&image.host, host, "it is told its own name");
            let cleaning = image.image.ends_with("/cleaner");
            let next = if cleaning { machine.cleans.pop_front() } else { machine.deploys.pop_front() };
            self.boots.push(url);
            let body = match next.unwrap_or(Boot::Succeeds) {
                Boot::Succeeds => r#"{"outcome":"succeeded"}"#,
                Boot::Fails => r#"{"outcome":"failed","reason":"the disk is full"}"#,
                Boot::Silent => continue,
            };
            self.calls.push(Call {
                due_at: now + SignedDuration::from_secs(INSTALL_SECONDS),
                host: host.clone(),
                resets: state.resets,
                request: callback(&image.callback, body),
                tries: 0,
                replay: false,
            });
        }
    }

    pub fn next_call_at(&self) -> Option<Timestamp> {
        self.calls.iter().map(|call| call.due_at).min()
    }

    /// A call that is due, from a machine that still runs what it was booted from.
    pub fn take_call(&mut self, now: Timestamp) -> Option<Call> {
        while let Some(at) = self.calls.iter().position(|call| call.due_at <= now) {
            let call = self.calls.remove(at);
            let state = self.bmc(&call.host).state();
            if call.replay || (state.power == PowerState::On && state.resets == call.resets) {
                return Some(call);
            }
        }
        None
    }

    /// The call got no answer: it is made again.
    pub fn call_again(&mut self, mut call: Call, now: Timestamp) {
        call.tries += 1;
        assert!(call.tries < CALLS_MAX, "nobody ever answers {:?}", call.request);
        call.due_at = now + SignedDuration::from_secs((CALL_AGAIN_SECONDS * i64::from(call.tries)).min(300));
        self.calls.push(call);
    }

    /// The network delivers the call once more, later.
    pub fn replay(&mut self, call: &Call, now: Timestamp) {
        if !call.replay {
            let due_at = now + SignedDuration::from_secs(300);
            self.calls.push(Call { due_at, replay: true, ..call.clone() });
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
    pub twins: MemoryBmcs,
    switch: Switch,
    /// Every image URL that was really put into a drive, in order.
    pub inserted: Arc<Mutex<Vec<String>>>,
}

impl Bmcs for WiredBmcs {
    fn connect(&self, endpoint: &BmcEndpoint) -> Result<Arc<dyn Bmc>, DriverError> {
        let twin = self.twins.bmc(&endpoint.system_url);
        if self.switch.driver_fails("bmc") {
            return Err(busy(twin.address()));
        }
        let (switch, inserted) = (self.switch.clone(), self.inserted.clone());
        Ok(Arc::new(WiredBmc { twin, switch, inserted }))
    }
}

struct WiredBmc {
    twin: MemoryBmc,
    switch: Switch,
    inserted: Arc<Mutex<Vec<String>>>,
}

impl WiredBmc {
    async fn write<T>(
        &self,
        what: &'static str,
        act: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        self.switch.write(what, act, || Err(busy(self.twin.address()))).await
    }
}

#[async_trait]
impl Bmc for WiredBmc {
    fn address(&self) -> &str {
        self.twin.address()
    }

    async fn inspect(&self) -> Result<SystemFacts, DriverError> {
        self.switch.read(self.twin.inspect()).await
    }

    async fn power_state(&self) -> Result<PowerState, DriverError> {
        self.switch.read(self.twin.power_state()).await
    }

    async fn settled_power_state(&self, patience: &Patience) -> Result<PowerState, DriverError> {
        let settled = self.switch.read(self.twin.settled_power_state(patience)).await?;
        // Two readings in a row must agree, so that one that is wrong costs two more.
        while self.switch.lies() {
            self.switch.read(self.twin.settled_power_state(patience)).await?;
        }
        Ok(settled)
    }

    async fn set_power(&self, goal: PowerGoal, patience: &Patience) -> Result<PowerChange, DriverError> {
        self.write("power", self.twin.set_power(goal, patience)).await
    }

    async fn set_boot_once_cd(&self) -> Result<bool, DriverError> {
        self.write("boot target", self.twin.set_boot_once_cd()).await
    }

    async fn restore_boot(&self) -> Result<bool, DriverError> {
        self.write("boot target", self.twin.restore_boot()).await
    }

    async fn inserted_media(&self) -> Result<Option<String>, DriverError> {
        self.switch.read(self.twin.inserted_media()).await
    }

    async fn insert_media(&self, image_url: &str) -> Result<bool, DriverError> {
        let insert = async {
            let changed = self.twin.insert_media(image_url).await?;
            if changed {
                self.inserted.lock().unwrap().push(image_url.to_owned());
            }
            Ok(changed)
        };
        self.write("insert", insert).await
    }

    async fn eject_media(&self) -> Result<bool, DriverError> {
        self.write("eject", self.twin.eject_media()).await
    }
}
