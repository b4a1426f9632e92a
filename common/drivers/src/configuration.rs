//! The port to configuration runs, and a plain one that keeps its outcome in a store.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{At, DriverError};
use crate::simulate::{self, CONFIGURE_LABEL, Labels, Verdict};
use crate::state::{StateStore, load, save};

/// Asks for a role on a host.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ApplyRole {
    /// The saga that asks.
    pub saga: String,
    /// Its step, by which the end is reported where it is not told at once.
    pub step: String,
    /// The secret by which that report is believed.
    pub token: String,
    /// The id of the host.
    pub host: String,
    /// The name of the role.
    pub role: String,
    /// The revision of the role; the newest that the configuration knows when left away.
    pub revision: Option<String>,
    /// The host's labels.
    pub labels: Labels,
}

impl fmt::Debug for ApplyRole {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ApplyRole")
            .field("step", &self.step)
            .field("host", &self.host)
            .field("role", &self.role)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// A role is on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The name of the role.
    pub role: String,
    /// Its revision.
    pub revision: String,
    /// Whether anything on the host was changed by this run.
    pub changed: bool,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applying {
    /// The role is on the host.
    Done(Applied),
    /// The role is being applied. How that ends is reported to `POST /callbacks/configuration`.
    Begun,
}

/// What a role would change on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The task that would change it.
    pub task: String,
    /// What would be changed.
    pub path: String,
    /// What is there and what would be there.
    pub diff: String,
}

/// What became of an order to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checking {
    /// The role would change this; nothing, where the host is as the role has it configured.
    Done(Vec<Change>),
    /// The host is being checked. What is found is reported to `POST /callbacks/configuration`.
    Begun,
}

/// Brings roles onto hosts. Applying what is already applied changes nothing.
///
/// # Errors
/// All return [`DriverError`], of which [`DriverError::is_transient`] says whether to call again.
#[async_trait]
pub trait Configuration: Send + Sync {
    /// Whether the end of a run is reported by a callback. Then who asks says so on record before it does.
    fn calls_back(&self) -> bool;

    /// Applies a role to a host, or has it applied. A repeat with the same saga, step and revision is the same order.
    async fn apply_role(&self, request: &ApplyRole) -> Result<Applying, DriverError>;

    /// Finds what a role would change on a host, or has it found. Nothing on the host is changed.
    async fn check_role(&self, request: &ApplyRole) -> Result<Checking, DriverError>;
}

/// A [`Configuration`] without a configuration service: it records what it was asked for, under
/// `configuration/<host>`, and obeys the label `simulate.configure`.
#[derive(Debug, Clone)]
pub struct PlainConfiguration<S> {
    store: S,
}

/// The row of a host. The counters are what effects are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConfigurationRow {
    /// The role that was applied last.
    pub role: Option<String>,
    /// Its revision.
    pub revision: u64,
    /// Runs that ended well, whether they changed anything or not.
    pub runs: u64,
    /// Runs that changed the role or its revision.
    pub applied: u64,
    /// Steps that failed once, because a label asked for it.
    #[serde(default)]
    pub failed_once: BTreeSet<String>,
}

/// The revision given to a role for which nobody named one.
const FIRST_REVISION: u64 = 1;

impl<S: StateStore> PlainConfiguration<S> {
    /// Keeps its rows in the given store.
    pub fn new(store: S) -> Self {
        Self { store }
    }

    /// The key of a host's row.
    #[must_use]
    pub fn key(host: &str) -> String {
        format!("configuration/{host}")
    }

    /// The row of a host; a fresh one if there is none.
    ///
    /// # Errors
    /// [`DriverError::Store`] or [`DriverError::CorruptState`].
    pub async fn row(&self, host: &str) -> Result<ConfigurationRow, DriverError> {
        let at = at(host, "reading what is applied");
        load(&self.store, &Self::key(host), at).await
    }

    async fn keep(&self, host: &str, row: &ConfigurationRow, at: &At) -> Result<(), DriverError> {
        save(&self.store, &Self::key(host), row, at.clone()).await
    }
}

#[async_trait]
impl<S: StateStore> Configuration for PlainConfiguration<S> {
    fn calls_back(&self) -> bool {
        false
    }

    async fn apply_role(&self, request: &ApplyRole) -> Result<Applying, DriverError> {
        let host = request.host.as_str();
        let at = at(host, "applying a role");
        let mut row = self.row(host).await?;
        let asked =
            simulate::simulate(&request.labels, CONFIGURE_LABEL, "apply-role", &mut row.failed_once, &at);
        match asked.await? {
            Verdict::Go => {}
            Verdict::Fail(error) => return Err(error),
            Verdict::FailNoted(error) => {
                self.keep(host, &row, &at).await?;
                return Err(error);
            }
        }
        let same_role = row.role.as_deref() == Some(request.role.as_str());
        let newest = if same_role { row.revision } else { FIRST_REVISION };
        let revision = match &request.revision {
            Some(revision) => revision.parse().map_err(|_| DriverError::StepFailed {
                at: at.clone(),
                reason: format!("{revision:?} is no revision here: revisions are numbers"),
                transient: false,
            })?,
            None => newest,
        };
        let changed = !same_role || row.revision != revision;
        row.role = Some(request.role.clone());
        row.revision = revision;
        row.runs += 1;
        row.applied += u64::from(changed);
        self.keep(host, &row, &at).await?;
        let (role, revision) = (request.role.clone(), revision.to_string());
        Ok(Applying::Done(Applied { role, revision, changed }))
    }

    /// The row of the host is all that there is to drift.
    async fn check_role(&self, request: &ApplyRole) -> Result<Checking, DriverError> {
        let row = self.row(&request.host).await?;
        let (role, revision) = (row.role.unwrap_or_default(), row.revision.to_string());
        let wanted = request.revision.as_deref().unwrap_or(&revision);
        if role == request.role && revision == wanted {
            return Ok(Checking::Done(Vec::new()));
        }
        let diff = format!("-{role} {revision}\n+{} {wanted}\n", request.role);
        let path = Self::key(&request.host);
        Ok(Checking::Done(vec![Change { task: "apply the role".to_owned(), path, diff }]))
    }
}

fn at(host: &str, doing: &'static str) -> At {
    At { system: host.to_owned(), doing }
}
