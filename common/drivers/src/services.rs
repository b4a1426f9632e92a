//! The port to the services of a host in service, and a driver that asks the agent on the host.
//!
//! The agent is the operator's own: any program that answers `POST <address>/services/<name>/restart` as docs/operations.md
//! says. Each order has a name of its own, which is sent as `Idempotency-Key`: an agent restarts a service once for each.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use crate::error::{At, DriverError};

const CONNECT_SECONDS_MAX: u64 = 3;
/// An answer names a service and its state.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// What of an error's text is told on.
const MESSAGE_CHARS_MAX: usize = 300;
const AGENT: &str = "the agent on the host";
/// The state of a service that runs, as systemd calls it.
const ACTIVE: &str = "active";

/// Asks for a service to be restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartService {
    /// The id of the host.
    pub host: String,
    /// The service.
    pub service: String,
    /// What it is restarted for: the same one is a repeat, for which nothing is restarted.
    pub order: String,
    /// Where the host's agent is; none where nobody has said so.
    pub agent: Option<String>,
}

/// What a host's agent can do to its services.
#[async_trait]
pub trait Services: Send + Sync {
    /// Restarts a service, once for each order, and returns when it runs.
    ///
    /// # Errors
    /// [`DriverError`], of which [`DriverError::is_transient`] says whether to call again. A host that has no such service, and one
    /// whose service does not run after it was restarted, say so for good.
    async fn restart(&self, request: &RestartService) -> Result<(), DriverError>;
}

/// How agents are asked.
#[derive(Clone)]
pub struct AgentSettings {
    /// The bearer token that agents ask for; empty for none.
    pub token: String,
    /// How long an answer is waited for: a service may take its time to stop.
    pub timeout: Duration,
}

impl AgentSettings {
    /// How long an answer is waited for, unless there is a reason for another time.
    pub const TIMEOUT: Duration = Duration::from_secs(20);
}

impl fmt::Debug for AgentSettings {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AgentSettings").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// [`Services`] by the agents on the hosts, over HTTP.
pub struct AgentServices {
    client: Client,
    token: String,
    timeout: Duration,
}

impl fmt::Debug for AgentServices {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AgentServices").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// What an agent answers.
#[derive(Deserialize)]
struct Answer {
    service: String,
    state: String,
}

impl AgentServices {
    /// Asks agents by these settings.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(settings: AgentSettings) -> Result<Self, reqwest::Error> {
        let AgentSettings { token, timeout } = settings;
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .timeout(timeout)
            // Agents are inside, and their token goes nowhere else.
            .no_proxy()
            .redirect(Policy::none())
            // A frozen function wakes up with dead connections.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { client, token, timeout })
    }

    fn no_answer(&self, at: &At, error: reqwest::Error) -> DriverError {
        let reason = if error.is_timeout() {
            format!("none came within {:?}: the host may hang", self.timeout)
        } else {
            "the connection failed; check the host's label agent.url, and that the network lets this function through"
                .to_owned()
        };
        let source = Some(error.without_url().into());
        DriverError::ServiceFailed { at: at.clone(), service: AGENT, reason, source }
    }

    /// Reads the answer, as far as answers may go.
    async fn read(&self, mut answer: Response, at: &At) -> Result<Vec<u8>, DriverError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.no_answer(at, error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(unusable(at, &format!("it is longer than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

#[async_trait]
impl Services for AgentServices {
    async fn restart(&self, request: &RestartService) -> Result<(), DriverError> {
        let RestartService { host, service, order, agent } = request;
        let at = At { system: host.clone(), doing: "restarting a service" };
        let Some(agent) = agent else {
            return Err(refused(
                &at,
                "nobody knows where its agent is: give it the label agent.url, as https://10.0.0.7:9101 \
                 (hostler hosts label)"
                    .to_owned(),
            ));
        };
        let url = restart_url(agent, service).ok_or_else(|| {
            refused(&at, format!("its label agent.url is {agent:?}: give an absolute http(s) URL without user name, query and fragment"))
        })?;
        let mut post = self.client.post(url).header("idempotency-key", order);
        if !self.token.is_empty() {
            post = post.bearer_auth(&self.token);
        }
        let answer = post.send().await.map_err(|error| self.no_answer(&at, error))?;
        let status = answer.status();
        let body = self.read(answer, &at).await?;
        if !status.is_success() {
            return Err(failed(&at, status, service, &body));
        }
        let Answer { service: restarted, state } = serde_json::from_slice(&body)
            .map_err(|error| unusable(&at, &format!("it is not the JSON of an agent: {error}")))?;
        if restarted != *service {
            return Err(unusable(
                &at,
                &format!("it is about {:?} instead of {service}", shortened(&restarted)),
            ));
        }
        match state.as_str() {
            ACTIVE => Ok(()),
            _ => Err(refused(
                &at,
                format!("{service} was restarted, and is {:?} instead of active", shortened(&state)),
            )),
        }
    }
}

/// `<agent>/services/<service>/restart`.
fn restart_url(agent: &str, service: &str) -> Option<Url> {
    let mut url = Url::parse(agent).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_plain {
        return None;
    }
    url.path_segments_mut().ok()?.pop_if_empty().extend(["services", service, "restart"]);
    Some(url)
}

/// What another attempt does not change.
fn refused(at: &At, reason: String) -> DriverError {
    DriverError::StepFailed { at: at.clone(), reason, transient: false }
}

fn unusable(at: &At, reason: &str) -> DriverError {
    DriverError::ServiceFailed { at: at.clone(), service: AGENT, reason: reason.to_owned(), source: None }
}

fn failed(at: &At, status: StatusCode, service: &str, body: &[u8]) -> DriverError {
    let said = shortened(&String::from_utf8_lossy(body));
    match status {
        StatusCode::NOT_FOUND => refused(at, format!("its agent knows no service {service}: {said}")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => refused(
            at,
            format!(
                "its agent refuses the token (HTTP {status}): give it the one of the parameter AgentToken"
            ),
        ),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            unusable(at, &format!("HTTP {status}: {said}"))
        }
        _ if status.is_client_error() => refused(at, format!("its agent refuses (HTTP {status}): {said}")),
        _ => unusable(at, &format!("HTTP {status}: {said}")),
    }
}

fn shortened(text: &str) -> String {
    hostler_core::failure::printable(text).chars().take(MESSAGE_CHARS_MAX).collect()
}
