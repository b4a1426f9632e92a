//! Prometheus and Alertmanager of the local cloud: the programs that are installed on this machine, with the rules and the
//! configuration of infra/monitoring.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::error::Error;
use crate::process::{Server, ServerSpec};
use crate::progress::Progress;
use crate::{site, venv};

/// Where rules and configurations are, below the workspace's root.
const FOLDER: &str = "infra/monitoring";
/// How often hosts are looked at and rules are evaluated here; a site takes its time.
const INTERVAL: &str = "1s";
const WAIT: &str = "1s";
const REFRESH: &str = "1s";
const REPEAT: &str = "2s";
/// What is configured until there is something to watch, and to send alerts to.
const WATCHES_NOTHING: &str = "global: {}\n";
const TELLS_NOBODY: &str = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";

/// The names that a program has on various systems.
const PROMETHEUS: [&str; 1] = ["prometheus"];
const ALERTMANAGER: [&str; 2] = ["prometheus-alertmanager", "alertmanager"];

/// What monitoring to start.
#[derive(Debug, Clone, Default)]
pub struct MonitoringOptions {
    /// The workspace's root, where infra/monitoring is.
    pub root: PathBuf,
    /// Where logs go; without one they go when it ends.
    pub log_dir: Option<PathBuf>,
    /// Who is told about progress.
    pub progress: Progress,
}

/// What monitoring needs to know of a deployed stack.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// The address of its HTTP API.
    pub api_url: &'a str,
    /// The stack's `MonitoringToken`.
    pub monitoring_token: &'a str,
    /// The token that alerts are sent with; none where the stack takes no alerts.
    pub signal_token: Option<&'a str>,
}

/// A running Prometheus with its Alertmanager. They end when it is dropped, or when this process dies.
#[derive(Debug)]
pub struct Monitoring {
    prometheus: Server,
    alertmanager: Server,
    root: PathBuf,
}

