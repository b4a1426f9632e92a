//! `campaigns`: vulnerabilities are patched over the fleet, in waves.

mod args;
mod decide;
mod list;
mod show;

pub(crate) use args::CampaignsArgs;
use args::CampaignsVerb;

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: CampaignsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.verb {
        CampaignsVerb::List(args) => list::run(&args, &target, out).await,
        CampaignsVerb::Show(args) => show::run(&args, &target, out).await,
        CampaignsVerb::Create(args) => decide::create(&args, &target, out).await,
        CampaignsVerb::Approve(args) => decide::say("approve", &args, &target, out).await,
        CampaignsVerb::Reject(args) => decide::say("reject", &args, &target, out).await,
        CampaignsVerb::Pause(args) => decide::say("pause", &args, &target, out).await,
        CampaignsVerb::Resume(args) => decide::say("resume", &args, &target, out).await,
    }
}
