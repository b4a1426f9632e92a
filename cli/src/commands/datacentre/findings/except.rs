//! `findings except`.

use serde_json::json;

use super::args::ExceptArgs;
use crate::api::View;
use crate::commands::datacentre::{Word, decide};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Records that somebody answers for a vulnerability of a host.
pub(super) async fn run(args: &ExceptArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let ExceptArgs { finding, owner, until, reason } = args;
    let body = json!({ "finding": finding, "owner": owner, "reason": reason.reason, "until": until });
    let (said, command) = ("findings except", "except-finding");
    let what = format!("the exception of {finding} until {until}");
    decide(Word { said, command, on: (View::Finding, finding.as_str()), body, what }, target, out).await
}
