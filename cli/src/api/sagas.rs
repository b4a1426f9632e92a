//! The API's calls for sagas: what is listed and shown of each kind has a view of its own, and operators' commands are the
//! same for every kind.

use std::fmt;
use std::str::FromStr;

use hostler_core::StreamId;
use hostler_core::saga::SagaRef;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::register::SagaKind;
use super::rows::{Accepted, Timeline};
use super::view::View;
use super::{Api, Said};
use crate::error::CliError;

/// The kind of the sagas that bring hosts into service.
pub(crate) const PROVISIONING: &str = "provisioning";

/// A saga as it was named: `<kind>/<id>`, or `<kind>#<id>` as streams are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SagaName(SagaRef);

impl SagaName {
    /// A saga of a kind.
    ///
    /// # Errors
    /// [`CliError::Usage`] when the id has characters that ids have not.
    pub(crate) fn new(kind: &str, id: &str) -> Result<Self, CliError> {
        SagaRef::new(kind, id).map(Self).map_err(|error| CliError::Usage(error.to_string()))
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> &str {
        self.0.kind()
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        self.0.id()
    }
}

impl fmt::Display for SagaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.id())
    }
}

impl FromStr for SagaName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "give <kind>/<id>, such as provisioning/web-x7q2.1".to_owned();
        let (kind, id) = text.split_once(['#', '/']).ok_or_else(wrong)?;
        StreamId::new(kind, id).map(|stream| Self(stream.into())).map_err(|error| error.to_string())
    }
}

/// A saga of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SagaRow {
    /// `<kind>/<id>`.
    pub(crate) saga: String,
    pub(crate) kind: String,
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) state: SagaStateRow,
}

/// What the views of all sagas have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SagaStateRow {
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) step: Option<String>,
    #[serde(default)]
    pub(crate) attempt: Option<u32>,
    /// Its steps under way, where several may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) running: Vec<RunningStep>,
    #[serde(default)]
    pub(crate) deadline_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) category: Option<String>,
    #[serde(default)]
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: u64,
}

/// A step under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningStep {
    pub(crate) step: String,
    pub(crate) attempt: u32,
}

impl SagaStateRow {
    /// The steps under way.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &str> {
        let of_parallel = self.running.iter().map(|running| running.step.as_str());
        self.step.as_deref().into_iter().chain(of_parallel)
    }

    /// The attempt that it is at, the newest of several.
    pub(crate) fn newest_attempt(&self) -> Option<u32> {
        self.attempt.or_else(|| self.running.iter().map(|running| running.attempt).max())
    }

    /// Whether nothing more happens by itself.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "compensated" | "stuck")
    }
}

impl SagaRow {
    /// Reads a row of the view of a kind.
    fn read(of: &SagaKind, row: Map<String, Value>) -> Result<Self, CliError> {
        let kind = &of.kind;
        let id = View::Saga(of).id_in(&row).unwrap_or_default().to_owned();
        let state = serde_json::from_value(row.into()).map_err(CliError::failed(format!(
            "a {kind} is not understood, so this program and the application differ in age: build both again"
        )))?;
        Ok(Self { saga: format!("{kind}/{id}"), kind: kind.clone(), id, state })
    }
}

/// What an operator asks of a saga.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SagaVerb {
    /// Undo it.
    Cancel,
    /// A stuck one tries again.
    Resume,
    /// It goes on without a step that is stuck or waits for its next attempt.
    Skip { step: String },
    /// It tries such a step again with another input.
    Edit { step: String, input: Value },
    /// What waits for approval goes on.
    Approve { step: Option<String> },
    /// What waits for approval fails.
    Reject { step: Option<String> },
}

impl SagaVerb {
    /// The verb.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Resume => "resume",
            Self::Skip { .. } => "skip",
            Self::Edit { .. } => "edit",
            Self::Approve { .. } => "approve",
            Self::Reject { .. } => "reject",
        }
    }

    /// The step that it is about, where one was named.
    pub(crate) fn step(&self) -> Option<&str> {
        match self {
            Self::Cancel | Self::Resume => None,
            Self::Skip { step } | Self::Edit { step, .. } => Some(step),
            Self::Approve { step } | Self::Reject { step } => step.as_deref(),
        }
    }

    /// The API's command.
    fn command(&self) -> &'static str {
        match self {
            Self::Cancel => "cancel-saga",
            Self::Resume => "resume-saga",
            Self::Skip { .. } => "skip-step",
            Self::Edit { .. } => "edit-step",
            Self::Approve { .. } => "approve-step",
            Self::Reject { .. } => "reject-step",
        }
    }

    /// Its payload.
    fn body(&self, saga: &SagaName, reason: &str) -> Value {
        let mut body = json!({ "saga": saga.0, "reason": reason });
        if let Some(step) = self.step() {
            body["step"] = json!(step);
        }
        if let Self::Edit { input, .. } = self {
            body["input"] = input.clone();
        }
        body
    }
}

