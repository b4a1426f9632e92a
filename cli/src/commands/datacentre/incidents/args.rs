//! The verbs of `incidents`, and their arguments.

use clap::{Args, Subcommand};
use hostler_events::{HostId, PoolId};

use crate::entity::Shown;
use crate::values::Reason;

/// What `incidents` takes.
#[derive(Debug, Args)]
pub(crate) struct IncidentsArgs {
    #[command(subcommand)]
    pub(super) verb: IncidentsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum IncidentsVerb {
    /// List incidents of hosts, racks and power domains that go on
    #[command(after_help = "Example:\n  hostler incidents list --status escalated")]
    List(ListArgs),
    /// Show the newest incident of a host: detect, decide, act, verify, with times
    #[command(after_help = "Example:\n  hostler incidents show h-17")]
    Show(ShowArgs),
    /// Say that the incident of a host is over
    #[command(after_help = "Example:\n  hostler incidents close h-17 --reason \"it has a new mainboard\"")]
    Close(CloseArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of this pool
    #[arg(long)]
    pub(super) pool: Option<PoolId>,
    /// Only those in this status
    #[arg(long, value_parser = STATUSES)]
    pub(super) status: Option<String>,
    /// Also those that are over: the newest of each host
    #[arg(long)]
    pub(super) all: bool,
}

/// Where an incident can be.
const STATUSES: [&str; 9] = [
    "suspect",
    "claiming",
    "held",
    "awaits-approval",
    "acting",
    "verifying",
    "waiting",
    "escalated",
    "closed",
];

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The host
    pub(super) host: HostId,
    #[command(flatten)]
    pub(super) shown: Shown,
}

#[derive(Debug, Args)]
pub(super) struct CloseArgs {
    /// The host
    pub(super) host: HostId,
    #[command(flatten)]
    pub(super) reason: Reason,
}
