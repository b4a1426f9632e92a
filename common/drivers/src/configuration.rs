//! The port to configuration runs, and a plain one that keeps its outcome in a store.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{At, DriverError};
use crate::simulate::{self, CONFIGURE_LABEL, Labels, Verdict};
use crate::state::{StateStore, load, save};

/// Asks for a role on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ApplyRole {
    /// The id of the host.
    pub host: String,
    /// The name of the role.
    pub role: String,
    /// The revision of the role; the newest that the configuration knows when left away.
    #[serde(default)]
    pub revision: Option<u64>,
    /// The host's labels.
    #[serde(default)]
    pub labels: Labels,
}

/// Asks to bring a host back to the last role that was applied well.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reapply {
    /// The id of the host.
    pub host: String,
    /// The host's labels.
    #[serde(default)]
    pub labels: Labels,
}

/// A role is on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The name of the role.
    pub role: String,
    /// Its revision.
    pub revision: u64,
    /// Whether anything on the host was changed by this run.
    pub changed: bool,
}

/// Brings roles onto hosts. Applying what is already applied changes nothing.
///
/// # Errors
/// All return [`DriverError`], of which [`DriverError::is_transient`] says whether to call again.
#[async_trait]
pub trait Configuration: Send + Sync {
    /// Applies a role to a host.
    async fn apply_role(&self, request: &ApplyRole) -> Result<Applied, DriverError>;

    /// Applies the last role that went well once more. `None` if there never was one: the host is to be undeployed.
    async fn reapply(&self, request: &Reapply) -> Result<Option<Applied>, DriverError>;
}

/// A [`Configuration`] without a configuration service: it records what it was asked for, under
/// `configuration/<host>`, and obeys the label `simulate.configure` when a role is applied (not when one is
/// re-applied: compensation should work while the way forward is made to fail).
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
    /// Runs that brought the last good role back.
    pub reapplied: u64,
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
    async fn apply_role(&self, request: &ApplyRole) -> Result<Applied, DriverError> {
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
        let revision = request.revision.unwrap_or(newest);
        let changed = !same_role || row.revision != revision;
        row.role = Some(request.role.clone());
        row.revision = revision;
        row.runs += 1;
        row.applied += u64::from(changed);
        self.keep(host, &row, &at).await?;
        Ok(Applied { role: request.role.clone(), revision, changed })
    }

    async fn reapply(&self, request: &Reapply) -> Result<Option<Applied>, DriverError> {
        let host = request.host.as_str();
        let at = at(host, "re-applying the last good role");
        let mut row = self.row(host).await?;
        let Some(role) = row.role.clone() else {
            return Ok(None);
        };
        row.runs += 1;
        row.reapplied += 1;
        self.keep(host, &row, &at).await?;
        Ok(Some(Applied { role, revision: row.revision, changed: false }))
    }
}

fn at(host: &str, doing: &'static str) -> At {
    At { system: host.to_owned(), doing }
}
