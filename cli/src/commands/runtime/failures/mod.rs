//! `failures`: what could not be handled, why, and what an operator does about it.

mod act;
mod args;
mod dead_letters;
mod kept;
mod list;
mod show;

pub(crate) use args::FailuresArgs;
use args::FailuresVerb;
pub(crate) use dead_letters::counts;
pub(crate) use list::open_count;

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: FailuresArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.verb {
        FailuresVerb::List(args) => list::list(&args, &target, out).await,
        FailuresVerb::Show(args) => show::show(&args, &target, out).await,
        FailuresVerb::Retry(args) => act::act(&args, act::Act::Retry, &target, out).await,
        FailuresVerb::Discard(args) => act::act(&args, act::Act::Discard, &target, out).await,
        FailuresVerb::Edit(args) => act::edit(args, &target, out).await,
        FailuresVerb::DeadLetters(args) => dead_letters::run(&args, &target, out).await,
        FailuresVerb::Redrive(args) => dead_letters::redrive(&args, &target, out).await,
    }
}
