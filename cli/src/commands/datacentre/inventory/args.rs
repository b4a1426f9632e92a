//! The verbs of `inventory`, and their arguments.

use clap::{Args, Subcommand};
use hostler_domain::inventory::view::INVENTORY_STATUSES;
use hostler_events::HostId;

use crate::entity::Shown;

/// What `inventory` takes.
#[derive(Debug, Args)]
pub(crate) struct InventoryArgs {
    #[command(subcommand)]
    pub(super) verb: InventoryVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum InventoryVerb {
    /// List hosts that a source tells of, and what is not as expected
    #[command(after_help = "Example:\n  hostler inventory list --status drifted")]
    List(ListArgs),
    /// Show what is expected of a host, what each source says of it, and what has happened
    #[command(after_help = "Example:\n  hostler inventory show h-03")]
    Show(ShowArgs),
    /// List the sources, and which of them are missed because they say nothing
    Sources,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those in this status
    #[arg(long, value_parser = INVENTORY_STATUSES)]
    pub(super) status: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The host
    pub(super) host: HostId,
    #[command(flatten)]
    pub(super) shown: Shown,
}
