//! What can go wrong with a command, and the exit status that tells programs.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use hostler_core::failure::printable;
use serde_json::{Value, json};

use crate::render::time;

/// The exit codes, as the help shows them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed: something went wrong, or a saga ended compensated or stuck
  2  the command line is wrong
  3  the cloud cannot be reached, or no local cloud is running
  4  what was asked for was refused, or something that was named does not exist
  5  waited for as long as allowed";

/// Any source of an error.
pub(crate) type Source = Box<dyn Error + Send + Sync>;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line asks for something that does not make sense.
    #[error("{0}")]
    Usage(String),
    /// There is no application here.
    #[error("there is no template.yaml in {}{}: change to the folder of an application, or name it with --app",
        place.display(), if *above { " or a folder above it" } else { "" })]
    NoApplication {
        /// Where it was looked for.
        place: PathBuf,
        /// Whether also above.
        above: bool,
    },
    /// Something was named that does not exist.
    #[error("there is no {what} {name:?}{hint}{}", list.as_ref().map(|list| format!("; `{list}` lists them")).unwrap_or_default())]
    NotFound {
        /// What sort of thing.
        what: Cow<'static, str>,
        /// The name that was given.
        name: String,
        /// The nearest one, or which there are.
        hint: String,
        /// The command that lists them.
        list: Option<String>,
    },
    /// The deployed application does not know such things.
    #[error(
        "{action}: the application at this address has none of it; `hostler commands list`, `sagas list` and `functions list` show what it has"
    )]
    NotServed {
        /// What was asked.
        action: String,
    },
    /// There is no local cloud, and no stack was named.
    #[error(
        "no local cloud is running{stale}: start one with `hostler up`, or name a stack on AWS with --stack"
    )]
    NotRunning {
        /// What is known of an earlier one.
        stale: String,
    },
    /// The local cloud is there already.
    #[error(
        "a local cloud is running already (process {pid}, since {since}): use it, or stop it with `hostler down`"
    )]
    AlreadyRunning {
        /// Its process.
        pid: String,
        /// When it was started.
        since: String,
    },
    /// Nothing answers.
    #[error("{what} does not answer: {advice}")]
    Unreachable {
        /// What was called.
        what: String,
        /// What to do about it.
        advice: &'static str,
        /// Why not.
        #[source]
        source: Source,
    },
    /// The orchestrator said no.
    #[error("{action} was refused: {message}")]
    Refused {
        /// What was asked.
        action: String,
        /// The HTTP status.
        status: u16,
        /// The static label of the refusal.
        code: String,
        /// Why, and what to do.
        message: String,
    },
    /// The orchestrator, or what is between, failed.
    #[error("{action} failed ({status}): {message}")]
    Answer {
        /// What was asked.
        action: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// Waited long enough.
    #[error("{what} after {}: look again with `hostler watch`, or wait longer with --timeout", time::span(*waited))]
    TimedOut {
        /// What is not done yet.
        what: String,
        /// For how long it was waited.
        waited: Duration,
    },
    /// The outcome is not the one that was wanted; all there is to say was printed already.
    #[error("{0}")]
    Outcome(String),
    /// Something failed, and this is why.
    #[error("{what}")]
    Failed {
        /// What was done, to what, and what to do next.
        what: String,
        /// Why it failed.
        #[source]
        source: Source,
    },
    /// A call of the AWS API failed.
    #[error("{what}\n  because: {said}")]
    Aws {
        /// What was done, to what, and what to do next.
        what: String,
        /// What the service said, or the innermost reason why it was not reached.
        said: String,
        /// The whole of it.
        #[source]
        source: Source,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// "read" or "write".
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The local cloud failed.
    #[error(transparent)]
    Cloud(#[from] hostler_localstack::Error),
    /// Whoever read our output reads no more.
    #[error("the output was closed")]
    OutputClosed,
}

impl CliError {
    /// Wraps an error of a library with what was done.
    pub(crate) fn failed<E: Into<Source>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Failed { what, source: source.into() }
    }

    /// Wraps an error of an AWS SDK with what was done.
    pub(crate) fn aws<E>(what: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let what = what.into();
        move |error| {
            let said = match (error.code(), error.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                (None, Some(message)) => message.to_owned(),
                (None, None) => innermost(&error),
            };
            Self::Aws { what, said, source: Box::new(error) }
        }
    }

    /// Wraps an I/O error on a path.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// The exit code; see [`EXIT_CODES`].
    pub(crate) fn code(&self) -> u8 {
        use hostler_localstack::Error as Cloud;
        match self {
            Self::OutputClosed => 0,
            Self::Usage(_) | Self::NoApplication { .. } => 2,
            Self::NotRunning { .. }
            | Self::Unreachable { .. }
            | Self::Cloud(Cloud::Http { .. } | Cloud::Unreachable { .. }) => 3,
            Self::Refused { .. }
            | Self::NotFound { .. }
            | Self::NotServed { .. }
            | Self::Cloud(Cloud::Refused { .. }) => 4,
            Self::TimedOut { .. } => 5,
            Self::AlreadyRunning { .. }
            | Self::Answer { .. }
            | Self::Outcome(_)
            | Self::Failed { .. }
            | Self::Aws { .. }
            | Self::File { .. }
            | Self::Cloud(_) => 1,
        }
    }

    /// The static label by which programs tell errors apart.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Usage(_) => "usage",
            Self::NoApplication { .. } => "no-application",
            Self::NotFound { .. } => "not-found",
            Self::NotServed { .. } => "not-served",
            Self::NotRunning { .. } => "not-running",
            Self::AlreadyRunning { .. } => "already-running",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { code, .. } if code.is_empty() => "refused",
            Self::Refused { code, .. } => code,
            Self::Answer { .. } => "failed-there",
            Self::TimedOut { .. } => "timed-out",
            Self::Outcome(_) => "outcome",
            Self::Failed { .. } => "failed",
            Self::Aws { .. } => "aws",
            Self::File { .. } => "file",
            Self::Cloud(_) => "local-cloud",
            Self::OutputClosed => "output-closed",
        }
    }

    /// Tells it on standard error, to people or to programs, and gives the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if matches!(self, Self::OutputClosed) {
        } else if json {
            eprintln!("{}", document(self.label(), &chain(self), self.code()));
        } else {
            eprintln!("hostler: {}", printable(&chain(self)));
        }
        ExitCode::from(self.code())
    }
}

