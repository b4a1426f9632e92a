//! `commands`: what operators may ask of the running application, whatever it is.

mod args;
mod list;
mod send;

pub(crate) use args::CommandsArgs;
use args::CommandsVerb;

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: CommandsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    match args.verb {
        CommandsVerb::List(args) => list::run(&args, &Target::open(global).await?, out).await,
        CommandsVerb::Send(args) => send::run(args, global, out).await,
    }
}
