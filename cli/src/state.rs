//! The state of the local cloud: who runs it and where it is, for all other commands.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use hostler_localstack::fleet::FleetAccess;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::application::Application;
use crate::error::CliError;
use crate::render::time;

/// How often a taken lock is tried.
const LOCK_TRIES: u32 = 5;

/// Where the local cloud is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocalState {
    /// The process that runs it.
    pub(crate) pid: u32,
    /// Since when.
    pub(crate) started_at: Timestamp,
    /// The AWS endpoint, once it answers.
    #[serde(default)]
    pub(crate) endpoint: Option<String>,
    /// What is deployed there.
    #[serde(default)]
    pub(crate) stack: Option<LocalStack>,
    /// Where faults are set, and the secret of this run that is asked for there.
    #[serde(default)]
    pub(crate) fleet: Option<FleetAccess>,
    /// Where Prometheus and Alertmanager are, when they run.
    #[serde(default)]
    pub(crate) monitoring: Option<LocalMonitoring>,
    /// Where requests to hosts are sent, when HAProxy runs.
    #[serde(default)]
    pub(crate) traffic: Option<String>,
    /// What alerts are sent with, where the application takes any.
    #[serde(default)]
    pub(crate) signal_token: Option<String>,
    /// The folder of the hosts' disks, each a folder of its own; none where roles are only noted.
    #[serde(default)]
    pub(crate) disks: Option<String>,
    /// Where logs are.
    pub(crate) log_dir: String,
}

/// What watches the hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocalMonitoring {
    /// The address of Prometheus.
    pub(crate) prometheus: String,
    /// The address of Alertmanager.
    pub(crate) alertmanager: String,
}

/// What is deployed at the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocalStack {
    /// The stack's name.
    pub(crate) name: String,
    /// The account; also the access key.
    pub(crate) account: String,
    /// The HTTP API's address.
    pub(crate) api_url: String,
    /// The template's outputs.
    pub(crate) outputs: BTreeMap<String, String>,
}

/// The right to run the local cloud; held by one process at a time, and gone with it.
#[derive(Debug)]
pub(crate) struct Lock {
    application: Application,
    _file: File,
}

impl Lock {
    /// Takes it.
    ///
    /// # Errors
    /// [`CliError::AlreadyRunning`] when another process has it.
    pub(crate) fn take(application: &Application) -> Result<Self, CliError> {
        let dir = application.state_dir();
        fs::create_dir_all(&dir).map_err(CliError::file("create", dir))?;
        let path = application.lock_file();
        let file = File::create(&path).map_err(CliError::file("open", &path))?;
        match try_lock(&file) {
            Ok(()) => Ok(Self { application: application.clone(), _file: file }),
            Err(TryLockError::Error(error)) => Err(CliError::file("lock", path)(error)),
            Err(TryLockError::WouldBlock) => {
                let state = read(application).ok().flatten();
                Err(CliError::AlreadyRunning {
                    pid: state.as_ref().map_or("unknown".to_owned(), |state| state.pid.to_string()),
                    since: state.map_or("just now".to_owned(), |state| time::moment(state.started_at)),
                })
            }
        }
    }

    /// Writes the state for other commands to find.
    pub(crate) fn publish(&self, state: &LocalState) -> Result<(), CliError> {
        let path = self.application.state_file();
        let new = path.with_extension("new");
        let text = serde_json::to_string_pretty(state)
            .map_err(CliError::failed("the state of the local cloud cannot be written as JSON"))?;
        write_for_owner(&new, &text).map_err(CliError::file("write", &new))?;
        fs::rename(&new, &path).map_err(CliError::file("write", path))
    }
}

/// Writes a file that nobody else on this machine reads, for there are secrets of the run in it.
fn write_for_owner(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // The mode is that of a new file only; one may be left from before.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())
}

impl Drop for Lock {
    fn drop(&mut self) {
        // What is left behind without a lock is known to be stale.
        let _ = fs::remove_file(self.application.state_file());
    }
}

/// Tries a few times, for a command that asks whether the lock is taken holds it for a moment.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 1..LOCK_TRIES {
        if file.try_lock().is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    file.try_lock()
}

/// Whether a process runs the local cloud.
pub(crate) fn is_running(application: &Application) -> Result<bool, CliError> {
    let path = application.lock_file();
    if !path.exists() {
        return Ok(false);
    }
    let file = File::open(&path).map_err(CliError::file("open", &path))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(CliError::file("lock", path)(error)),
    }
}

/// The running local cloud.
///
/// # Errors
/// [`CliError::NotRunning`]; it says so when one ended without cleaning up.
pub(crate) fn running(application: &Application) -> Result<LocalState, CliError> {
    let state = read(application)?;
    match (is_running(application)?, state) {
        (true, Some(state)) => Ok(state),
        (true, None) => {
            Err(CliError::NotRunning { stale: " yet (one is just starting or stopping)".to_owned() })
        }
        (false, Some(state)) => {
            let started = time::moment(state.started_at);
            let stale = format!(" (process {}, started {started}, ended without stopping)", state.pid);
            Err(CliError::NotRunning { stale })
        }
        (false, None) => Err(CliError::NotRunning { stale: String::new() }),
    }
}

fn read(application: &Application) -> Result<Option<LocalState>, CliError> {
    let path = application.state_file();
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::file("read", path)(error)),
        // Another version of this program wrote it, or half of it; then its cloud is not for us.
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn state() -> LocalState {
        LocalState {
            pid: 42,
            started_at: "2026-01-31T12:00:00Z".parse().unwrap(),
            endpoint: None,
            stack: None,
            fleet: None,
            monitoring: None,
            traffic: None,
            signal_token: None,
            disks: None,
            log_dir: "logs".to_owned(),
        }
    }

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let application = Application::at(dir.path());
        let lock = Lock::take(&application).unwrap();
        lock.publish(&state()).unwrap();
        let second = Lock::take(&application).unwrap_err().to_string();
        assert!(second.contains("process 42") && second.contains("hostler down"), "{second}");
        assert_eq!(running(&application).unwrap(), state());
        let mode = fs::metadata(application.state_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "there are secrets in it");
        drop(lock);
        assert!(!is_running(&application).unwrap());
        assert!(matches!(running(&application), Err(CliError::NotRunning { stale }) if stale.is_empty()));
        Lock::take(&application).unwrap();
    }

    #[test]
    fn what_a_killed_process_left_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        let application = Application::at(dir.path());
        fs::create_dir_all(application.state_dir()).unwrap();
        fs::write(application.state_file(), serde_json::to_string(&state()).unwrap()).unwrap();
        let error = running(&application).unwrap_err();
        assert_eq!(error.code(), 3);
        assert!(error.to_string().contains("process 42"), "{error}");
    }
}
