//! `approvals`: what waits for a person's word, and the word about remediations.

mod list;

use clap::{Args, Subcommand};
use hostler_events::{HostId, PoolId};
use serde_json::json;

use crate::api::View;
use crate::commands::datacentre::{Word, decide};
use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};
use crate::values::Reason;

/// What `approvals` takes.
#[derive(Debug, Args)]
pub(crate) struct ApprovalsArgs {
    #[command(subcommand)]
    verb: ApprovalsVerb,
}

#[derive(Debug, Subcommand)]
enum ApprovalsVerb {
    /// List what waits for approval: remediations, drift, campaigns, scaling and requests, with what approves each
    #[command(
        after_help = "Examples:\n  hostler approvals list --pool web\n  hostler approvals list --kind drift"
    )]
    List(ListArgs),
    /// Have a host repaired as it is proposed
    #[command(after_help = "Example:\n  hostler approvals approve h-17 --reason \"nobody is in the room\"")]
    Approve(DecideArgs),
    /// Have a host not repaired: its incident is a person's then
    #[command(after_help = "Example:\n  hostler approvals reject h-17 --reason \"it is being moved\"")]
    Reject(DecideArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only those of this pool
    #[arg(long)]
    pool: Option<PoolId>,
    /// Only those of this kind
    #[arg(long, value_enum)]
    kind: Option<list::Kind>,
}

#[derive(Debug, Args)]
struct DecideArgs {
    /// The host
    host: HostId,
    #[command(flatten)]
    reason: Reason,
}

/// Does what the verb says.
pub(crate) async fn run(args: ApprovalsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.verb {
        ApprovalsVerb::List(args) => list::run(&args, &target, out).await,
        ApprovalsVerb::Approve(args) => {
            let said = ("approvals approve", "approve-remediation", "the approval");
            decide(word(&args, said), &target, out).await
        }
        ApprovalsVerb::Reject(args) => {
            let said = ("approvals reject", "reject-remediation", "the rejection");
            decide(word(&args, said), &target, out).await
        }
    }
}

fn word<'a>(args: &'a DecideArgs, (said, command, what): (&'a str, &'a str, &str)) -> Word<'a> {
    let host = args.host.as_str();
    let body = json!({ "host": host, "reason": args.reason.reason });
    Word { said, command, on: (View::Incident, host), body, what: format!("{what} for {host}") }
}
