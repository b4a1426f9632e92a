//! The orchestrator's HTTP API: signed requests, typed answers, clear errors.

mod register;
mod rows;
mod sagas;
mod sign;
#[cfg(test)]
pub(crate) mod tests;
mod view;
mod words;

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use hostler_core::ids::check_new_key;
use reqwest::{Method, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use uuid::Uuid;

pub(crate) use register::Registered;
pub(crate) use rows::{
    Accepted, AdvisoryRow, CampaignRackRow, CampaignRow, CommitShown, Entity, FailureRow, FaultDomainRow,
    FindingRow, HostRow, IncidentRow, InventoryRow, PoolRow, ProvisioningRow, RequestRow, Rows, SourceRow,
    Timeline, sort_by_id,
};
pub(crate) use sagas::{PROVISIONING, SagaName, SagaRow, SagaVerb};
pub(crate) use view::View;

use crate::error::CliError;

/// How often a request is sent at most.
const TRIES_MAX: u32 = 6;
/// The first pause between tries; doubled each time.
const PAUSE_MS_FIRST: u64 = 200;
/// The longest pause, whatever the answer asks for.
const PAUSE_MS_MAX: u64 = 5_000;
/// The longest that one answer may take; API Gateway gives up after 30 s.
const ANSWER_SECONDS_MAX: u64 = 35;
const CONNECT_SECONDS_MAX: u64 = 5;
/// How many pages of a list or a timeline are read; a page has 500 entries.
pub(crate) const PAGES_MAX: usize = 100;

const LOCAL_ADVICE: &str = "see whether it runs with `hostler doctor`, and its log in .hostler/logs";
const AWS_ADVICE: &str = "check the network, --stack and --region";

/// A client of the orchestrator's API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: reqwest::Client,
    base: Url,
    region: String,
    credentials: SharedCredentialsProvider,
    local: bool,
    register: Arc<OnceCell<Registered>>,
}

/// The command of this program that is being carried out, such as `hosts label`; errors begin with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a>(pub(crate) &'a str);

/// A request, before it is signed.
struct Request<'a> {
    action: &'a str,
    method: Method,
    url: Url,
    body: String,
    headers: Vec<(&'static str, String)>,
}

