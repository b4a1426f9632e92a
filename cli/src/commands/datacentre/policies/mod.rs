//! `policies`: what the site tolerates, what it does about it, and within which limits.

mod apply;
mod args;
pub(crate) mod file;
mod list;
mod shadow;

pub(crate) use args::PoliciesArgs;
use args::PoliciesVerb;
use hostler_events::SitePolicy;
use hostler_events::site::SITE;
use serde::Deserialize;

use crate::api::View;
use crate::entity::{Thing, show};
use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

pub(crate) use apply::apply;

/// Does what the verb says.
pub(crate) async fn run(args: PoliciesArgs, global: &Global, out: Out) -> Result<(), CliError> {
    match args.verb {
        PoliciesVerb::Check(args) => apply::check(&args, out),
        PoliciesVerb::List(args) => list::run(&args, &Target::open(global).await?, out).await,
        PoliciesVerb::Show(args) => {
            let target = Target::open(global).await?;
            show(Thing::Of(View::Policies, SITE), &args.shown, &target, out).await
        }
        PoliciesVerb::Diff(args) => apply::diff(&args, &Target::open(global).await?, out).await,
        PoliciesVerb::Apply(args) => apply::run(&args, &Target::open(global).await?, out).await,
        PoliciesVerb::Try(args) => shadow::run(&args, &Target::open(global).await?, out).await,
    }
}

/// The policies that the site follows.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Followed {
    policy_version: u64,
    pub(super) policy: SitePolicy,
}

/// What the site follows; the defaults, at version 0, before anything was applied.
///
/// # Errors
/// Those of reaching the API.
pub(super) async fn followed(target: &Target) -> Result<Followed, CliError> {
    match target.api.document(View::Policies, SITE, &[]).await {
        Err(CliError::NotFound { .. }) => Ok(Followed::default()),
        answered => answered,
    }
}
