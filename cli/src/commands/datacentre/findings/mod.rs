//! `findings`: vulnerabilities, the hosts that have them, and what is known of both.

mod advisories;
mod args;
mod catalogues;
mod except;
mod list;
mod refresh;
mod rescan;
mod show;

pub(crate) use args::FindingsArgs;
use args::FindingsVerb;

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: FindingsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.verb {
        FindingsVerb::List(args) => list::run(&args, &target, out).await,
        FindingsVerb::Advisories => advisories::run(&target, out).await,
        FindingsVerb::Show(args) => show::run(&args, &target, out).await,
        FindingsVerb::Except(args) => except::run(&args, &target, out).await,
        FindingsVerb::Rescan(args) => rescan::run(&args, &target, out).await,
        FindingsVerb::Refresh(args) => refresh::run(&args, &target, out).await,
    }
}
