//! A fleet of simulated hosts: Redfish BMCs by sushy-emulator, a proxy in front that injects faults and counts,
//! and hosts that boot what their BMC is told to boot.

mod admin;
mod agents;
mod client;
mod faults;
mod guard;
mod hosts;
mod inventory;
mod load;
mod proxy;
mod record;
mod roots;
mod system;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::http::CallbackRoute;
use crate::process::{Server, ServerSpec};
use crate::progress::Progress;
use crate::site;
use crate::venv;

use agents::Agents;
pub use client::{FleetAdmin, HostStatus};
pub use faults::{Fault, Faults};
pub use guard::FleetAccess;
pub use hosts::{Behaviour, Boots, Hosts};
pub use inventory::FleetHost;
pub(crate) use inventory::{SERVER_HEADER, TRAFFIC};
pub use load::{Demand, Loads, PoolLoad};
pub use record::{Counts, Record, RequestKind};
pub use roots::HostRoots;
pub use system::Condition;

/// What fleet to start.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// How many hosts.
    pub hosts: usize,
    /// Shortest and longest delay of a power change, in seconds. A change shows only when the system is read
    /// after that delay.
    pub power_seconds: RangeInclusive<f64>,
    /// How long a host takes from power-on until it calls back, in milliseconds.
    pub boot_ms: u64,
    /// The name of the image that wipes a host; any other is installed.
    pub cleaning_image: String,
    /// How hosts reach the address they are told to call.
    pub callback: CallbackRoute,
    /// Where the hosts have disks on which something can be installed; without it they have none.
    pub roots: Option<HostRoots>,
    /// The loopback port of the BMCs; a free one when none is given.
    pub port: Option<u16>,
    /// The user name of every BMC.
    pub username: String,
    /// The password of every BMC.
    pub password: String,
    /// The bearer token that the agents on the hosts ask for; empty for none.
    pub agent_token: String,
    /// Where the emulator's log goes; without one it goes when the fleet ends.
    pub log_dir: Option<PathBuf>,
    /// Who is told about progress.
    pub progress: Progress,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            hosts: 4,
            power_seconds: 0.0..=0.2,
            boot_ms: 300,
            cleaning_image: "cleaner".to_owned(),
            callback: CallbackRoute::default(),
            roots: None,
            port: None,
            username: "admin".to_owned(),
            password: "password".to_owned(),
            agent_token: String::new(),
            log_dir: None,
            progress: Progress::default(),
        }
    }
}

/// A running fleet. It ends when it is dropped, or when this process dies. It serves on the Tokio runtime on which
/// it was started.
#[derive(Debug)]
pub struct Fleet {
    hosts: Arc<Vec<FleetHost>>,
    address: String,
    username: String,
    password: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
    agents: Option<Agents>,
    emulator: Server,
}

/// What the proxy, the admin address and the simulated hosts share.
pub(crate) struct Shared {
    inventory: Arc<Vec<FleetHost>>,
    ids: BTreeMap<String, String>,
    faults: Faults,
    loads: Loads,
    record: Record,
    hosts: Hosts,
    client: reqwest::Client,
    emulator: String,
    secret: String,
    agent_token: String,
}

impl std::fmt::Debug for Shared {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("emulator", &self.emulator).finish_non_exhaustive()
    }
}

impl Shared {
    /// The host id of a system, by its UUID.
    fn host_of(&self, system: &str) -> Option<&str> {
        self.ids.get(system).map(String::as_str)
    }
}

