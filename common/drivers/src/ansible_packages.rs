//! Packages by the site's configuration runner: it reads what is installed at once, and changes it by a job that calls back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_runtime::ports::Clock;
use serde_json::json;

use crate::ansible::{AnsibleConfiguration, RunnerSettings, RunnerSettingsError, failed};
use crate::error::{At, DriverError};
use crate::packages::{ChangeOrder, Changing, HostAsked, PackageList, Packages, PlainPackages, Wanted};
use crate::state::StateStore;

/// A list of packages: some thousand lines.
const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What the runner says of a job.
const JOB_BYTES_MAX: usize = 256 * 1024;

/// [`Packages`] that a runner reads and changes.
pub struct AnsiblePackages {
    runner: AnsibleConfiguration,
}

impl fmt::Debug for AnsiblePackages {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AnsiblePackages").field("runner", &self.runner).finish()
    }
}

impl AnsiblePackages {
    /// How long an answer is waited for, unless there is a reason for another time: a host is asked what it has meanwhile.
    pub const TIMEOUT: Duration = Duration::from_secs(40);

    /// Asks the runner of these settings.
    ///
    /// # Errors
    /// [`RunnerSettingsError`].
    pub fn new(settings: &RunnerSettings) -> Result<Self, RunnerSettingsError> {
        AnsibleConfiguration::new(settings).map(|runner| Self { runner })
    }
}

/// The packages of a deployment: those of the runner that is at this address, and without one the plain ones in this store.
///
/// # Errors
/// [`RunnerSettingsError`].
pub fn packages_of<S: StateStore + 'static>(
    url: String,
    token: String,
    (store, clock): (S, Arc<dyn Clock>),
) -> Result<Arc<dyn Packages>, RunnerSettingsError> {
    if url.is_empty() {
        return Ok(Arc::new(PlainPackages::new(store, clock)));
    }
    let settings = RunnerSettings { url, token, timeout: AnsiblePackages::TIMEOUT };
    Ok(Arc::new(AnsiblePackages::new(&settings)?))
}

#[async_trait]
impl Packages for AnsiblePackages {
    async fn list(&self, HostAsked { host, .. }: &HostAsked) -> Result<PackageList, DriverError> {
        let at = At { system: host.clone(), doing: "reading what is installed" };
        let body = self.runner.post(&at, "packages", &json!({ "host": host }), LIST_BYTES_MAX).await?;
        serde_json::from_slice(&body)
            .map_err(|error| failed(&at, format!("its answer is no list of packages: {error}"), None))
    }

    async fn change(&self, order: &ChangeOrder) -> Result<Changing, DriverError> {
        let ChangeOrder { saga, step, token, host: HostAsked { host, labels }, packages, roll_back } = order;
        let at = At { system: host.clone(), doing: "handing in a change of packages" };
        let wanted = |Wanted { package, version }: &Wanted| json!({ "package": package, "version": version });
        let job = json!({
            "id": format!("{saga}/{step}"),
            "mode": "packages",
            "host": host,
            "packages": packages.iter().map(wanted).collect::<Vec<_>>(),
            "rollBack": roll_back,
            "labels": labels,
            "callback": { "step": step, "token": token },
        });
        self.runner.post(&at, "jobs", &job, JOB_BYTES_MAX).await.map(|_| Changing::Begun)
    }
}
