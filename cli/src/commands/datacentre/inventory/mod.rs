//! `inventory`: what sources say of hosts beside what is expected of them.

mod args;
mod list;
mod sources;

pub(crate) use args::InventoryArgs;
use args::InventoryVerb;

use crate::api::View;
use crate::entity::{Thing, show};
use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: InventoryArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.verb {
        InventoryVerb::List(args) => list::run(&args, &target, out).await,
        InventoryVerb::Show(args) => {
            show(Thing::Of(View::Inventory, args.host.as_str()), &args.shown, &target, out).await
        }
        InventoryVerb::Sources => sources::run(&target, out).await,
    }
}