impl Fleet {
    /// Starts the BMCs and the proxy and waits until they answer.
    ///
    /// # Errors
    /// Those about Python and about the start of servers.
    pub async fn start(options: FleetOptions) -> Result<Self, Error> {
        let python = venv::ensure_python(&options.progress).await?;
        options.progress.tell("starting the fleet of BMCs");
        let listen = ("127.0.0.1", options.port.unwrap_or(0));
        let listener = TcpListener::bind(listen).await;
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (local, listener) = bound.map_err(Error::file("listen on", format!("127.0.0.1:{}", listen.1)))?;
        let address = format!("http://{local}");
        let inventory = Arc::new(inventory::lay_out(options.hosts, &address));
        let secret = site::secret(2);
        let emulator = start_emulator(&python, &options, &inventory, &address, &secret).await?;

        let failed = |source| Error::Http { url: address.clone(), source };
        let shared = Arc::new(Shared {
            ids: inventory.iter().map(|host| (host.system.clone(), host.host_id.clone())).collect(),
            faults: Faults::new(&inventory),
            loads: Loads::default(),
            record: Record::default(),
            hosts: Hosts::new(
                &inventory,
                options.boot_ms,
                options.cleaning_image.clone(),
                options.callback.clone(),
                options.roots.clone(),
            )
            .map_err(failed)?,
            client: proxy::client().map_err(failed)?,
            emulator: format!("http://127.0.0.1:{}", emulator.port()),
            inventory: Arc::clone(&inventory),
            secret,
            agent_token: options.agent_token.clone(),
        });
        let app = admin::routes(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the fleet's proxy ended");
            }
        });
        Ok(Self {
            hosts: inventory,
            address,
            username: options.username,
            password: options.password,
            shared,
            serving,
            agents: None,
            emulator,
        })
    }

    /// The hosts, in the order of their ids.
    #[must_use]
    pub fn hosts(&self) -> &[FleetHost] {
        &self.hosts
    }

    /// The user name and the password of every BMC.
    #[must_use]
    pub fn credentials(&self) -> (&str, &str) {
        (&self.username, &self.password)
    }

    /// The address of the proxy, in front of all BMCs.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.address
    }

    /// How another process sets faults and reads counts, with [`FleetAdmin`].
    #[must_use]
    pub fn access(&self) -> FleetAccess {
        FleetAccess { url: format!("{}{}", self.address, admin::PREFIX), secret: self.shared.secret.clone() }
    }

    /// The faults to inject.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What the pools of its hosts have to do.
    #[must_use]
    pub fn loads(&self) -> &Loads {
        &self.shared.loads
    }

    /// What reached the BMCs.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.shared.record
    }

    /// The simulated hosts: how they behave and what they did.
    #[must_use]
    pub fn simulated(&self) -> &Hosts {
        &self.shared.hosts
    }

    /// Changes how hosts reach the address they are told to call, as once the stack is deployed.
    pub fn set_callback_route(&self, route: CallbackRoute) {
        self.shared.hosts.set_route(route);
    }

    /// Has the hosts' agents tell `POST /signals/packages` of an API what is installed on the hosts' disks.
    pub fn start_agents(&mut self, roots: HostRoots, api_url: &str, token: &str) {
        self.agents = Some(Agents::start(roots, api_url, token));
    }

    /// The process group of the emulator.
    #[must_use]
    pub fn process_group(&self) -> i32 {
        self.emulator.group()
    }

    /// Ends the fleet and waits for it.
    pub async fn stop(mut self) {
        self.end();
        // The task was told to end just now; how it ended says nothing more.
        let _ = (&mut self.serving).await;
    }

    fn end(&mut self) {
        self.serving.abort();
        self.agents = None;
        self.shared.hosts.power_off_all();
        self.emulator.stop();
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end();
    }
}

async fn start_emulator(
    python: &std::path::Path,
    options: &FleetOptions,
    inventory: &[FleetHost],
    address: &str,
    secret: &str,
) -> Result<Server, Error> {
    let systems: Vec<_> = inventory
        .iter()
        .map(|host| {
            json!({
                "uuid": host.system, "name": host.host_id, "mac": host.mac, "uefi_http": host.uefi_http,
            })
        })
        .collect();
    let settings = json!({
        "systems": systems,
        "notify_url": format!("{address}{}/notify", admin::PREFIX),
        "notify_headers": { guard::SECRET_HEADER: secret },
        "username": options.username,
        "password": options.password,
        "power_seconds": [options.power_seconds.start(), options.power_seconds.end()],
    });
    Server::start(ServerSpec {
        name: "the fleet of BMCs",
        python,
        module: "fleet.py",
        log: None,
        settings,
        env: BTreeMap::new(),
        log_dir: options.log_dir.as_deref(),
    })
    .await
}
