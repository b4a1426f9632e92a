//! What can go wrong with the local cloud, each with what to do about it.

use std::path::PathBuf;

/// Why the local cloud or the fleet could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No suitable Python is installed.
    #[error(
        "the local cloud needs Python 3.11 or newer with the venv module; tried {tried}. \
         Install it (Debian: apt install python3 python3-venv) or name one in HOSTLER_PYTHON"
    )]
    Python {
        /// Each interpreter tried and what was wrong with it.
        tried: String,
    },
    /// The pinned Python packages could not be installed.
    #[error(
        "cannot {step} in {}: {reason}. The whole output is in {}. \
         Check that the package index is reachable (PIP_INDEX_URL, HTTPS_PROXY) and try again",
        dir.display(), log.display()
    )]
    Install {
        /// What was being done.
        step: &'static str,
        /// Where.
        dir: PathBuf,
        /// The last lines of the output, or why it did not end.
        reason: String,
        /// The file with the whole output.
        log: PathBuf,
    },
    /// A file or directory could not be read, written or locked.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was being done, as "read" or "create".
        action: &'static str,
        /// To which path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A server of ours could not be started.
    #[error("cannot run {program}")]
    Spawn {
        /// Which program.
        program: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A server of ours ended, or did not answer in time, at its start.
    #[error("{name} did not come up: {reason}. Its last output:\n{output}")]
    NotReady {
        /// Which server.
        name: &'static str,
        /// What happened.
        reason: String,
        /// The last lines of its log.
        output: String,
    },
    /// A server of ours listens on a socket whose path is too long for whoever connects to it.
    #[error(
        "the path {} of a socket has {bytes} bytes, and may have {bytes_max}: set TMPDIR to a folder with a shorter name",
        path.display()
    )]
    SocketPath {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
        /// What fits.
        bytes_max: usize,
    },
    /// A server of ours could not be told to read its files again.
    #[error("the server that runs as process {pid} cannot be told to read its configuration; did it end?")]
    Signal {
        /// Its process.
        pid: u32,
        /// Why not.
        #[source]
        source: nix::errno::Errno,
    },
    /// The endpoint does not answer.
    #[error("no AWS endpoint answers at {url}: {reason}. Is it running, and is AWS_ENDPOINT_URL right?")]
    Unreachable {
        /// The endpoint.
        url: String,
        /// What the last attempt said.
        reason: String,
    },
    /// The LocalStack container could not be started.
    #[error(
        "cannot start the LocalStack container. Is Docker running? \
         Without Docker leave HOSTLER_TEST_CLOUD unset: the default endpoint needs none"
    )]
    Docker(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// This machine lacks what an endpoint needs.
    #[error("{what} needs more than is here: {missing}")]
    Missing {
        /// What was to be started.
        what: &'static str,
        /// What is missing, and how to get it.
        missing: String,
    },
    /// The endpoint can't do what was asked of it.
    #[error("{what} works with the default endpoint only, and this one is {kind}")]
    Unsupported {
        /// What was asked.
        what: &'static str,
        /// The kind of endpoint.
        kind: &'static str,
    },
    /// The template can't be read.
    #[error("{} is not a template: {reason}", path.display())]
    Template {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A site's file does not read.
    #[error("{} is no site file: {source}; write {{\"parameters\": {{…}}}} with the template's parameters", path.display())]
    Site {
        /// Which file.
        path: PathBuf,
        /// Where it does not.
        #[source]
        source: serde_json::Error,
    },
    /// The functions did not build.
    #[error("cargo could not build the functions; it said:\n{output}")]
    Build {
        /// The last lines of its output.
        output: String,
    },
    /// The template names functions that nobody built.
    #[error(
        "the template's functions {missing} have no binary. Build them (cargo build) and pass their paths; \
         passed were: {given}"
    )]
    NoBinary {
        /// `resource (folder)` of each function without a binary.
        missing: String,
        /// The folder names that were passed.
        given: String,
    },
    /// A call of the AWS API failed.
    #[error("{action} failed: {reason}")]
    Aws {
        /// What was called, and on what.
        action: String,
        /// The innermost of the sources, which is where the SDK puts what the service said.
        reason: String,
        /// What the SDK said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stack did not reach its goal.
    #[error("stack {stack} is {status}:\n{events}")]
    Stack {
        /// The stack's name.
        stack: String,
        /// Where it stands.
        status: String,
        /// The failed events with their reasons, oldest first.
        events: String,
    },
    /// The template has no HTTP API.
    #[error("stack {stack} has no AWS::ApiGatewayV2::Api, so there is nothing to call")]
    NoHttpApi {
        /// The stack's name.
        stack: String,
    },
    /// The fleet has no such host.
    #[error("the fleet has no host {host}; its hosts are {known}")]
    NoSuchHost {
        /// The host asked for.
        host: String,
        /// The first and the last host.
        known: String,
    },
    /// An HTTP call of ours failed.
    #[error("calling {url} failed")]
    Http {
        /// The address.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The fleet answered with a refusal.
    #[error("the fleet at {url} answered {status}: {body}")]
    Refused {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        body: String,
    },
}

impl Error {
    /// Wraps an I/O error on a path.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// Wraps an SDK error.
    pub(crate) fn aws<E>(action: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let action = action.into();
        move |source| Self::Aws { action, reason: innermost(&source), source: Box::new(source) }
    }
}

/// The text of the last error in a chain.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
