//! `findings rescan`.

use serde_json::{Value, json};

use super::args::RescanArgs;
use crate::api::View;
use crate::commands::datacentre::{Word, decide};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Has it read what is installed on a host, if there is one of that name.
pub(super) async fn run(args: &RescanArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let _known: Value = target.api.document(View::Host, args.host.as_str(), &[]).await?;
    let (host, body) = (args.host.as_str(), json!({ "host": args.host }));
    let (said, command, what) = ("findings rescan", "rescan-host", format!("a scan of {host}"));
    decide(Word { said, command, on: (View::Host, host), body, what }, target, out).await
}
