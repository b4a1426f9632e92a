//! The verbs of `hosts`, and their arguments.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use hostler_domain::Phase;
use hostler_events::{FaultDomain, HostId, PoolId, Role, Sku};

use crate::entity::Shown;
use crate::values::{Label, LabelChange};

/// What `hosts` takes.
#[derive(Debug, Args)]
pub(crate) struct HostsArgs {
    #[command(subcommand)]
    pub(super) verb: HostsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum HostsVerb {
    /// List hosts
    #[command(after_help = "Example:\n  hostler hosts list --pool web --phase available")]
    List(ListArgs),
    /// Show a host: its state and its timeline
    #[command(after_help = "Examples:\n  hostler hosts show h-03\n  \
        hostler hosts show h-03 --at 2026-01-31T12:00:00Z   how it was then\n  \
        hostler hosts show h-03 --version 4                 how it was after its fourth commit")]
    Show(ShowArgs),
    /// Set or remove labels of a host
    #[command(after_help = "Examples:\n  \
        hostler hosts label h-03 rack=a1 owner=infra      sets two labels\n  \
        hostler hosts label h-03 owner-                   removes one\n  \
        hostler hosts label h-03 simulate.configure=fail  makes configuration runs on it fail (plain drivers only);\n                                                    \
        also fail-once, fail-transient, slow:<seconds>, and simulate.monitor")]
    Label(LabelArgs),
    /// Enrol a host: it is verified and cleaned, and then available
    #[command(
        after_help = "Example:\n  hostler hosts enrol h-99 --pool web --sku cpu-small --rack r-01 \\\n    \
        --bmc https://10.0.0.99/redfish/v1/Systems/1"
    )]
    Enrol(EnrolArgs),
    /// Send a quarantined host through verification and cleaning again
    #[command(
        after_help = "Example:\n  hostler hosts list --phase quarantined\n  hostler hosts requalify h-03"
    )]
    Requalify(RequalifyArgs),
}

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
