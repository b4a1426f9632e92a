//! `policies check`, `policies diff` and `policies apply`.

use std::path::Path;

use comfy_table::Cell;
use hostler_domain::policies::changes;
use hostler_events::SitePolicy;
use hostler_events::site::{ApplyPolicies, PolicyChange, SITE};
use serde_json::{Value, json};

use super::args::{ApplyArgs, FileArgs};
use super::{file, followed};
use crate::api::{Accepted, Api, Said};
use crate::commands::datacentre::recorded;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, text};
use crate::target::Target;

/// Checks a file.
pub(super) fn check(args: &FileArgs, out: Out) -> Result<(), CliError> {
    let policy = file::read(&args.file)?;
    if out.json {
        return out.document(&policy);
    }
    let SitePolicy { topology, faults, runbooks, pools, .. } = &policy;
    out.line(format!(
        "{} can be followed: {} pools, {} racks, {} classes of faults, {} runbooks.",
        args.file.display(),
        pools.len(),
        topology.racks.len(),
        faults.len(),
        runbooks.len()
    ))
}

/// Shows what a file would change.
pub(super) async fn diff(args: &FileArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let (policy, followed) = (file::read(&args.file)?, followed(target).await?);
    let changes = changes(&followed.policy, &policy);
    if out.json {
        return out.document(&json!({ "fromVersion": followed.policy_version, "changes": changes }));
    }
    if changes.is_empty() {
        return out.line(format!("The site follows {} already.", args.file.display()));
    }
    out.line(table(&changes))?;
    let version = followed.policy_version;
    out.line(format!("\n{}", out.faint(format!("{} changes to version {version}", changes.len()))))
}

/// Has the site follow a file.
pub(super) async fn run(args: &ApplyArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let accepted = apply(&target.api, &args.file, &args.reason.reason, args.from_version).await?;
    recorded(&accepted, &format!("the policies of {}", args.file.display()), out)
}

/// Sends a site's file.
///
/// # Errors
/// What is wrong with the file, and those of the API.
pub(crate) async fn apply(
    api: &Api,
    path: &Path,
    reason: &str,
    from_version: Option<u64>,
) -> Result<Accepted, CliError> {
    let policy = file::read(path)?;
    let policies = SITE.parse().map_err(CliError::failed("the set of policies has no name"))?;
    let command = ApplyPolicies { policies, policy, reason: reason.to_owned(), from_version };
    let body = serde_json::to_value(command).map_err(CliError::failed("the policies do not serialise"))?;
    api.command(Said("policies apply"), "apply-policies", &body).await
}

fn table(changes: &[PolicyChange]) -> String {
    let shown = |value: &Option<Value>| match value {
        None => "-".to_owned(),
        Some(value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    };
    let mut table = plain(["FIELD", "NOW", "THEN"]);
    for PolicyChange { field, before, after } in changes {
        table.add_row([Cell::new(field), Cell::new(shown(before)), Cell::new(shown(after))]);
    }
    text(&table)
}
