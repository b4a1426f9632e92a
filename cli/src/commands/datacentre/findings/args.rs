//! The verbs of `findings`, and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hostler_events::{AdvisoryId, FindingId, FindingStatus, HostId, PoolId};
use jiff::Timestamp;

use crate::entity::Shown;
use crate::values::Reason;

/// What `findings` takes.
#[derive(Debug, Args)]
pub(crate) struct FindingsArgs {
    #[command(subcommand)]
    pub(super) verb: FindingsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum FindingsVerb {
    /// List the vulnerabilities of hosts that are not resolved, the most urgent first
    #[command(after_help = "Example:\n  hostler findings list --advisory CVE-2026-12345 --status open")]
    List(ListArgs),
    /// List the vulnerabilities that are on record, in the order in which they are dealt with
    Advisories,
    /// Show a vulnerability, or that of a host, and what has happened
    #[command(
        after_help = "Examples:\n  hostler findings show CVE-2026-12345\n  hostler findings show CVE-2026-12345/rack-07/h-01"
    )]
    Show(ShowArgs),
    /// Let a host have a vulnerability until a date: somebody answers for it
    #[command(
        after_help = "Example:\n  hostler findings except CVE-2026-12345/rack-07/h-01 --owner ada@example.org --until 2026-12-31T00:00:00Z --reason \"the vendor has no fix\""
    )]
    Except(ExceptArgs),
    /// Have it read what is installed on a host now
    #[command(after_help = "Example:\n  hostler findings rescan h-01")]
    Rescan(RescanArgs),
    /// Tell what catalogues say of the vulnerabilities that are on record: what is exploited, and how likely that is
    #[command(
        after_help = "Example:\n  hostler findings refresh --kev known_exploited_vulnerabilities.json --epss epss_scores-2026-11-28.csv"
    )]
    Refresh(RefreshArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of this vulnerability
    #[arg(long, value_name = "ID")]
    pub(super) advisory: Option<AdvisoryId>,
    /// Only those in this status
    #[arg(long, value_parser = FindingStatus::ALL.map(FindingStatus::name))]
    pub(super) status: Option<String>,
    /// Only those of this host
    #[arg(long)]
    pub(super) host: Option<HostId>,
    /// Only those of this pool
    #[arg(long)]
    pub(super) pool: Option<PoolId>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// A vulnerability such as CVE-2026-12345, or that of a host, as `findings list` names it
    pub(super) id: String,
    #[command(flatten)]
    pub(super) shown: Shown,
}

#[derive(Debug, Args)]
pub(super) struct ExceptArgs {
    /// The finding, as `findings list` names it
    pub(super) finding: FindingId,
    /// Who answers for it
    #[arg(long, value_name = "WHO")]
    pub(super) owner: String,
    /// Until when, a year from now at most, such as 2026-12-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(super) until: Timestamp,
    #[command(flatten)]
    pub(super) reason: Reason,
}

#[derive(Debug, Args)]
pub(super) struct RescanArgs {
    /// The host
    pub(super) host: HostId,
}

#[derive(Debug, Args)]
pub(super) struct RefreshArgs {
    /// CISA's catalogue of known exploited vulnerabilities, as JSON
    #[arg(long, value_name = "FILE", required_unless_present = "epss")]
    pub(super) kev: Option<PathBuf>,
    /// The scores of EPSS, as CSV or JSON
    #[arg(long, value_name = "FILE")]
    pub(super) epss: Option<PathBuf>,
}
