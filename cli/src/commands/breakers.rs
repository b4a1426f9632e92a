//! `breakers`: which dependencies are left alone, and what an operator wants instead.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::{Cell, Color};
use hostler_aws::DynamoControl;
use hostler_core::breaker::{Breaker, BreakerState, Override};
use hostler_runtime::Control;
use hostler_runtime::breakers::{INDEX, key};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::audit;
use crate::commands::request::duration;
use crate::error::CliError;
use crate::output::Out;
use crate::render::{table, time};
use crate::target::{Global, Target};

/// How often a change is tried anew because another writer was faster.
const TRIES_MAX: u32 = 5;

/// What `breakers` takes.
#[derive(Debug, Args)]
pub(crate) struct BreakersArgs {
    #[command(subcommand)]
    command: Option<BreakersCommand>,
}

#[derive(Debug, Subcommand)]
enum BreakersCommand {
    /// List the dependencies whose breakers ever opened (the default)
    List,
    /// Leave a dependency alone, whatever its calls say: its steps wait
    #[command(after_help = "Example:\n  hostler breakers open configuration --for 30m --why \"maintenance\"")]
    Open(ForceArgs),
    /// Call a dependency, whatever its calls say
    #[command(
        after_help = "Example:\n  hostler breakers close bmc --for 10m --why \"it is back, see the ticket\""
    )]
    Close(ForceArgs),
    /// Have its calls decide again
    Auto(AutoArgs),
}

#[derive(Debug, Args)]
struct ForceArgs {
    /// The dependency: configuration, monitoring, bmc, or one BMC as bmc/<host>
    dependency: String,
    /// For how long
    #[arg(long = "for", value_name = "TIME", default_value = "30m", value_parser = duration)]
    lasts: Duration,
    /// Why; it is recorded
    #[arg(long)]
    why: String,
}

#[derive(Debug, Args)]
struct AutoArgs {
    /// The dependency
    dependency: String,
    /// Why; it is recorded
    #[arg(long)]
    why: String,
}

/// Lists or overrides.
pub(crate) async fn run(args: BreakersArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.command.unwrap_or(BreakersCommand::List) {
        BreakersCommand::List => list(&target, out).await,
        BreakersCommand::Open(args) => force(&target, args, true, out).await,
        BreakersCommand::Close(args) => force(&target, args, false, out).await,
        BreakersCommand::Auto(AutoArgs { dependency, why }) => {
            change(&target, &dependency, None, &why).await?;
            say(&dependency, "is judged by its calls again", out)
        }
    }
}

fn control(target: &Target) -> Result<DynamoControl, CliError> {
    let table = target.output("ControlTable")?;
    Ok(DynamoControl::new(aws_sdk_dynamodb::Client::new(&target.config), table))
}

fn unread<E: Into<crate::error::Source>>(error: E) -> CliError {
    CliError::failed(
        "the breakers cannot be read: check the credentials' dynamodb:GetItem on the table of small hot state",
    )(error)
}

async fn list(target: &Target, out: Out) -> Result<(), CliError> {
    let control = control(target)?;
    let index = control.get(INDEX).await.map_err(unread)?;
    let names: BTreeMap<String, Timestamp> = index
        .map(|entry| serde_json::from_value(entry.value))
        .transpose()
        .map_err(unread)?
        .unwrap_or_default();
    let mut breakers: BTreeMap<String, Breaker> = BTreeMap::new();
    for name in names.into_keys() {
        if let Some(entry) = control.get(&key(&name)).await.map_err(unread)? {
            breakers.insert(name, serde_json::from_value(entry.value).map_err(unread)?);
        }
    }
    if out.json {
        return out.document(&breakers);
    }
    if breakers.is_empty() {
        return out.line("No breaker has ever opened: all dependencies answer.");
    }
    let now = Timestamp::now();
    let mut shown =
        table::plain(["DEPENDENCY", "STATE", "LOOKED AT AGAIN", "USUALLY FAILS", "CHANGED", "REASON"]);
    for (name, breaker) in &breakers {
        let (state, until) = state(breaker, now);
        let open = breaker.is_open(now);
        let usually = breaker.baseline.map_or("-".to_owned(), |rate| format!("{:.0} %", rate * 100.0));
        let changed = breaker
            .changed_at
            .map_or("-".to_owned(), |at| format!("{} ago", time::rough(time::between(at, now))));
        let until = until
            .filter(|_| open)
            .map_or("-".to_owned(), |at| format!("in {}", time::rough(time::between(now, at))));
        shown.add_row([
            Cell::new(name),
            Cell::new(state).fg(if open { Color::Red } else { Color::Green }),
            Cell::new(until),
            Cell::new(usually),
            Cell::new(changed),
            Cell::new(table::short(reason(breaker, now))),
        ]);
    }
    out.line(table::text(&shown))
}

