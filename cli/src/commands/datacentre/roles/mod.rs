//! `roles`: what hosts are configured as, in which revisions, and which of them have drifted.

mod list;
mod show;

use clap::{Args, Subcommand};
use hostler_events::{PoolId, Role};

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// What `roles` takes.
#[derive(Debug, Args)]
pub(crate) struct RolesArgs {
    #[command(subcommand)]
    verb: RolesVerb,
}

#[derive(Debug, Subcommand)]
enum RolesVerb {
    /// List the roles and their revisions, with how many hosts have each
    #[command(after_help = "Example:\n  hostler roles list --pool web")]
    List(ListArgs),
    /// Show which hosts have a role, and in which revision
    #[command(after_help = "Examples:\n  hostler roles show web\n  \
        hostler roles show web --outdated   hosts that have another revision than the newest")]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only on hosts of this pool
    #[arg(long)]
    pool: Option<PoolId>,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The role
    role: Role,
    /// Only on hosts of this pool
    #[arg(long)]
    pool: Option<PoolId>,
    /// Only in this revision
    #[arg(long)]
    revision: Option<String>,
    /// Only in another revision than the newest
    #[arg(long, conflicts_with = "revision")]
    outdated: bool,
    /// Only on hosts that have drifted
    #[arg(long)]
    drifted: bool,
}

/// Does what the verb says.
pub(crate) async fn run(args: RolesArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.verb {
        RolesVerb::List(args) => list::run(&args, &target, out).await,
        RolesVerb::Show(args) => show::run(&args, &target, out).await,
    }
}
