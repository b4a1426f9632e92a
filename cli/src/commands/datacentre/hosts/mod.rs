//! `hosts`: the physical machines.

mod args;
mod drift;
mod enrol;
mod label;
mod list;
mod release;
mod requalify;

use args::{EnrolArgs, LabelArgs, ListArgs, RequalifyArgs, ShowArgs};
use clap::{Args, Subcommand};
use drift::{CheckArgs, ConfigureArgs};
use release::{Leaves, ReleaseArgs};

use crate::api::View;
use crate::entity::{Thing, show};
use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// What `hosts` takes.
#[derive(Debug, Args)]
pub(crate) struct HostsArgs {
    #[command(subcommand)]
    verb: HostsVerb,
}

#[derive(Debug, Subcommand)]
enum HostsVerb {
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
    /// Give a host in service back: it is deregistered, undeployed and cleaned, and then available
    #[command(after_help = "Example:\n  hostler hosts release h-03 --reason \"the pool is scaled in\"\n  \
        hostler sagas list --kind deprovisioning")]
    Release(ReleaseArgs),
    /// Take a host out of use; one in service is given back first
    #[command(after_help = "Example:\n  hostler hosts retire h-03 --reason \"out of warranty\"\n\n\
        `hostler hosts requalify` brings it back.")]
    Retire(ReleaseArgs),
    /// Send a quarantined or retired host through verification and cleaning again
    #[command(
        after_help = "Example:\n  hostler hosts list --phase quarantined\n  hostler hosts requalify h-03"
    )]
    Requalify(RequalifyArgs),
    /// Check a host in service for drift: what would its role change?
    #[command(
        after_help = "Example:\n  hostler hosts check h-03\n  hostler hosts show h-03        what was found"
    )]
    Check(CheckArgs),
    /// Apply the role of a host in service again, in the revision that it has
    #[command(
        after_help = "Example:\n  hostler hosts configure h-03 --reason \"its drift was looked at\"\n\n\
        Drift that awaits approval is approved by this: `hostler approvals list --kind drift`.\n\n\
        A newer revision of the role is not applied: the host serves meanwhile, and no disruption budget is asked. It comes \
        with a new installation, by `hostler hosts release` and a request. `hostler roles show <role> --outdated` lists the \
        hosts that have another revision than the newest."
    )]
    Configure(ConfigureArgs),
}

/// Does what the verb says.
pub(crate) async fn run(args: HostsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.verb {
        HostsVerb::List(args) => list::run(&args, &target, out).await,
        HostsVerb::Show(args) => {
            show(Thing::Of(View::Host, args.host.as_str()), &args.shown, &target, out).await
        }
        HostsVerb::Label(args) => label::run(args, &target, out).await,
        HostsVerb::Enrol(args) => enrol::run(args, &target, out).await,
        HostsVerb::Release(args) => release::run(&args, Leaves::ForItsPool, &target, out).await,
        HostsVerb::Retire(args) => release::run(&args, Leaves::ForGood, &target, out).await,
        HostsVerb::Requalify(args) => requalify::run(&args, &target, out).await,
        HostsVerb::Check(args) => drift::check(&args, &target, out).await,
        HostsVerb::Configure(args) => drift::configure(&args, &target, out).await,
    }
}
