//! `hosts` and `sagas`: lists.

use clap::Args;
use jiff::Timestamp;

use crate::api::{HostRow, SagaRow, host_group, sort_by_id};
use crate::error::CliError;
use crate::output::Out;
use crate::render::table;
use crate::target::{Global, Target};

/// What `hosts` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hostler hosts --pool web --phase available")]
pub(crate) struct HostsArgs {
    /// Only those of this pool
    #[arg(long)]
    pool: Option<String>,
    /// Only those in this phase, such as available or in-service
    #[arg(long)]
    phase: Option<String>,
}

/// What `sagas` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hostler sagas --status stuck")]
pub(crate) struct SagasArgs {
    /// Only those of this request
    #[arg(long)]
    request: Option<String>,
    /// Only those in this status: running, compensating, completed, compensated, stuck
    #[arg(long)]
    status: Option<String>,
}

/// Lists hosts.
pub(crate) async fn hosts(args: HostsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let group = args.pool.as_deref().zip(args.phase.as_deref()).map(|(pool, phase)| host_group(pool, phase));
    let mut rows: Vec<HostRow> = target.api.rows(group.as_deref()).await?;
    let fits = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    rows.retain(|row| fits(&args.pool, &row.pool) && fits(&args.phase, &row.phase));
    sort_by_id(&mut rows, |row| &row.host);
    if out.json {
        return out.document(&rows);
    }
    if rows.is_empty() {
        return out.line("There are no such hosts.");
    }
    out.line(table::hosts(&rows))?;
    out.line(format!("\n{}", out.faint(table::tally(rows.iter().map(|row| row.phase.as_str())))))
}

/// Lists sagas.
pub(crate) async fn sagas(args: SagasArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let mut rows: Vec<SagaRow> = target.api.rows(args.request.as_deref()).await?;
    rows.retain(|row| args.status.as_deref().is_none_or(|wanted| wanted == row.status));
    sort_by_id(&mut rows, |row| &row.provisioning);
    if out.json {
        return out.document(&rows);
    }
    if rows.is_empty() {
        return out.line("There are no such sagas.");
    }
    out.line(table::sagas(&rows, Timestamp::now()))?;
    out.line(format!("\n{}", out.faint(table::tally(rows.iter().map(|row| row.status.as_str())))))
}
