//! The nouns of the data centre, which is one application of the runtime.

pub(crate) mod approvals;
pub(crate) mod budgets;
pub(crate) mod faults;
pub(crate) mod hosts;
pub(crate) mod incidents;
pub(crate) mod policies;
pub(crate) mod pools;
pub(crate) mod provisionings;
pub(crate) mod requests;
pub(crate) mod stats;
pub(crate) mod watch;

use std::collections::BTreeSet;

use crate::api::{Accepted, HostRow};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

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
