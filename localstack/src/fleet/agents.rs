//! The agents of hosts with disks: each tells what is installed on its host, with the host's own `dpkg` database, after each
//! change of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::HostRoots;

/// How often an agent looks whether something was installed.
const LOOK: Duration = Duration::from_secs(1);
/// The system that hosts have.
const ECOSYSTEM: &str = "Debian:12";
/// What `dpkg-query` is asked for, in this order.
const FORMAT: &str =
    "-f=${db:Status-Status} ${binary:Package} ${Version} ${source:Package} ${source:Version}\\n";
/// The database of packages, and what asks for a reboot, on a host's disk.
const STATUS: &str = "var/lib/dpkg/status";
const REBOOT_REQUIRED: &str = super::roots::REBOOT;

/// Running agents. They end when they are dropped.
#[derive(Debug)]
pub(crate) struct Agents(JoinHandle<()>);

/// By what a change of a disk is noticed.
type Seen = (Option<SystemTime>, u64, bool);

impl Agents {
    /// Has the agents of these hosts tell `POST /signals/packages` of an API, with its token.
    pub(crate) fn start(roots: HostRoots, api_url: &str, token: &str) -> Self {
        let url = format!("{}/signals/packages", api_url.trim_end_matches('/'));
        let token = token.to_owned();
        Self(tokio::spawn(async move {
            let client = reqwest::Client::new();
            let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
            loop {
                for host in hosts(&roots) {
                    let disk = roots.of(&host);
                    let now = look(&disk);
                    if seen.get(&host) == Some(&now) {
                        continue;
                    }
                    // What was not taken is told at the next look.
                    match tell(&client, (&url, &token), &host, &disk).await {
                        Ok(()) => drop(seen.insert(host, now)),
                        Err(reason) => tracing::warn!(host, reason, "a list of packages was not told"),
                    }
                }
                tokio::time::sleep(LOOK).await;
            }
        }))
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The hosts that have a system.
fn hosts(roots: &HostRoots) -> Vec<String> {
    let entries = std::fs::read_dir(roots.folder()).into_iter().flatten().flatten();
    let hosts = entries.filter(|entry| entry.path().join(STATUS).is_file());
    hosts.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn look(disk: &Path) -> Seen {
    let status = std::fs::metadata(disk.join(STATUS));
    let changed = status.as_ref().ok().and_then(|status| status.modified().ok());
    (changed, status.map_or(0, |status| status.len()), disk.join(REBOOT_REQUIRED).exists())
}

async fn tell(
    client: &reqwest::Client,
    (url, token): (&str, &str),
    host: &str,
    disk: &Path,
) -> Result<(), String> {
    let observed_at = jiff::Timestamp::now();
    let admin = format!("--admindir={}", disk.join("var/lib/dpkg").display());
    let mut query = Command::new("dpkg-query");
    let query = query.args([admin.as_str(), "-W", FORMAT]).stdin(Stdio::null()).output().await;
    let query = query.map_err(|error| format!("dpkg-query: {error}"))?;
    let packages = installed(&String::from_utf8_lossy(&query.stdout));
    let body = json!({
        "host": host, "ecosystem": ECOSYSTEM, "observedAt": observed_at,
        "rebootPending": disk.join(REBOOT_REQUIRED).exists(), "packages": packages,
    });
    let answer = client.post(url).bearer_auth(token).json(&body).send().await;
    let answer = answer.map_err(|error| error.to_string())?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(status.to_string()),
    }
}

/// The packages of a list that are installed; others are half installed, or only known.
fn installed(list: &str) -> Vec<Value> {
    let package = |line: &str| {
        let mut parts = line.split(' ');
        let ("installed", name, version) = (parts.next()?, parts.next()?, parts.next()?) else { return None };
        let (source, source_version) = (parts.next()?, parts.next()?);
        Some(json!({ "name": name, "version": version, "source": source, "sourceVersion": source_version }))
    };
    list.lines().filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_is_told_with_its_source() {
        let list = "installed libssl3:amd64 3.0.15-1 openssl 3.0.15-1\n\
                    config-files telnet 1.0 telnet 1.0\n\
                    half-installed bash 5 bash 5\n";
        let packages = installed(list);
        assert_eq!(
            packages,
            [
                json!({ "name": "libssl3:amd64", "version": "3.0.15-1", "source": "openssl", "sourceVersion": "3.0.15-1" })
            ]
        );
    }
}
