//! `pools`: how pools grow and shrink, and what holds them back.

mod args;
mod decide;
mod list;
mod show;

pub(crate) use args::PoolsArgs;
use args::PoolsVerb;

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: PoolsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.verb {
        PoolsVerb::List(args) => list::run(&args, &target, out).await,
        PoolsVerb::Show(args) => show::run(&args, &target, out).await,
        PoolsVerb::Approve(args) => decide::approve(&args, &target, out).await,
        PoolsVerb::Reject(args) => decide::reject(&args, &target, out).await,
    }
}
