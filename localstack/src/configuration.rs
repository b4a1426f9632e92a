//! The configuration runner of the local cloud: Ansible applies the roles of infra/roles to hosts that are folders, each with a
//! `dpkg` database of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::error::Error;
use crate::fleet::HostRoots;
use crate::process::{Server, ServerSpec};
use crate::progress::Progress;
use crate::{site, venv};

const NAME: &str = "the configuration runner";
/// The folders below the workspace's root: the runner, the roles, the sources of the packages.
const RUNNER: &str = "infra/configuration";
const ROLES: &str = "infra/roles";
const PACKAGES: &str = "infra/packages";
const FIXES: &str = "infra/fixes";
/// What installs and builds packages; both are of the package dpkg.
const PROGRAMS: [&str; 2] = ["dpkg", "dpkg-deb"];
/// A run takes seconds here, and its step's deadline is short.
const LIMIT_SECONDS: u32 = 120;
const HEARTBEAT_SECONDS: u32 = 5;
/// As many runs as two cores carry.
const JOBS_AT_ONCE: u32 = 3;

/// What runner to start.
#[derive(Debug, Clone, Default)]
pub struct ConfigurationOptions {
    /// The workspace's root, where infra is.
    pub root: PathBuf,
    /// Where the roles are, when not in infra/roles.
    pub roles: Option<PathBuf>,
    /// Where its log goes; without one it goes when it ends.
    pub log_dir: Option<PathBuf>,
    /// Who is told about progress.
    pub progress: Progress,
}

/// A running configuration runner. It ends when it is dropped, or when this process dies, with all that it runs.
#[derive(Debug)]
pub struct ConfigurationRunner {
    server: Server,
    settings: Value,
    token: String,
}

impl ConfigurationRunner {
    /// What this machine lacks to run it: none when it can run here.
    #[must_use]
    pub fn missing_here() -> Option<String> {
        let runs = |program: &&str| {
            let mut command = Command::new(program);
            command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let missing: Vec<&str> = PROGRAMS.iter().filter(|program| !runs(program)).copied().collect();
        (!missing.is_empty())
            .then(|| format!("not installed: {} (Debian has both in dpkg)", missing.join(" and ")))
    }

    /// Starts it and waits until it listens. It reports to nobody before [`ConfigurationRunner::report_to`].
    ///
    /// # Errors
    /// [`Error::Missing`] when `dpkg` is not installed, and those about Python and about the start of servers.
    pub async fn start(options: ConfigurationOptions) -> Result<Self, Error> {
        let ConfigurationOptions { root, roles, log_dir, progress } = options;
        if let Some(missing) = Self::missing_here() {
            return Err(Error::Missing { what: "configuration by Ansible", missing });
        }
        let python = venv::ensure_runner_python(&progress).await?;
        progress.tell("starting the configuration runner");
        let root = fs::canonicalize(&root).map_err(Error::file("find", &root))?;
        let token = site::secret(2);
        let settings = json!({
            "runner": root.join(RUNNER),
            "packages": { "packages": root.join(PACKAGES), "fixes": root.join(FIXES) },
            "settings": {
                "roles": roles.unwrap_or_else(|| root.join(ROLES)),
                "state": "{work}/state",
                "root": "{work}/hosts/{host}",
                "token": token,
                // Roles install the newest of the first folder. Fixes are beside it, so that nothing has them before it is patched.
                "variables": {
                    "package_folder": "{work}/packages",
                    "package_folders": ["{work}/packages", "{work}/fixes"],
                },
                "jobs_at_once": JOBS_AT_ONCE,
                "limit_seconds": LIMIT_SECONDS,
                "heartbeat_seconds": HEARTBEAT_SECONDS,
            },
        });
        let server = Server::start(ServerSpec {
            name: NAME,
            python: &python,
            module: "configuration.py",
            log: None,
            settings: settings.clone(),
            env: BTreeMap::new(),
            log_dir: log_dir.as_deref(),
        })
        .await?;
        Ok(Self { server, settings, token })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// The bearer token that it asks for.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where the hosts are that it configures, each a folder.
    #[must_use]
    pub fn roots(&self) -> HostRoots {
        HostRoots::below(self.server.work_dir().join("hosts"))
    }

    /// Has it report to this address of Hostler's API from now on.
    ///
    /// # Errors
    /// [`Error::File`] when its settings cannot be written, [`Error::Signal`] when it is not there.
    pub fn report_to(&mut self, api_url: &str) -> Result<(), Error> {
        self.settings["settings"]["hostler_url"] = json!(api_url);
        let path = self.server.work_dir().join("settings.json");
        fs::write(&path, self.settings.to_string()).map_err(Error::file("write", path))?;
        self.server.hang_up()
    }

    /// Kills it in the middle of whatever it does, as the end of its machine would, and starts it again on the same port.
    ///
    /// # Errors
    /// Those about the start of servers.
    pub async fn die_and_return(&mut self) -> Result<(), Error> {
        self.server.kill();
        self.server.restart(NAME).await
    }

    /// Its process group. What Ansible runs has groups of its own.
    #[must_use]
    pub fn process_group(&self) -> i32 {
        self.server.group()
    }

    /// Where it keeps its files, which go with it.
    #[must_use]
    pub fn work_dir(&self) -> &Path {
        self.server.work_dir()
    }
}

impl Drop for ConfigurationRunner {
    /// Asked to end, it ends what Ansible runs in sessions of its own.
    fn drop(&mut self) {
        self.server.terminate();
    }
}
