//! `findings show`.

use super::args::ShowArgs;
use crate::api::View;
use crate::entity::{Thing, show};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Shows a vulnerability, or that of a host: the id of the latter has its rack and its host in it.
pub(super) async fn run(args: &ShowArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let view = if args.id.contains('/') { View::Finding } else { View::Advisory };
    show(Thing::Of(view, &args.id), &args.shown, target, out).await
}
