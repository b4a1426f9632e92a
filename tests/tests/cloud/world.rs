//! A site to test on: an account of its own with everything deployed, and a client of its API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use hostler_localstack::{Build, Cloud, FleetOptions, HttpApi, Progress, Site, SiteOptions, build_functions};
use hostler_runtime::messages::integrity::{Integrity, SigningKeys};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::ledger::queue_urls;

/// How the functions are built, when not quickly.
pub static BUILD: OnceLock<Build> = OnceLock::new();

/// The longest that anything on the local cloud is waited for.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How many sites run at a time: as many as two cores carry without passing each other's deadlines.
const SITES: u32 = 2;
static ROOM: Semaphore = Semaphore::const_new(SITES as usize);

static FUNCTIONS: OnceCell<BTreeMap<String, PathBuf>> = OnceCell::const_new();

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

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
    pub api: HttpApi,
    client: reqwest::Client,
    _room: SemaphorePermit<'static>,
}

impl World {
    /// A site with so many hosts, none of them enrolled.
    pub async fn start(hosts: usize) -> Self {
        Self::start_with(SiteOptions { fleet: fleet(hosts), ..SiteOptions::default() }, false).await
    }

    /// A site that has the machine to itself.
    pub async fn start_alone(hosts: usize) -> Self {
        let options = SiteOptions { fleet: fleet(hosts), ..SiteOptions::default() };
        Self::start_in(ROOM.acquire_many(SITES).await.unwrap(), options, false).await
    }

    pub async fn start_with(options: SiteOptions, enforce_iam: bool) -> Self {
        Self::start_in(ROOM.acquire().await.unwrap(), options, enforce_iam).await
    }

    /// A site on an endpoint of its own.
    pub async fn start_on(cloud: &Cloud, options: SiteOptions) -> Self {
        Self::start_at(ROOM.acquire().await.unwrap(), cloud, options).await
    }

    async fn start_in(room: SemaphorePermit<'static>, options: SiteOptions, enforce_iam: bool) -> Self {
        let cloud = match enforce_iam {
            true => Cloud::shared_with_iam().await.unwrap(),
            false => Cloud::shared().await.unwrap(),
        };
        Self::start_at(room, cloud, options).await
    }

    async fn start_at(room: SemaphorePermit<'static>, cloud: &Cloud, options: SiteOptions) -> Self {
        let begun = Instant::now();
        let mut options = SiteOptions { root: root(), functions: functions().await, ..options };
        options.parameters.entry("SigningKeys".to_owned()).or_insert_with(|| SIGNING_KEYS.to_owned());
        eprintln!("{:>7.2?} until the functions are built", begun.elapsed());
        let site = Site::start(cloud, options).await.unwrap();
        eprintln!("{:>7.2?} until the site is up", begun.elapsed());
        let api = site.stack.http().unwrap();
        Self { site, api, client: reqwest::Client::new(), _room: room }
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

    /// Sends a command; says the status and the answer.
    pub async fn command(&self, kind: &str, body: &Value) -> (u16, Value) {
        self.post(&format!("/commands/{kind}"), &body.to_string()).await
    }

    pub async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let request = self.api.request(&self.client, reqwest::Method::POST, path);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    pub async fn post_with(&self, path: &str, header: &str, value: &str, body: &Value) -> (u16, Value) {
        let request = self.api.request(&self.client, reqwest::Method::POST, path).header(header, value);
        let answer = request.body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.api.request(&self.client, reqwest::Method::GET, path).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// Sends a command that must be taken.
    pub async fn accepted(&self, kind: &str, body: &Value) -> Value {
        let (status, answer) = self.command(kind, body).await;
        assert_eq!(status, 202, "{kind}: {answer}");
        answer
    }

    /// Enrols every host of the fleet into a pool and waits until all are available.
    pub async fn enrol(&self, pool: &str) {
        self.enrol_within(PATIENCE, pool).await;
    }

    pub async fn enrol_within(&self, patience: Duration, pool: &str) {
        for host in self.site.fleet.hosts() {
            let command = json!({
                "host": host.host_id, "pool": pool, "sku": host.sku, "faultDomain": host.rack,
                "bmc": { "systemUrl": host.bmc_url },
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

    pub async fn rows(&self, path: &str) -> Vec<Value> {
        let (status, answer) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer["rows"].as_array().cloned().unwrap_or_default()
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

    /// Waits until no queue but the timers' holds anything: void timers may still be on their way.
    pub async fn at_rest(&self) {
        let sqs = aws_sdk_sqs::Client::new(&self.site.account.sdk_config());
        let urls = queue_urls(self);
        self.until("the queues are empty", async || {
            for (name, url) in &urls {
                if name == "timers" || name.ends_with("-dlq") {
                    continue;
                }
                let answer =
                    sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
                let attributes = answer.send().await.unwrap().attributes.unwrap();
                let waiting = [
                    QueueAttributeName::ApproximateNumberOfMessages,
                    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
                ];
                if waiting.iter().any(|name| attributes[name] != "0") {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Asks again and again, and gives up with everything that is known.
    pub async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        self.until_within(PATIENCE, what, ask).await
    }

    pub async fn until_within<T>(
        &self,
        patience: Duration,
        what: &str,
        ask: impl AsyncFn() -> Option<T>,
    ) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = ask().await {
                eprintln!("{:>7.2?} until {what}", begun.elapsed());
                return found;
            }
            if begun.elapsed() > patience {
                let hosts = self.rows("/hosts").await;
                let sagas = self.rows("/provisionings").await;
                panic!("after {patience:?} still not: {what}\nhosts: {hosts:#?}\nsagas: {sagas:#?}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// A fleet that is quick.
pub fn fleet(hosts: usize) -> FleetOptions {
    FleetOptions { hosts, power_seconds: 0.0..=0.5, boot_ms: 200, ..FleetOptions::default() }
}

/// Ends the test unless it runs on the default endpoint, and says why: the hosts' BMCs are on this machine's
/// loopback, where functions in containers cannot reach them, and only our own endpoint enforces policies and
/// has function processes that can be killed.
#[macro_export]
macro_rules! needs_the_default_endpoint {
    () => {
        match hostler_localstack::EndpointKind::from_env().unwrap() {
            hostler_localstack::EndpointKind::Ministack => {}
            kind => {
                eprintln!(
                    "NOT RUN on {kind:?}: {} needs hosts, policies and processes on this machine, which only the \
                     default endpoint has; unset HOSTLER_TEST_CLOUD",
                    module_path!()
                );
                return;
            }
        }
    };
}
