//! `hosts requalify`.

use serde_json::json;

use super::args::RequalifyArgs;
use crate::api::{Said, View};
use crate::commands::datacentre::recorded;
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Sends a quarantined host through verification and cleaning again.
pub(super) async fn run(args: &RequalifyArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let host = &args.host;
    let on = (View::Host, host.as_str());
    let body = json!({ "host": host });
    let accepted = target.api.command_on(Said("hosts requalify"), on, "requalify-host", &body).await?;
    recorded(&accepted, &format!("the requalification of {host}"), out)
}
