//! Monitoring by Prometheus: hosts are found by HTTP service discovery, and looked at by its query API.
//!
//! Nothing is written to Prometheus. It asks `GET /monitoring/targets` which hosts there are, and that answer is made from
//! the state of the hosts themselves: one that its saga registers is a target already. What is kept here, under
//! `prometheus/<host>`, is for whom a host was registered and since when, so that a sample from an earlier life of the
//! machine is not taken for one of this life.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::mutants;
use hostler_runtime::ports::Clock;
use jiff::{SignedDuration, Timestamp};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};

use crate::error::{At, BoxError, DriverError};
use crate::monitoring::{Deregistered, FirstSample, Monitoring, RegisterHost, Registered};
use crate::state::{StateStore, load, save};

/// How far back samples are looked at: as far as Prometheus itself looks for the newest one.
const LOOK_BACK: &str = "5m";
/// One host's samples of five minutes are some 10 kB when it is looked at each second.
const ANSWER_BYTES_MAX: usize = 1_000_000;
const CONNECT_SECONDS_MAX: u64 = 5;
/// What of an error's text is told on.
const MESSAGE_CHARS_MAX: usize = 300;
const SERVICE: &str = "Prometheus";

/// Where Prometheus is, and how it is asked.
#[derive(Clone)]
pub struct PrometheusSettings {
    /// Its address, as `https://prometheus.example.org`, with a path where it is served below one.
    pub url: String,
    /// The bearer token that it or the proxy in front of it asks for; empty for none.
    pub token: String,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

impl PrometheusSettings {
    /// How long an answer is waited for, unless there is a reason for another time: a query of one host takes milliseconds.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
}

impl fmt::Debug for PrometheusSettings {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PrometheusSettings").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusSettingsError {
    /// The address is none.
    #[error(
        "{url:?} is not an absolute http(s) URL without user name, query and fragment, as \
         https://prometheus.example.org"
    )]
    Address {
        /// What was given.
        url: String,
    },
    /// No HTTP client can be made.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// A [`Monitoring`] that looks at hosts through Prometheus.
pub struct PrometheusMonitoring<S> {
    store: S,
    clock: Arc<dyn Clock>,
    client: Client,
    query: Url,
    token: String,
    timeout: Duration,
}

impl<S> fmt::Debug for PrometheusMonitoring<S> {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PrometheusMonitoring")
            .field("query", &self.query.as_str())
            .finish_non_exhaustive()
    }
}

/// The row of a host. The counters are what effects are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct PrometheusRow {
    /// What it was registered for; none while it is not.
    order: Option<String>,
    /// Since when.
    since: Option<Timestamp>,
    /// Registrations that changed something.
    registered: u64,
    /// Deregistrations that changed something.
    deregistered: u64,
}

/// What the query API answers (*Prometheus documentation: HTTP API, Format overview*).
#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: serde_json::Value,
}

/// The samples of one target, oldest first: seconds since 1970, and a number as text.
#[derive(Deserialize)]
struct Series {
    values: Vec<(f64, String)>,
}

