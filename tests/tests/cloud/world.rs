//! A site to test on: an account of its own with everything deployed, and a client of its API.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hostler_localstack::{
    Build, Capability, Cloud, EndpointKind, FleetOptions, Progress, Site, SiteOptions, Stack, build_functions,
};
use hostler_runtime::messages::integrity::{Integrity, SigningKeys};
use hostler_tests::root;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::edge::{Edge, PATIENCE};

/// How the functions are built, when not quickly.
pub static BUILD: OnceLock<Build> = OnceLock::new();

/// How many sites run at a time: as many as two cores carry without passing each other's deadlines.
const SITES: u32 = 2;
/// Within which a stack is deleted.
const DELETED_WITHIN: Duration = Duration::from_secs(60);
pub static ROOM: Semaphore = Semaphore::const_new(SITES as usize);

/// The endpoint of all sites, as strict as it can be: with policies enforced, if it does that. Chains of invocations are
/// stopped on every endpoint that counts them, and messages without a signature are refused on all of them.
pub async fn cloud() -> &'static Cloud {
    match EndpointKind::from_env().unwrap().can(Capability::Iam) {
        true => Cloud::shared_with_iam().await.unwrap(),
        false => Cloud::shared().await.unwrap(),
    }
}

static FUNCTIONS: OnceCell<BTreeMap<String, PathBuf>> = OnceCell::const_new();

pub async fn functions() -> BTreeMap<String, PathBuf> {
    FUNCTIONS
        .get_or_init(async || {
            build_functions(&root(), *BUILD.get_or_init(|| Build::Dev), &Progress::default()).await.unwrap()
        })
        .await
        .clone()
}

/// Every message is signed, and none is taken that is not.
const SIGNING_KEYS: &str = r#"{"keys":{"test":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},"sign":"test","require":true}"#;

/// A running site, and what tests ask of it.
pub struct World {
    pub site: Site,
    edge: Edge,
    _deployed: Deployed,
    _room: SemaphorePermit<'static>,
}

/// A stack that ends with its test: functions that go on would take the endpoint's time from all later tests.
pub struct Deployed(Stack);

impl Deployed {
    pub fn new(stack: &Stack) -> Self {
        Self(stack.clone())
    }
}

impl Drop for Deployed {
    fn drop(&mut self) {
        let stack = self.0.clone();
        // The test's own runtime cannot be waited for in here.
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { tokio::time::timeout(DELETED_WITHIN, stack.delete()).await })
        });
        match ended.join() {
            Ok(Ok(Ok(()))) => {}
            // An endpoint of the test's own may be gone before.
            ended => eprintln!("the stack was not deleted: {ended:?}"),
        }
    }
}

impl World {
    /// A site with so many hosts, none of them enrolled.
    pub async fn start(hosts: usize) -> Self {
        Self::start_with(SiteOptions { fleet: fleet(hosts), ..SiteOptions::default() }).await
    }

    /// A site that has the machine to itself.
    pub async fn start_alone(hosts: usize) -> Self {
        Self::start_alone_with(SiteOptions { fleet: fleet(hosts), ..SiteOptions::default() }).await
    }

    pub async fn start_alone_with(options: SiteOptions) -> Self {
        Self::start_at(ROOM.acquire_many(SITES).await.unwrap(), cloud().await, options).await
    }

    pub async fn start_with(options: SiteOptions) -> Self {
        Self::start_at(ROOM.acquire().await.unwrap(), cloud().await, options).await
    }

    /// A site on an endpoint of its own.
    pub async fn start_on(cloud: &Cloud, options: SiteOptions) -> Self {
        Self::start_at(ROOM.acquire().await.unwrap(), cloud, options).await
    }

    async fn start_at(room: SemaphorePermit<'static>, cloud: &Cloud, options: SiteOptions) -> Self {
        let begun = Instant::now();
        let mut options = SiteOptions { root: root(), functions: functions().await, ..options };
        options.parameters.entry("SigningKeys".to_owned()).or_insert_with(|| SIGNING_KEYS.to_owned());
        eprintln!("{:>7.2?} until the functions are built", begun.elapsed());
        let site = Site::start(cloud, options).await.unwrap();
        eprintln!("{:>7.2?} until the site is up", begun.elapsed());
        let edge = Edge::of(&site.stack, &["/hosts", "/provisionings"]);
        let deployed = Deployed::new(&site.stack);
        Self { site, edge, _deployed: deployed, _room: room }
    }

    /// A message's body as the deployment would have signed it.
    pub fn signed(body: impl Into<String>) -> String {
        Self::integrity().signed_body(body.into())
    }

    /// What the deployment signs by.
    pub fn integrity() -> Arc<Integrity> {
        let keys: SigningKeys = serde_json::from_str(SIGNING_KEYS).unwrap();
        Arc::new(Integrity::new(&keys).unwrap())
    }

    /// Enrols every host of the fleet into a pool and waits until all are available.
    pub async fn enrol(&self, pool: &str) {
        self.enrol_within(PATIENCE, pool).await;
    }

    pub async fn enrol_within(&self, patience: Duration, pool: &str) {
        self.enrol_where(patience, pool, |_, rack| rack.to_owned()).await;
    }

    /// Enrols every host into a pool, one after the other into the next of so many racks.
    pub async fn enrol_in_racks(&self, pool: &str, racks: usize) {
        self.enrol_where(PATIENCE, pool, |n, _| format!("r-{:02}", n % racks + 1)).await;
    }

    async fn enrol_where(&self, patience: Duration, pool: &str, rack: impl Fn(usize, &str) -> String) {
        for (n, host) in self.site.fleet.hosts().iter().enumerate() {
            let command = json!({
                "host": host.host_id, "pool": pool, "sku": host.sku, "faultDomain": rack(n, &host.rack),
                "bmc": { "systemUrl": host.bmc_url },
                "labels": { "metrics.address": host.metrics_address, "metrics.path": host.metrics_path,
                    "agent.url": host.agent_url },
            });
            self.accepted("enrol-host", &command).await;
        }
        let count = self.site.fleet.hosts().len();
        self.until_within(patience, "all hosts are available", async || {
            (self.hosts_in(pool, "available").await.len() == count).then_some(())
        })
        .await;
    }

    pub async fn hosts_in(&self, pool: &str, phase: &str) -> Vec<Value> {
        self.rows(&format!("/hosts?group={pool}/{phase}")).await
    }

    pub async fn request(&self, id: &str, pool: &str, count: u32) -> Value {
        let command =
            json!({ "request": id, "pool": pool, "role": "web", "image": "debian-12", "count": count });
        self.accepted("request-hosts", &command).await
    }

    /// Waits until every saga of a request has ended, and gives their rows.
    pub async fn settled(&self, request: &str, count: usize) -> Vec<Value> {
        self.settled_within(PATIENCE, request, count).await
    }

    pub async fn settled_within(&self, patience: Duration, request: &str, count: usize) -> Vec<Value> {
        self.until_within(patience, "all sagas have ended", async || {
            let rows = self.rows(&format!("/provisionings?group={request}")).await;
            let ended = |row: &&Value| {
                ["completed", "compensated", "stuck"].contains(&row["status"].as_str().unwrap_or_default())
            };
            (rows.iter().filter(ended).count() == count).then_some(rows)
        })
        .await
    }
}

impl Deref for World {
    type Target = Edge;

    fn deref(&self) -> &Edge {
        &self.edge
    }
}

/// A fleet that is quick.
pub fn fleet(hosts: usize) -> FleetOptions {
    FleetOptions { hosts, power_seconds: 0.0..=0.5, boot_ms: 200, ..FleetOptions::default() }
}
