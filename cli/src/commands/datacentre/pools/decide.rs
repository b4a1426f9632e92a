//! `pools approve` and `pools reject`.

use serde_json::json;

use super::args::DecideArgs;
use crate::api::{Said, View};
use crate::commands::datacentre::recorded;
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Has a pool do what it has proposed.
pub(super) async fn approve(args: &DecideArgs, target: &Target, out: Out) -> Result<(), CliError> {
    decide(args, ("pools approve", "approve-scaling", "the approval"), target, out).await
}

/// Has a pool not do what it has proposed.
pub(super) async fn reject(args: &DecideArgs, target: &Target, out: Out) -> Result<(), CliError> {
    decide(args, ("pools reject", "reject-scaling", "the rejection"), target, out).await
}

async fn decide(
    args: &DecideArgs,
    (said, command, what): (&str, &str, &str),
    target: &Target,
    out: Out,
) -> Result<(), CliError> {
    let (pool, number) = (args.pool.as_str(), args.number);
    let body = json!({ "pool": pool, "number": number, "reason": args.reason.reason });
    let accepted = target.api.command_on(Said(said), (View::Pool, pool), command, &body).await?;
    recorded(&accepted, &format!("{what} of proposal {number} of pool {pool}"), out)
}
