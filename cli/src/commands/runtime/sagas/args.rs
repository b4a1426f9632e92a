//! The verbs of `sagas`, and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hostler_core::saga::SagaStatus;

use crate::api::SagaName;
use crate::entity::Shown;
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
    /// Undo a saga that is on its way forward
    Cancel(NamedArgs),
    /// Have a stuck saga try again
    Resume(NamedArgs),
    /// Have a saga go on without a step that is stuck or waits for its next attempt: see to the work yourself first
    #[command(after_help = "Example:\n  \
        hostler sagas skip provisioning/web-x7q2.1 deregister-monitoring --reason \"monitoring was replaced\"")]
    Skip(StepArgs),
    /// Have a saga try a step again with another input, when it is stuck or waits for its next attempt
    #[command(after_help = "Example:\n  \
        hostler sagas edit provisioning/web-x7q2.1 apply-role --input-from role.json --reason \"the role was misspelt\"")]
    Edit(EditArgs),
    /// Have a step go on that waits for approval
    Approve(ApprovalArgs),
    /// Have a step fail that waits for approval
    Reject(ApprovalArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of this kind, such as provisioning
    #[arg(long)]
    pub(super) kind: Option<String>,
    /// Only those in this status
    #[arg(long, value_parser = SagaStatus::NAMES)]
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
pub(super) struct ApprovalArgs {
    /// The saga
    #[arg(value_name = "KIND/ID")]
    pub(super) saga: SagaName,
    /// The step, where several wait for approval
    pub(super) step: Option<String>,
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
