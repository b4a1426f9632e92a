//! `requests list`.

use super::args::ListArgs;
use crate::api::{RequestRow, sort_by_id};
use crate::commands::datacentre::pools;
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::table;
use crate::target::Target;

/// Lists requests.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    if let Some(pool) = &args.pool {
        let pools = pools(target).await?;
        require("pool", pool.as_str(), pools.iter().map(String::as_str))?;
    }
    let mut rows: Vec<RequestRow> = target.api.rows(args.pool.as_ref().map(|pool| pool.as_str())).await?;
    rows.retain(|row| args.status.as_ref().is_none_or(|status| *status == row.status));
    sort_by_id(&mut rows, |row| &row.request);
    out.list(
        &rows,
        |row| &row.request,
        "There are no such requests.",
        table::requests,
        |rows| table::tally(rows.iter().map(|row| row.status.as_str())),
    )
}
