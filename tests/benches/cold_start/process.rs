//! One start of one program, and what the operating system knows of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::environment;
use crate::mock::{Mock, Said};

/// The longest that a program may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is started.
pub(crate) struct Program {
    pub(crate) command: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) folder: PathBuf,
}

impl Program {
    /// A function's own binary.
    pub(crate) fn binary(path: &Path) -> Self {
        Self { command: path.to_owned(), arguments: Vec::new(), folder: std::env::temp_dir() }
    }
}

/// What one start came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started {
    /// From its start until it asks for work.
    pub(crate) ready_ms: f64,
    /// The processor time that it took for that.
    pub(crate) init_cpu_ms: f64,
    /// From its start until the first message was answered.
    pub(crate) answered_ms: f64,
    /// The most memory that it held, its first message included.
    pub(crate) memory_mb: f64,
}

/// Starts a program, hands it one event, and ends it. One that ends by itself says why on its standard error: a variable is missing.
pub(crate) async fn start(mock: &Mock, program: &Program, event: &str) -> Started {
    mock.lay_out(event).await;
    let mut command = Command::new(&program.command);
    command.args(&program.arguments).current_dir(&program.folder);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(environment(mock));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let pid = child.id().unwrap();
    let started = tokio::time::timeout(PATIENCE, async {
        let Said::Ready(ready) = mock.hear().await else { panic!("{:?} did not start", program.command) };
        let init_cpu_ms = processor_ms(pid);
        match mock.hear().await {
            Said::Answered(answered) => {
                // It asks once more; ended before that, it might be handed the next program's event.
                mock.hear().await;
                Started {
                    ready_ms: (ready - begun).as_secs_f64() * 1e3,
                    init_cpu_ms,
                    answered_ms: (answered - begun).as_secs_f64() * 1e3,
                    memory_mb: memory_mb(pid),
                }
            }
            Said::Failed(why) => panic!("{:?} failed: {why}", program.command),
            Said::Ready(_) => panic!("{:?} did not answer", program.command),
        }
    });
    let started = tokio::select! {
        started = started => started.unwrap_or_else(|_| panic!("{:?} took too long", program.command)),
        ended = child.wait() => {
            let mut why = String::new();
            child.stderr.take().unwrap().read_to_string(&mut why).await.unwrap();
            panic!("{:?} ended by itself, with {}: {why}", program.command, ended.unwrap())
        }
    };
    child.kill().await.unwrap();
    started
}

/// The processor time of all threads of a process in milliseconds.
fn processor_ms(pid: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanoseconds = tasks.filter_map(|task| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e6
}

/// The most memory that a process held in megabytes.
fn memory_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or_default() * 1_024.0 / 1e6
}
