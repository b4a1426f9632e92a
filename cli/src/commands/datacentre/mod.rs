//! The nouns of the data centre, which is one application of the runtime.

pub(crate) mod approvals;
pub(crate) mod budgets;
pub(crate) mod campaigns;
pub(crate) mod faults;
pub(crate) mod findings;
pub(crate) mod hosts;
pub(crate) mod incidents;
pub(crate) mod inventory;
pub(crate) mod load;
pub(crate) mod policies;
pub(crate) mod pools;
pub(crate) mod provisionings;
pub(crate) mod requests;
pub(crate) mod roles;
pub(crate) mod simulate;
pub(crate) mod stats;
pub(crate) mod watch;

use std::collections::BTreeSet;

use hostler_localstack::fleet::FleetAdmin;
use serde_json::Value;

use crate::api::{Accepted, HostRow, Said, View};
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

/// The fleet of simulated hosts, which there is on the local cloud only.
///
/// # Errors
/// [`CliError::Usage`] elsewhere.
fn fleet(target: &Target) -> Result<FleetAdmin, CliError> {
    let access = target.local()?.fleet.as_ref().ok_or_else(|| {
        CliError::Usage(
            "this application has no fleet of hosts: faults and load are set on simulated hosts".to_owned(),
        )
    })?;
    Ok(FleetAdmin::new(access)?)
}

/// What a person decides about a thing that waits for it.
struct Word<'a> {
    /// The command of this program, such as `pools approve`.
    said: &'a str,
    /// The command of the API.
    command: &'a str,
    /// What it is about.
    on: (View<'a>, &'a str),
    /// What the command says.
    body: Value,
    /// What was recorded, in words.
    what: String,
}

/// Has it recorded what a person decides, and says so.
///
/// # Errors
/// Those of sending a command; where there is no such thing, the error says which is near.
async fn decide(word: Word<'_>, target: &Target, out: Out) -> Result<(), CliError> {
    let Word { said, command, on, body, what } = word;
    let accepted = target.api.command_on(Said(said), on, command, &body).await?;
    recorded(&accepted, &what, out)
}

/// Says what was recorded.
fn recorded(accepted: &Accepted, what: &str, out: Out) -> Result<(), CliError> {
    if out.json {
        return out.document(accepted);
    }
    let again = if accepted.repeated { "; nothing had to change" } else { "" };
    out.line(format!("Accepted: {what} ({} is at version {}{again}).", accepted.stream, accepted.version))
}
