//! The verbs of `sagas`, and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::api::SagaName;
use crate::entity::Shown;
use crate::render::table::STATUSES;
use crate::values::Reason;

/// What `sagas` takes.
#[derive(Debug, Args)]
pub(crate) struct SagasArgs {
    #[command(subcommand)]
    pub(super) verb: SagasVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum SagasVerb {
    /// List sagas
    #[command(after_help = "Example:\n  hostler sagas list --status stuck")]
    List(ListArgs),
    /// Show a saga: its state and its timeline
    #[command(after_help = "Example:\n  hostler sagas show provisioning/web-x7q2.1 --all")]
    Show(ShowArgs),
    /// Undo a saga that is not completed yet
    Cancel(NamedArgs),
    /// Have a stuck saga try its compensation again
    Resume(NamedArgs),
    /// Have a stuck saga go on without the compensation that it is stuck at: see to the work yourself first
    #[command(after_help = "Example:\n  \
        hostler sagas skip provisioning/web-x7q2.1 deregister-monitoring --reason \"monitoring was replaced\"")]
    Skip(StepArgs),
    /// Have a stuck saga try its compensation again with another input
    #[command(after_help = "Example:\n  \
        hostler sagas edit order/o-7 refund --input-from refund.json --reason \"the card was replaced\"")]
    Edit(EditArgs),
    /// Have a step go on that waits for approval
    Approve(StepArgs),
    /// Have a step fail that waits for approval
    Reject(StepArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of this kind, such as provisioning
    #[arg(long)]
    pub(super) kind: Option<String>,
    /// Only those in this status
    #[arg(long, value_parser = STATUSES)]
    pub(super) status: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The saga
    #[arg(value_name = "KIND/ID")]
    pub(super) saga: SagaName,
    #[command(flatten)]
    pub(super) shown: Shown,
}

#[derive(Debug, Args)]
pub(super) struct NamedArgs {
    /// The saga
    #[arg(value_name = "KIND/ID")]
    pub(super) saga: SagaName,
    #[command(flatten)]
    pub(super) reason: Reason,
}

#[derive(Debug, Args)]
pub(super) struct StepArgs {
    /// The saga
    #[arg(value_name = "KIND/ID")]
    pub(super) saga: SagaName,
    /// The step, as `show` tells it
    pub(super) step: String,
    #[command(flatten)]
    pub(super) reason: Reason,
}

#[derive(Debug, Args)]
pub(super) struct EditArgs {
    /// The saga
    #[arg(value_name = "KIND/ID")]
    pub(super) saga: SagaName,
    /// The step, as `show` tells it
    pub(super) step: String,
    /// A JSON file with the step's new input
    #[arg(long, value_name = "FILE")]
    pub(super) input_from: PathBuf,
    #[command(flatten)]
    pub(super) reason: Reason,
}
