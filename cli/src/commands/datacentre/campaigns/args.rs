//! The commands of `campaigns`, and their arguments.

use clap::{Args, Subcommand};
use hostler_domain::views::CAMPAIGN_STATUSES;
use hostler_events::{AdvisoryId, CampaignId};
use jiff::Timestamp;

use crate::entity::Shown;
use crate::values::Reason;

/// What `campaigns` takes.
#[derive(Debug, Args)]
pub(crate) struct CampaignsArgs {
    #[command(subcommand)]
    pub(super) verb: CampaignsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum CampaignsVerb {
    /// List campaigns
    #[command(after_help = "Example:\n  hostler campaigns list --status halted")]
    List(ListArgs),
    /// Show a campaign: its waves, what it waits for, which hosts were not patched, and what has happened
    #[command(after_help = "Example:\n  hostler campaigns show CVE-2026-12345.1")]
    Show(ShowArgs),
    /// Patch a vulnerability on all hosts that have it, in waves
    #[command(
        after_help = "Example:\n  hostler campaigns create openssl-1 --advisory CVE-2026-12345 --emergency --reason \"it is exploited\""
    )]
    Create(CreateArgs),
    /// Approve a campaign, which then begins
    #[command(after_help = "Example:\n  hostler campaigns approve CVE-2026-12345.1 --reason \"agreed\"")]
    Approve(ReasonArgs),
    /// End a campaign. Hosts that are being patched are finished
    #[command(
        after_help = "Example:\n  hostler campaigns reject CVE-2026-12345.1 --reason \"the fix breaks the web server\""
    )]
    Reject(ReasonArgs),
    /// Pause a campaign. Hosts that are being patched are finished
    #[command(after_help = "Example:\n  hostler campaigns pause CVE-2026-12345.1 --reason \"a sale is on\"")]
    Pause(ReasonArgs),
    /// Resume a campaign that was paused or halted
    #[command(
        after_help = "Example:\n  hostler campaigns resume CVE-2026-12345.1 --reason \"the sale is over\""
    )]
    Resume(ReasonArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those in this status
    #[arg(long, value_parser = CAMPAIGN_STATUSES)]
    pub(super) status: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The campaign
    pub(super) campaign: CampaignId,
    #[command(flatten)]
    pub(super) shown: Shown,
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// A name for the campaign
    pub(super) campaign: CampaignId,
    /// The advisory
    #[arg(long, value_name = "ID")]
    pub(super) advisory: AdvisoryId,
    /// The deadline, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(super) deadline: Option<Timestamp>,
    /// It is an emergency: larger waves, a shorter soak, and no maintenance window
    #[arg(long)]
    pub(super) emergency: bool,
    #[command(flatten)]
    pub(super) reason: Reason,
}

#[derive(Debug, Args)]
pub(super) struct ReasonArgs {
    /// The campaign
    pub(super) campaign: CampaignId,
    #[command(flatten)]
    pub(super) reason: Reason,
}
