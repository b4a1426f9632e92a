//! `requests approve` and `requests reject`.

use serde_json::json;

use super::args::DecideArgs;
use crate::api::View;
use crate::commands::datacentre::{Word, decide};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Has a request carried out that waits for approval.
pub(super) async fn approve(args: &DecideArgs, target: &Target, out: Out) -> Result<(), CliError> {
    decide(word(args, ("requests approve", "approve-request", "the approval")), target, out).await
}

/// Has a request not carried out that waits for approval.
pub(super) async fn reject(args: &DecideArgs, target: &Target, out: Out) -> Result<(), CliError> {
    decide(word(args, ("requests reject", "reject-request", "the rejection")), target, out).await
}

fn word<'a>(args: &'a DecideArgs, (said, command, what): (&'a str, &'a str, &str)) -> Word<'a> {
    let request = args.request.as_str();
    let body = json!({ "request": request, "reason": args.reason.reason });
    Word { said, command, on: (View::Request, request), body, what: format!("{what} of {request}") }
}
