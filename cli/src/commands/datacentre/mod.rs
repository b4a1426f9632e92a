//! The nouns of the data centre, which is one application of the runtime.

pub(crate) mod faults;
pub(crate) mod hosts;
pub(crate) mod provisionings;
pub(crate) mod requests;
pub(crate) mod stats;
pub(crate) mod watch;

use std::collections::BTreeSet;

use hostler_app::Hostler;
use hostler_runtime::register::Application;

use crate::api::{Accepted, HostRow};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// The dependencies whose calls have a breaker; each BMC has one of its own, `bmc/<host>`.
pub(crate) fn dependencies<'a>() -> impl Iterator<Item = &'a str> {
    Hostler::FUNCTIONS.iter().flat_map(|function| {
        let names: &'a [&'a str] = function.dependencies;
        names.iter().copied()
    })
}

/// Whether a stack is the data centre's: no other application installs hosts.
pub(crate) fn is_deployed(target: &Target) -> bool {
    target.outputs().contains_key("DeployHostFunction")
}

/// The pools that hosts are in.
///
/// # Errors
/// Those of reaching the API.
async fn pools(target: &Target) -> Result<BTreeSet<String>, CliError> {
    let hosts: Vec<HostRow> = target.api.rows(None).await?;
    Ok(hosts.into_iter().map(|row| row.pool).collect())
}

/// Says what was recorded.
fn recorded(accepted: &Accepted, what: &str, out: Out) -> Result<(), CliError> {
    if out.json {
        return out.document(accepted);
    }
    let again = if accepted.repeated { "; nothing had to change" } else { "" };
    out.line(format!("Accepted: {what} ({} is at version {}{again}).", accepted.stream, accepted.version))
}
