//! The port to the packages of hosts, and a plain one that keeps them in a store.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_runtime::ports::Clock;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{At, DriverError};
use crate::simulate::{self, INSTALL_LABEL, Labels, ROLL_BACK_LABEL, Verdict};
use crate::state::{StateStore, load, save};

/// A host that is asked for its packages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostAsked {
    /// The id of the host.
    pub host: String,
    /// The host's labels.
    pub labels: Labels,
}

/// A package that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installed {
    /// Its name, with its architecture where several go together, such as `libssl3:amd64`.
    pub name: String,
    /// Its version, as the package system has it.
    pub version: String,
    /// Its architecture, such as `amd64` or `all`.
    pub architecture: String,
    /// The source package that it is made from, where that is known and has another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The version of that source package, where it is known and another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
}

/// What is installed on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageList {
    /// The packages, by name.
    pub packages: Vec<Installed>,
    /// Whether the host's system asks for a reboot, for what runs is older than what is installed.
    pub reboot_pending: bool,
    /// When that was so.
    pub observed_at: Timestamp,
}

/// A package, and the version that it is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// Its name.
    pub package: String,
    /// The version.
    pub version: String,
}

/// Asks for packages to be changed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ChangeOrder {
    /// The saga that asks.
    pub saga: String,
    /// Its step, by which the end is reported where it is not told at once.
    pub step: String,
    /// The secret by which that report is believed.
    pub token: String,
    /// The host.
    pub host: HostAsked,
    /// The packages and their versions. One that the host does not have is left alone.
    pub packages: Vec<Wanted>,
    /// Whether they may get an older version than they have. Otherwise one that is newer is left alone.
    pub roll_back: bool,
}

impl fmt::Debug for ChangeOrder {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ChangeOrder")
            .field("step", &self.step)
            .field("host", &self.host.host)
            .field("packages", &self.packages)
            .field("roll_back", &self.roll_back)
            .finish_non_exhaustive()
    }
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangedPackages {
    /// Each package, with the version that it had and the one that it has.
    pub changed: Vec<(String, String, String)>,
    /// Whether the host's system asks for a reboot.
    pub reboot_pending: bool,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changing {
    /// The packages have their versions.
    Done(ChangedPackages),
    /// They are being changed. How that ends is reported to `POST /callbacks/configuration`.
    Begun,
}

/// What is installed on hosts. Installing what is installed already changes nothing.
///
/// # Errors
/// All return [`DriverError`], of which [`DriverError::is_transient`] says whether to call again.
#[async_trait]
pub trait Packages: Send + Sync {
    /// What is installed on a host now.
    async fn list(&self, host: &HostAsked) -> Result<PackageList, DriverError>;

    /// Changes packages, or has them changed. A repeat with the same saga and step is the same order.
    async fn change(&self, order: &ChangeOrder) -> Result<Changing, DriverError>;
}

/// [`Packages`] without a configuration service: it keeps what is installed under `packages/<host>`, and obeys the labels
/// `simulate.install` and `simulate.roll-back`.
#[derive(Clone)]
pub struct PlainPackages<S> {
    store: S,
    clock: Arc<dyn Clock>,
}

impl<S: fmt::Debug> fmt::Debug for PlainPackages<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PlainPackages").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The row of a host. The counters are what effects are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PackagesRow {
    /// The versions that are installed, by package.
    pub installed: BTreeMap<String, String>,
    /// Whether the host asks for a reboot.
    pub reboot_pending: bool,
    /// Packages after whose change the host asks for a reboot.
    #[serde(default)]
    pub needs_reboot: BTreeSet<String>,
    /// Orders that changed something.
    pub changes: u64,
    /// Steps that failed once, because a label asked for it.
    #[serde(default)]
    pub failed_once: BTreeSet<String>,
}

impl<S: StateStore> PlainPackages<S> {
    /// Keeps its rows in the given store, and looks at hosts at the time of this clock.
    pub fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The key of a host's row.
    #[must_use]
    pub fn key(host: &str) -> String {
        format!("packages/{host}")
    }

    /// The row of a host; one without packages if there is none.
    ///
    /// # Errors
    /// [`DriverError::Store`] or [`DriverError::CorruptState`].
    pub async fn row(&self, host: &str) -> Result<PackagesRow, DriverError> {
        load(&self.store, &Self::key(host), at(host, "reading what is installed")).await
    }

    async fn keep(&self, host: &str, row: &PackagesRow, at: &At) -> Result<(), DriverError> {
        save(&self.store, &Self::key(host), row, at.clone()).await
    }
}

#[async_trait]
impl<S: StateStore> Packages for PlainPackages<S> {
    async fn list(&self, HostAsked { host, .. }: &HostAsked) -> Result<PackageList, DriverError> {
        let row = self.row(host).await?;
        let installed = |(name, version): (&String, &String)| Installed {
            name: name.clone(),
            version: version.clone(),
            architecture: "all".to_owned(),
            source: None,
            source_version: None,
        };
        let packages = row.installed.iter().map(installed).collect();
        Ok(PackageList { packages, reboot_pending: row.reboot_pending, observed_at: self.clock.now() })
    }

    /// Versions are not compared here: there is no package system to do so.
    async fn change(&self, order: &ChangeOrder) -> Result<Changing, DriverError> {
        let host = order.host.host.as_str();
        let at = at(host, "changing packages");
        let mut row = self.row(host).await?;
        let (label, step) = match order.roll_back {
            true => (ROLL_BACK_LABEL, "roll-back-packages"),
            false => (INSTALL_LABEL, "install-packages"),
        };
        let asked = simulate::simulate(&order.host.labels, label, step, &mut row.failed_once, &at).await?;
        match asked {
            Verdict::Go => {}
            Verdict::Fail(error) => return Err(error),
            Verdict::FailNoted(error) => {
                self.keep(host, &row, &at).await?;
                return Err(error);
            }
        }
        let mut changed = Vec::new();
        for Wanted { package, version } in &order.packages {
            let Some(has) = row.installed.get_mut(package).filter(|has| *has != version) else { continue };
            let from = std::mem::replace(has, version.clone());
            row.reboot_pending |= row.needs_reboot.contains(package);
            changed.push((package.clone(), from, version.clone()));
        }
        row.changes += u64::from(!changed.is_empty());
        self.keep(host, &row, &at).await?;
        Ok(Changing::Done(ChangedPackages { changed, reboot_pending: row.reboot_pending }))
    }
}

fn at(host: &str, doing: &'static str) -> At {
    At { system: host.to_owned(), doing }
}
