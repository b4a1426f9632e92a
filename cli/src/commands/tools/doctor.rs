//! `doctor`: what is missing on this machine, and how to get it.

use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use comfy_table::{Cell, Color};
use hostler_localstack::EndpointKind;
use serde::Serialize;
use tokio::process::Command;

use crate::error::CliError;
use crate::output::Out;
use crate::render::table;
use crate::state;
use crate::target::Global;

/// How long one check may take.
const CHECK_SECONDS_MAX: u64 = 20;
/// What a build of everything, and the Python environment, take.
const DISK_GIB_MIN: u64 = 10;
/// A small package that the local cloud needs, to see whether the package index answers.
const SMALL_PACKAGE: &str = "h11";
const PYTHON_MIN: (u32, u32) = (3, 11);

/// What `doctor` takes.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Also check what LocalStack in Docker needs
    #[arg(long)]
    docker: bool,
    /// Also check what LocalStack without Docker needs
    #[arg(long)]
    localstack: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Missing,
    Optional,
}

/// What one check found.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    found: String,
    fix: &'static str,
}

impl Finding {
    fn needed(what: &'static str, found: Result<String, String>, fix: &'static str) -> Self {
        Self::judged(what, found, fix, Verdict::Missing)
    }

    fn optional(what: &'static str, found: Result<String, String>, fix: &'static str) -> Self {
        Self::judged(what, found, fix, Verdict::Optional)
    }

    fn judged(
        what: &'static str,
        found: Result<String, String>,
        fix: &'static str,
        otherwise: Verdict,
    ) -> Self {
        match found {
            Ok(found) => Self { what, verdict: Verdict::Ok, found, fix: "" },
            Err(found) => Self { what, verdict: otherwise, found, fix },
        }
    }
}

/// Checks the machine; fails when something needed is missing.
pub(crate) async fn run(args: DoctorArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let python = python().await;
    let mut findings = vec![
        Finding::needed("cargo", version("cargo", &["--version"]).await, "install Rust: https://rustup.rs"),
        Finding::needed(
            "a C compiler",
            version("cc", &["--version"]).await,
            "Debian: apt install build-essential",
        ),
        Finding::needed(
            "Python 3.11 or newer",
            python.clone().map(|(name, version)| format!("{version} ({name})")),
            "Debian: apt install python3; or name one in HOSTLER_PYTHON",
        ),
        Finding::needed("Python's venv module", venv(&python).await, "Debian: apt install python3-venv"),
        Finding::needed(
            "Python packages",
            packages(&python).await,
            "check the network, PIP_INDEX_URL and HTTPS_PROXY; needed once, then cached",
        ),
        Finding::needed("free disk", disk(global).await, "make room: a whole build takes about 10 GiB"),
        Finding::optional("the local cloud", local_cloud(global), "start it: hostler up"),
        Finding::optional(
            "Prometheus",
            version("prometheus", &["--version"]).await,
            "for real monitoring of the local cloud: apt install --no-install-recommends prometheus",
        ),
        Finding::optional(
            "Alertmanager",
            alertmanager().await,
            "beside Prometheus: apt install --no-install-recommends prometheus-alertmanager",
        ),
        Finding::optional(
            "HAProxy",
            version("haproxy", &["-v"]).await,
            "for traffic of the local cloud: apt install --no-install-recommends haproxy",
        ),
        Finding::optional(
            "dpkg",
            version("dpkg-deb", &["--version"]).await,
            "to configure and patch the local cloud's hosts by Ansible; without it both are only noted: apt install dpkg",
        ),
        Finding::optional(
            "cargo-lambda",
            version("cargo-lambda", &["lambda", "--version"]).await,
            "to deploy to AWS: https://www.cargo-lambda.info",
        ),
        Finding::optional(
            "sam",
            version("sam", &["--version"]).await,
            "to deploy to AWS: pip install aws-sam-cli",
        ),
        Finding::optional("aws", version("aws", &["--version"]).await, "to look around: pip install awscli"),
    ];
    if args.docker {
        let docker = version("docker", &["version", "--format", "{{.Server.Version}}"]).await;
        findings.push(Finding::needed("docker", docker, "install Docker and start its daemon"));
    }
    if args.localstack {
        let missing = EndpointKind::LocalStackHost.missing_here();
        let found = missing.map_or(Ok("java, npm and a C compiler are there".to_owned()), Err);
        findings.push(Finding::needed(
            "LocalStack",
            found,
            "Debian: apt install default-jre-headless npm gcc",
        ));
    }
    tell(&findings, out)
}

