//! `events`: what is recorded, and sending events again.

mod again;
mod args;
mod contracts;
mod emit;
mod export;
mod list;

pub(crate) use args::EventsArgs;
use args::EventsVerb;

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: EventsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    match args.verb {
        // A dry run needs no application.
        EventsVerb::Emit(args) => emit::run(args, global, out).await,
        EventsVerb::List(args) => list::run(args, &Target::open(global).await?, out).await,
        EventsVerb::Export(args) => export::run(args, &Target::open(global).await?, out).await,
        EventsVerb::Replay(args) => again::replay(args, &Target::open(global).await?, out).await,
        EventsVerb::Republish(args) => again::republish(args, &Target::open(global).await?, out).await,
    }
}
