//! What kinds of endpoint there are, and what each of them can do.

use std::env;
use std::fmt;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::balancer::Balancer;
use crate::container;
use crate::error::Error;
use crate::monitoring::Monitoring;

/// What the AWS endpoint is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EndpointKind {
    /// ministack in processes of ours; needs Python 3.11 and no Docker.
    #[default]
    Ministack,
    /// LocalStack in processes of ours; needs Python 3.11, npm for one archive, and Java 17, and no Docker.
    LocalStackHost,
    /// LocalStack in a container; needs Docker.
    LocalStack,
    /// moto's server in a process of ours: services alone, for it runs no functions.
    Moto,
    /// An endpoint that somebody else runs.
    Url(String),
}

/// Something that not every endpoint can do, and that a test may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// It runs functions.
    Functions,
    /// Functions are processes of this machine, so they reach its loopback and can be killed.
    Processes,
    /// It enforces IAM policies, when it is asked to.
    Iam,
    /// It can be restarted and still has what it stored.
    Restart,
    /// It serves HTTP APIs.
    HttpApi,
    /// It hands over the bodies of messages byte by byte as they were sent.
    VerbatimBodies,
    /// One-time schedules fire.
    Schedules,
    /// It stops chains of invocations, as AWS does.
    LoopDetection,
    /// It refuses what a page in a browser could send.
    Guard,
    /// Tables can be recovered: point-in-time recovery, backups.
    Recovery,
    /// Target groups of Elastic Load Balancing, without a load balancer behind them.
    TargetGroups,
    /// Commands to nodes, without an agent that runs them.
    RunCommand,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Functions,
        Self::Processes,
        Self::Iam,
        Self::Restart,
        Self::HttpApi,
        Self::VerbatimBodies,
        Self::Schedules,
        Self::LoopDetection,
        Self::Guard,
        Self::Recovery,
        Self::TargetGroups,
        Self::RunCommand,
    ];

    /// What is lacking without it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Functions => "functions that run",
            Self::Processes => "functions as processes of this machine",
            Self::Iam => "IAM policies that are enforced",
            Self::Restart => "a restart that keeps what was stored",
            Self::HttpApi => "HTTP APIs",
            Self::VerbatimBodies => "messages whose bodies are handed over as they were sent",
            Self::Schedules => "one-time schedules that fire",
            Self::LoopDetection => "chains of invocations that are stopped",
            Self::Guard => "guard of ours against pages in a browser",
            Self::Recovery => "recovery of tables",
            Self::TargetGroups => "target groups",
            Self::RunCommand => "commands to nodes without agents",
        }
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ministack => f.write_str("ministack"),
            Self::LocalStackHost => f.write_str("localstack-host"),
            Self::LocalStack => f.write_str("localstack"),
            Self::Moto => f.write_str("moto"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl EndpointKind {
    /// Reads `HOSTLER_TEST_CLOUD`: `ministack` (also when unset), `localstack-host`, `localstack`, `moto` or an
    /// address.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when it is none of these.
    pub fn from_env() -> Result<Self, Error> {
        Self::parse(&env::var("HOSTLER_TEST_CLOUD").unwrap_or_default())
    }

    fn parse(text: &str) -> Result<Self, Error> {
        match text.trim() {
            "" | "ministack" => Ok(Self::Ministack),
            "localstack-host" => Ok(Self::LocalStackHost),
            "localstack" => Ok(Self::LocalStack),
            "moto" => Ok(Self::Moto),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Self::Url(url.trim_end_matches('/').to_owned()))
            }
            other => Err(Error::Unreachable {
                url: other.to_owned(),
                reason: "HOSTLER_TEST_CLOUD is `ministack`, `localstack-host`, `localstack`, `moto` or an http:// \
                         address"
                    .to_owned(),
            }),
        }
    }

    /// Whether it can do something.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        match self {
            // It sends commands to instances that run, which takes Docker.
            Self::Ministack => capability != Capability::RunCommand,
            Self::LocalStackHost => match capability {
                Capability::Functions | Capability::Processes | Capability::HttpApi | Capability::Guard => {
                    true
                }
                // Its free edition stores schedules and fires none, enforces no policy and keeps nothing; its poller
                // writes JSON bodies anew.
                Capability::Iam
                | Capability::Restart
                | Capability::VerbatimBodies
                | Capability::Schedules
                | Capability::LoopDetection
                | Capability::Recovery
                | Capability::TargetGroups
                | Capability::RunCommand => false,
            },
            // Functions run in containers, which our loopback is not the loopback of; there are no HTTP APIs.
            Self::LocalStack => capability == Capability::Functions,
            Self::Moto => {
                matches!(
                    capability,
                    Capability::VerbatimBodies
                        | Capability::Guard
                        | Capability::TargetGroups
                        | Capability::RunCommand
                )
            }
            // Nobody knows but who runs it, so what it answers decides; that its processes are ours is not so.
            Self::Url(_) => matches!(
                capability,
                Capability::Functions
                    | Capability::HttpApi
                    | Capability::VerbatimBodies
                    | Capability::Schedules
            ),
        }
    }

    /// What this machine lacks to run it: none when it can run here.
    #[must_use]
    pub fn missing_here(&self) -> Option<String> {
        match self {
            Self::Ministack | Self::Moto | Self::Url(_) => None,
            Self::LocalStackHost => {
                let lacks = |(program, package): &(&str, &str)| {
                    let args = if *program == "java" { "-version" } else { "--version" };
                    let ran = Command::new(program)
                        .arg(args)
                        .stdin(Stdio::null())
                        .stdout(Stdio::null())
                        .stderr(Stdio::null())
                        .status();
                    let there = ran.is_ok_and(|status| status.success());
                    (!there).then(|| format!("{program} is not there (Debian: apt install {package})"))
                };
                [("java", "default-jre-headless"), ("npm", "npm"), ("cc", "gcc")].iter().find_map(lacks)
            }
            Self::LocalStack => container::missing_here(),
        }
    }

    /// Why a test that needs these capabilities cannot run on it: none when it can.
    #[must_use]
    pub fn lacks(&self, needed: &[Capability]) -> Option<String> {
        let lacking = needed.iter().find(|capability| !self.can(**capability));
        lacking.map(|capability| format!("it has no {}", capability.text())).or_else(|| self.missing_here())
    }
}

