//! `hosts release` and `hosts retire`.

use clap::Args;
use hostler_events::HostId;
use serde_json::json;

use crate::api::{Said, View};
use crate::commands::datacentre::recorded;
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// What both verbs take.
#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// The host
    host: HostId,
    /// Why
    #[arg(long)]
    reason: String,
}

/// Where a host goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaves {
    /// It is given back.
    ForItsPool,
    /// It is taken out of use.
    ForGood,
}

/// Has a host given back, or taken out of use.
pub(super) async fn run(
    args: &ReleaseArgs,
    leaves: Leaves,
    target: &Target,
    out: Out,
) -> Result<(), CliError> {
    let ReleaseArgs { host, reason } = args;
    let (command, said, what) = match leaves {
        Leaves::ForItsPool => ("release-host", "hosts release", format!("the release of {host}")),
        Leaves::ForGood => ("retire-host", "hosts retire", format!("the retirement of {host}")),
    };
    let body = json!({ "host": host, "reason": reason });
    let accepted = target.api.command_on(Said(said), (View::Host, host.as_str()), command, &body).await?;
    recorded(&accepted, &what, out)
}
