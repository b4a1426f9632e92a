//! Servers of ours: each in its own process group, tied to us by a pipe, so that nothing stays running.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::error::Error;
use crate::venv;

const START_SECONDS_MAX: u64 = 60;
const STOP_SECONDS_MAX: u64 = 30;
/// How long a server that is no longer needed may take to end what it runs.
const TERMINATE_SECONDS_MAX: u64 = 5;

/// What to run.
pub(crate) struct ServerSpec<'a> {
    /// For messages.
    pub(crate) name: &'static str,
    pub(crate) python: &'a Path,
    /// One of our modules, as `cloud.py`.
    pub(crate) module: &'static str,
    /// The name of its log; after the module when none is given.
    pub(crate) log: Option<&'static str>,
    /// What the module reads from `settings.json` in its work directory.
    pub(crate) settings: serde_json::Value,
    /// The whole environment besides PATH and HOME.
    pub(crate) env: BTreeMap<String, String>,
    /// Where its log goes; without one into its work directory, which goes with it.
    pub(crate) log_dir: Option<&'a Path>,
}

/// A running server. Dropping it ends its whole process group.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// How it is started.
    command: Command,
    port: u16,
    log: PathBuf,
    stopped: bool,
    // Removed last, when nobody writes there any more.
    work_dir: TempDir,
}

impl Server {
    /// Starts the server and waits until it listens.
    pub(crate) async fn start(spec: ServerSpec<'_>) -> Result<Self, Error> {
        let work_dir = tempfile::Builder::new()
            .prefix("hostler-")
            // Passwords and sockets of the run are in it, which are nobody else's on this machine.
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(Error::file("create a directory in", std::env::temp_dir()))?;
        venv::write_modules(work_dir.path())?;
        let settings = work_dir.path().join("settings.json");
        fs::write(&settings, spec.settings.to_string()).map_err(Error::file("write", settings))?;
        let log_dir = spec.log_dir.unwrap_or(work_dir.path());
        fs::create_dir_all(log_dir).map_err(Error::file("create", log_dir))?;
        let log = match spec.log {
            Some(name) => log_dir.join(name),
            None => log_dir.join(spec.module).with_extension("log"),
        };
        let output = File::create(&log).map_err(Error::file("create", &log))?;
        let errors = output.try_clone().map_err(Error::file("open", &log))?;

        let mut command = Command::new(spec.python);
        command
            .arg(work_dir.path().join(spec.module))
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"))
            .envs(&spec.env)
            .env("TMPDIR", work_dir.path())
            .env("HOSTLER_WORK_DIR", work_dir.path())
            .env("PYTHONUNBUFFERED", "1")
            .current_dir(work_dir.path())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        command.env("HOSTLER_PORT", spec.env.get("HOSTLER_PORT").map_or("0", String::as_str));
        let child = command
            .spawn()
            .map_err(|source| Error::Spawn { program: spec.python.display().to_string(), source })?;
        let address = work_dir.path().join("address.json");
        // From here on the drop of `server` ends what was started.
        let mut server = Self { child, command, port: 0, log, stopped: false, work_dir };
        server.port = server.wait_for_port(spec.name, &address).await?;
        Ok(server)
    }

