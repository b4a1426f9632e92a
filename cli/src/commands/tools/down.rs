//! `down`: stops the local cloud that another process runs.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::error::CliError;
use crate::output::Out;
use crate::render::time;
use crate::state;
use crate::target::Global;

const WAIT_SECONDS_MAX: u64 = 30;

/// Stops it and waits until it is gone.
pub(crate) async fn run(global: &Global, out: Out) -> Result<(), CliError> {
    let application = global.application()?;
    // The lock is held, so the process whose id is on file is alive and the one that wrote it.
    let running = state::running(&application)?;
    let pid =
        i32::try_from(running.pid).map_err(CliError::failed(format!("{} is no process id", running.pid)))?;
    let started = Instant::now();
    kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(CliError::failed(format!(
        "process {pid} cannot be told to stop: stop it in the terminal where it was started"
    )))?;
    while state::is_running(&application)? {
        if started.elapsed() > Duration::from_secs(WAIT_SECONDS_MAX) {
            return Err(CliError::Outcome(format!(
                "process {pid} did not stop within {WAIT_SECONDS_MAX} s: see what it does in its terminal, or end it with `kill -9 {pid}`"
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if out.json {
        return out.document(&json!({ "stopped": running.pid }));
    }
    out.line(format!("The local cloud (process {pid}) stopped in {}.", time::span(started.elapsed())))
}
