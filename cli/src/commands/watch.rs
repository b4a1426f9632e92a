//! `watch`: sagas and hosts as they change.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;

use crate::api::{HostRow, SagaRow, sort_by_id};
use crate::commands::request::duration;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table;
use crate::target::{Global, Target};

const EXAMPLES: &str = "\
Examples:
  hostler watch                                      everything, until Ctrl-C
  hostler watch --request web-x7q2 --until-done      one request, to its end
  hostler watch --json | jq .                        each change as a line of JSON";
/// How often the views are asked.
const PAUSE: Duration = Duration::from_secs(1);
/// How many sagas are drawn; those that still run come first.
const SAGAS_SHOWN_MAX: usize = 15;

/// What `watch` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WatchArgs {
    /// Only the sagas of this request
    #[arg(long)]
    request: Option<String>,
    /// Only the sagas and hosts of this pool
    #[arg(long)]
    pool: Option<String>,
    /// End when there are sagas and all of them are over; fails if one did not complete
    #[arg(long)]
    until_done: bool,
    /// How long to watch at most
    #[arg(long, value_parser = duration, value_name = "TIME")]
    timeout: Option<Duration>,
}

/// What is seen at one moment.
struct Seen {
    sagas: Vec<SagaRow>,
    hosts: Vec<HostRow>,
}

/// Watches.
pub(crate) async fn run(args: WatchArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
    let style = ProgressStyle::with_template("{msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let started = Instant::now();
    let mut before: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let seen = look(&target, &args).await?;
        if out.terminal {
            bar.set_message(picture(&seen, Timestamp::now()));
            bar.tick();
        } else {
            tell_changes(&seen, &mut before, out)?;
        }
        let over = !seen.sagas.is_empty() && seen.sagas.iter().all(SagaRow::is_over);
        if args.until_done && over {
            bar.finish();
            return verdict(&seen.sagas);
        }
        let waited = started.elapsed();
        if args.timeout.is_some_and(|timeout| waited >= timeout) {
            bar.finish();
            let running = seen.sagas.iter().filter(|row| !row.is_over()).count();
            let what = format!("{running} of {} sagas are not over", seen.sagas.len());
            return Err(CliError::TimedOut { what, waited });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(target: &Target, args: &WatchArgs) -> Result<Seen, CliError> {
    let mut sagas: Vec<SagaRow> = target.api.rows(args.request.as_deref()).await?;
    let mut hosts: Vec<HostRow> = target.api.rows(None).await?;
    if let Some(pool) = &args.pool {
        sagas.retain(|row| row.pool == *pool);
        hosts.retain(|row| row.pool == *pool);
    }
    if args.request.is_some() {
        hosts.retain(|host| sagas.iter().any(|saga| saga.host.as_ref() == Some(&host.host)));
    }
    sort_by_id(&mut sagas, |row| &row.provisioning);
    sort_by_id(&mut hosts, |row| &row.host);
    Ok(Seen { sagas, hosts })
}

/// The picture that is redrawn on a terminal.
fn picture(seen: &Seen, now: Timestamp) -> String {
    let sagas = table::tally(seen.sagas.iter().map(|row| row.status.as_str()));
    let hosts = table::tally(seen.hosts.iter().map(|row| row.phase.as_str()));
    let mut shown: Vec<SagaRow> = seen.sagas.clone();
    // A stable sort: within both halves the order stays.
    shown.sort_by_key(SagaRow::is_over);
    let more = shown.len().saturating_sub(SAGAS_SHOWN_MAX);
    shown.truncate(SAGAS_SHOWN_MAX);
    let mut text = format!("hosts  {hosts}\nsagas  {sagas}\n");
    if !shown.is_empty() {
        text.push('\n');
        text.push_str(&table::sagas(&shown, now));
    }
    if more > 0 {
        text.push_str(&format!("\n… and {more} more"));
    }
    text
}

/// Says what is different from before, a line for each.
fn tell_changes(seen: &Seen, before: &mut BTreeMap<String, String>, out: Out) -> Result<(), CliError> {
    for row in &seen.hosts {
        if is_new(before, format!("host {}", row.host), row.phase.clone()) {
            if out.json {
                out.json_line(&json!({ "host": row }))?;
            } else {
                out.line(format!("host {}  {}", row.host, row.phase))?;
            }
        }
    }
    for row in &seen.sagas {
        let step = row.step.as_deref().unwrap_or_default();
        let state = format!("{} {step} {}", row.status, row.attempt.unwrap_or_default());
        if is_new(before, format!("saga {}", row.provisioning), state) {
            if out.json {
                out.json_line(&json!({ "saga": row }))?;
            } else {
                let host = row.host.as_deref().unwrap_or_default();
                let text = format!("saga {}  {}  {step}  {host}", row.provisioning, row.status);
                out.line(text.trim_end())?;
            }
        }
    }
    Ok(())
}

fn is_new(before: &mut BTreeMap<String, String>, key: String, state: String) -> bool {
    before.insert(key, state.clone()).as_ref() != Some(&state)
}

fn verdict(sagas: &[SagaRow]) -> Result<(), CliError> {
    let failed = sagas.iter().filter(|row| row.status != "completed").count();
    match failed {
        0 => Ok(()),
        _ => Err(CliError::Outcome(format!("{failed} of {} sagas did not complete", sagas.len()))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn saga(n: usize, status: &str) -> SagaRow {
        serde_json::from_value(json!({
            "provisioning": format!("web.{n}"), "request": "web", "pool": "web", "role": "web", "status": status,
            "version": 1, "updatedAt": "2026-01-31T12:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn what_runs_is_shown_first() {
        let mut sagas: Vec<SagaRow> = (1..=20).map(|n| saga(n, "completed")).collect();
        sagas.push(saga(21, "running"));
        let text = picture(&Seen { sagas, hosts: Vec::new() }, Timestamp::now());
        assert!(text.contains("sagas  1 running · 20 completed"), "{text}");
        assert!(
            text.contains("web.21") && !text.contains("web.20") && text.ends_with("… and 6 more"),
            "{text}"
        );
    }

    #[test]
    fn only_changes_are_told() {
        let mut before = BTreeMap::new();
        assert!(is_new(&mut before, "a".to_owned(), "x".to_owned()));
        assert!(!is_new(&mut before, "a".to_owned(), "x".to_owned()));
        assert!(is_new(&mut before, "a".to_owned(), "y".to_owned()));
    }
}