impl<S: StateStore> PrometheusMonitoring<S> {
    /// Asks the Prometheus of these settings, and keeps its rows in the given store.
    ///
    /// # Errors
    /// [`PrometheusSettingsError`].
    pub fn new(
        settings: &PrometheusSettings,
        store: S,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PrometheusSettingsError> {
        let query = query_url(&settings.url)
            .ok_or_else(|| PrometheusSettingsError::Address { url: settings.url.clone() })?;
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
            .map_err(PrometheusSettingsError::Client)?;
        let PrometheusSettings { token, timeout, .. } = settings.clone();
        Ok(Self { store, clock, client, query, token, timeout })
    }

    fn key(host: &str) -> String {
        format!("prometheus/{host}")
    }

    /// The samples of a host's target in the last minutes.
    async fn samples(&self, host: &str, at: &At) -> Result<Vec<Series>, DriverError> {
        let result =
            self.ask(&format!("up{{host=\"{}\"}}[{LOOK_BACK}]", escaped(host)), "matrix", at).await?;
        serde_json::from_value(result)
            .map_err(|error| malformed(at, "its samples are not times and numbers", Some(error.into())))
    }

    /// How many alerts of faults fire for a host (*Prometheus documentation: Alerting rules*: the series `ALERTS`).
    async fn alerts(&self, host: &str, at: &At) -> Result<usize, DriverError> {
        let query = format!("ALERTS{{host=\"{}\", alertstate=\"firing\", fault!=\"\"}}", escaped(host));
        let result = self.ask(&query, "vector", at).await?;
        let alerts = result.as_array().ok_or_else(|| malformed(at, "its alerts are no list", None))?;
        Ok(alerts.len())
    }

    /// Asks the query API, and gives the result, which is of this kind.
    async fn ask(&self, query: &str, kind: &str, at: &At) -> Result<serde_json::Value, DriverError> {
        let mut url = self.query.clone();
        url.query_pairs_mut().append_pair("query", query);
        let mut request = self.client.get(url);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(at, error))?;
        let status = answer.status();
        let body = self.read(answer, at).await?;
        if !status.is_success() {
            return Err(refused(at, status, &body));
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|error| malformed(at, "it is not the JSON of the query API", Some(error.into())))?;
        let data = match answer {
            Answer { status, data: Some(data), .. } if status == "success" => data,
            Answer { status, error, .. } => {
                let said = error.map(|error| shortened(&error)).unwrap_or_default();
                return Err(malformed(at, &format!("its status is {status:?}: {said}"), None));
            }
        };
        if data.kind != kind {
            return Err(malformed(at, &format!("it holds a {:?} instead of a {kind}", data.kind), None));
        }
        Ok(data.result)
    }

    /// Reads the answer, as far as answers may go.
    async fn read(&self, mut answer: Response, at: &At) -> Result<Vec<u8>, DriverError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(at, error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let reason = format!(
                    "it is longer than {ANSWER_BYTES_MAX} bytes; see that one target only has the label host of this host"
                );
                return Err(malformed(at, &reason, None));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, at: &At, error: reqwest::Error) -> DriverError {
        let reason = if error.is_timeout() {
            format!("none came within {:?}; see that it is not overloaded", self.timeout)
        } else {
            "the connection failed; check PrometheusUrl, and that the network lets this function through"
                .to_owned()
        };
        // The query in the error's own address holds nothing but the host.
        DriverError::ServiceFailed { at: at.clone(), service: SERVICE, reason, source: Some(Box::new(error)) }
    }
}

#[async_trait]
impl<S: StateStore> Monitoring for PrometheusMonitoring<S> {
    async fn register(&self, request: &RegisterHost) -> Result<Registered, DriverError> {
        let host = request.host.as_str();
        let at = at(host, "registering with Prometheus");
        if request.target.is_none() {
            let reason = "nobody knows where the host serves its metrics: give it the label metrics.address, as \
                          10.0.0.7:9100 (hostler hosts label), and provision again";
            return Err(DriverError::StepFailed { at, reason: reason.to_owned(), transient: false });
        }
        let mut row: PrometheusRow = load(&self.store, &Self::key(host), at.clone()).await?;
        let changed = row.order.as_deref() != Some(request.order.as_str());
        let since = row.since.filter(|_| !changed).unwrap_or_else(|| self.clock.now());
        if changed {
            (row.order, row.since) = (Some(request.order.clone()), Some(since));
            row.registered += 1;
            save(&self.store, &Self::key(host), &row, at).await?;
        }
        Ok(Registered { changed, since })
    }

    async fn first_sample(&self, host: &str, not_before: Timestamp) -> Result<FirstSample, DriverError> {
        let at = at(host, "looking at the first sample");
        let series = self.samples(host, &at).await?;
        match newest(&series, not_before) {
            Some(sample) => Ok(sample),
            None => Err(DriverError::StepFailed {
                at,
                reason: format!(
                    "Prometheus has no sample of the host since {not_before}: it may come with its next scrape; if \
                     not, look whether the host is among its targets and answers at its label metrics.address"
                ),
                transient: true,
            }),
        }
    }

