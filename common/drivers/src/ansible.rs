//! Configuration by Ansible: a runner on the site applies roles, and calls back when they have ended.
//!
//! A job is handed in and not waited for. Its id follows from the saga's step, so that a repeat is the same job.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::configuration::{ApplyRole, Applying, Checking, Configuration};
use crate::error::{At, BoxError, DriverError};

const SERVICE: &str = "the configuration runner";
const CONNECT_SECONDS_MAX: u64 = 5;
/// What of a refusal's text is told on.
const MESSAGE_CHARS_MAX: usize = 300;
/// A refusal is a line of text.
const ANSWER_BYTES_MAX: usize = 65_536;

/// Where the runner is, and how it is asked.
#[derive(Clone)]
pub struct RunnerSettings {
    /// Its address, as `https://runner.example.org`, with a path where it is served below one.
    pub url: String,
    /// The bearer token that it asks for.
    pub token: String,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

impl RunnerSettings {
    /// How long an answer is waited for, unless there is a reason for another time: the runner only notes the job.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
}

impl fmt::Debug for RunnerSettings {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RunnerSettings").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunnerSettingsError {
    /// The address is none.
    #[error(
        "{url:?} is not an absolute http(s) URL without user name, query and fragment, as https://runner.example.org"
    )]
    Address {
        /// What was given.
        url: String,
    },
    /// The runner refuses whoever has no token.
    #[error("the runner's token is empty: give RunnerToken, as the runner's settings have it")]
    NoToken,
    /// No HTTP client can be made.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// A [`Configuration`] that has a runner apply roles.
pub struct AnsibleConfiguration {
    client: Client,
    jobs: Url,
    token: String,
    timeout: Duration,
}

impl fmt::Debug for AnsibleConfiguration {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AnsibleConfiguration")
            .field("jobs", &self.jobs.as_str())
            .finish_non_exhaustive()
    }
}

/// How the runner refuses.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl AnsibleConfiguration {
    /// Asks the runner of these settings.
    ///
    /// # Errors
    /// [`RunnerSettingsError`].
    pub fn new(settings: &RunnerSettings) -> Result<Self, RunnerSettingsError> {
        let jobs = jobs_url(&settings.url)
            .ok_or_else(|| RunnerSettingsError::Address { url: settings.url.clone() })?;
        if settings.token.is_empty() {
            return Err(RunnerSettingsError::NoToken);
        }
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .timeout(settings.timeout)
            // It is inside, and its token goes nowhere else.
            .no_proxy()
            .redirect(Policy::none())
            // A frozen function wakes up with dead connections.
            .pool_idle_timeout(Duration::from_secs(5))
            .pool_max_idle_per_host(1)
            .build()
            .map_err(RunnerSettingsError::Client)?;
        let RunnerSettings { token, timeout, .. } = settings.clone();
        Ok(Self { client, jobs, token, timeout })
    }

    fn away(&self, at: &At, error: reqwest::Error) -> DriverError {
        let reason = if error.is_timeout() {
            format!("none came within {:?}; see that it is not overloaded", self.timeout)
        } else {
            "the connection failed; check RunnerUrl, that the runner is up, and that the network lets this function \
             through"
                .to_owned()
        };
        // The job in the body holds the callback's token; the error's own address does not.
        failed(at, reason, Some(Box::new(error)))
    }
}

#[async_trait]
impl Configuration for AnsibleConfiguration {
    fn calls_back(&self) -> bool {
        true
    }

    async fn apply_role(&self, request: &ApplyRole) -> Result<Applying, DriverError> {
        self.hand_in("apply", request).await.map(|()| Applying::Begun)
    }

    async fn check_role(&self, request: &ApplyRole) -> Result<Checking, DriverError> {
        self.hand_in("check", request).await.map(|()| Checking::Begun)
    }
}

impl AnsibleConfiguration {
    /// Hands a job in. The runner reports its end.
    async fn hand_in(&self, mode: &str, request: &ApplyRole) -> Result<(), DriverError> {
        let at = At { system: request.host.clone(), doing: "handing in a job" };
        let job = json!({
            "id": job_id(request),
            "mode": mode,
            "host": request.host,
            "role": request.role,
            "revision": request.revision,
            "labels": request.labels,
            "callback": { "step": request.step, "token": request.token },
        });
        let sent = self.client.post(self.jobs.clone()).bearer_auth(&self.token).json(&job).send().await;
        let mut answer = sent.map_err(|error| self.away(&at, error))?;
        let status = answer.status();
        if status == StatusCode::ACCEPTED {
            return Ok(());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.away(&at, error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                break;
            }
        }
        Err(refused(&at, status, &body))
    }
}

impl AnsibleConfiguration {
    /// Asks the runner for something else than a role: what it answers, where it does as it is asked.
    pub(crate) async fn post(
        &self,
        at: &At,
        path: &str,
        body: &Value,
        bytes_max: usize,
    ) -> Result<Vec<u8>, DriverError> {
        let url = self.jobs.join(path).map_err(|error| failed(at, error.to_string(), None))?;
        let sent = self.client.post(url).bearer_auth(&self.token).json(body).send().await;
        let mut answer = sent.map_err(|error| self.away(at, error))?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.away(at, error))? {
            body.extend_from_slice(&chunk);
            if body.len() > bytes_max {
                return Err(failed(at, format!("its answer is longer than {bytes_max} bytes"), None));
            }
        }
        match answer.status() {
            status if status.is_success() => Ok(body),
            status => Err(refused(at, status, &body)),
        }
    }
}

/// The same for each repeat of an attempt. Another revision of the same attempt is another job.
fn job_id(request: &ApplyRole) -> String {
    let revision = request.revision.as_deref().map(|revision| format!("#{revision}")).unwrap_or_default();
    format!("{}/{}{revision}", request.saga, request.step)
}

fn jobs_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_plain {
        return None;
    }
    url.path_segments_mut().ok()?.pop_if_empty().push("jobs");
    Some(url)
}

fn refused(at: &At, status: StatusCode, body: &[u8]) -> DriverError {
    let said = match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { message }) => message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let message: String = said.trim().chars().take(MESSAGE_CHARS_MAX).collect();
    let code = status.as_u16();
    let what_to_do = match code {
        // The job itself is wrong, and each repeat would be: no such role or revision, or a host or label it does not take.
        400 | 409 | 413 | 422 => {
            return DriverError::ServiceRefused { at: at.clone(), service: SERVICE, status: code, message };
        }
        401 | 403 => "it refuses the token; correct RunnerToken",
        300..=399 => "it leads elsewhere; name the address itself in RunnerUrl",
        404 | 405 => "no runner is there; correct RunnerUrl",
        503 => "too many jobs wait; see that its hosts answer",
        _ => "look into its log",
    };
    failed(at, format!("HTTP {code}, {what_to_do}: {message}"), None)
}

pub(crate) fn failed(at: &At, reason: String, source: Option<BoxError>) -> DriverError {
    DriverError::ServiceFailed { at: at.clone(), service: SERVICE, reason, source }
}
