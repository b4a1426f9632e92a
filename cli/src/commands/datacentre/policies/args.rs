//! The verbs of `policies`, and their arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use hostler_events::{HostId, PoolId};
use jiff::Timestamp;

use crate::entity::Shown;
use crate::values::{Reason, duration, moment};

/// What `policies` takes.
#[derive(Debug, Args)]
pub(crate) struct PoliciesArgs {
    #[command(subcommand)]
    pub(super) verb: PoliciesVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum PoliciesVerb {
    /// List what the site follows, field by field
    #[command(after_help = "Example:\n  hostler policies list --section budget")]
    List(ListArgs),
    /// Show the policies, and how they have changed
    #[command(after_help = "Example:\n  hostler policies show --at 2d        how they were two days ago")]
    Show(ShowArgs),
    /// Check a site's file, without sending it anywhere
    #[command(after_help = "Example:\n  hostler policies check infra/sites/local.yaml")]
    Check(FileArgs),
    /// Show what a site's file would change
    #[command(after_help = "Example:\n  hostler policies diff infra/sites/local.yaml")]
    Diff(FileArgs),
    /// Have the site follow a file; the change and its reason are recorded
    #[command(
        after_help = "Example:\n  hostler policies apply infra/sites/local.yaml --reason \"a new rack\""
    )]
    Apply(ApplyArgs),
    /// Say what a site's file would have decided otherwise about what is on record; nothing is changed
    #[command(
        after_help = "Examples:\n  hostler policies try new.yaml --since 2d\n  hostler policies try new.yaml --host h-17\n  hostler policies try new.yaml --since 1s --follow     as it happens"
    )]
    Try(TryArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only this section
    #[arg(long, value_parser = [
        "topology", "faults", "runbooks", "correlation", "budget", "recovery", "patching", "pools", "vulnerabilities", "campaigns",
        "configuration", "inventory",
    ])]
    pub(super) section: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub(super) shown: Shown,
}

#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The site's file
    pub(super) file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// The site's file
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) reason: Reason,
    /// The version that the file was made from: a newer one is not replaced
    #[arg(long, value_name = "N")]
    pub(super) from_version: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct TryArgs {
    /// The site's file
    pub(super) file: PathBuf,
    /// From when on, such as 2026-01-31T12:00:00Z or 15m (ago)
    #[arg(long, value_name = "TIME", value_parser = moment, default_value = "24h")]
    pub(super) since: Timestamp,
    /// Show only what is decided about this host
    #[arg(long)]
    pub(super) host: Option<HostId>,
    /// Show only what is decided about this pool and its hosts
    #[arg(long)]
    pub(super) pool: Option<PoolId>,
    /// Say what would be decided otherwise as it happens, until Ctrl-C
    #[arg(long)]
    pub(super) follow: bool,
    /// How long to follow at most
    #[arg(long, value_parser = duration, value_name = "TIME", requires = "follow")]
    pub(super) timeout: Option<Duration>,
}