fn tell(findings: &[Finding], out: Out) -> Result<(), CliError> {
    if out.json {
        out.document(&findings)?;
    } else {
        let mut rows = table::plain(["", "WHAT", "FOUND", "FIX"]);
        for finding in findings {
            let verdict = match finding.verdict {
                Verdict::Ok => Cell::new("ok").fg(Color::Green),
                Verdict::Missing => Cell::new("missing").fg(Color::Red),
                Verdict::Optional => Cell::new("optional").fg(Color::Yellow),
            };
            rows.add_row([
                verdict,
                Cell::new(finding.what),
                Cell::new(&finding.found),
                Cell::new(finding.fix),
            ]);
        }
        out.line(table::text(&rows))?;
    }
    let missing = findings.iter().filter(|finding| finding.verdict == Verdict::Missing).count();
    match missing {
        0 => Ok(()),
        1 => Err(CliError::Outcome("one thing is missing: see the last column".to_owned())),
        _ => Err(CliError::Outcome(format!("{missing} things are missing: see the last column"))),
    }
}

/// The first line that a program prints, or why it does not.
async fn first_line(program: &str, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let ran = tokio::time::timeout(Duration::from_secs(CHECK_SECONDS_MAX), command.output()).await;
    let output = match ran {
        Err(_) => return Err(format!("no answer within {CHECK_SECONDS_MAX} s")),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Err("not found".to_owned()),
        Ok(Err(error)) => return Err(error.to_string()),
        Ok(Ok(output)) => output,
    };
    let line = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    };
    if output.status.success() {
        Ok(line(&output.stdout).unwrap_or_default())
    } else {
        Err(line(&output.stderr).unwrap_or_else(|| output.status.to_string()))
    }
}

async fn version(program: &str, args: &[&str]) -> Result<String, String> {
    first_line(program, args).await
}

/// Debian calls it otherwise than its makers.
async fn alertmanager() -> Result<String, String> {
    match version("prometheus-alertmanager", &["--version"]).await {
        Ok(version) => Ok(version),
        Err(_) => version("alertmanager", &["--version"]).await,
    }
}

/// The interpreter that the local cloud would use, and its version.
async fn python() -> Result<(String, String), String> {
    let named = std::env::var("HOSTLER_PYTHON").ok();
    let names = match &named {
        Some(name) => vec![name.as_str()],
        None => vec!["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"],
    };
    let script = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
    let mut tried = Vec::new();
    for name in names {
        match first_line(name, &["-c", script]).await {
            Ok(version) if is_new_enough(&version) => return Ok((name.to_owned(), version)),
            Ok(version) => tried.push(format!("{name} is {version}")),
            Err(reason) => tried.push(format!("{name}: {reason}")),
        }
    }
    Err(tried.join("; "))
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) >= PYTHON_MIN
}

async fn venv(python: &Result<(String, String), String>) -> Result<String, String> {
    let Ok((name, _)) = python else { return Err("no Python to ask".to_owned()) };
    first_line(name, &["-c", "import venv, ensurepip; print('there')"]).await
}

/// Whether the package index answers, or is not needed any more.
async fn packages(python: &Result<(String, String), String>) -> Result<String, String> {
    let Ok((name, _)) = python else { return Err("no Python to ask".to_owned()) };
    // By pip itself, so that its own settings and proxies count.
    let asked = ["-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--quiet"];
    let dir = std::env::temp_dir().join(format!("hostler-doctor-{}", std::process::id()));
    let place = dir.display().to_string();
    let args: Vec<&str> = asked.into_iter().chain(["--dest", place.as_str(), SMALL_PACKAGE]).collect();
    let found = first_line(name, &args).await.map(|_| "the package index answers".to_owned());
    // It is a temporary folder; what cannot be removed is of no harm.
    let _ = std::fs::remove_dir_all(dir);
    match found {
        // Debian's Python comes without; the one in the environment that we make has its own.
        Err(reason) if reason.contains("No module named pip") => {
            Ok("not checked, for this Python has no pip of its own".to_owned())
        }
        found => found,
    }
}

/// The free space where the build goes, by `df`: the standard library does not tell.
async fn disk(global: &Global) -> Result<String, String> {
    let root = global.application().map(|application| application.root().display().to_string());
    let root = root.unwrap_or_else(|_| ".".to_owned());
    let script = "df -Pk \"$0\" | awk 'NR == 2 { print $4 }'";
    let free = first_line("sh", &["-c", script, &root]).await?;
    let kib: u64 = free.parse().map_err(|_| format!("df says {free:?}"))?;
    let gib = kib / (1024 * 1024);
    let text = format!("{gib} GiB");
    if gib >= DISK_GIB_MIN { Ok(text) } else { Err(text) }
}

fn local_cloud(global: &Global) -> Result<String, String> {
    let running = global.application().and_then(|application| state::running(&application));
    match running {
        Ok(state) => Ok(format!("runs as process {}", state.pid)),
        Err(CliError::NotRunning { stale }) => Err(format!("not running{stale}")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_new_enough("3.11.2") && is_new_enough("3.14.0") && is_new_enough("4.0.0"));
        assert!(!is_new_enough("3.9.18") && !is_new_enough("2.7.18") && !is_new_enough(""));
    }

    #[tokio::test]
    async fn a_missing_program_is_told_so() {
        let found = version("hostler-no-such-program", &[]).await;
        assert_eq!(found, Err("not found".to_owned()));
    }
}
