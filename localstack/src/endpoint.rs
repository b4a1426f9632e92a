//! The AWS endpoint: which kind it is, how it starts, how it ends.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use testcontainers_modules::localstack::LocalStack;
use testcontainers_modules::testcontainers::core::Mount;
use testcontainers_modules::testcontainers::runners::AsyncRunner;
use testcontainers_modules::testcontainers::{ContainerAsync, ImageExt};
use tokio::sync::OnceCell;

use crate::account::Account;
use crate::error::Error;
use crate::process::{Guard, Server, ServerSpec};
use crate::progress::Progress;
use crate::venv;

/// The last LocalStack release that needs no account.
const LOCALSTACK_TAG: &str = "4.14.0";
const LOCALSTACK_PORT: u16 = 4566;
const ANSWER_SECONDS_MAX: u64 = 30;
/// Variables that functions should see as the developer set them.
const INHERITED: [&str; 2] = ["RUST_LOG", "RUST_BACKTRACE"];

/// What the AWS endpoint is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EndpointKind {
    /// ministack in processes of ours; needs Python 3.11 and no Docker.
    #[default]
    Ministack,
    /// LocalStack in a container; needs Docker.
    LocalStack,
    /// An endpoint that somebody else runs.
    Url(String),
}

impl EndpointKind {
    /// Reads `HOSTLER_TEST_CLOUD`: `ministack` (also when unset), `localstack` or an address.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when it is none of these.
    pub fn from_env() -> Result<Self, Error> {
        Self::parse(&env::var("HOSTLER_TEST_CLOUD").unwrap_or_default())
    }

    fn parse(text: &str) -> Result<Self, Error> {
        match text.trim() {
            "" | "ministack" => Ok(Self::Ministack),
            "localstack" => Ok(Self::LocalStack),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Self::Url(url.trim_end_matches('/').to_owned()))
            }
            other => Err(Error::Unreachable {
                url: other.to_owned(),
                reason: "HOSTLER_TEST_CLOUD is `ministack`, `localstack` or an http:// address".to_owned(),
            }),
        }
    }
}

/// How to start the endpoint.
#[derive(Debug, Clone, Default)]
pub struct CloudOptions {
    /// What it is.
    pub kind: EndpointKind,
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

/// A running AWS endpoint. What was started for it ends when it is dropped, or when this process dies.
#[derive(Debug)]
pub struct Cloud {
    url: String,
    enforces_iam: bool,
    runs_here: bool,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Ministack(Box<Server>),
    LocalStack { container: Option<Box<ContainerAsync<LocalStack>>>, _guard: Option<Guard> },
    Url,
}

static SHARED: OnceCell<Cloud> = OnceCell::const_new();
static SHARED_IAM: OnceCell<Cloud> = OnceCell::const_new();

impl Cloud {
    /// Starts the endpoint and waits until it answers.
    ///
    /// # Errors
    /// Any of [`Error`]'s about Python, the start of servers, Docker and reachability.
    pub async fn start(options: CloudOptions) -> Result<Self, Error> {
        match options.kind.clone() {
            EndpointKind::Ministack => Self::start_ministack(options).await,
            EndpointKind::LocalStack => Self::start_localstack(options).await,
            EndpointKind::Url(url) => Self::use_url(&url, options.enforce_iam).await,
        }
    }

    /// The endpoint that the tests of a process share, of the kind `HOSTLER_TEST_CLOUD` asks for; policies are
    /// not enforced. It ends with the process.
    ///
    /// # Errors
    /// As [`Cloud::start`]. The next caller tries again.
    pub async fn shared() -> Result<&'static Self, Error> {
        SHARED.get_or_try_init(|| Self::start_shared(false)).await
    }