impl Api {
    /// The sagas, of one kind or of all kinds.
    pub(crate) async fn sagas(&self, kind: Option<&str>) -> Result<Vec<SagaRow>, CliError> {
        let register = self.register().await?;
        let kinds = match kind {
            Some(kind) => std::slice::from_ref(register.kind(kind)?),
            None => &register.sagas,
        };
        let mut sagas = Vec::new();
        for of in kinds {
            let rows: Vec<Map<String, Value>> = self.pages(View::Saga(of), None).await?;
            for row in rows {
                sagas.push(SagaRow::read(of, row)?);
            }
        }
        Ok(sagas)
    }

    /// One saga, or how it was at a moment.
    pub(crate) async fn saga(
        &self,
        saga: &SagaName,
        query: &[(&str, &str)],
    ) -> Result<Map<String, Value>, CliError> {
        let kind = self.register().await?.kind(saga.kind())?;
        self.document(View::Saga(kind), saga.id(), query).await
    }

    /// What happened to a saga.
    pub(crate) async fn saga_timeline(
        &self,
        saga: &SagaName,
        query: &[(&str, &str)],
    ) -> Result<Timeline, CliError> {
        let kind = self.register().await?.kind(saga.kind())?;
        self.timeline(View::Saga(kind), saga.id(), query).await
    }

    /// Asks something of a saga.
    pub(crate) async fn saga_verb(
        &self,
        said: Said<'_>,
        saga: &SagaName,
        verb: &SagaVerb,
        reason: &str,
    ) -> Result<Accepted, CliError> {
        let kind = self.register().await?.kind(saga.kind())?;
        let on = (View::Saga(kind), saga.id());
        self.command_on(said, on, verb.command(), &verb.body(saga, reason)).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn sagas_are_named_by_kind_and_id() {
        let name: SagaName = "provisioning/web.1".parse().unwrap();
        assert_eq!(name, SagaName::new(PROVISIONING, "web.1").unwrap());
        assert_eq!("provisioning#a/b.1".parse::<SagaName>().unwrap().id(), "a/b.1");
        assert!("web.1".parse::<SagaName>().unwrap_err().contains("<kind>/<id>"));
        assert!("provisioning/".parse::<SagaName>().is_err());
    }

    #[test]
    fn verbs_are_commands_that_fit_their_contracts() {
        let saga = SagaName::new(PROVISIONING, "web.1").unwrap();
        let step = || "apply-role".to_owned();
        let verbs = [
            SagaVerb::Cancel,
            SagaVerb::Resume,
            SagaVerb::Skip { step: step() },
            SagaVerb::Edit { step: step(), input: json!({ "role": "db" }) },
            SagaVerb::Approve { step: None },
            SagaVerb::Reject { step: Some(step()) },
        ];
        for verb in verbs {
            let body = verb.body(&saga, "planned");
            assert_eq!(body["saga"], "provisioning#web.1");
            (hostler_events::find(verb.command()).unwrap().check)(&body.into()).unwrap();
        }
    }

    #[test]
    fn rows_of_every_kind_read_alike() {
        let row = json!({
            "provisioning": "web.1", "request": "web", "status": "stuck", "category": "business", "version": 9,
            "updatedAt": "2026-01-31T12:00:00Z",
        });
        let of = |kind: &str| SagaKind { kind: kind.to_owned(), view: format!("{kind}s") };
        let row = SagaRow::read(&of(PROVISIONING), row.as_object().unwrap().clone()).unwrap();
        assert_eq!((row.saga.as_str(), row.state.status.as_str()), ("provisioning/web.1", "stuck"));
        assert_eq!(row.state.category.as_deref(), Some("business"));
        let row = json!({ "saga": "order#o-1", "status": "running", "version": 1, "updatedAt": "2026-01-31T12:00:00Z" });
        let row = SagaRow::read(&of("order"), row.as_object().unwrap().clone()).unwrap();
        assert_eq!(row.saga, "order/o-1");
    }
}
