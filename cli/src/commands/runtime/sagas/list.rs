//! `sagas list`.

use jiff::Timestamp;

use super::args::ListArgs;
use crate::api::sort_by_id;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table;
use crate::target::Target;

/// Lists sagas.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let mut rows = target.api.sagas(args.kind.as_deref()).await?;
    rows.retain(|row| args.status.as_ref().is_none_or(|status| *status == row.state.status));
    sort_by_id(&mut rows, |row| &row.saga);
    let shown = |rows: &[_]| table::sagas(rows, Timestamp::now());
    out.list(
        &rows,
        |row| &row.saga,
        "There are no such sagas.",
        shown,
        |rows| table::tally(rows.iter().map(|row| row.state.status.as_str())),
    )
}
