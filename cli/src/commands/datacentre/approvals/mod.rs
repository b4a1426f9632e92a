//! `approvals`: remediations that wait for a person's word.

use clap::{Args, Subcommand};
use comfy_table::Cell;
use hostler_domain::health::name_of;
use hostler_domain::views::IncidentView;
use hostler_events::{HostId, PoolId};
use serde_json::json;

use crate::api::{IncidentRow, View};
use crate::commands::datacentre::{Word, decide};
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, text};
use crate::render::time;
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
    /// List the remediations that wait for approval
    #[command(after_help = "Example:\n  hostler approvals list --pool web")]
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
        ApprovalsVerb::List(args) => list(&args, &target, out).await,
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

async fn list(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let rows: Vec<IncidentRow> = target.api.rows(None).await?;
    let mut rows: Vec<IncidentView> = rows.into_iter().map(|row| row.incident).collect();
    rows.retain(|incident| {
        let of_pool = args.pool.as_ref().is_none_or(|pool| *pool == incident.pool);
        of_pool && incident.status == "awaits-approval"
    });
    out.list(&rows, |row| row.host.as_str(), "No remediation waits for approval.", table, |_| String::new())
}

fn table(rows: &[IncidentView]) -> String {
    let mut table = plain(["HOST", "POOL", "RACK", "FAULT", "WOULD DO", "WAITS UNTIL"]);
    for row in rows {
        table.add_row([
            Cell::new(&row.host),
            Cell::new(&row.pool),
            Cell::new(&row.rack),
            Cell::new(&row.fault),
            Cell::new(row.rung.map_or("-", name_of)),
            Cell::new(row.until.map_or_else(|| "-".to_owned(), time::moment)),
        ]);
    }
    text(&table)
}

fn word<'a>(args: &'a DecideArgs, (said, command, what): (&'a str, &'a str, &str)) -> Word<'a> {
    let host = args.host.as_str();
    let body = json!({ "host": host, "reason": args.reason.reason });
    Word { said, command, on: (View::Incident, host), body, what: format!("{what} for {host}") }
}