    /// A host that answers may be faulty all the same: a service or a disk of it has its own alert.
    async fn newest_sample(&self, host: &str, not_before: Timestamp) -> Result<FirstSample, DriverError> {
        let sample = self.first_sample(host, not_before).await?;
        if !sample.healthy {
            return Ok(sample);
        }
        let alerts = self.alerts(host, &at(host, "looking at its alerts")).await?;
        Ok(FirstSample { healthy: alerts == 0, ..sample })
    }

    /// The host has left the targets by its own state; this forgets for whom it was registered.
    async fn deregister(&self, host: &str) -> Result<Deregistered, DriverError> {
        let at = at(host, "deregistering from Prometheus");
        let mut row: PrometheusRow = load(&self.store, &Self::key(host), at.clone()).await?;
        let changed = row.order.take().is_some();
        if changed {
            row.since = None;
            row.deregistered += 1;
            save(&self.store, &Self::key(host), &row, at).await?;
        }
        Ok(Deregistered { changed })
    }
}

/// The newest sample of each target, as one: well when all are. Targets that were not looked at since then are those of
/// an earlier registration.
fn newest(series: &[Series], not_before: Timestamp) -> Option<FirstSample> {
    let newest = series.iter().filter_map(|series| {
        let (seconds, value) = series.values.last()?;
        let observed_at = time(*seconds)?;
        let counts = observed_at >= not_before || mutants::on("prometheus.takes-old-samples");
        counts.then_some(FirstSample { healthy: value == "1", observed_at })
    });
    newest.reduce(|one, other| FirstSample {
        healthy: one.healthy && other.healthy,
        observed_at: one.observed_at.min(other.observed_at),
    })
}

fn time(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

fn query_url(text: &str) -> Option<Url> {
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
    url.path_segments_mut().ok()?.pop_if_empty().extend(["api", "v1", "query"]);
    Some(url)
}

/// A text inside of quotes in PromQL.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn refused(at: &At, status: StatusCode, body: &[u8]) -> DriverError {
    let said = match serde_json::from_slice::<Answer>(body) {
        Ok(Answer { error: Some(error), .. }) => shortened(&error),
        _ => shortened(&String::from_utf8_lossy(body)),
    };
    let code = status.as_u16();
    let what_to_do = match code {
        // The question itself is wrong, for this host and for each repeat.
        400 | 422 => {
            return DriverError::ServiceRefused {
                at: at.clone(),
                service: SERVICE,
                status: code,
                message: said,
            };
        }
        401 | 403 => "it refuses the credentials; correct PrometheusToken",
        300..=399 => "it leads elsewhere; name the address itself in PrometheusUrl",
        404 | 405 => "no query API is there; correct PrometheusUrl",
        429 => "it is asked too much",
        _ => "look into its log",
    };
    let reason = format!("HTTP {code}, {what_to_do}: {said}");
    DriverError::ServiceFailed { at: at.clone(), service: SERVICE, reason, source: None }
}

fn malformed(at: &At, what: &str, source: Option<BoxError>) -> DriverError {
    let reason = format!("the answer cannot be used, for {what}");
    DriverError::ServiceFailed { at: at.clone(), service: SERVICE, reason, source }
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(MESSAGE_CHARS_MAX).collect()
}

fn at(host: &str, doing: &'static str) -> At {
    At { system: host.to_owned(), doing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_api_is_below_the_address() {
        let of = |text| query_url(text).map(|url| url.to_string());
        assert_eq!(of("http://p:9090").as_deref(), Some("http://p:9090/api/v1/query"));
        assert_eq!(of("https://p/prom/").as_deref(), Some("https://p/prom/api/v1/query"));
        for wrong in ["", "p:9090", "/prom", "ftp://p", "https://u:p@p", "https://p?x=1", "https://p#x"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_host_is_one_text_in_the_query() {
        assert_eq!(escaped(r#"h"} or up{x="\"#), r#"h\"} or up{x=\"\\"#);
    }
}
