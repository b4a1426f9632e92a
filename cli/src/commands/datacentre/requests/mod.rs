//! `requests`: what is asked for.

mod args;
pub(crate) mod create;
mod decide;
mod list;

pub(crate) use args::RequestsArgs;
use args::RequestsVerb;

use crate::api::View;
use crate::entity::{Thing, show};
use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: RequestsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.verb {
        RequestsVerb::List(args) => list::run(&args, &target, out).await,
        RequestsVerb::Show(args) => {
            show(Thing::Of(View::Request, args.request.as_str()), &args.shown, &target, out).await
        }
        RequestsVerb::Create(args) => create::run(args, &target, out).await,
        RequestsVerb::Approve(args) => decide::approve(&args, &target, out).await,
        RequestsVerb::Reject(args) => decide::reject(&args, &target, out).await,
    }
}