    async fn wait_for_port(&mut self, name: &'static str, address: &Path) -> Result<u16, Error> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        loop {
            if let Ok(text) = fs::read(address)
                && let Ok(address) = serde_json::from_slice::<Address>(&text)
            {
                return Ok(address.port);
            }
            let reason = match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => None,
                Ok(None) => Some(format!("no answer in {START_SECONDS_MAX} s")),
                Ok(Some(status)) => {
                    self.stopped = true;
                    Some(format!("it ended with {status}"))
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(reason) = reason {
                return Err(Error::NotReady { name, reason, output: venv::tail(&self.log) });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks the leader to end, kills whatever of its group does not end with it, and starts it again on the same port.
    pub(crate) async fn restart(&mut self, name: &'static str) -> Result<(), Error> {
        let leader = Pid::from_raw(self.group());
        if let Err(error) = kill(leader, Signal::SIGTERM) {
            tracing::warn!(%leader, %error, "could not ask a server to end");
        }
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while group_has_leader(self.group()) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stop();
        let address = self.work_dir.path().join("address.json");
        fs::remove_file(&address).map_err(Error::file("remove", &address))?;
        let program = self.command.get_program().to_string_lossy().into_owned();
        self.command.env("HOSTLER_PORT", self.port.to_string());
        self.child = self.command.spawn().map_err(|source| Error::Spawn { program, source })?;
        self.stopped = false;
        self.port = self.wait_for_port(name, &address).await?;
        Ok(())
    }

    /// The loopback port on which it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where its output goes.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Where it keeps its files; they go with it.
    pub(crate) fn work_dir(&self) -> &Path {
        self.work_dir.path()
    }

    /// Has its leader read its files again, which is what SIGHUP means to servers.
    pub(crate) fn hang_up(&self) -> Result<(), Error> {
        let sent = kill(Pid::from_raw(self.group()), Signal::SIGHUP);
        sent.map_err(|source| Error::Signal { pid: self.child.id(), source })
    }

    /// The id of its process group.
    pub(crate) fn group(&self) -> i32 {
        // Process ids fit: the kernel's are positive 32-bit numbers.
        i32::try_from(self.child.id()).unwrap_or(i32::MAX)
    }

    /// Kills the process group without a word, as the end of its machine would.
    pub(crate) fn kill(&self) {
        if let Err(error) = killpg(Pid::from_raw(self.group()), Signal::SIGKILL) {
            tracing::warn!(group = self.group(), %error, "could not kill a process group");
        }
    }

    /// Asks the leader to end, gives it a moment to do so, and ends the process group.
    pub(crate) fn terminate(&mut self) {
        let asked = !self.stopped && kill(Pid::from_raw(self.group()), Signal::SIGTERM).is_ok();
        let deadline = Instant::now() + Duration::from_secs(TERMINATE_SECONDS_MAX);
        while asked && group_has_leader(self.group()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.stop();
    }

    /// Ends the process group and waits for its leader. Doing it twice is harmless.
    pub(crate) fn stop(&mut self) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        // The group's id stays ours until its leader, killed here, is waited for below. Our servers keep
        // nothing that an orderly end would save.
        if let Err(error) = killpg(Pid::from_raw(self.group()), Signal::SIGKILL) {
            tracing::warn!(group = self.group(), %error, "could not end a process group");
        }
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            tracing::warn!(group = self.group(), %error, "could not wait for a server");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Removes a container once we are gone, in whatever way: a shell that waits for the end of its input.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    // Held open until we are dropped; the kernel closes it when we die.
    input: Option<ChildStdin>,
}

impl Guard {
    /// Guards a container. Without a `docker` command there is no guard, which is no reason to fail.
    pub(crate) fn over(container_id: &str) -> Option<Self> {
        let script = "cat >/dev/null; exec docker rm -f \"$0\" >/dev/null 2>&1";
        let child = Command::new("sh")
            .args(["-c", script, container_id])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        match child {
            Ok(mut shell) => Some(Self { input: shell.stdin.take(), shell }),
            Err(error) => {
                tracing::warn!(%error, container_id, "nobody will remove the container if we are killed");
                None
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.input.take());
        if let Err(error) = self.shell.wait() {
            tracing::warn!(%error, "could not wait for the guard of a container");
        }
    }
}

#[derive(serde::Deserialize)]
struct Address {
    port: u16,
}

/// Whether the leader of a group still runs: one that has ended waits for its parent as a zombie.
fn group_has_leader(group: i32) -> bool {
    u32::try_from(group).is_ok_and(|leader| is_live_member(leader, group))
}

/// The live processes of a process group, as `/proc` shows them (Linux; elsewhere always empty).
///
/// For tests that nothing stays running.
pub fn group_members(group: i32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| is_live_member(*pid, group))
        .collect()
}

fn is_live_member(pid: u32, group: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // `pid (name) state ppid pgrp …`: the name may hold spaces and brackets.
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return false;
    };
    let fields: Vec<&str> = rest.split(' ').collect();
    fields.first() != Some(&"Z") && fields.get(2).and_then(|text| text.parse().ok()) == Some(group)
}
