//! `stats`: counts what was recorded and what was done, and checks that they add up.

mod checks;
mod count;

use comfy_table::{Cell, Color};
use hostler_localstack::fleet::{Counts, FleetAdmin, RequestKind};
use serde_json::json;

use crate::error::CliError;
use crate::output::Out;
use crate::render::table;
use crate::target::{Global, Target};

pub(crate) use checks::Check;
pub(crate) use count::Tally;

/// What was counted, and whether it adds up.
#[derive(Debug, Clone)]
pub(crate) struct Stats {
    /// What the event store and the plain drivers hold.
    pub(crate) tally: Tally,
    /// What the fleet's BMCs saw; absent on AWS.
    pub(crate) fleet: Option<Counts>,
    /// How many messages are dead letters, or failures that are still to be dealt with.
    pub(crate) dead_letters: u64,
    /// What must hold, and whether it does.
    pub(crate) checks: Vec<Check>,
}

impl Stats {
    /// Counts everything.
    ///
    /// # Errors
    /// When the tables, the queues or the fleet cannot be read.
    pub(crate) async fn read(target: &Target) -> Result<Self, CliError> {
        let tally = count::read(target).await?;
        let access = target.local().ok().and_then(|state| state.fleet.clone());
        let fleet = match access {
            Some(access) => Some(FleetAdmin::new(&access)?.counts().await?),
            None => None,
        };
        let dead_letters: u64 = crate::commands::runtime::failures::counts(target).await?.values().sum();
        let dead_letters = dead_letters + crate::commands::runtime::failures::open_count(target).await?;
        let checks = checks::checks(&tally, fleet.as_ref(), dead_letters);
        Ok(Self { tally, fleet, dead_letters, checks })
    }

    /// Whether everything adds up.
    pub(crate) fn adds_up(&self) -> bool {
        self.checks.iter().all(Check::holds)
    }
}

/// Counts, checks and prints.
pub(crate) async fn run(global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let stats = Stats::read(&target).await?;
    if out.json {
        let checks: Vec<_> = stats.checks.iter().map(Check::document).collect();
        out.document(&json!({
            "store": stats.tally, "fleet": stats.fleet, "deadLetters": stats.dead_letters, "checks": checks,
        }))?;
    } else {
        print(&stats, out)?;
    }
    if stats.adds_up() {
        return Ok(());
    }
    let failed = stats.checks.iter().filter(|check| !check.holds()).count();
    Err(CliError::Outcome(format!(
        "{failed} of {} checks do not hold: while sagas run that may be so for a moment; else see `hostler failures list`",
        stats.checks.len()
    )))
}

fn print(stats: &Stats, out: Out) -> Result<(), CliError> {
    let tally = &stats.tally;
    let events: u64 = tally.events.values().sum();
    out.line(out.bold(format!(
        "{events} events in {} commits on {} streams; {} dead letters",
        tally.commits,
        tally.streams.values().sum::<u64>(),
        stats.dead_letters
    )))?;
    out.line("")?;
    let mut rows = table::plain(["EVENT", "COUNT"]);
    for (name, count) in &tally.events {
        rows.add_row([Cell::new(name), right(*count)]);
    }
    out.line(table::text(&rows))?;
    out.line("")?;
    let mut rows = table::plain(["EFFECT", "COUNT"]);
    for (name, count) in effects(stats) {
        rows.add_row([Cell::new(name), right(count)]);
    }
    out.line(table::text(&rows))?;
    out.line("")?;
    let mut rows = table::plain(["", "WHAT MUST HOLD", "LEFT", "", "RIGHT"]);
    for check in &stats.checks {
        let verdict =
            if check.holds() { Cell::new("✓").fg(Color::Green) } else { Cell::new("✗").fg(Color::Red) };
        rows.add_row([
            verdict,
            Cell::new(check.what),
            right(check.left),
            Cell::new(check.relation.sign()),
            right(check.right),
        ]);
    }
    out.line(table::text(&rows))
}

fn effects(stats: &Stats) -> Vec<(String, u64)> {
    let drivers = &stats.tally.drivers;
    let mut rows = Vec::new();
    if let Some(fleet) = &stats.fleet {
        rows.extend(fleet.resets.iter().map(|(kind, count)| (format!("BMC: power {kind}"), *count)));
        rows.push(("BMC: media inserted".to_owned(), fleet.of(RequestKind::InsertMedia)));
        rows.push(("BMC: media ejected".to_owned(), fleet.of(RequestKind::EjectMedia)));
        rows.push(("BMC: boot targets set".to_owned(), fleet.of(RequestKind::BootOverride)));
        rows.push(("BMC: reads".to_owned(), fleet.of(RequestKind::ReadSystem) + fleet.of(RequestKind::Read)));
        rows.push(("BMC: kept away by faults".to_owned(), fleet.refused));
        rows.push(("BMC: answered with an error".to_owned(), fleet.failed));
    }
    rows.push(("configuration: roles applied".to_owned(), drivers.roles_applied));
    rows.push(("monitoring: hosts registered".to_owned(), drivers.registered));
    rows.push(("monitoring: hosts deregistered".to_owned(), drivers.deregistered));
    rows
}

fn right(count: u64) -> Cell {
    Cell::new(count).set_alignment(comfy_table::CellAlignment::Right)
}
