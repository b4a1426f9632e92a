//! `hosts check` and `hosts configure`.

use clap::Args;
use hostler_events::HostId;
use serde_json::json;

use crate::api::View;
use crate::commands::datacentre::{Word, decide};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;
use crate::values::Reason;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The host
    host: HostId,
}

#[derive(Debug, Args)]
pub(super) struct ConfigureArgs {
    /// The host
    host: HostId,
    #[command(flatten)]
    reason: Reason,
}

/// Has a host checked for drift. What is found comes to its timeline.
pub(super) async fn check(args: &CheckArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let host = args.host.as_str();
    let word = Word {
        said: "hosts check",
        command: "check-configuration",
        on: (View::Host, host),
        body: json!({ "host": host }),
        what: format!("the check of {host}; what it finds will be in `hostler hosts show {host}`"),
    };
    decide(word, target, out).await
}

/// Has the role of a host applied again.
pub(super) async fn configure(args: &ConfigureArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let host = args.host.as_str();
    let word = Word {
        said: "hosts configure",
        command: "restore-configuration",
        on: (View::Host, host),
        body: json!({ "host": host, "reason": args.reason.reason }),
        what: format!("the role of {host} is applied again, in the revision that it has"),
    };
    decide(word, target, out).await
}
