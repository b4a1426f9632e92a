//! Requests to a BMC: bounded in time, number and size, with retries where a repeat can do no harm.

use std::fmt;
use std::time::Duration;

use hostler_core::failure::printable;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Client, Response, StatusCode, Url};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::RedfishLimits;
use crate::bmc::{BmcEndpoint, TlsTrust};
use crate::error::{At, BoxError, DriverError};

const REDIRECTS_MAX: usize = 3;
const MESSAGE_CHARS_MAX: usize = 300;

/// What is asked of a BMC.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    /// Read.
    Get,
    /// Change to these values; may be repeated.
    Patch(&'a Value),
    /// Act. Repeated only if it was surely not carried out; in doubt the caller reads the state again.
    Post(&'a Value),
}

/// The way to one BMC.
pub(super) struct Wire {
    client: Client,
    system: Url,
    username: String,
    password: String,
    limits: RedfishLimits,
}

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Wire")
            .field("system", &self.system.as_str())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Builds the HTTP client for a kind of trust. Credentials are not part of it, so BMCs can share it.
pub(super) fn client(endpoint: &BmcEndpoint, limits: &RedfishLimits) -> Result<Client, DriverError> {
    let bad = |error: reqwest::Error| {
        bad_endpoint(&endpoint.system_url, "its TLS settings are refused", Some(Box::new(error)))
    };
    let mut builder = Client::builder()
        .connect_timeout(limits.connect_timeout)
        .timeout(limits.request_timeout)
        // BMCs are inside: no proxy of the environment gets between, nor sees their passwords.
        .no_proxy()
        .redirect(Policy::custom(same_origin_only))
        // A frozen function wakes up with dead connections; BMCs have few to give away.
        .pool_idle_timeout(Duration::from_secs(5))
        .pool_max_idle_per_host(1);
    match &endpoint.trust {
        TlsTrust::System => {}
        TlsTrust::AcceptAny => builder = builder.tls_danger_accept_invalid_certs(true),
        TlsTrust::Authorities(pem) => {
            let authorities = Certificate::from_pem_bundle(pem.as_bytes()).map_err(bad)?;
            if authorities.is_empty() {
                let reason = "there is no certificate in the PEM text of its authorities";
                return Err(bad_endpoint(&endpoint.system_url, reason, None));
            }
            builder = builder.tls_certs_only(authorities);
        }
    }
    builder.build().map_err(bad)
}

/// Redirects that keep method and body, on the same server: credentials go nowhere else.
fn same_origin_only(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let keeps_method =
        matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let same_origin =
        attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
    if keeps_method && same_origin && attempt.previous().len() <= REDIRECTS_MAX {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn bad_endpoint(system: &str, reason: &str, source: Option<BoxError>) -> DriverError {
    DriverError::BadEndpoint {
        at: At { system: system.to_owned(), doing: "connecting" },
        reason: reason.to_owned(),
        source,
    }
}

impl Wire {
    pub(super) fn new(
        client: Client,
        endpoint: &BmcEndpoint,
        limits: RedfishLimits,
    ) -> Result<Self, DriverError> {
        // The text may hold anything, a password too; it is shown only once it is known not to.
        let mut system = Url::parse(endpoint.system_url.trim_end_matches('/')).map_err(|error| {
            bad_endpoint("<unreadable URL>", "its URL can not be read", Some(Box::new(error)))
        })?;
        if !system.username().is_empty() || system.password().is_some() {
            let reason = "its URL holds credentials, which belong into their own fields";
            return Err(bad_endpoint(system.host_str().unwrap_or(""), reason, None));
        }
        system.set_query(None);
        system.set_fragment(None);
        if !matches!(system.scheme(), "http" | "https") || !system.path().contains("/Systems/") {
            let reason = "its URL should look like https://<bmc>/redfish/v1/Systems/<id>";
            return Err(bad_endpoint(system.as_str(), reason, None));
        }
        Ok(Self {
            client,
            system,
            username: endpoint.username.clone(),
            password: endpoint.password.clone(),
            limits,
        })
    }

    pub(super) fn system(&self) -> &Url {
        &self.system
    }

    pub(super) fn limits(&self) -> &RedfishLimits {
        &self.limits
    }

    /// When an operation without its own patience, started now, must be over.
    pub(super) fn operation_ends(&self) -> Instant {
        Instant::now() + self.limits.operation_timeout
    }

    pub(super) fn at(&self, doing: &'static str) -> At {
        At { system: self.system.to_string(), doing }
    }

    /// The URL that a link of the BMC leads to. Links to other servers are refused: they would get our credentials.
    pub(super) fn follow(&self, link: &str, doing: &'static str) -> Result<Url, DriverError> {
        let malformed = |source: BoxError| DriverError::Malformed { at: self.at(doing), source };
        let url = self.system.join(link).map_err(|error| malformed(Box::new(error)))?;
        if url.origin() == self.system.origin() {
            Ok(url)
        } else {
            Err(malformed("a link leads to another server".into()))
        }
    }

    /// The URL of something below a resource, where the BMC gives no link.
    pub(super) fn below(&self, resource: &Url, path: &str) -> Url {
        let mut url = resource.clone();
        url.set_path(&format!("{}/{path}", resource.path().trim_end_matches('/')));
        url
    }

    /// Reads the system.
    pub(super) async fn read_system(&self, doing: &'static str, ends: Instant) -> Result<Value, DriverError> {
        self.ask(doing, Ask::Get, &self.system, ends).await
    }

    /// Makes a request, and makes it again while that can help and do no harm.
    pub(super) async fn ask(
        &self,
        doing: &'static str,
        ask: Ask<'_>,
        url: &Url,
        ends: Instant,
    ) -> Result<Value, DriverError> {
        let mut backoff = self.limits.backoff_first;
        let mut attempt = 1;
        loop {
            let error = match self.once(doing, ask, url, ends).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let asked_for = error.retry_after_seconds().map(Duration::from_secs);
            let pause = asked_for.unwrap_or(backoff);
            let too_long = asked_for.is_some_and(|pause| pause > self.limits.retry_after_max)
                || Instant::now() + pause >= ends;
            if attempt >= self.limits.attempts_max || too_long || !may_repeat(ask, &error) {
                return Err(error);
            }
            tracing::debug!(
                system = %self.system,
                doing,
                attempt,
                error = error.label(),
                pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                "asking the BMC again"
            );
            sleep(pause).await;
            backoff = (backoff * 2).min(self.limits.backoff_max);
            attempt += 1;
        }
    }

    async fn once(
        &self,
        doing: &'static str,
        ask: Ask<'_>,
        url: &Url,
        ends: Instant,
    ) -> Result<Value, DriverError> {
        let time = ends.saturating_duration_since(Instant::now()).min(self.limits.request_timeout);
        let request = match ask {
            Ask::Get => self.client.get(url.clone()),
            Ask::Patch(body) => self.client.patch(url.clone()).json(body),
            Ask::Post(body) => self.client.post(url.clone()).json(body),
        };
        let request = if self.username.is_empty() {
            request
        } else {
            request.basic_auth(&self.username, Some(&self.password))
        };
        let failed = |error: reqwest::Error| self.connection_error(doing, error, time);
        let response = request.timeout(time).send().await.map_err(failed)?;
        let status = response.status();
        let retry_after_seconds = retry_after_seconds(response.headers());
        let body = self.body(doing, response, time).await?;
        if !status.is_success() {
            return Err(self.refusal(doing, url, status, retry_after_seconds, &body));
        }
        match ask {
            Ask::Get => serde_json::from_slice(&body)
                .map_err(|error| DriverError::Malformed { at: self.at(doing), source: Box::new(error) }),
            // What BMCs answer to changes differs, and says nothing that reading back would not.
            Ask::Patch(_) | Ask::Post(_) => Ok(Value::Null),
        }
    }

    async fn body(
        &self,
        doing: &'static str,
        mut response: Response,
        time: Duration,
    ) -> Result<Vec<u8>, DriverError> {
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.connection_error(doing, error, time))?
        {
            if body.len() + chunk.len() > self.limits.answer_bytes_max {
                let limit = self.limits.answer_bytes_max;
                return Err(DriverError::Malformed {
                    at: self.at(doing),
                    source: format!("the answer is longer than {limit} bytes").into(),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn connection_error(&self, doing: &'static str, error: reqwest::Error, time: Duration) -> DriverError {
        let at = self.at(doing);
        if error.is_connect() && is_about_certificate(&error) {
            DriverError::BadEndpoint {
                at,
                reason: "its TLS certificate is not one that is trusted for it".to_owned(),
                source: Some(Box::new(error.without_url())),
            }
        } else if error.is_connect() {
            DriverError::Unreachable { at, source: Box::new(error.without_url()) }
        } else if error.is_timeout() {
            DriverError::TimedOut { at, seconds: time.as_secs_f64() }
        } else {
            DriverError::ConnectionLost { at, source: Box::new(error.without_url()) }
        }
    }

    fn refusal(
        &self,
        doing: &'static str,
        url: &Url,
        status: StatusCode,
        retry_after_seconds: Option<u64>,
        body: &[u8],
    ) -> DriverError {
        let at = self.at(doing);
        let code = status.as_u16();
        match code {
            401 | 403 => DriverError::Unauthorized { at, status: code },
            404 | 410 => DriverError::NotFound { at, path: url.path().to_owned() },
            429 | 502 | 503 | 504 => DriverError::Busy { at, status: code, retry_after_seconds },
            500 | 505..=599 => DriverError::Failed { at, status: code, message: self.message(body) },
            _ => DriverError::Refused { at, status: code, message: self.message(body) },
        }
    }

    /// What the BMC says about its refusal, made fit to be shown.
    fn message(&self, body: &[u8]) -> String {
        let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
        let said = ["/error/@Message.ExtendedInfo/0/Message", "/error/message", "/Message"]
            .iter()
            .find_map(|path| parsed.pointer(path).and_then(Value::as_str))
            .map_or_else(|| String::from_utf8_lossy(body).into_owned(), ToOwned::to_owned);
        let mut shown = printable(&without_queries(&said));
        if !self.password.is_empty() {
            shown = shown.replace(&self.password, "<redacted>");
        }
        if shown.trim().is_empty() {
            return "no reason given".to_owned();
        }
        shown.trim().chars().take(MESSAGE_CHARS_MAX).collect()
    }
}

/// Whether a connection failed for its certificate, which no repeat cures. The TLS library's own error type is not
/// within reach here, so its words are looked at; if they change, the failure counts as transient.
fn is_about_certificate(error: &reqwest::Error) -> bool {
    std::iter::successors(std::error::Error::source(error), |error| error.source())
        .any(|error| error.to_string().contains("peer certificate"))
}

/// Whether a request may be made again at once: it is harmless, or it was surely not carried out.
fn may_repeat(ask: Ask<'_>, error: &DriverError) -> bool {
    match ask {
        Ask::Get | Ask::Patch(_) => error.is_transient(),
        Ask::Post(_) => matches!(error, DriverError::Busy { .. } | DriverError::Unreachable { .. }),
    }
}

/// Whether an order may have been carried out although it failed, so that only reading the state tells.
pub(super) fn in_doubt(error: &DriverError) -> bool {
    matches!(
        error,
        DriverError::TimedOut { .. } | DriverError::ConnectionLost { .. } | DriverError::Malformed { .. }
    )
}

/// `Retry-After`: seconds, or a date.
fn retry_after_seconds(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
    let seconds = date.duration_since(jiff::Timestamp::now()).as_secs();
    Some(u64::try_from(seconds).unwrap_or(0))
}

/// Cuts the queries off the URLs in a text: they hold tokens.
fn without_queries(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut in_query = false;
    for character in text.chars() {
        if character == '?' {
            in_query = true;
            shown.push_str("?…");
        } else if character.is_whitespace() || matches!(character, '"' | '\'' | '<' | '>' | ')') {
            in_query = false;
        }
        if !in_query {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail loudly
    use super::*;

    #[test]
    fn queries_are_cut_off() {
        assert_eq!(
            without_queries("Failed fetching 'http://i/d.iso?callback=secret&x=1': refused"),
            "Failed fetching 'http://i/d.iso?…': refused"
        );
        assert_eq!(without_queries("why? because"), "why?… because");
        assert_eq!(without_queries("plain"), "plain");
    }

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            headers
        };
        assert_eq!(retry_after_seconds(&headers("7")), Some(7));
        assert_eq!(retry_after_seconds(&headers("Wed, 21 Oct 2015 07:28:00 GMT")), Some(0));
        assert!(retry_after_seconds(&headers("Sat, 21 Oct 2095 07:28:00 GMT")).is_some_and(|s| s > 1_000));
        assert_eq!(retry_after_seconds(&headers("soon")), None);
        assert_eq!(retry_after_seconds(&HeaderMap::new()), None);
    }
}
