//! The demo that an application describes itself, in `infra/demo.json`: what it is sent, what is waited for, and what to try
//! afterwards.

use std::path::Path;
use std::time::{Duration, Instant};

use hostler_aws::DynamoControl;
use hostler_localstack::CallbackRoute;
use hostler_runtime::ports::Control;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::start::Running;
use crate::api::{SagaName, SagaRow, Said, sort_by_id};
use crate::commands::runtime::failures;
use crate::error::CliError;
use crate::output::Out;
use crate::render::{table, time, timeline};
use crate::steps::Steps;

/// Where an application keeps it.
pub(crate) const FILE: &str = "infra/demo.json";
/// The longest that one step of it takes.
const WAIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// A demo.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Script {
    /// What there is to be seen.
    says: String,
    /// What is done, in order.
    steps: Vec<Step>,
    /// The sagas whose timelines are shown at the end.
    #[serde(default)]
    show: Vec<SagaText>,
    /// Commands to try afterwards.
    #[serde(default, rename = "try")]
    hints: Vec<String>,
}

/// One thing that is done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, tag = "do", rename_all = "kebab-case")]
enum Step {
    /// A command is sent.
    Send { says: String, command: String, data: Value },
    /// A saga is waited for, until it is in a status or at a step.
    Wait { says: String, saga: SagaText, status: Option<String>, step: Option<String> },
    /// An outsider answers: its callback's address is a field of what the application noted in `control` under a key.
    CallBack { says: String, key: String, field: String, answer: Value },
}

/// A saga, `<kind>/<id>`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct SagaText(SagaName);

impl TryFrom<String> for SagaText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

impl Script {
    /// The demo of the application in a folder, if it has one.
    ///
    /// # Errors
    /// When its file does not read.
    pub(crate) fn of(root: &Path) -> Result<Option<Self>, CliError> {
        let path = root.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(CliError::file("read", &path))?;
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(CliError::failed(format!("{} is no demo", path.display())))
    }

    /// What to try afterwards.
    pub(crate) fn hints(&self) -> String {
        let lines: String = self.hints.iter().map(|line| format!("  {line}\n")).collect();
        if lines.is_empty() { lines } else { format!("\nTry in another terminal:\n{lines}") }
    }

    /// Plays it; fails when something does not come as it is described.
    pub(crate) async fn play(
        &self,
        running: &Running,
        steps: &Steps,
        out: Out,
        started: Instant,
    ) -> Result<(), CliError> {
        out.say(out.bold(&self.says))?;
        for step in &self.steps {
            step.play(running, steps).await?;
        }
        steps.clear();
        let target = &running.target;
        let mut sagas = target.api.sagas(None).await?;
        sort_by_id(&mut sagas, |row| &row.saga);
        let dead_letters: u64 = failures::counts(target).await?.values().sum();
        let dead_letters = dead_letters + failures::open_count(target).await?;
        let tally = table::tally(sagas.iter().map(|row| row.state.status.as_str()));
        if out.json {
            out.json_line(&json!({
                "sagas": sagas, "deadLetters": dead_letters, "seconds": started.elapsed().as_secs_f64(),
            }))?;
        } else {
            out.line(format!("\n{}", table::sagas(&sagas, Timestamp::now())))?;
            for SagaText(saga) in &self.show {
                let happened = target.api.saga_timeline(saga, &[]).await?;
                out.line(format!("\n{}", out.bold(format!("What happened to {saga}"))))?;
                out.line(timeline::timeline(&happened, false))?;
            }
            let took = time::span(started.elapsed());
            let verdict = out.good("✓ everything came as it should:");
            out.line(format!(
                "\n{verdict} {} sagas: {tally}; {dead_letters} dead letters; {took} in all",
                sagas.len()
            ))?;
        }
        match dead_letters {
            0 => Ok(()),
            _ => Err(CliError::Outcome(format!(
                "{dead_letters} messages could not be handled: see `hostler failures list`"
            ))),
        }
    }
}