    /// As [`Cloud::shared`], with IAM policies enforced.
    ///
    /// # Errors
    /// As [`Cloud::start`].
    pub async fn shared_with_iam() -> Result<&'static Self, Error> {
        SHARED_IAM.get_or_try_init(|| Self::start_shared(true)).await
    }

    async fn start_shared(enforce_iam: bool) -> Result<Self, Error> {
        let log_dir = env::var_os("HOSTLER_TEST_LOGS").map(|dir| {
            let name = if enforce_iam { "iam" } else { "plain" };
            PathBuf::from(dir).join(format!("{}-{name}", std::process::id()))
        });
        let kind = EndpointKind::from_env()?;
        Self::start(CloudOptions { kind, enforce_iam, log_dir, ..CloudOptions::default() }).await
    }

    async fn start_ministack(options: CloudOptions) -> Result<Self, Error> {
        let python = venv::ensure_python(&options.progress).await?;
        options.progress.tell("starting the AWS endpoint");
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
        env.extend(options.port.map(|port| ("HOSTLER_PORT".to_owned(), port.to_string())));
        env.extend(INHERITED.into_iter().filter_map(|name| Some((name.to_owned(), env::var(name).ok()?))));
        env.extend(options.env);
        let server = Server::start(ServerSpec {
            name: "the AWS endpoint",
            python: &python,
            module: "cloud.py",
            settings: serde_json::Value::Null,
            env,
            log_dir: options.log_dir.as_deref(),
        })
        .await?;
        let url = format!("http://127.0.0.1:{}", server.port());
        if let Err(reason) = wait_for_answer(&format!("{url}/_ministack/health")).await {
            let output = venv::tail(server.log());
            return Err(Error::NotReady { name: "the AWS endpoint", reason, output });
        }
        Ok(Self {
            url,
            enforces_iam: options.enforce_iam,
            runs_here: true,
            backend: Backend::Ministack(Box::new(server)),
        })
    }

    async fn start_localstack(options: CloudOptions) -> Result<Self, Error> {
        if options.enforce_iam {
            return Err(Error::Unsupported { what: "enforcing IAM policies", kind: "LocalStack" });
        }
        options.progress.tell("starting the LocalStack container");
        let docker = |error| Error::Docker(Box::new(error));
        // LocalStack runs functions in containers of their own, beside its own.
        let socket = Mount::bind_mount("/var/run/docker.sock", "/var/run/docker.sock");
        let mut image = LocalStack::default().with_tag(LOCALSTACK_TAG).with_mount(socket);
        for (name, value) in options.env {
            image = image.with_env_var(name, value);
        }
        let container = image.start().await.map_err(docker)?;
        let guard = Guard::over(container.id());
        let host = container.get_host().await.map_err(docker)?;
        let port = container.get_host_port_ipv4(LOCALSTACK_PORT).await.map_err(docker)?;
        Ok(Self {
            url: format!("http://{host}:{port}"),
            enforces_iam: false,
            runs_here: false,
            backend: Backend::LocalStack { container: Some(Box::new(container)), _guard: guard },
        })
    }

    async fn use_url(url: &str, enforce_iam: bool) -> Result<Self, Error> {
        let url = url.trim_end_matches('/').to_owned();
        let unreachable = |reason| Error::Unreachable { url: url.clone(), reason };
        wait_for_answer(&url).await.map_err(unreachable)?;
        // A ministack runs functions as processes of this machine, so it takes them by path.
        let runs_here = is_loopback(&url) && is_ministack(&url).await;
        Ok(Self { url: url.clone(), enforces_iam: enforce_iam, runs_here, backend: Backend::Url })
    }

    /// Whether the endpoint answers right now.
    pub async fn is_answering(&self) -> bool {
        let Ok(client) = client_for(&self.url) else { return false };
        client.get(&self.url).send().await.is_ok()
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
            Backend::Ministack(server) => Some(server.log()),
            Backend::LocalStack { .. } | Backend::Url => None,
        }
    }

    /// The process group of the endpoint and its functions, where they are processes of ours.
    #[must_use]
    pub fn process_group(&self) -> Option<i32> {
        match &self.backend {
            Backend::Ministack(server) => Some(server.group()),
            Backend::LocalStack { .. } | Backend::Url => None,
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
        let Backend::Ministack(server) = &mut self.backend else {
            return Err(Error::Unsupported { what: "a restart", kind: "this endpoint" });
        };
        server.restart("the AWS endpoint").await?;
        let name = "the AWS endpoint";
        wait_for_answer(&format!("{}/_ministack/health", self.url)).await.map_err(|reason| Error::NotReady {
            name,
            reason,
            output: String::new(),
        })
    }

    /// Ends the endpoint and every function process, and waits for it. An endpoint that somebody else runs
    /// goes on.
    pub async fn stop(mut self) {
        match &mut self.backend {
            Backend::Ministack(server) => server.stop(),
            Backend::LocalStack { container, .. } => {
                if let Some(container) = container.take()
                    && let Err(error) = container.rm().await
                {
                    tracing::warn!(%error, "could not remove the LocalStack container");
                }
            }
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
fn client_for(url: &str) -> reqwest::Result<reqwest::Client> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_kind_is_read_from_text() {
        assert_eq!(EndpointKind::parse("").unwrap(), EndpointKind::Ministack);
        assert_eq!(EndpointKind::parse("localstack").unwrap(), EndpointKind::LocalStack);
        let url = EndpointKind::parse("http://127.0.0.1:4566/").unwrap();
        assert_eq!(url, EndpointKind::Url("http://127.0.0.1:4566".to_owned()));
        assert!(EndpointKind::parse("docker").is_err());
    }
}
