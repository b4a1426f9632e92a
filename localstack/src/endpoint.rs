//! The AWS endpoint: which kind it is, how it starts, how it ends.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use crate::account::Account;
use crate::container::Container;
use crate::dynamodb;
use crate::error::Error;
use crate::kind::{Capability, EndpointKind};
use crate::process::{Server, ServerSpec};
use crate::progress::Progress;
use crate::venv;

const ANSWER_SECONDS_MAX: u64 = 60;
/// Variables that functions should see as the developer set them.
const INHERITED: [&str; 2] = ["RUST_LOG", "RUST_BACKTRACE"];
const NAME: &str = "the AWS endpoint";

/// How to start the endpoint.
#[derive(Debug, Clone)]
pub struct CloudOptions {
    /// What it is.
    pub kind: EndpointKind,
    /// Whether functions will run. A container gets Docker's socket only then.
    pub runs_functions: bool,
    /// Whether IAM policies are enforced. Functions then get their role's temporary credentials, and a missing
    /// permission is an `AccessDenied`.
    pub enforce_iam: bool,
    /// Whether what it stores outlives [`Cloud::restart`]. Only the default endpoint can.
    pub durable: bool,
    /// The loopback port to listen on; a free one when none is given.
    pub port: Option<u16>,
    /// Where the endpoint's log goes; without one it goes when the endpoint ends.
    pub log_dir: Option<PathBuf>,
    /// More environment variables for the endpoint, which its functions inherit.
    pub env: BTreeMap<String, String>,
    /// Who is told about progress.
    pub progress: Progress,
}

impl Default for CloudOptions {
    fn default() -> Self {
        Self {
            kind: EndpointKind::default(),
            runs_functions: true,
            enforce_iam: false,
            durable: false,
            port: None,
            log_dir: None,
            env: BTreeMap::new(),
            progress: Progress::default(),
        }
    }
}

/// A running AWS endpoint. What was started for it ends when it is dropped, or when this process dies.
#[derive(Debug)]
pub struct Cloud {
    kind: EndpointKind,
    url: String,
    enforces_iam: bool,
    runs_here: bool,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Process(Box<Server>),
    Container(Container),
    Url,
}

static SHARED: OnceCell<Cloud> = OnceCell::const_new();
static SHARED_SERVICES: OnceCell<Cloud> = OnceCell::const_new();
static SHARED_IAM: OnceCell<Cloud> = OnceCell::const_new();

impl Cloud {
    /// Starts the endpoint and waits until it answers.
    ///
    /// # Errors
    /// Any of [`Error`]'s about Python, the start of servers, Docker and reachability.
    pub async fn start(options: CloudOptions) -> Result<Self, Error> {
        match options.kind.clone() {
            EndpointKind::Ministack => Self::start_ministack(options).await,
            EndpointKind::LocalStackHost => Self::start_localstack_here(options).await,
            EndpointKind::LocalStack => {
                let container = Container::start(options).await?;
                let url = container.url().to_owned();
                let (kind, backend) = (EndpointKind::LocalStack, Backend::Container(container));
                Ok(Self { kind, url, enforces_iam: false, runs_here: false, backend })
            }
            EndpointKind::Moto => Self::start_moto(options).await,
            EndpointKind::Url(url) => Self::use_url(&url, options.enforce_iam).await,
        }
    }

