//! `hosts`: the physical machines.

mod args;
mod enrol;
mod label;
mod list;
mod requalify;

pub(crate) use args::HostsArgs;
use args::HostsVerb;

use crate::api::View;
use crate::entity::{Thing, show};
use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

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
        HostsVerb::Requalify(args) => requalify::run(&args, &target, out).await,
    }
}