fn state(breaker: &Breaker, now: Timestamp) -> (&'static str, Option<Timestamp>) {
    match breaker.forced.as_ref().filter(|forced| forced.until > now) {
        Some(forced) if forced.open => return ("held open", Some(forced.until)),
        Some(forced) => return ("held closed", Some(forced.until)),
        None => {}
    }
    match breaker.state {
        BreakerState::Closed => ("closed", None),
        BreakerState::Open { until, .. } => ("open", Some(until)),
        BreakerState::Probing { until, .. } => ("probing", Some(until)),
    }
}

fn reason(breaker: &Breaker, now: Timestamp) -> &str {
    let forced = breaker.forced.as_ref().filter(|forced| forced.until > now);
    forced.map(|forced| forced.reason.as_str()).or(breaker.reason.as_deref()).unwrap_or_default()
}

async fn force(target: &Target, args: ForceArgs, open: bool, out: Out) -> Result<(), CliError> {
    let ForceArgs { dependency, lasts, why } = args;
    let lasts = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX);
    let until = Timestamp::now().saturating_add(lasts).unwrap_or(Timestamp::MAX);
    let actor = audit::actor(target).await;
    let forced = Override { open, until, actor, reason: why.clone() };
    change(target, &dependency, Some(forced), &why).await?;
    let what = if open { "is left alone" } else { "is called" };
    say(&dependency, &format!("{what} until {}", time::moment(until)), out)
}

fn say(dependency: &str, what: &str, out: Out) -> Result<(), CliError> {
    if out.json {
        return out.document(&json!({ "dependency": dependency, "now": what }));
    }
    out.line(format!("{dependency} {what}; functions know within 5 s."))
}

/// Changes what an operator wants of a breaker, and records who did so.
async fn change(
    target: &Target,
    dependency: &str,
    forced: Option<Override>,
    why: &str,
) -> Result<(), CliError> {
    let known = ["configuration", "monitoring", "bmc"];
    if !known.contains(&dependency) && !dependency.starts_with("bmc/") {
        return Err(CliError::Usage(format!(
            "there is no dependency {dependency}: there are {}, and bmc/<host>",
            known.join(", ")
        )));
    }
    let control = control(target)?;
    let unwritten = |error| {
        CliError::failed(
            "the breaker was not changed: check the credentials' dynamodb:PutItem on the table of small hot state",
        )(error)
    };
    audit::record(target, "breaker", &json!({ "dependency": dependency, "forced": forced, "reason": why }))
        .await?;
    for _ in 0..TRIES_MAX {
        let entry = control.get(&key(dependency)).await.map_err(unread)?;
        let (value, revision) =
            entry.map_or((json!(Breaker::default()), 0), |entry| (entry.value, entry.revision));
        let mut breaker: Breaker = serde_json::from_value(value).map_err(unread)?;
        breaker.forced.clone_from(&forced);
        breaker.changed_at = Some(Timestamp::now());
        if control.put(&key(dependency), &json!(breaker), revision).await.map_err(unwritten)? {
            return note(&control, dependency).await;
        }
    }
    Err(CliError::Usage(format!("the breaker of {dependency} changes too quickly: try again")))
}

/// Has `list` find it.
async fn note(control: &DynamoControl, dependency: &str) -> Result<(), CliError> {
    for _ in 0..TRIES_MAX {
        let entry = control.get(INDEX).await.map_err(unread)?;
        let (mut names, revision) = entry.map_or((json!({}), 0), |entry| (entry.value, entry.revision));
        if let Value::Object(names) = &mut names {
            names.insert(dependency.to_owned(), json!(Timestamp::now()));
        }
        if control.put(INDEX, &names, revision).await.map_err(unread)? {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_an_operator_wants_is_shown_before_what_the_calls_say() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let open = Breaker::default().opened(now, 0.1, "no answer", 0);
        assert_eq!((state(&open, now).0, reason(&open, now)), ("open", "no answer"));
        let until = now + SignedDuration::from_mins(10);
        let (actor, reason_given) = ("ada".to_owned(), "it is back".to_owned());
        let forced = Some(Override { open: false, until, actor, reason: reason_given });
        let forced = Breaker { forced, ..open };
        assert_eq!((state(&forced, now).0, reason(&forced, now)), ("held closed", "it is back"));
        assert_eq!(state(&forced, until).0, "open");
    }
}
