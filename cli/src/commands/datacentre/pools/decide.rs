//! `pools approve` and `pools reject`.

use serde_json::json;

use super::args::DecideArgs;
use crate::api::View;
use crate::commands::datacentre::{Word, decide};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Has a pool do what it has proposed.
pub(super) async fn approve(args: &DecideArgs, target: &Target, out: Out) -> Result<(), CliError> {
    decide(word(args, ("pools approve", "approve-scaling", "the approval")), target, out).await
}

/// Has a pool not do what it has proposed.
pub(super) async fn reject(args: &DecideArgs, target: &Target, out: Out) -> Result<(), CliError> {
    decide(word(args, ("pools reject", "reject-scaling", "the rejection")), target, out).await
}

fn word<'a>(args: &'a DecideArgs, (said, command, what): (&'a str, &'a str, &str)) -> Word<'a> {
    let (pool, number) = (args.pool.as_str(), args.number);
    let body = json!({ "pool": pool, "number": number, "reason": args.reason.reason });
    let what = format!("{what} of proposal {number} of pool {pool}");
    Word { said, command, on: (View::Pool, pool), body, what }
}
