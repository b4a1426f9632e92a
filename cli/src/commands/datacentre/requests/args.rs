//! The verbs of `requests`, and their arguments.

use std::time::Duration;

use clap::{Args, Subcommand};
use hostler_domain::Approval;
use hostler_events::{Image, PoolId, RequestId, Role, Sku};

use crate::entity::Shown;
use crate::values::{Reason, count, duration};

/// The most hosts of one request.
const COUNT_MAX: u32 = hostler_events::commands::HOSTS_PER_REQUEST_MAX;

/// What `requests` takes.
#[derive(Debug, Args)]
pub(crate) struct RequestsArgs {
    #[command(subcommand)]
    pub(super) verb: RequestsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum RequestsVerb {
    /// List requests
    #[command(after_help = "Example:\n  hostler requests list --status awaits-approval")]
    List(ListArgs),
    /// Show a request: its state and its timeline
    Show(ShowArgs),
    /// Ask for hosts
    #[command(after_help = "Examples:\n  hostler requests create --pool web --role web\n  \
        hostler requests create --pool web --role web --count 10 --wait --timeout 5m\n  \
        hostler requests create --pool db --role db --sku cpu-large --id db-for-q3     the same id never acts twice")]
    Create(CreateArgs),
    /// Have a request carried out that waits for approval
    #[command(after_help = "Example:\n  hostler requests approve web-q3 --reason \"capacity plan\"")]
    Approve(DecideArgs),
    /// Have a request not carried out that waits for approval
    #[command(after_help = "Example:\n  hostler requests reject web-q3 --reason \"the pool has enough\"")]
    Reject(DecideArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those for this pool
    #[arg(long)]
    pub(super) pool: Option<PoolId>,
    /// Only those in this status
    #[arg(long, value_parser = Approval::NAMES)]
    pub(super) status: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The request
    pub(super) request: RequestId,
    #[command(flatten)]
    pub(super) shown: Shown,
}

/// What `requests create` takes.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The pool that needs hosts, and that they are taken from
    #[arg(long)]
    pub(crate) pool: PoolId,
    /// What they are to be, such as web
    #[arg(long)]
    pub(crate) role: Role,
    /// What they run
    #[arg(long, default_value = "debian-12")]
    pub(crate) image: Image,
    /// The model, if it matters
    #[arg(long)]
    pub(crate) sku: Option<Sku>,
    /// How many hosts
    #[arg(long, default_value_t = 1, value_parser = count(1..=COUNT_MAX))]
    pub(crate) count: u32,
    /// The request's id; the same one never acts twice [default: <role>-<random>]
    #[arg(long)]
    pub(crate) id: Option<RequestId>,
    /// Follow the provisionings to their ends; fails unless all complete
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait
    #[arg(long, default_value = "30m", value_parser = duration, requires = "wait")]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(super) struct DecideArgs {
    /// The request
    pub(super) request: RequestId,
    #[command(flatten)]
    pub(super) reason: Reason,
}
