//! `sagas`: sagas of every kind. Nouns of one kind, such as `provisionings`, act by what is here.

mod args;
mod ask;
mod list;

pub(crate) use args::SagasArgs;
use args::SagasVerb;
pub(crate) use ask::ask;

use crate::api::SagaVerb;
use crate::entity::{Thing, show};
use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: SagasArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let (saga, verb, reason) = match args.verb {
        SagasVerb::List(args) => return list::run(&args, &target, out).await,
        SagasVerb::Show(args) => return show(Thing::Saga(&args.saga), &args.shown, &target, out).await,
        SagasVerb::Cancel(args) => (args.saga, SagaVerb::Cancel, args.reason),
        SagasVerb::Resume(args) => (args.saga, SagaVerb::Resume, args.reason),
        SagasVerb::Skip(args) => (args.saga, SagaVerb::Skip { step: args.step }, args.reason),
        SagasVerb::Approve(args) => (args.saga, SagaVerb::Approve { step: args.step }, args.reason),
        SagasVerb::Reject(args) => (args.saga, SagaVerb::Reject { step: args.step }, args.reason),
        SagasVerb::Edit(args) => {
            let input = ask::input(&args.input_from)?;
            (args.saga, SagaVerb::Edit { step: args.step, input }, args.reason)
        }
    };
    ask(("sagas", &saga), &verb, &reason, &target, out).await
}
