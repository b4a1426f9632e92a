//! The port to monitoring, and a plain one that keeps its registrations in a store.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{At, DriverError};
use crate::simulate::{self, Labels, MONITOR_LABEL, Verdict};
use crate::state::{StateStore, load, save};

/// Asks for a host to be watched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RegisterHost {
    /// The id of the host.
    pub host: String,
    /// Its role, which says what is watched.
    pub role: String,
    /// The host's labels.
    #[serde(default)]
    pub labels: Labels,
}

/// A host is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Whether it was not, or not in this way, before.
    pub changed: bool,
}

/// A host is not watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deregistered {
    /// Whether it was before.
    pub changed: bool,
}

/// The first that monitoring saw of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstSample {
    /// Whether the host was well.
    pub healthy: bool,
    /// When it was looked at (UTC).
    pub observed_at: Timestamp,
}

/// Lets hosts be watched. What is already so is left alone.
///
/// # Errors
/// All return [`DriverError`], of which [`DriverError::is_transient`] says whether to call again.
#[async_trait]
pub trait Monitoring: Send + Sync {
    /// Begins to watch a host.
    async fn register(&self, request: &RegisterHost) -> Result<Registered, DriverError>;

    /// The first sample of a watched host; the same one each time.
    async fn first_sample(&self, host: &str) -> Result<FirstSample, DriverError>;

    /// Ends watching a host. One that is not watched, or not known, is fine.
    async fn deregister(&self, host: &str) -> Result<Deregistered, DriverError>;
}

/// A [`Monitoring`] without a monitoring service: it records registrations under `monitoring/<host>`, finds every
/// host well, and obeys the label `simulate.monitor` when a host is registered and first looked at (not when
/// it is deregistered: compensation should work while the way forward is made to fail).
#[derive(Debug, Clone)]
pub struct PlainMonitoring<S> {
    store: S,
}

/// The row of a host. The counters are what effects are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MonitoringRow {
    /// How the host is watched; none if it is not.
    pub watched: Option<RegisterHost>,
    /// The first sample since it is watched.
    pub first_sample: Option<FirstSample>,
    /// Calls to register that ended well, whether they changed anything or not.
    pub runs: u64,
    /// Registrations that changed something.
    pub registered: u64,
    /// Deregistrations that changed something.
    pub deregistered: u64,
    /// Steps that failed once, because a label asked for it.
    #[serde(default)]
    pub failed_once: BTreeSet<String>,
}

impl<S: StateStore> PlainMonitoring<S> {
    /// Keeps its rows in the given store.
    pub fn new(store: S) -> Self {
        Self { store }
    }

    /// The key of a host's row.
    #[must_use]
    pub fn key(host: &str) -> String {
        format!("monitoring/{host}")
    }

    /// The row of a host; a fresh one if there is none.
    ///
    /// # Errors
    /// [`DriverError::Store`] or [`DriverError::CorruptState`].
    pub async fn row(&self, host: &str) -> Result<MonitoringRow, DriverError> {
        let at = at(host, "reading how it is watched");
        load(&self.store, &Self::key(host), at).await
    }

    async fn keep(&self, host: &str, row: &MonitoringRow, at: &At) -> Result<(), DriverError> {
        save(&self.store, &Self::key(host), row, at.clone()).await
    }

    /// Does what the label asks for, and remembers what must be.
    async fn obey(
        &self,
        host: &str,
        labels: &Labels,
        step: &'static str,
        row: &mut MonitoringRow,
        at: &At,
    ) -> Result<(), DriverError> {
        let asked = simulate::simulate(labels, MONITOR_LABEL, step, &mut row.failed_once, at);
        match asked.await? {
            Verdict::Go => Ok(()),
            Verdict::Fail(error) => Err(error),
            Verdict::FailNoted(error) => {
                self.keep(host, row, at).await?;
                Err(error)
            }
        }
    }
}

#[async_trait]
impl<S: StateStore> Monitoring for PlainMonitoring<S> {
    async fn register(&self, request: &RegisterHost) -> Result<Registered, DriverError> {
        let host = request.host.as_str();
        let at = at(host, "registering with monitoring");
        let mut row = self.row(host).await?;
        self.obey(host, &request.labels, "register", &mut row, &at).await?;
        let changed = row.watched.as_ref() != Some(request);
        if changed {
            row.watched = Some(request.clone());
            row.first_sample = None;
            row.registered += 1;
        }
        row.runs += 1;
        self.keep(host, &row, &at).await?;
        Ok(Registered { changed })
    }

    async fn first_sample(&self, host: &str) -> Result<FirstSample, DriverError> {
        let at = at(host, "looking at the first sample");
        let mut row = self.row(host).await?;
        if let Some(sample) = row.first_sample {
            return Ok(sample);
        }
        let Some(watched) = row.watched.clone() else {
            return Err(DriverError::StepFailed {
                at,
                reason: "the host is not registered, so there is no sample; register it first".to_owned(),
                transient: false,
            });
        };
        self.obey(host, &watched.labels, "first-sample", &mut row, &at).await?;
        let sample = FirstSample { healthy: true, observed_at: Timestamp::now() };
        row.first_sample = Some(sample.clone());
        self.keep(host, &row, &at).await?;
        Ok(sample)
    }

    async fn deregister(&self, host: &str) -> Result<Deregistered, DriverError> {
        let at = at(host, "deregistering from monitoring");
        let mut row = self.row(host).await?;
        let changed = row.watched.take().is_some();
        if changed {
            row.first_sample = None;
            row.deregistered += 1;
            self.keep(host, &row, &at).await?;
        }
        Ok(Deregistered { changed })
    }
}

fn at(host: &str, doing: &'static str) -> At {
    At { system: host.to_owned(), doing }
}
