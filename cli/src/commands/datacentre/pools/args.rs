//! The verbs of `pools`, and their arguments.

use clap::{Args, Subcommand};
use hostler_domain::views::POOL_STATUSES;
use hostler_events::PoolId;

use crate::entity::Shown;
use crate::values::Reason;

/// What `pools` takes.
#[derive(Debug, Args)]
pub(crate) struct PoolsArgs {
    #[command(subcommand)]
    pub(super) verb: PoolsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum PoolsVerb {
    /// List pools that have grown or shrunk, or were to
    #[command(after_help = "Example:\n  hostler pools list --status held-back")]
    List(ListArgs),
    /// Show a pool: its hosts, what each metric says, what holds it back, and what has happened
    #[command(after_help = "Example:\n  hostler pools show web")]
    Show(ShowArgs),
    /// Have a pool grow or shrink as it was proposed, as far as that is still needed
    #[command(after_help = "Example:\n  hostler pools approve web --number 3 --reason \"the sale begins\"")]
    Approve(DecideArgs),
    /// Have a pool not grow or shrink as it was proposed
    #[command(after_help = "Example:\n  hostler pools reject web --number 3 --reason \"a load test\"")]
    Reject(DecideArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those in this status
    #[arg(long, value_parser = POOL_STATUSES)]
    pub(super) status: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The pool
    pub(super) pool: PoolId,
    #[command(flatten)]
    pub(super) shown: Shown,
}

#[derive(Debug, Args)]
pub(super) struct DecideArgs {
    /// The pool
    pub(super) pool: PoolId,
    /// The number of the proposal
    #[arg(long, value_name = "N")]
    pub(super) number: u64,
    #[command(flatten)]
    pub(super) reason: Reason,
}
