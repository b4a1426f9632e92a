//! `budgets`: who disturbs which hosts, and until when.

use clap::{Args, Subcommand};
use comfy_table::Cell;
use hostler_domain::BudgetState;
use hostler_domain::budget::Holder;
use hostler_events::PoolId;
use hostler_events::site::SITE;

use crate::api::View;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, text};
use crate::render::time;
use crate::target::{Global, Target};

/// What `budgets` takes.
#[derive(Debug, Args)]
pub(crate) struct BudgetsArgs {
    #[command(subcommand)]
    verb: BudgetsVerb,
}

#[derive(Debug, Subcommand)]
enum BudgetsVerb {
    /// List the hosts that are being disturbed, by whom, and until when at most
    #[command(after_help = "Example:\n  hostler budgets list --pool web")]
    List(ListArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only those of this pool
    #[arg(long)]
    pool: Option<PoolId>,
}

/// Does what the verb says.
pub(crate) async fn run(args: BudgetsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let BudgetsVerb::List(args) = args.verb;
    let target = Target::open(global).await?;
    let budget: BudgetState = match target.api.document(View::Budget, SITE, &[]).await {
        Err(CliError::NotFound { .. }) => BudgetState::default(),
        answered => answered?,
    };
    let limits = budget.limits;
    let mut holders = budget.holders;
    holders.retain(|holder| args.pool.as_ref().is_none_or(|pool| *pool == holder.disruption.pool));
    out.list(
        &holders,
        |holder| holder.disruption.host.as_str(),
        "No host is being disturbed.",
        table,
        |holders| {
            let (site, pool, rack) = (limits.site, limits.pool, limits.rack);
            format!("{} of at most {site} in the site, {pool} in a pool, {rack} in a rack", holders.len())
        },
    )
}

fn table(holders: &[Holder]) -> String {
    let mut table = plain(["HOST", "POOL", "RACK", "POWER DOMAIN", "BY", "BEGUN", "UNTIL"]);
    for Holder { saga, disruption, until, waits } in holders {
        table.add_row([
            Cell::new(&disruption.host),
            Cell::new(&disruption.pool),
            Cell::new(&disruption.rack),
            Cell::new(disruption.power_domain.as_ref().map_or("-", |domain| domain.as_str())),
            Cell::new(saga.to_string().replacen('#', "/", 1)),
            Cell::new(if *waits { "not yet" } else { "yes" }),
            Cell::new(time::moment(*until)),
        ]);
    }
    text(&table)
}