/// Says that a test is not run, and why, where cargo shows it also of tests that pass; used by [`needs!`](crate::needs).
///
/// True when the test has to end.
#[must_use]
pub fn skips(test: &str, needed: &[Capability]) -> bool {
    let reason = match EndpointKind::from_env() {
        Ok(kind) => kind.lacks(needed).map(|reason| format!("{kind}: {reason}")),
        // The test fails by it when it starts its cloud.
        Err(_) => None,
    };
    let Some(reason) = reason else { return false };
    say_not_run(&format!("on {reason}"), test);
    true
}

/// Says that a test of monitoring is not run where Prometheus and Alertmanager are not installed, as [`skips`] does.
///
/// True when the test has to end.
#[must_use]
pub fn lacks_monitoring() -> bool {
    let Some(missing) = Monitoring::missing_here() else { return false };
    let thread = std::thread::current();
    say_not_run(&format!("here: {missing}"), thread.name().unwrap_or("a test"));
    true
}

/// Says that a test of traffic is not run where HAProxy is not installed, as [`skips`] does.
///
/// True when the test has to end.
#[must_use]
pub fn lacks_balancer() -> bool {
    let Some(missing) = Balancer::missing_here() else { return false };
    let thread = std::thread::current();
    say_not_run(&format!("here: {missing}"), thread.name().unwrap_or("a test"));
    true
}

/// Not by a macro, whose output cargo keeps back, and in one piece, for other tests write meanwhile; a closed stderr is no
/// reason to fail.
fn say_not_run(reason: &str, test: &str) {
    let _ = std::io::stderr().write_all(format!("\nNOT RUN {reason}; {test}\n").as_bytes());
}

/// Ends a test that the endpoint of `HOSTLER_TEST_CLOUD` cannot run, and says which capability is lacking.
///
/// ```
/// # fn test() {
/// hostler_localstack::needs!(Functions, HttpApi);
/// # }
/// ```
#[macro_export]
macro_rules! needs {
    ($($capability:ident),*) => {
        // The name of the test, by that of its thread.
        let thread = std::thread::current();
        let test = thread.name().filter(|name| *name != "main").unwrap_or(module_path!());
        if $crate::skips(test, &[$($crate::Capability::$capability),*]) {
            return;
        }
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_kind_is_read_from_text() {
        assert_eq!(EndpointKind::parse("").unwrap(), EndpointKind::Ministack);
        let kinds = [
            EndpointKind::Ministack,
            EndpointKind::LocalStackHost,
            EndpointKind::LocalStack,
            EndpointKind::Moto,
            EndpointKind::Url("http://127.0.0.1:4566".to_owned()),
        ];
        for kind in kinds {
            assert_eq!(EndpointKind::parse(&kind.to_string()).unwrap(), kind);
        }
        assert_eq!(
            EndpointKind::parse("http://127.0.0.1:4566/").unwrap().to_string(),
            "http://127.0.0.1:4566"
        );
        assert!(EndpointKind::parse("docker").unwrap_err().to_string().contains("localstack-host"));
    }

    #[test]
    fn what_is_lacking_is_named() {
        let reason = EndpointKind::Ministack.lacks(&Capability::ALL).unwrap();
        assert_eq!(reason, "it has no commands to nodes without agents");
        let others: Vec<Capability> =
            Capability::ALL.into_iter().filter(|it| *it != Capability::RunCommand).collect();
        assert_eq!(EndpointKind::Ministack.lacks(&others), None);
        let reason = EndpointKind::Moto.lacks(&[Capability::VerbatimBodies, Capability::Functions]).unwrap();
        assert_eq!(reason, "it has no functions that run");
        let reason = EndpointKind::LocalStackHost.lacks(&[Capability::HttpApi, Capability::Iam]).unwrap();
        assert_eq!(reason, "it has no IAM policies that are enforced");
    }
}