/// An error as programs read it.
pub(crate) fn document(code: &str, message: &str, exit_code: u8) -> Value {
    json!({ "error": { "code": code, "message": message, "exitCode": exit_code } })
}

/// The text of the last error of a chain.
fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// An error with its sources, each said once.
pub(crate) fn chain(error: &CliError) -> String {
    use hostler_localstack::Error as Cloud;
    let mut text = error.to_string();
    // The SDK's own chain repeats in five ways what is said already.
    if matches!(error, CliError::Aws { .. } | CliError::Cloud(Cloud::Aws { .. })) {
        return text;
    }
    let error: &dyn Error = error;
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !cause.is_empty() && !text.contains(&cause) {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n  because: {cause}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_in_the_help() {
        let refused = CliError::Refused {
            action: "request-hosts".to_owned(),
            status: 409,
            code: "refused".to_owned(),
            message: "the pool is empty".to_owned(),
        };
        let timed_out = CliError::TimedOut { what: "2 of 3".to_owned(), waited: Duration::from_secs(90) };
        let codes = [
            CliError::OutputClosed.code(),
            CliError::Outcome(String::new()).code(),
            CliError::Usage(String::new()).code(),
            CliError::NotRunning { stale: String::new() }.code(),
            refused.code(),
            timed_out.code(),
        ];
        assert_eq!(codes, [0, 1, 2, 3, 4, 5]);
        for code in codes {
            assert!(EXIT_CODES.contains(&format!("\n  {code}  ")), "{code}");
        }
    }

    #[test]
    fn programs_get_a_code_and_a_message() {
        let error = CliError::NotFound {
            what: "host".into(),
            name: "h-9".to_owned(),
            hint: "; did you mean h-09?".to_owned(),
            list: Some("hostler hosts list".to_owned()),
        };
        let message = "there is no host \"h-9\"; did you mean h-09?; `hostler hosts list` lists them";
        let wanted = json!({ "error": { "code": "not-found", "message": message, "exitCode": 4 } });
        assert_eq!(document(error.label(), &chain(&error), error.code()), wanted);
    }

    #[test]
    fn a_cause_is_told_once() {
        let inner = std::io::Error::other("no space left");
        let error = CliError::file("write", "/x")(inner);
        assert_eq!(chain(&error), "cannot write /x\n  because: no space left");
    }
}
