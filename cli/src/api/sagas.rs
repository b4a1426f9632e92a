//! The API's calls for sagas: the only place that knows their routes.
//!
//! The API of today knows sagas of one kind, provisionings, by routes and commands of their own. Once it has
//! `GET /sagas?kind=…`, `GET /sagas/<kind>/<id>`, `GET /sagas/<kind>/<id>/timeline` and
//! `POST /sagas/<kind>/<id>/<verb>`, only this file changes.

use std::fmt;
use std::str::FromStr;

use hostler_core::StreamId;
use hostler_core::saga::SagaRef;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::rows::{Accepted, ProvisioningRow, Timeline, View};
use super::{Api, Said};
use crate::error::CliError;

/// The kinds that the API knows.
pub(crate) const KINDS: [&str; 1] = [PROVISIONING];
/// The kind of the sagas that bring hosts into service.
pub(crate) const PROVISIONING: &str = "provisioning";

/// A saga as it was named: `<kind>/<id>`, or `<kind>#<id>` as streams are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SagaName {
    pub(crate) kind: String,
    pub(crate) id: String,
}

impl SagaName {
    /// A provisioning.
    pub(crate) fn provisioning(id: &str) -> Self {
        Self { kind: PROVISIONING.to_owned(), id: id.to_owned() }
    }
}

impl fmt::Display for SagaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

impl FromStr for SagaName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "give <kind>/<id>, such as provisioning/web-x7q2.1".to_owned();
        let (kind, id) = text.split_once(['#', '/']).ok_or_else(wrong)?;
        let stream = StreamId::new(kind, id).map_err(|error| error.to_string())?;
        let saga = SagaRef::from(stream);
        Ok(Self { kind: saga.kind().to_owned(), id: saga.id().to_owned() })
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
    pub(crate) status: String,
    pub(crate) step: Option<String>,
    pub(crate) attempt: Option<u32>,
    pub(crate) reason: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: u64,
}

impl From<ProvisioningRow> for SagaRow {
    fn from(row: ProvisioningRow) -> Self {
        Self {
            saga: SagaName::provisioning(&row.provisioning).to_string(),
            kind: PROVISIONING.to_owned(),
            id: row.provisioning,
            status: row.status,
            step: row.step,
            attempt: row.attempt,
            reason: row.reason,
            started_at: row.started_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

/// What an operator asks of a saga.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SagaVerb {
    /// Undo it.
    Cancel,
    /// A stuck one tries again.
    Resume,
    /// A stuck one goes on without a compensation.
    Skip { step: String },
    /// A stuck one tries a compensation again with another input.
    Edit { step: String, input: Value },
    /// A step that waits for approval goes on.
    Approve { step: String },
    /// A step that waits for approval fails.
    Reject { step: String },
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
}

impl Api {
    /// The sagas, of one kind or of all kinds.
    pub(crate) async fn sagas(&self, kind: Option<&str>) -> Result<Vec<SagaRow>, CliError> {
        if kind.is_some_and(|kind| kind != PROVISIONING) {
            return Ok(Vec::new());
        }
        let rows: Vec<ProvisioningRow> = self.rows(None).await?;
        Ok(rows.into_iter().map(SagaRow::from).collect())
    }

    /// One saga, or how it was at a moment.
    pub(crate) async fn saga(
        &self,
        saga: &SagaName,
        query: &[(&str, &str)],
    ) -> Result<Map<String, Value>, CliError> {
        self.document(view_of(saga)?, &saga.id, query).await
    }

    /// What happened to a saga.
    pub(crate) async fn saga_timeline(
        &self,
        saga: &SagaName,
        query: &[(&str, &str)],
    ) -> Result<Timeline, CliError> {
        self.timeline(view_of(saga)?, &saga.id, query).await
    }

    /// Asks something of a saga.
    pub(crate) async fn saga_verb(
        &self,
        said: Said<'_>,
        saga: &SagaName,
        verb: &SagaVerb,
        reason: &str,
    ) -> Result<Accepted, CliError> {
        view_of(saga)?;
        let id = &saga.id;
        let (command, body) = match verb {
            SagaVerb::Cancel => ("cancel-provisioning", json!({ "provisioning": id, "reason": reason })),
            // The API of today records no reason for it.
            SagaVerb::Resume => ("resume-provisioning", json!({ "provisioning": id })),
            SagaVerb::Skip { step } => {
                ("skip-compensation", json!({ "provisioning": id, "kind": step, "reason": reason }))
            }
            SagaVerb::Edit { .. } | SagaVerb::Approve { .. } | SagaVerb::Reject { .. } => {
                return Err(CliError::Refused {
                    action: said.0.to_owned(),
                    status: 409,
                    code: "not-of-this-kind".to_owned(),
                    message: format!(
                        "no step of a {} saga can be {}",
                        saga.kind,
                        match verb {
                            SagaVerb::Edit { .. } => "edited",
                            SagaVerb::Approve { .. } => "approved",
                            _ => "rejected",
                        }
                    ),
                });
            }
        };
        self.command(said, command, &body).await
    }
}

fn view_of(saga: &SagaName) -> Result<View, CliError> {
    if saga.kind == PROVISIONING {
        return Ok(View::Provisioning);
    }
    Err(CliError::NotFound {
        what: "kind of saga",
        name: saga.kind.clone(),
        hint: crate::near::hint(&saga.kind, KINDS),
        list: None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn sagas_are_named_by_kind_and_id() {
        let name: SagaName = "provisioning/web.1".parse().unwrap();
        assert_eq!(name, SagaName::provisioning("web.1"));
        assert_eq!("provisioning#a/b.1".parse::<SagaName>().unwrap().id, "a/b.1");
        assert!("web.1".parse::<SagaName>().unwrap_err().contains("<kind>/<id>"));
        assert!("provisioning/".parse::<SagaName>().is_err());
        let error = view_of(&SagaName { kind: "provisionings".to_owned(), id: "x".to_owned() }).unwrap_err();
        assert!(error.to_string().contains("did you mean provisioning?"), "{error}");
    }
}