impl Monitoring {
    /// What this machine lacks to run it: none when it can run here.
    #[must_use]
    pub fn missing_here() -> Option<String> {
        let lacks = |names: &[&'static str]| find(names).is_none();
        let missing = [(&PROMETHEUS[..], "prometheus"), (&ALERTMANAGER[..], "prometheus-alertmanager")];
        let missing: Vec<&str> =
            missing.into_iter().filter(|(names, _)| lacks(names)).map(|(_, package)| package).collect();
        (!missing.is_empty()).then(|| {
            format!("not installed: {} (Debian: apt install {})", missing.join(" and "), missing.join(" "))
        })
    }

    /// Starts both and waits until they are ready. They watch nothing before [`Monitoring::watch`].
    ///
    /// # Errors
    /// [`Error::Missing`] when they are not installed, and those about Python and about the start of servers.
    pub async fn start(options: MonitoringOptions) -> Result<Self, Error> {
        let MonitoringOptions { root, log_dir, progress } = options;
        let (Some(prometheus), Some(alertmanager)) = (find(&PROMETHEUS), find(&ALERTMANAGER)) else {
            let missing = Self::missing_here().unwrap_or_default();
            return Err(Error::Missing { what: "monitoring by Prometheus", missing });
        };
        let python = venv::ensure_python(&progress).await?;
        progress.tell("starting Prometheus and Alertmanager");
        let password = site::secret(2);
        let rules = read(&root.join(FOLDER).join("rules.yaml"))?;
        let alertmanager_settings = json!({
            "name": "Alertmanager",
            "program": alertmanager,
            "arguments": [
                "--config.file=alertmanager.yaml",
                "--storage.path=data",
                "--web.listen-address=127.0.0.1:{port}",
                // Without a cluster: it would listen for others.
                "--cluster.listen-address=",
            ],
            "files": { "alertmanager.yaml": TELLS_NOBODY },
            "ready": "/-/ready",
            "password": password,
        });
        let prometheus_settings = json!({
            "name": "Prometheus",
            "program": prometheus,
            "arguments": [
                "--config.file=prometheus.yaml",
                "--storage.tsdb.path=data",
                "--web.listen-address=127.0.0.1:{port}",
                // No page of another origin may read here. The default lets all do so.
                "--web.cors.origin=none",
                // What an alert measures is told to Alertmanager as often as that tells it. The default is a minute.
                format!("--rules.alert.resend-delay={REPEAT}"),
            ],
            "files": {
                "prometheus.yaml": WATCHES_NOTHING,
                "rules.yaml": rules,
                "alertmanager-password": password,
            },
            "ready": "/-/ready",
            "password": "",
        });
        let (prometheus, alertmanager) = tokio::try_join!(
            server("Prometheus", "prometheus.log", &python, prometheus_settings, log_dir.as_deref()),
            server("Alertmanager", "alertmanager.log", &python, alertmanager_settings, log_dir.as_deref()),
        )?;
        Ok(Self { prometheus, alertmanager, root })
    }

    /// The address of Prometheus.
    #[must_use]
    pub fn prometheus_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.prometheus.port())
    }

    /// The address of Alertmanager. It asks for a password that nobody but Prometheus knows.
    #[must_use]
    pub fn alertmanager_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.alertmanager.port())
    }

    /// The process groups of both.
    #[must_use]
    pub fn process_groups(&self) -> [i32; 2] {
        [self.prometheus.group(), self.alertmanager.group()]
    }

    /// Where both keep their data, which goes with them.
    #[must_use]
    pub fn work_dirs(&self) -> [&Path; 2] {
        [self.prometheus.work_dir(), self.alertmanager.work_dir()]
    }

    /// Has a stack's hosts watched from now on, and it told of alerts where it takes them.
    ///
    /// # Errors
    /// [`Error::File`] when the configuration cannot be read or written, [`Error::Signal`] when a server is not there.
    pub fn watch(&self, watched: &Watched<'_>) -> Result<(), Error> {
        let alertmanager = format!("127.0.0.1:{}", self.alertmanager.port());
        let values = BTreeMap::from([
            ("API", watched.api_url),
            ("ALERTMANAGER", alertmanager.as_str()),
            ("INTERVAL", INTERVAL),
            ("REFRESH", REFRESH),
            ("WAIT", WAIT),
            ("REPEAT", REPEAT),
        ]);
        if let Some(token) = watched.signal_token {
            let folder = self.alertmanager.work_dir();
            keep(&folder.join("signal-token"), token)?;
            keep(&folder.join("alertmanager.yaml"), &self.filled("alertmanager.yaml", &values)?)?;
            self.alertmanager.hang_up()?;
        }
        let folder = self.prometheus.work_dir();
        keep(&folder.join("monitoring-token"), watched.monitoring_token)?;
        keep(&folder.join("prometheus.yaml"), &self.filled("prometheus.yaml", &values)?)?;
        self.prometheus.hang_up()
    }

    /// A file of infra/monitoring with its values.
    fn filled(&self, name: &str, values: &BTreeMap<&str, &str>) -> Result<String, Error> {
        let text = read(&self.root.join(FOLDER).join(name))?;
        Ok(values.iter().fold(text, |text, (name, value)| text.replace(&format!("${{{name}}}"), value)))
    }
}

async fn server(
    name: &'static str,
    log: &'static str,
    python: &Path,
    settings: serde_json::Value,
    log_dir: Option<&Path>,
) -> Result<Server, Error> {
    let env = BTreeMap::new();
    Server::start(ServerSpec {
        name,
        python,
        module: "monitoring.py",
        log: Some(log),
        settings,
        env,
        log_dir,
    })
    .await
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::file("read", path))
}

/// Writes a file that only we read.
fn keep(path: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::file("write", path))
}

/// The first of these programs that is there.
fn find(names: &[&'static str]) -> Option<&'static str> {
    names.iter().copied().find(|name| {
        let ran = Command::new(name)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        ran.is_ok_and(|status| status.success())
    })
}