impl Step {
    async fn play(&self, running: &Running, steps: &Steps) -> Result<(), CliError> {
        let api = &running.target.api;
        match self {
            Self::Send { says, command, data } => {
                let step = steps.begin(says);
                let accepted = api.command(Said(command), command, data).await?;
                step.done(says, &format!("{command}: {}", accepted.stream))
            }
            Self::Wait { says, saga: SagaText(saga), status, step: at } => {
                let step = steps.begin(says);
                let row = until(running, saga, (status.as_deref(), at.as_deref())).await?;
                step.done(says, &format!("{saga}: {}", standing(&row)))
            }
            Self::CallBack { says, key, field, answer } => {
                let step = steps.begin(says);
                let url = noted(running, key, field).await?;
                call_back(running, &url, answer).await?;
                step.done(says, "POST /callbacks")
            }
        }
    }
}

/// Waits until a saga is in a status or at a step.
async fn until(
    running: &Running,
    saga: &SagaName,
    (status, step): (Option<&str>, Option<&str>),
) -> Result<SagaRow, CliError> {
    let started = Instant::now();
    let name = saga.to_string();
    loop {
        let sagas = running.target.api.sagas(Some(saga.kind())).await?;
        let row = sagas.into_iter().find(|row| row.saga == name);
        if let Some(row) = &row {
            let there = status.is_none_or(|status| row.state.status == status)
                && step.is_none_or(|step| row.state.steps().any(|at| at == step));
            if there {
                return Ok(row.clone());
            }
            if row.state.is_over() {
                let wanted = status.or(step).unwrap_or_default();
                return Err(CliError::Outcome(format!("{name} is {}, and not {wanted}", standing(row))));
            }
        }
        let waited = started.elapsed();
        if waited > WAIT {
            let stands = row.as_ref().map_or_else(|| "not there".to_owned(), standing);
            return Err(CliError::TimedOut { what: format!("{name} is still {stands}"), waited });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How a saga stands, in a few words.
fn standing(row: &SagaRow) -> String {
    let at = row.state.steps().collect::<Vec<_>>().join(", ");
    match &row.state.reason {
        Some(reason) => format!("{} ({reason})", row.state.status),
        None if at.is_empty() => row.state.status.clone(),
        None => format!("{} at {at}", row.state.status),
    }
}

/// The address that was noted, once it is.
async fn noted(running: &Running, key: &str, field: &str) -> Result<String, CliError> {
    let started = Instant::now();
    let client = aws_sdk_dynamodb::Client::new(&running.target.config);
    let control = DynamoControl::new(client, running.target.output("ControlTable")?);
    loop {
        let entry = control.get(key).await.map_err(CliError::failed("the control table cannot be read"))?;
        if let Some(url) = entry.and_then(|entry| entry.value[field].as_str().map(str::to_owned)) {
            return Ok(url);
        }
        let waited = started.elapsed();
        if waited > WAIT {
            return Err(CliError::TimedOut {
                what: format!("nothing is noted under {key} in control"),
                waited,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Calls an address as an outsider does: without credentials.
async fn call_back(running: &Running, url: &str, answer: &Value) -> Result<(), CliError> {
    let endpoint = running.state.endpoint.as_deref().unwrap_or_default();
    let route = CallbackRoute::to(endpoint);
    let unanswered = || CliError::failed("the callback was not answered");
    let client = reqwest::Client::builder().no_proxy().build().map_err(unanswered())?;
    let answered = client.post(route.resolve(url).0).json(answer).send().await;
    let answered = answered.map_err(|error| unanswered()(error.without_url()))?;
    let status = answered.status();
    if status.is_success() {
        return Ok(());
    }
    let said = answered.text().await.unwrap_or_default();
    Err(CliError::Outcome(format!("the callback was refused ({status}): {said}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_shops_demo_reads() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let demo = Script::of(&root.join("examples/orders")).unwrap().unwrap();
        assert!(demo.steps.len() > 5 && demo.hints().contains("sagas approve"), "{demo:?}");
        assert!(Script::of(root).unwrap().is_none(), "the data centre's is a part of this program");
    }

    #[test]
    fn what_is_no_demo_is_told_where() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("infra")).unwrap();
        let text = r#"{ "says": "x", "steps": [ { "do": "dance", "says": "y" } ] }"#;
        std::fs::write(dir.path().join(FILE), text).unwrap();
        let error = crate::error::chain(&Script::of(dir.path()).unwrap_err());
        assert!(error.contains("infra/demo.json is no demo") && error.contains("`dance`"), "{error}");
    }
}
