//! LocalStack in a container, for those who have Docker.

use std::collections::HashMap;
use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use testcontainers_modules::localstack::LocalStack;
use testcontainers_modules::testcontainers::bollard::models::{HostConfig, PortBinding};
use testcontainers_modules::testcontainers::core::Mount;
use testcontainers_modules::testcontainers::core::logs::LogFrame;
use testcontainers_modules::testcontainers::runners::AsyncRunner;
use testcontainers_modules::testcontainers::{ContainerAsync, ImageExt};

use crate::endpoint::CloudOptions;
use crate::error::Error;
use crate::process::Guard;

/// The last LocalStack release that needs no account.
const LOCALSTACK_TAG: &str = "4.14.0";
const LOCALSTACK_PORT: u16 = 4566;
/// Where Docker listens when nothing else is said.
const SOCKET: &str = "/var/run/docker.sock";
const LOG_FILE: &str = "localstack.log";

/// A running container. It goes when it is dropped, and also when this process dies.
#[derive(Debug)]
pub(crate) struct Container {
    container: Option<Box<ContainerAsync<LocalStack>>>,
    url: String,
    log: Option<PathBuf>,
    _guard: Option<Guard>,
}

impl Container {
    /// Starts it and waits until it listens.
    pub(crate) async fn start(options: CloudOptions) -> Result<Self, Error> {
        if options.enforce_iam {
            return Err(Error::Unsupported { what: "enforcing IAM policies", kind: "LocalStack" });
        }
        options.progress.tell("starting the LocalStack container");
        let docker = |error| Error::Docker(Box::new(error));
        let mut image = LocalStack::default()
            .with_tag(LOCALSTACK_TAG)
            // It starts without the network, and reports nothing.
            .with_env_var("DISABLE_EVENTS", "1")
            .with_env_var("SKIP_SSL_CERT_DOWNLOAD", "1");
        // Left alone, Docker opens the port to the whole network, with a socket behind it that makes its holder root.
        // From within a container, or with a Docker elsewhere, its loopback is not ours.
        if socket().is_some() && !Path::new("/.dockerenv").exists() {
            image = image.with_host_config_modifier(publish_on_loopback);
        }
        // LocalStack runs functions in containers of their own, beside its own. Whoever has the socket is root on this
        // machine, so it gets it only then.
        if options.runs_functions
            && let Some(socket) = socket()
        {
            image = image.with_mount(Mount::bind_mount(socket.display().to_string(), SOCKET));
        }
        for (name, value) in options.env {
            image = image.with_env_var(name, value);
        }
        let log = options.log_dir.map(|dir| dir.join(LOG_FILE));
        if let Some(path) = &log {
            image = image.with_log_consumer(write_to(path)?);
        }
        let container = image.start().await.map_err(docker)?;
        let guard = Guard::over(container.id());
        let host = container.get_host().await.map_err(docker)?;
        let port = container.get_host_port_ipv4(LOCALSTACK_PORT).await.map_err(docker)?;
        let url = format!("http://{host}:{port}");
        Ok(Self { container: Some(Box::new(container)), url, log, _guard: guard })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// Removes it and waits for that.
    pub(crate) async fn stop(&mut self) {
        if let Some(container) = self.container.take()
            && let Err(error) = container.rm().await
        {
            tracing::warn!(%error, "could not remove the LocalStack container");
        }
    }
}

fn publish_on_loopback(config: &mut HostConfig) {
    let free_port = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some("0".to_owned()) };
    config.publish_all_ports = Some(false);
    config.port_bindings = Some(HashMap::from([(format!("{LOCALSTACK_PORT}/tcp"), Some(vec![free_port]))]));
}

/// Docker's socket on this machine: that of `DOCKER_HOST`, else the usual one. None for a Docker that is elsewhere.
fn socket() -> Option<PathBuf> {
    socket_of(env::var("DOCKER_HOST").ok().as_deref())
}

fn socket_of(docker_host: Option<&str>) -> Option<PathBuf> {
    match docker_host {
        None | Some("") => Some(PathBuf::from(SOCKET)),
        Some(host) => host.strip_prefix("unix://").map(PathBuf::from),
    }
}

/// What is missing for containers: none when Docker seems to be there.
pub(crate) fn missing_here() -> Option<String> {
    let path = socket()?;
    let error = UnixStream::connect(&path).err()?;
    Some(format!("there is no Docker: nobody listens on {} ({error})", path.display()))
}

/// Writes what a container prints to a file.
fn write_to(path: &Path) -> Result<impl Fn(&LogFrame) + Send + Sync + 'static, Error> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
    }
    let file = Mutex::new(File::create(path).map_err(Error::file("create", path))?);
    Ok(move |frame: &LogFrame| {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written must not stop the container.
        let _ = file.write_all(frame.bytes());
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_socket_is_the_one_of_the_environment() {
        assert_eq!(socket_of(None).unwrap(), Path::new("/var/run/docker.sock"));
        assert_eq!(
            socket_of(Some("unix:///run/user/1000/docker.sock")).unwrap(),
            Path::new("/run/user/1000/docker.sock")
        );
        assert_eq!(socket_of(Some("tcp://build:2375")), None, "a socket elsewhere cannot be mounted");
    }

    #[test]
    fn the_port_is_published_on_loopback_alone() {
        let mut config = HostConfig { publish_all_ports: Some(true), ..HostConfig::default() };
        publish_on_loopback(&mut config);
        let bindings = config.port_bindings.unwrap();
        let [port] = bindings["4566/tcp"].as_deref().unwrap() else { panic!("one port: {bindings:?}") };
        assert_eq!((config.publish_all_ports, port.host_ip.as_deref()), (Some(false), Some("127.0.0.1")));
    }

    #[test]
    fn what_a_container_prints_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs").join(LOG_FILE);
        let log = write_to(&path).unwrap();
        log(&LogFrame::StdOut("Ready.\n".into()));
        log(&LogFrame::StdErr("a warning\n".into()));
        assert_eq!(fs::read_to_string(path).unwrap(), "Ready.\na warning\n");
    }
}
