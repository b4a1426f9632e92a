//! The port to monitoring, and a plain one that keeps its registrations in a store.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_runtime::ports::Clock;
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
    /// What it is registered for: the same one is a repeat, another one is a new registration.
    #[serde(default)]
    pub order: String,
    /// Where the host serves its metrics, as `10.0.0.7:9100`; none where nobody has said so.
    #[serde(default)]
    pub target: Option<String>,
    /// The host's labels.
    #[serde(default)]
    pub labels: Labels,
}

/// A host is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Whether it was not, or not in this way, before.
    pub changed: bool,
    /// Since when it is watched in this way. A repeat tells the same time.
    pub since: Timestamp,
}

/// A host is not watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deregistered {
    /// Whether it was before.
    pub changed: bool,
}

/// What monitoring saw of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstSample {
    /// Whether the host was well.
    pub healthy: bool,
    /// When the host was looked at (UTC).
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

    /// A sample of a watched host that was taken at this time or later. It never waits for one: as long as there is none, the
    /// answer is a transient error, and the caller asks again later. A host that was repaired is well again when a sample
    /// that is newer than its repair says so.
    async fn first_sample(&self, host: &str, not_before: Timestamp) -> Result<FirstSample, DriverError>;

    /// How a watched host was found at or after this moment: well when its newest sample is, and nothing says that it is
    /// faulty.
    async fn newest_sample(&self, host: &str, not_before: Timestamp) -> Result<FirstSample, DriverError> {
        self.first_sample(host, not_before).await
    }

    /// Ends watching a host. One that is not watched, or not known, is fine.
    async fn deregister(&self, host: &str) -> Result<Deregistered, DriverError>;
}

/// A [`Monitoring`] without a monitoring service: it records registrations under `monitoring/<host>`, finds every
/// host well, and obeys the label `simulate.monitor` when a host is registered and first looked at (not when
/// it is deregistered: compensation should work while the way forward is made to fail).
#[derive(Clone)]
pub struct PlainMonitoring<S> {
    store: S,
    clock: Arc<dyn Clock>,
}

impl<S: fmt::Debug> fmt::Debug for PlainMonitoring<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PlainMonitoring").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The row of a host. The counters are what effects are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MonitoringRow {
    /// How the host is watched; none if it is not.
    pub watched: Option<RegisterHost>,
    /// Since when.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// The sample that was seen last since it is watched.
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
    /// Keeps its rows in the given store, and sees hosts at the time of this clock.
    pub fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
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
        let since = row.since.filter(|_| !changed).unwrap_or_else(|| self.clock.now());
        if changed {
            row.watched = Some(request.clone());
            row.first_sample = None;
            row.registered += 1;
        }
        row.since = Some(since);
        row.runs += 1;
        self.keep(host, &row, &at).await?;
        Ok(Registered { changed, since })
    }

    async fn first_sample(&self, host: &str, not_before: Timestamp) -> Result<FirstSample, DriverError> {
        let at = at(host, "looking at the first sample");
        let mut row = self.row(host).await?;
        if let Some(sample) = row.first_sample.take_if(|sample| sample.observed_at >= not_before) {
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
        let sample = FirstSample { healthy: true, observed_at: self.clock.now() };
        row.first_sample = Some(sample.clone());
        self.keep(host, &row, &at).await?;
        Ok(sample)
    }

    async fn deregister(&self, host: &str) -> Result<Deregistered, DriverError> {
        let at = at(host, "deregistering from monitoring");
        let mut row = self.row(host).await?;
        let changed = row.watched.take().is_some();
        if changed {
            (row.first_sample, row.since) = (None, None);
            row.deregistered += 1;
            self.keep(host, &row, &at).await?;
        }
        Ok(Deregistered { changed })
    }
}

fn at(host: &str, doing: &'static str) -> At {
    At { system: host.to_owned(), doing }
}