    /// The endpoint that the tests of a process share, of the kind `HOSTLER_TEST_CLOUD` asks for; policies are
    /// not enforced. It ends with the process.
    ///
    /// # Errors
    /// As [`Cloud::start`]. The next caller tries again.
    pub async fn shared() -> Result<&'static Self, Error> {
        SHARED.get_or_try_init(|| Self::start_shared(false, true)).await
    }

    /// As [`Cloud::shared`], for tests of services alone: no function runs.
    ///
    /// # Errors
    /// As [`Cloud::start`].
    pub async fn shared_services() -> Result<&'static Self, Error> {
        SHARED_SERVICES.get_or_try_init(|| Self::start_shared(false, false)).await
    }

    /// As [`Cloud::shared`], with IAM policies enforced.
    ///
    /// # Errors
    /// As [`Cloud::start`].
    pub async fn shared_with_iam() -> Result<&'static Self, Error> {
        SHARED_IAM.get_or_try_init(|| Self::start_shared(true, true)).await
    }

    async fn start_shared(enforce_iam: bool, runs_functions: bool) -> Result<Self, Error> {
        let log_dir = env::var_os("HOSTLER_TEST_LOGS").map(|dir| {
            let name = if enforce_iam { "iam" } else { "plain" };
            PathBuf::from(dir).join(format!("{}-{name}", std::process::id()))
        });
        let kind = EndpointKind::from_env()?;
        let more = CloudOptions::default();
        Self::start(CloudOptions { kind, runs_functions, enforce_iam, log_dir, ..more }).await
    }

    async fn start_ministack(options: CloudOptions) -> Result<Self, Error> {
        let python = venv::ensure_python(&options.progress).await?;
        let mut env = BTreeMap::from(
            [
                ("AUTH", if options.enforce_iam { "true" } else { "false" }),
                // Listeners that nobody here uses.
                ("IOT_MTLS_ENABLED", "0"),
                ("SFTP_ENABLED", "0"),
                // Keeps its hands off the user's Docker, which it would sweep for containers of its own.
                ("DOCKER_HOST", "unix:///nonexistent"),
                ("LAMBDA_EXECUTOR", "local"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("LOG_LEVEL", "INFO"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        if options.durable {
            env.extend(
                [("PERSIST_STATE", "1"), ("STATE_DIR", "state")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
        }
        Self::start_process(options, "cloud.py", &python, env, "/_ministack/health").await
    }

    async fn start_localstack_here(options: CloudOptions) -> Result<Self, Error> {
        Self::without(
            &options,
            &[("enforcing IAM policies", options.enforce_iam), ("a restart", options.durable)],
        )?;
        if let Some(missing) = options.kind.missing_here() {
            return Err(Error::Missing { what: "LocalStack without Docker", missing });
        }
        let python = venv::ensure_localstack(&options.progress).await?;
        let dynamodb = dynamodb::ensure(&options.progress).await?;
        let path = |path: &std::path::Path| path.display().to_string();
        let env = BTreeMap::from([
            ("HOSTLER_DYNAMODB".to_owned(), path(&dynamodb.folder)),
            ("HOSTLER_LOOPBACK".to_owned(), path(&dynamodb.loopback)),
        ]);
        Self::start_process(options, "localstack_cloud.py", &python, env, "/_localstack/health").await
    }

    async fn start_moto(options: CloudOptions) -> Result<Self, Error> {
        Self::without(
            &options,
            &[("enforcing IAM policies", options.enforce_iam), ("a restart", options.durable)],
        )?;
        let python = venv::ensure_moto(&options.progress).await?;
        Self::start_process(options, "moto_cloud.py", &python, BTreeMap::new(), "/moto-api/data.json").await
    }

    /// Refuses options that an endpoint has no means for.
    fn without(options: &CloudOptions, asked: &[(&'static str, bool)]) -> Result<(), Error> {
        let kind = match options.kind {
            EndpointKind::Moto => "moto",
            _ => "LocalStack",
        };
        let wrong = asked.iter().find(|(_, asked)| *asked);
        wrong.map_or(Ok(()), |(what, _)| Err(Error::Unsupported { what, kind }))
    }

    /// Starts one of our modules and waits until it answers at an address.
    async fn start_process(
        options: CloudOptions,
        module: &'static str,
        python: &std::path::Path,
        mut env: BTreeMap<String, String>,
        health: &str,
    ) -> Result<Self, Error> {
        options.progress.tell("starting the AWS endpoint");
        env.extend(options.port.map(|port| ("HOSTLER_PORT".to_owned(), port.to_string())));
        env.extend(INHERITED.into_iter().filter_map(|name| Some((name.to_owned(), env::var(name).ok()?))));
        env.extend(options.env);
        let log_dir = options.log_dir.as_deref();
        let settings = serde_json::Value::Null;
        let spec = ServerSpec { name: NAME, python, module, log: None, settings, env, log_dir };
        let server = Server::start(spec).await?;
        let url = format!("http://127.0.0.1:{}", server.port());
        if let Err(reason) = wait_for_answer(&format!("{url}{health}")).await {
            let output = venv::tail(server.log());
            return Err(Error::NotReady { name: NAME, reason, output });
        }
        Ok(Self {
            url,
            enforces_iam: options.enforce_iam,
            runs_here: options.kind.can(Capability::Processes),
            kind: options.kind,
            backend: Backend::Process(Box::new(server)),
        })
    }

    async fn use_url(url: &str, enforce_iam: bool) -> Result<Self, Error> {
        let url = url.trim_end_matches('/').to_owned();
        let unreachable = |reason| Error::Unreachable { url: url.clone(), reason };
        wait_for_answer(&url).await.map_err(unreachable)?;
        // A ministack runs functions as processes of this machine, so it takes them by path.
        let runs_here = is_loopback(&url) && is_ministack(&url).await;
        let kind = EndpointKind::Url(url.clone());
        Ok(Self { kind, url, enforces_iam: enforce_iam, runs_here, backend: Backend::Url })
    }

    /// Whether the endpoint answers right now.
    pub async fn is_answering(&self) -> bool {
        let Ok(client) = client_for(&self.url) else { return false };
        client.get(&self.url).send().await.is_ok()
    }

    /// What kind of endpoint it is.
    #[must_use]
    pub fn kind(&self) -> &EndpointKind {
        &self.kind
    }

    /// The endpoint's address, for `AWS_ENDPOINT_URL`, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it was started to enforce IAM policies.
    #[must_use]
    pub fn enforces_iam(&self) -> bool {
        self.enforces_iam
    }

    /// The log of the endpoint, where we have one.
    #[must_use]
    pub fn log(&self) -> Option<&std::path::Path> {
        match &self.backend {
            Backend::Process(server) => Some(server.log()),
            Backend::Container(container) => container.log(),
            Backend::Url => None,
        }
    }

    /// The process group of the endpoint and its functions, where they are processes of ours.
    #[must_use]
    pub fn process_group(&self) -> Option<i32> {
        match &self.backend {
            Backend::Process(server) => Some(server.group()),
            Backend::Container(_) | Backend::Url => None,
        }
    }

    /// Whether functions run on this machine, and so can be named by the path of their binary.
    pub(crate) fn runs_functions_here(&self) -> bool {
        self.runs_here
    }

    /// A new, empty account.
    #[must_use]
    pub fn new_account(&self) -> Account {
        Account::unused(&self.url)
    }

    /// Restarts the endpoint: functions at work are killed, what it stored is there again, at the same address. It
    /// must have been started as durable.
    ///
    /// # Errors
    /// [`Error::NotReady`], [`Error::Unsupported`] for an endpoint that is not ours.
    pub async fn restart(&mut self) -> Result<(), Error> {
        let (true, Backend::Process(server)) = (self.kind.can(Capability::Restart), &mut self.backend) else {
            return Err(Error::Unsupported { what: "a restart", kind: "this endpoint" });
        };
        server.restart(NAME).await?;
        let answer = wait_for_answer(&format!("{}/_ministack/health", self.url)).await;
        answer.map_err(|reason| Error::NotReady { name: NAME, reason, output: String::new() })
    }

    /// Ends the endpoint and every function process, and waits for it. An endpoint that somebody else runs
    /// goes on.
    pub async fn stop(mut self) {
        match &mut self.backend {
            Backend::Process(server) => server.stop(),
            Backend::Container(container) => container.stop().await,
            Backend::Url => {}
        }
    }
}

/// Waits until an address answers, whatever it answers.
async fn wait_for_answer(url: &str) -> Result<(), String> {
    let client = client_for(url).map_err(|error| format!("{error:?}"))?;
    let deadline = Instant::now() + Duration::from_secs(ANSWER_SECONDS_MAX);
    loop {
        match client.get(url).send().await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(format!("{error:?}")),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Whether a ministack is at an address.
async fn is_ministack(url: &str) -> bool {
    let Ok(client) = client_for(url) else { return false };
    let answer = client.get(format!("{url}/_ministack/health")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// A client for an endpoint, which may be elsewhere.
pub(crate) fn client_for(url: &str) -> reqwest::Result<reqwest::Client> {
    let timeout = Duration::from_secs(5);
    if is_loopback(url) && url.starts_with("http://") {
        return local_client(timeout);
    }
    reqwest::Client::builder().timeout(timeout).build()
}

/// A client for plain loopback addresses: it goes past any proxy of the user's environment, and does without the
/// system's certificates, whose loading takes 15 ms.
pub(crate) fn local_client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(timeout).build()
}

fn is_loopback(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]")
}
