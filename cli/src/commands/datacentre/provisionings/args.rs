//! The verbs of `provisionings`, and their arguments.

use clap::{Args, Subcommand};
use hostler_core::saga::SagaStatus;
use hostler_events::{HostId, PoolId, ProvisioningId, RequestId, Role};

use crate::entity::Shown;
use crate::values::Reason;

/// What `provisionings` takes.
#[derive(Debug, Args)]
pub(crate) struct ProvisioningsArgs {
    #[command(subcommand)]
    pub(super) verb: ProvisioningsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum ProvisioningsVerb {
    /// List provisionings
    #[command(after_help = "Example:\n  hostler provisionings list --status stuck")]
    List(ListArgs),
    /// Show a provisioning: its state and its timeline
    #[command(after_help = "Examples:\n  \
        hostler provisionings show web-x7q2.1 --timeline            only what happened\n  \
        hostler provisionings show web-x7q2.1 --all                 also what each commit asked of others")]
    Show(ShowArgs),
    /// Undo a provisioning that is on its way forward
    #[command(after_help = "Example:\n  hostler provisionings cancel web-x7q2.1 --reason \"wrong image\"")]
    Cancel(NamedArgs),
    /// Have a stuck provisioning try again
    Resume(NamedArgs),
    /// Have a provisioning go on without a step that is stuck or waits for its next attempt
    #[command(
        after_help = "What is skipped is not undone by the saga: see to it first. What gives the host back\n\
        cannot be skipped: put it right and resume.\n\nExample:\n  \
        hostler provisionings skip web-x7q2.1 deregister-monitoring --reason \"monitoring was replaced\""
    )]
    Skip(SkipArgs),
}

#[derive(Debug, Default, Args)]
pub(super) struct ListArgs {
    /// Only those of this request
    #[arg(long)]
    pub(super) request: Option<RequestId>,
    /// Only those in this status
    #[arg(long, value_parser = SagaStatus::NAMES)]
    pub(super) status: Option<String>,
    /// Only those for this pool
    #[arg(long)]
    pub(super) pool: Option<PoolId>,
    /// Only those for this role
    #[arg(long)]
    pub(super) role: Option<Role>,
    /// Only those of this host
    #[arg(long)]
    pub(super) host: Option<HostId>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The provisioning
    pub(super) provisioning: ProvisioningId,
    #[command(flatten)]
    pub(super) shown: Shown,
}

#[derive(Debug, Args)]
pub(super) struct NamedArgs {
    /// The provisioning
    pub(super) provisioning: ProvisioningId,
    #[command(flatten)]
    pub(super) reason: Reason,
}

#[derive(Debug, Args)]
pub(super) struct SkipArgs {
    /// The provisioning
    pub(super) provisioning: ProvisioningId,
    /// The step or compensation, such as deregister-monitoring
    pub(super) step: String,
    #[command(flatten)]
    pub(super) reason: Reason,
}
