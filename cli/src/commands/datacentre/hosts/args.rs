//! The arguments of the verbs of `hosts`.

use clap::Args;
use clap::builder::PossibleValuesParser;
use hostler_domain::Phase;
use hostler_events::{FaultDomain, HostId, PoolId, Role, Sku};

use crate::entity::Shown;
use crate::values::{Label, LabelChange};

#[derive(Debug, Default, Args)]
pub(super) struct ListArgs {
    /// Only those of this pool
    #[arg(long)]
    pub(super) pool: Option<PoolId>,
    /// Only those in this phase
    #[arg(long, value_parser = PossibleValuesParser::new(Phase::shown()))]
    pub(super) phase: Option<String>,
    /// Only those with this role
    #[arg(long)]
    pub(super) role: Option<Role>,
    /// Only those of this model
    #[arg(long)]
    pub(super) sku: Option<Sku>,
    /// Only those in this rack
    #[arg(long)]
    pub(super) rack: Option<FaultDomain>,
    /// Only those with this label
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) label: Option<Label>,
    /// Wait until there is one such host
    #[arg(long)]
    pub(super) wait: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The host
    pub(super) host: HostId,
    #[command(flatten)]
    pub(super) shown: Shown,
}

#[derive(Debug, Args)]
pub(super) struct LabelArgs {
    /// The host
    pub(super) host: HostId,
    /// key=value sets a label, key- removes one
    #[arg(required = true, value_name = "KEY=VALUE|KEY-")]
    pub(super) changes: Vec<LabelChange>,
}

#[derive(Debug, Args)]
pub(super) struct EnrolArgs {
    /// The host's id
    pub(super) host: HostId,
    /// The pool that it is to serve
    #[arg(long)]
    pub(super) pool: PoolId,
    /// Its model
    #[arg(long)]
    pub(super) sku: Sku,
    /// Its rack: what fails together
    #[arg(long)]
    pub(super) rack: FaultDomain,
    /// The address of its Redfish system
    #[arg(long, value_name = "URL")]
    pub(super) bmc: String,
    /// A label, and more of them by more options
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(super) labels: Vec<Label>,
}

#[derive(Debug, Args)]
pub(super) struct RequalifyArgs {
    /// The host
    pub(super) host: HostId,
}
