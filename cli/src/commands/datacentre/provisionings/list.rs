//! `provisionings list`.

use jiff::Timestamp;

use super::args::ListArgs;
use crate::api::{HostRow, ProvisioningRow, RequestRow, View, sort_by_id};
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::table;
use crate::target::Target;

/// Lists provisionings.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let api = &target.api;
    let mut rows: Vec<ProvisioningRow> = api.rows(args.request.as_ref().map(|it| it.as_str())).await?;
    if let (Some(request), true) = (&args.request, rows.is_empty()) {
        // A request that waits for approval has none, and one that does not exist is an error.
        let _known: RequestRow = api.document(View::Request, request.as_str(), &[]).await?;
    }
    if args.pool.is_some() || args.host.is_some() {
        check(args, &api.rows(None).await?)?;
    }
    rows.retain(|row| fits(args, row));
    sort_by_id(&mut rows, |row| &row.provisioning);
    let shown = |rows: &[ProvisioningRow]| table::provisionings(rows, Timestamp::now());
    out.list(
        &rows,
        |row| &row.provisioning,
        "There are no such provisionings.",
        shown,
        |rows| table::tally(rows.iter().map(|row| row.status.as_str())),
    )
}

/// Fails where a filter names what does not exist.
fn check(args: &ListArgs, hosts: &[HostRow]) -> Result<(), CliError> {
    if let Some(pool) = &args.pool {
        require("pool", pool.as_str(), hosts.iter().map(|row| row.pool.as_str()))?;
    }
    if let Some(host) = &args.host {
        require("host", host.as_str(), hosts.iter().map(|row| row.host.as_str()))?;
    }
    Ok(())
}

fn fits(args: &ListArgs, row: &ProvisioningRow) -> bool {
    args.status.as_ref().is_none_or(|status| *status == row.status)
        && args.pool.as_ref().is_none_or(|pool| pool.as_str() == row.pool)
        && args.role.as_ref().is_none_or(|role| role.as_str() == row.role)
        && args.host.as_ref().is_none_or(|host| Some(host.as_str()) == row.host.as_deref())
}
