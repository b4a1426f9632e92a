//! `watch`: provisionings and hosts as they change.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use hostler_events::{PoolId, RequestId};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;

use crate::api::{HostRow, ProvisioningRow, RequestRow, View, sort_by_id};
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::table;
use crate::target::{Global, Target};
use crate::values::duration;

const EXAMPLES: &str = "\
Examples:
  hostler watch                                      everything, until Ctrl-C
  hostler watch --request web-x7q2 --until-done      one request, to its end
  hostler watch --json | jq .                        each change as a line of JSON";
/// How often the views are asked.
const PAUSE: Duration = Duration::from_secs(1);
/// How many provisionings are drawn; those that still run come first.
const SHOWN_MAX: usize = 15;

/// What `watch` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WatchArgs {
    /// Only the provisionings of this request
    #[arg(long)]
    request: Option<RequestId>,
    /// Only the provisionings and hosts of this pool
    #[arg(long)]
    pool: Option<PoolId>,
    /// End when there are provisionings and all of them are over; fails if one did not complete
    #[arg(long)]
    until_done: bool,
    /// How long to watch at most
    #[arg(long, value_parser = duration, value_name = "TIME")]
    timeout: Option<Duration>,
}

/// What is seen at one moment.
struct Seen {
    provisionings: Vec<ProvisioningRow>,
    hosts: Vec<HostRow>,
}

/// Watches.
pub(crate) async fn run(args: WatchArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
    let style = ProgressStyle::with_template("{msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    check(&args, &target).await?;
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
        let over = !seen.provisionings.is_empty() && seen.provisionings.iter().all(ProvisioningRow::is_over);
        if args.until_done && over {
            bar.finish();
            return verdict(&seen.provisionings);
        }
        let waited = started.elapsed();
        if args.timeout.is_some_and(|timeout| waited >= timeout) {
            bar.finish();
            let running = seen.provisionings.iter().filter(|row| !row.is_over()).count();
            let what = format!("{running} of {} provisionings are not over", seen.provisionings.len());
            return Err(CliError::TimedOut { what, waited });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Fails where an option names what does not exist.
async fn check(args: &WatchArgs, target: &Target) -> Result<(), CliError> {
    if let Some(request) = &args.request {
        let _known: RequestRow = target.api.document(View::Request, request.as_str(), &[]).await?;
    }
    if let Some(pool) = &args.pool {
        let pools = super::pools(target).await?;
        require("pool", pool.as_str(), pools.iter().map(String::as_str))?;
    }
    Ok(())
}

async fn look(target: &Target, args: &WatchArgs) -> Result<Seen, CliError> {
    let mut provisionings: Vec<ProvisioningRow> =
        target.api.rows(args.request.as_ref().map(|request| request.as_str())).await?;
    let mut hosts: Vec<HostRow> = target.api.rows(None).await?;
    if let Some(pool) = &args.pool {
        provisionings.retain(|row| row.pool == pool.as_str());
        hosts.retain(|row| row.pool == pool.as_str());
    }
    if args.request.is_some() {
        hosts.retain(|host| provisionings.iter().any(|row| row.host.as_ref() == Some(&host.host)));
    }
    sort_by_id(&mut provisionings, |row| &row.provisioning);
    sort_by_id(&mut hosts, |row| &row.host);
    Ok(Seen { provisionings, hosts })
}

/// The picture that is redrawn on a terminal.
fn picture(seen: &Seen, now: Timestamp) -> String {
    let provisionings = table::tally(seen.provisionings.iter().map(|row| row.status.as_str()));
    let hosts = table::tally(seen.hosts.iter().map(|row| row.phase.as_str()));
    let mut shown: Vec<ProvisioningRow> = seen.provisionings.clone();
    // A stable sort: within both halves the order stays.
    shown.sort_by_key(ProvisioningRow::is_over);
    let more = shown.len().saturating_sub(SHOWN_MAX);
    shown.truncate(SHOWN_MAX);
    let mut text = format!("hosts          {hosts}\nprovisionings  {provisionings}\n");
    if !shown.is_empty() {
        text.push('\n');
        text.push_str(&table::provisionings(&shown, now));
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
    for row in &seen.provisionings {
        let step = row.step.as_deref().unwrap_or_default();
        let state = format!("{} {step} {}", row.status, row.attempt.unwrap_or_default());
        if is_new(before, format!("provisioning {}", row.provisioning), state) {
            if out.json {
                out.json_line(&json!({ "provisioning": row }))?;
            } else {
                let host = row.host.as_deref().unwrap_or_default();
                let text = format!("provisioning {}  {}  {step}  {host}", row.provisioning, row.status);
                out.line(text.trim_end())?;
            }
        }
    }
    Ok(())
}

fn is_new(before: &mut BTreeMap<String, String>, key: String, state: String) -> bool {
    before.insert(key, state.clone()).as_ref() != Some(&state)
}

fn verdict(provisionings: &[ProvisioningRow]) -> Result<(), CliError> {
    let failed = provisionings.iter().filter(|row| row.status != "completed").count();
    match failed {
        0 => Ok(()),
        _ => Err(CliError::Outcome(format!(
            "{failed} of {} provisionings did not complete",
            provisionings.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn saga(n: usize, status: &str) -> ProvisioningRow {
        serde_json::from_value(json!({
            "provisioning": format!("web.{n}"), "request": "web", "pool": "web", "role": "web", "status": status,
            "version": 1, "updatedAt": "2026-01-31T12:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn what_runs_is_shown_first() {
        let mut sagas: Vec<ProvisioningRow> = (1..=20).map(|n| saga(n, "completed")).collect();
        sagas.push(saga(21, "running"));
        let text = picture(&Seen { provisionings: sagas, hosts: Vec::new() }, Timestamp::now());
        assert!(text.contains("provisionings  1 running · 20 completed"), "{text}");
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
