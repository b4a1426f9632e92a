//! Following provisionings until nothing more happens to them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::api::{Api, ProvisioningRow, sort_by_id};
use crate::error::CliError;

/// How often the views are asked.
const PAUSE: Duration = Duration::from_millis(400);

/// Follows a request's provisionings to their ends; `seen` gets all rows at each look.
///
/// # Errors
/// [`CliError::TimedOut`] when some are not over in time; those of reaching the API.
pub(crate) async fn provisionings(
    api: &Api,
    request: &str,
    ids: &[String],
    timeout: Duration,
    mut seen: impl FnMut(&[ProvisioningRow]) -> Result<(), CliError>,
) -> Result<Vec<ProvisioningRow>, CliError> {
    let wanted: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let started = Instant::now();
    loop {
        let mut rows: Vec<ProvisioningRow> = api.rows(Some(request)).await?;
        rows.retain(|row| wanted.contains(row.provisioning.as_str()));
        sort_by_id(&mut rows, |row| &row.provisioning);
        seen(&rows)?;
        let over = rows.iter().filter(|row| row.is_over()).count();
        if over == wanted.len() {
            return Ok(rows);
        }
        let waited = started.elapsed();
        if waited >= timeout {
            let what = format!(
                "{} of {} provisionings of request {request} are not over",
                wanted.len() - over,
                wanted.len()
            );
            return Err(CliError::TimedOut { what, waited });
        }
        tokio::time::sleep(PAUSE).await;
    }
}
