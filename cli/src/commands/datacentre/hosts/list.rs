//! `hosts list`.

use std::time::{Duration, Instant};

use super::args::ListArgs;
use crate::api::{HostRow, sort_by_id};
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::table;
use crate::target::Target;

/// How often the view is asked where it is waited for a host, and for how long.
const PAUSE: Duration = Duration::from_millis(500);
const WAIT: Duration = Duration::from_secs(120);

/// Lists hosts.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let started = Instant::now();
    let mut rows = loop {
        let mut rows: Vec<HostRow> = target.api.rows(None).await?;
        check(args, &rows)?;
        rows.retain(|row| fits(args, row));
        if !args.wait || !rows.is_empty() {
            break rows;
        }
        let waited = started.elapsed();
        if waited >= WAIT {
            return Err(CliError::TimedOut { what: "there is no such host".to_owned(), waited });
        }
        tokio::time::sleep(PAUSE).await;
    };
    sort_by_id(&mut rows, |row| &row.host);
    out.list(
        &rows,
        |row| &row.host,
        "There are no such hosts.",
        table::hosts,
        |rows| table::tally(rows.iter().map(|row| row.phase.as_str())),
    )
}

/// Fails where a filter names what no host has.
fn check(args: &ListArgs, rows: &[HostRow]) -> Result<(), CliError> {
    if let Some(pool) = &args.pool {
        require("pool", pool.as_str(), rows.iter().map(|row| row.pool.as_str()))?;
    }
    if let Some(sku) = &args.sku {
        require("SKU", sku.as_str(), rows.iter().map(|row| row.sku.as_str()))?;
    }
    if let Some(rack) = &args.rack {
        require("rack", rack.as_str(), rows.iter().map(|row| row.fault_domain.as_str()))?;
    }
    if let Some(role) = &args.role {
        require("role", role.as_str(), rows.iter().filter_map(|row| row.role.as_deref()))?;
    }
    if let Some(label) = &args.label {
        let keys = rows.iter().flat_map(|row| row.labels.keys().map(String::as_str));
        require("label", &label.key, keys)?;
    }
    Ok(())
}

fn fits(args: &ListArgs, row: &HostRow) -> bool {
    args.pool.as_ref().is_none_or(|pool| pool.as_str() == row.pool)
        && args.phase.as_ref().is_none_or(|phase| *phase == row.phase)
        && args.role.as_ref().is_none_or(|role| Some(role.as_str()) == row.role.as_deref())
        && args.sku.as_ref().is_none_or(|sku| sku.as_str() == row.sku)
        && args.rack.as_ref().is_none_or(|rack| rack.as_str() == row.fault_domain)
        && args.label.as_ref().is_none_or(|label| row.labels.get(&label.key) == Some(&label.value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    fn rows() -> Vec<HostRow> {
        let row = |host: &str, pool: &str, phase: &str| {
            json!({
                "host": host, "pool": pool, "phase": phase, "sku": "cpu-small", "faultDomain": "r-01",
                "labels": { "owner": "infra" }, "version": 1, "updatedAt": "2026-01-31T12:00:00Z",
            })
        };
        let rows = [row("h-01", "web", "available"), row("h-02", "lab", "in-service")];
        rows.map(|row| serde_json::from_value(row).unwrap()).into()
    }

    #[test]
    fn filters_that_no_host_has_are_errors() {
        let pool = |name: &str| ListArgs { pool: Some(name.parse().unwrap()), ..ListArgs::default() };
        assert!(check(&pool("web"), &rows()).is_ok());
        let error = check(&pool("wbe"), &rows()).unwrap_err();
        assert_eq!(error.to_string(), "there is no pool \"wbe\"; did you mean web?");
        let label = ListArgs { label: Some("ownr=infra".parse().unwrap()), ..ListArgs::default() };
        assert!(check(&label, &rows()).unwrap_err().to_string().contains("did you mean owner?"));
        let rack = ListArgs { rack: Some("r-77".parse().unwrap()), ..ListArgs::default() };
        assert!(check(&rack, &rows()).is_err());
    }

    #[test]
    fn filters_narrow_together() {
        let args = ListArgs {
            pool: Some("web".parse().unwrap()),
            label: Some("owner=infra".parse().unwrap()),
            ..ListArgs::default()
        };
        let fitting: Vec<String> =
            rows().into_iter().filter(|row| fits(&args, row)).map(|row| row.host).collect();
        assert_eq!(fitting, ["h-01"]);
    }
}
