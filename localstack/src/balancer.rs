//! HAProxy of the local cloud: the program that is installed on this machine, with the configuration of infra/traffic.cfg.
//!
//! Its runtime API takes each line for a command and asks for no password. A page in a browser can send requests to each port of
//! loopback, so this API is a Unix socket, in a folder of ours: no page opens one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::error::Error;
use crate::fleet::{SERVER_HEADER, TRAFFIC};
use crate::process::{Server, ServerSpec};
use crate::progress::Progress;
use crate::venv;

/// The configuration, below the workspace's root.
const CONFIGURATION: &str = "infra/traffic.cfg";
/// The socket of its runtime API, in its work directory.
const SOCKET: &str = "haproxy.sock";
/// What a Unix socket's path may have (*unix(7)*: 108 bytes with the 0 at its end).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// What load balancer to start.
#[derive(Debug, Clone, Default)]
pub struct BalancerOptions {
    /// The workspace's root, where infra is.
    pub root: PathBuf,
    /// Its backends, by the names that the site's policies give them.
    pub backends: Vec<String>,
    /// Where its log goes; without one it goes when it ends.
    pub log_dir: Option<PathBuf>,
    /// Who is told about progress.
    pub progress: Progress,
}

/// A running HAProxy. It ends when it is dropped, or when this process dies.
#[derive(Debug)]
pub struct Balancer {
    haproxy: Server,
    socket: PathBuf,
}

impl Balancer {
    /// What this machine lacks to run it: none when it can run here.
    #[must_use]
    pub fn missing_here() -> Option<String> {
        let ran = Command::new("haproxy")
            .arg("-v")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let is_there = ran.is_ok_and(|status| status.success());
        (!is_there).then(|| {
            "not installed: haproxy (Debian: apt install --no-install-recommends haproxy)".to_owned()
        })
    }

    /// Starts it and waits until it is ready. It sends nobody anything before hosts join.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is not installed, [`Error::SocketPath`] when the folder for temporary files has too long a name,
    /// and those about Python and about the start of servers.
    pub async fn start(options: BalancerOptions) -> Result<Self, Error> {
        let BalancerOptions { root, backends, log_dir, progress } = options;
        if let Some(missing) = Self::missing_here() {
            return Err(Error::Missing { what: "traffic by HAProxy", missing });
        }
        let python = venv::ensure_python(&progress).await?;
        progress.tell("starting HAProxy");
        let path = root.join(CONFIGURATION);
        let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        let api = format!("unix@{SOCKET} mode 600");
        let text = text.replace("${API}", &api).replace("${FRONTEND}", "127.0.0.1:{port}");
        let settings = json!({
            "name": "HAProxy",
            "program": "haproxy",
            "arguments": ["-db", "-f", "traffic.cfg"],
            "files": { "traffic.cfg": text + &blocks(&backends) },
            "ready": "/-/ready",
            "password": "",
        });
        let haproxy = Server::start(ServerSpec {
            name: "HAProxy",
            python: &python,
            module: "monitoring.py",
            log: Some("haproxy.log"),
            settings,
            env: BTreeMap::new(),
            log_dir: log_dir.as_deref(),
        })
        .await?;
        let socket = socket_in(haproxy.work_dir())?;
        Ok(Self { haproxy, socket })
    }

    /// Where requests are sent: those to `<url>/<backend>/…` reach a host of the backend.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.haproxy.port())
    }

    /// The Unix socket of its runtime API, which only our user may use.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// That socket, as the template's parameter `HaproxyAddress` takes it.
    #[must_use]
    pub fn api(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Its process group.
    #[must_use]
    pub fn process_group(&self) -> i32 {
        self.haproxy.group()
    }
}

/// All hosts of the fleet have one address, so that each request says for which of them it is.
fn blocks(backends: &[String]) -> String {
    let mut text = String::new();
    for backend in backends {
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "backend {backend}\n  balance roundrobin\n  http-request set-path {TRAFFIC}%[path]\n  \
             http-send-name-header {SERVER_HEADER}\n\n"
        );
    }
    text
}

/// HAProxy itself is given the name alone, for it works in this folder; shift-traffic needs the whole path.
fn socket_in(folder: &Path) -> Result<PathBuf, Error> {
    let path = folder.join(SOCKET);
    match path.as_os_str().len() {
        ..=SOCKET_PATH_BYTES_MAX => Ok(path),
        bytes => Err(Error::SocketPath { path, bytes, bytes_max: SOCKET_PATH_BYTES_MAX }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_backend_says_for_which_host_a_request_is() {
        let text = blocks(&["web".to_owned(), "db".to_owned()]);
        assert!(
            text.contains("backend web\n  balance roundrobin\n  http-request set-path /traffic%[path]\n")
        );
        assert!(
            text.contains("backend db\n") && text.ends_with("http-send-name-header x-hostler-server\n\n")
        );
    }
    #[test]
    fn a_folder_whose_name_is_too_long_for_a_socket_is_told_with_what_to_do() {
        assert!(socket_in(Path::new("/tmp/hostler-a1B2c3")).is_ok());
        let folder = format!("/{}", "a".repeat(SOCKET_PATH_BYTES_MAX - SOCKET.len() - 1));
        let told =
            |error: Error| error.to_string().contains("108 bytes") && error.to_string().contains("TMPDIR");
        assert!(socket_in(Path::new(&folder)).is_err_and(told));
        assert!(socket_in(Path::new(&folder[..folder.len() - 1])).is_ok(), "the longest that fits");
    }
}