impl Api {
    /// A client of the API at an address, which signs with the given credentials.
    ///
    /// # Errors
    /// [`CliError::Usage`] when it is no address.
    pub(crate) fn new(
        address: &str,
        region: &str,
        credentials: SharedCredentialsProvider,
        local: bool,
    ) -> Result<Self, CliError> {
        let base = Url::parse(address)
            .map_err(|error| CliError::Usage(format!("the API's address {address:?} is none: {error}")))?;
        let builder = reqwest::Client::builder()
            .timeout(Duration::from_secs(ANSWER_SECONDS_MAX))
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX));
        // A proxy of the user's environment does not lead to this machine.
        let builder = if local { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(CliError::failed("no HTTP client can be made"))?;
        let register = Arc::default();
        Ok(Self { client, base, region: region.to_owned(), credentials, local, register })
    }

    /// Sends a command. It carries a key of its own, so that sending it again acts once.
    ///
    /// # Errors
    /// [`CliError::Refused`] with the orchestrator's reason, and those of reaching it.
    pub(crate) async fn command(
        &self,
        said: Said<'_>,
        name: &str,
        data: &Value,
    ) -> Result<Accepted, CliError> {
        let request = Request {
            action: said.0,
            method: Method::POST,
            url: self.url(&["commands", name], &[]),
            body: data.to_string(),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("idempotency-key", Uuid::now_v7().to_string()),
            ],
        };
        self.ask(request).await
    }

    /// Sends a signal in a form, as its system does: the route asks for a token, and for no signature.
    ///
    /// # Errors
    /// [`CliError::Refused`] for a wrong token, and those of reaching the API.
    pub(crate) async fn signal(&self, form: &str, token: &str, body: &Value) -> Result<(), CliError> {
        let action = "simulate";
        let url = self.url(&["signals", form], &[]);
        let sent = self.client.post(url).bearer_auth(token).json(body).send().await;
        let answer = sent.map_err(|error| self.unreachable(error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(failure(action, status.as_u16(), &answer.text().await.unwrap_or_default()))
    }

    /// One row of a view, or how it was at a moment (`version` or `at` in the query).
    ///
    /// # Errors
    /// [`CliError::Refused`] when there is none (404), and those of reaching the API.
    pub(crate) async fn document<T: DeserializeOwned>(
        &self,
        view: View<'_>,
        id: &str,
        query: &[(&str, &str)],
    ) -> Result<T, CliError> {
        let action = format!("{} show", view.noun());
        match self.get(&action, &[view.path(), id], query).await {
            Err(CliError::Refused { status: 404, message, .. }) if !query.is_empty() => {
                // It may be there now and not have been then.
                let now = self.get::<Value>(&action, &[view.path(), id], &[]).await;
                self.or_nearest(view, id, now).await?;
                Err(CliError::Refused { action, status: 404, code: "not-yet".to_owned(), message })
            }
            answered => self.or_nearest(view, id, answered).await,
        }
    }

    /// An answer; where it says that there is no such thing, the nearest id is looked for.
    async fn or_nearest<T>(
        &self,
        view: View<'_>,
        id: &str,
        answered: Result<T, CliError>,
    ) -> Result<T, CliError> {
        let Err(refused @ CliError::Refused { status: 404, .. }) = answered else { return answered };
        // Without the list there is no nearest id, and the error is the same.
        let ids = self.ids(view).await.unwrap_or_default();
        // What there is was refused for another reason: a host whose incident is closed has no incident any more.
        Err(if ids.iter().any(|known| known == id) { refused } else { missing(view, id, &ids) })
    }

    /// The ids of a view.
    async fn ids(&self, view: View<'_>) -> Result<Vec<String>, CliError> {
        let rows: Vec<Map<String, Value>> = self.pages(view, None).await?;
        Ok(rows.iter().filter_map(|row| view.id_in(row).map(str::to_owned)).collect())
    }

    /// Sends a command about a thing; where there is none of that id, the error says which is near.
    ///
    /// # Errors
    /// As [`Api::command`], and [`CliError::NotFound`].
    pub(crate) async fn command_on(
        &self,
        said: Said<'_>,
        on: (View<'_>, &str),
        name: &str,
        data: &Value,
    ) -> Result<Accepted, CliError> {
        let answered = self.command(said, name, data).await;
        self.or_nearest(on.0, on.1, answered).await
    }

    /// All rows of a view, or of one of its groups, page by page.
    ///
    /// # Errors
    /// Those of reaching the API.
    pub(crate) async fn rows<T: Entity>(&self, group: Option<&str>) -> Result<Vec<T>, CliError> {
        self.pages(T::VIEW, group).await
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        view: View<'_>,
        group: Option<&str>,
    ) -> Result<Vec<T>, CliError> {
        let action = format!("{} list", view.noun());
        let mut rows = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let query: Vec<(&str, &str)> = group
                .map(|group| ("group", group))
                .into_iter()
                .chain(after.as_deref().map(|after| ("after", after)))
                .collect();
            let page: Rows<T> = self.get(&action, &[view.path()], &query).await?;
            rows.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(rows)
    }

    /// What happened to an entity, oldest first, page by page.
    ///
    /// # Errors
    /// [`CliError::Refused`] when nothing is known of it, and those of reaching the API.
    pub(crate) async fn timeline(
        &self,
        view: View<'_>,
        id: &str,
        query: &[(&str, &str)],
    ) -> Result<Timeline, CliError> {
        let action = format!("{} show", view.noun());
        let mut whole: Option<Timeline> = None;
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let mut query = query.to_vec();
            if !after.is_empty() {
                query.push(("after", &after));
            }
            let page = self.get(&action, &[view.path(), id, "timeline"], &query).await;
            let page: Timeline = self.or_nearest(view, id, page).await?;
            let next = page.next;
            match &mut whole {
                None => whole = Some(page),
                Some(whole) => whole.commits.extend(page.commits),
            }
            match next {
                Some(version) => after = version.to_string(),
                None => break,
            }
        }
        whole.ok_or_else(|| CliError::Usage(format!("nothing was read of {id}")))
    }

    /// The commits of an entity after a version, oldest first, page by page until there are at least so many.
    ///
    /// # Errors
    /// [`CliError::NotFound`] when nothing is known of it, and those of reaching the API.
    pub(crate) async fn commits(
        &self,
        view: View<'_>,
        id: &str,
        mut after: u64,
        enough: u64,
    ) -> Result<Vec<CommitShown>, CliError> {
        let action = format!("{} show", view.noun());
        let mut commits: Vec<CommitShown> = Vec::new();
        while (commits.len() as u64) < enough {
            let from = after.to_string();
            let query: &[(&str, &str)] = if after == 0 { &[] } else { &[("after", &from)] };
            let page = self.get(&action, &[view.path(), id, "timeline"], query).await;
            let page: Timeline = match page {
                Err(CliError::Refused { status: 404, .. }) => {
                    let (what, name) = (view.one().to_owned().into(), id.to_owned());
                    return Err(CliError::NotFound { what, name, hint: String::new(), list: None });
                }
                page => page?,
            };
            commits.extend(page.commits);
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        Ok(commits)
    }

    async fn get<T: DeserializeOwned>(
        &self,
        action: &str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, CliError> {
        let (method, url) = (Method::GET, self.url(path, query));
        self.ask(Request { action, method, url, body: String::new(), headers: Vec::new() }).await
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Ids may hold slashes, which are sent as they are; but for ids that would then be read as something else.
            segments.pop_if_empty();
            for part in path {
                match check_new_key("id", part) {
                    Ok(()) => segments.extend(part.split('/')),
                    Err(_) => segments.push(part),
                };
            }
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Sends a request until it is answered for good, and reads the answer.
    async fn ask<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, CliError> {
        let mut pause = Duration::from_millis(PAUSE_MS_FIRST);
        for last in (1..=TRIES_MAX).map(|n| n == TRIES_MAX) {
            match self.send(&request).await? {
                Ok(answer) if !last && is_passing(answer.status()) => {
                    pause = retry_after(&answer).unwrap_or_default().max(pause);
                }
                Ok(answer) => return read(request.action, answer).await,
                // Nobody listens: that seldom passes, and whoever waits for a cloud to start asks again anyway.
                Err(error) if last || error.is_connect() => return Err(self.unreachable(error)),
                Err(_) => {}
            }
            tokio::time::sleep(pause.min(Duration::from_millis(PAUSE_MS_MAX))).await;
            pause *= 2;
        }
        Err(CliError::Usage(format!("{} was never sent", request.action)))
    }

    async fn send(&self, request: &Request<'_>) -> Result<Result<Response, reqwest::Error>, CliError> {
        let headers = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signature = sign::signature(
            &self.credentials,
            &self.region,
            sign::Signable {
                method: request.method.as_str(),
                url: request.url.as_str(),
                headers: headers.clone().collect(),
                body: request.body.as_bytes(),
            },
        )
        .await?;
        let mut sent = self.client.request(request.method.clone(), request.url.clone());
        for (name, value) in headers {
            sent = sent.header(name, value);
        }
        for (name, value) in signature {
            sent = sent.header(name, value);
        }
        Ok(sent.body(request.body.clone()).send().await)
    }

    fn unreachable(&self, error: reqwest::Error) -> CliError {
        CliError::Unreachable {
            what: format!("the API at {}", self.base),
            advice: if self.local { LOCAL_ADVICE } else { AWS_ADVICE },
            source: error.without_url().into(),
        }
    }
}

/// That there is none of this id, with the nearest of those that there are.
fn missing(view: View<'_>, id: &str, ids: &[String]) -> CliError {
    let hint = crate::near::nearest(id, ids.iter().map(String::as_str));
    CliError::NotFound {
        what: view.one().to_owned().into(),
        name: id.to_owned(),
        hint: hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default(),
        list: Some(view.listed_by()),
    }
}

/// Whether the same request may be answered otherwise soon.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Reads an answer, or what an error answer says.
async fn read<T: DeserializeOwned>(action: &str, answer: Response) -> Result<T, CliError> {
    let status = answer.status();
    let text = answer
        .text()
        .await
        .map_err(CliError::failed(format!("the answer to {action} broke off: try again")))?;
    if status.is_success() {
        return serde_json::from_str(&text).map_err(CliError::failed(format!(
            "the answer to {action} is not understood, so this program and the application differ in age: build both again"
        )));
    }
    Err(failure(action, status.as_u16(), &text))
}

/// The error that an error answer stands for.
fn failure(action: &str, status: u16, text: &str) -> CliError {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| body[name].as_str().map(str::to_owned);
    let action = action.to_owned();
    if (400..500).contains(&status) {
        let code = field("error");
        if code.as_deref() == Some("no-such-route") {
            return CliError::NotServed { action };
        }
        let message = match (&code, field("message").or_else(|| field("Message"))) {
            (Some(_), Some(message)) => words::in_our_words(&message),
            // The gateway's own words: it has not come to the orchestrator.
            (None, _) if status == 403 => {
                "the credentials may not call this API: sign in as somebody with execute-api:Invoke on it"
                    .to_owned()
            }
            (_, message) => message.unwrap_or_else(|| "no reason was given".to_owned()),
        };
        return CliError::Refused { action, status, code: code.unwrap_or_default(), message };
    }
    let message = field("message").unwrap_or_else(|| "see the function's log".to_owned());
    CliError::Answer { action, status, message }
}
