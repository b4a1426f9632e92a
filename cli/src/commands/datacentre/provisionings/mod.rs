//! `provisionings`: the sagas that bring hosts into service. What is done to them is done to sagas of every kind.

mod args;
mod list;

pub(crate) use args::ProvisioningsArgs;
use args::ProvisioningsVerb;

use crate::api::{PROVISIONING, SagaName, SagaVerb, View};
use crate::commands::runtime::sagas::ask;
use crate::entity::{Thing, show};
use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: ProvisioningsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let (id, verb, reason) = match args.verb {
        ProvisioningsVerb::List(args) => return list::run(&args, &target, out).await,
        ProvisioningsVerb::Show(args) => {
            let thing = Thing::Of(View::Provisioning, args.provisioning.as_str());
            return show(thing, &args.shown, &target, out).await;
        }
        ProvisioningsVerb::Cancel(args) => (args.provisioning, SagaVerb::Cancel, args.reason),
        ProvisioningsVerb::Resume(args) => (args.provisioning, SagaVerb::Resume, args.reason),
        ProvisioningsVerb::Skip(args) => (args.provisioning, SagaVerb::Skip { step: args.step }, args.reason),
    };
    let saga = SagaName::new(PROVISIONING, id.as_str())?;
    ask(("provisionings", &saga), &verb, &reason, &target, out).await
}
