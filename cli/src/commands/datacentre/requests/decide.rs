//! `requests approve` and `requests reject`.

use serde_json::json;

use super::args::DecideArgs;
use crate::api::{Said, View};
use crate::commands::datacentre::recorded;
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Has a request carried out that waits for approval.
pub(super) async fn approve(args: &DecideArgs, target: &Target, out: Out) -> Result<(), CliError> {
    decide(args, ("requests approve", "approve-request", "the approval"), target, out).await
}

/// Has a request not carried out that waits for approval.
pub(super) async fn reject(args: &DecideArgs, target: &Target, out: Out) -> Result<(), CliError> {
    decide(args, ("requests reject", "reject-request", "the rejection"), target, out).await
}

async fn decide(
    args: &DecideArgs,
    (said, command, what): (&str, &str, &str),
    target: &Target,
    out: Out,
) -> Result<(), CliError> {
    let request = args.request.as_str();
    let body = json!({ "request": request, "reason": args.reason.reason });
    let accepted = target.api.command_on(Said(said), (View::Request, request), command, &body).await?;
    recorded(&accepted, &format!("{what} of {request}"), out)
}
