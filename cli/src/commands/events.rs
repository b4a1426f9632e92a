//! `events`: tells again what happened, to one consumer's read models or, after an outage, to everybody.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use hostler_aws::{DynamoEventLog, EventBridgeBus, SqsQueues, SystemClock};
use hostler_core::StreamId;
use hostler_domain::views::{VIEWED, VIEWS_QUEUE};
use hostler_runtime::relay::Relay;
use hostler_runtime::replay::{Replayer, Selection, Told};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit;
use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// The queue of what the relay gives up.
const RELAY_FAILURES: &str = "relay-outbox-dlq";

/// What `events` takes.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    command: EventsCommand,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// Put marked copies of events on one consumer's queue; only handlers that change read models act on them
    #[command(after_help = "Example:\n  hostler events replay --stream host#h-03 --dry-run\n  \
        hostler events replay --to project-views --since 2026-01-31T12:00:00Z --rate 200")]
    Replay(ReplayArgs),
    /// Say anew all events, commands and timers since a time, as the outbox would have; consumers know what
    /// they have seen
    #[command(after_help = "When the outbox was away for longer than its stream keeps records (24 h):\n  \
        hostler events republish --since 2026-01-31T12:00:00Z --dry-run")]
    Republish(RepublishArgs),
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// The consumer's queue
    #[arg(long, default_value = "project-views")]
    to: String,
    /// Only this stream, such as host#h-03
    #[arg(long, required_unless_present_any = ["event_type", "since"])]
    stream: Option<StreamId>,
    /// Only events of this type, such as host.enrolled
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only what was recorded then or later
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct RepublishArgs {
    /// What was recorded then or later
    #[arg(long, value_name = "TIME")]
    since: Timestamp,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    /// Only what was recorded before then
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// How many a second: messages of a replay, commits when republishing
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    /// Count what would be told, and tell nothing
    #[arg(long)]
    dry_run: bool,
}

/// Tells again.
pub(crate) async fn run(args: EventsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.command {
        EventsCommand::Replay(ReplayArgs { to, stream, event_type, since, how }) => {
            let selection = Selection { stream, event_type, since, until: how.until };
            if !target.queues()?.contains_key(&to) {
                return Err(CliError::Usage(format!(
                    "there is no queue {to}: name the queue of a consumer, such as project-views"
                )));
            }
            tell(&target, Telling { action: "replay", to: Some(to), selection, how }, out).await
        }
        EventsCommand::Republish(RepublishArgs { since, how }) => {
            let selection = Selection { since: Some(since), until: how.until, ..Selection::default() };
            tell(&target, Telling { action: "republish", to: None, selection, how }, out).await
        }
    }
}

/// What is told to whom, and how.
struct Telling {
    action: &'static str,
    /// The consumer of a replay.
    to: Option<String>,
    selection: Selection,
    how: How,
}

async fn tell(target: &Target, telling: Telling, out: Out) -> Result<(), CliError> {
    let Telling { action, to, selection, how } = &telling;
    let log =
        DynamoEventLog::new(aws_sdk_dynamodb::Client::new(&target.config), target.output("EventsTable")?);
    let replayer =
        Replayer::new(Arc::new(log), Arc::new(SystemClock), how.rate).signed_by(target.integrity.clone());
    let queues = SqsQueues::new(aws_sdk_sqs::Client::new(&target.config), target.queues()?);
    let audit = if how.dry_run { None } else { Some(begin_audit(target, &telling).await?) };
    let bar = bar(out);
    let show = |told: &Told| {
        bar.set_message(format!("{} commits read, {} events told", told.read, told.events));
    };
    let told = match to {
        _ if how.dry_run => replayer.count(selection, show).await,
        Some(to) => replayer.replay(selection, &queues, to, show).await,
        None => {
            let bus = aws_sdk_eventbridge::Client::new(&target.config);
            let bus = EventBridgeBus::new(bus, target.output("EventBus")?);
            let relay = Relay::new(Arc::new(bus), Arc::new(queues), Arc::new(SystemClock), RELAY_FAILURES)
                .notifying(VIEWS_QUEUE, VIEWED)
                .signed_by(target.integrity.clone());
            replayer.republish(selection, &relay, show).await
        }
    };
    bar.finish_and_clear();
    let told = told.map_err(CliError::failed(format!("the {action} did not come to its end")))?;
    if let Some(key) = &audit {
        end_audit(target, key, &telling, &told).await?;
    }
    report(&telling, &told, audit.as_deref(), out)
}

fn bar(out: Out) -> ProgressBar {
    let bar = if out.terminal {
        ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout())
    } else {
        ProgressBar::hidden()
    };
    let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn report(telling: &Telling, told: &Told, audit: Option<&str>, out: Out) -> Result<(), CliError> {
    let Telling { action, to, how, .. } = telling;
    // A replay tells events only, also when it is only counted.
    let (commands, timers) = if to.is_some() { (0, 0) } else { (told.commands, told.timers) };
    if out.json {
        out.document(&json!({
            "action": action, "to": to, "dryRun": how.dry_run, "audit": audit, "read": told.read,
            "commits": told.commits, "events": told.events, "commands": commands, "timers": timers,
            "failed": told.failed,
        }))?;
    } else {
        let would = if how.dry_run { "Would tell" } else { "Told" };
        let whom = to.as_deref().map_or_else(|| "everybody".to_owned(), |to| format!("queue {to}"));
        out.line(format!(
            "{would} {whom} {} events, {commands} commands and {timers} timers of {} commits ({} read).",
            told.events, told.commits, told.read
        ))?;
    }
    match told.failed {
        0 => Ok(()),
        failed => Err(CliError::Outcome(format!(
            "{failed} commits cannot be published: see why with `cargo hostler failures list --queue relay-outbox`"
        ))),
    }
}

/// Records who tells what again, before anything is told.
async fn begin_audit(target: &Target, telling: &Telling) -> Result<String, CliError> {
    let key = format!("audit/{}/{}", telling.action, Uuid::now_v7());
    let record = audit_record(&audit::actor(target).await, telling, None);
    audit::put(target, &key, &record, 0).await?;
    Ok(key)
}

async fn end_audit(target: &Target, key: &str, telling: &Telling, told: &Told) -> Result<(), CliError> {
    let record = audit_record(&audit::actor(target).await, telling, Some(told));
    audit::put(target, key, &record, 1).await
}

fn audit_record(actor: &str, telling: &Telling, told: Option<&Told>) -> Value {
    let Telling { action, to, selection, how } = telling;
    let Selection { stream, event_type, since, until } = selection;
    json!({
        "action": action, "actor": actor, "to": to, "stream": stream, "type": event_type, "since": since,
        "until": until, "rate": how.rate,
        "state": if told.is_some() { "ended" } else { "began" },
        "commits": told.map(|told| told.commits), "events": told.map(|told| told.events),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_record_says_who_told_what_and_how_it_ended() {
        let telling = Telling {
            action: "replay",
            to: Some("project-views".to_owned()),
            selection: Selection { event_type: Some("host.enrolled".to_owned()), ..Selection::default() },
            how: How { until: None, rate: 7, dry_run: false },
        };
        let began = audit_record("AKIA", &telling, None);
        assert_eq!(
            (&began["state"], &began["actor"], &began["rate"]),
            (&json!("began"), &json!("AKIA"), &json!(7))
        );
        let told = Told { events: 3, ..Told::default() };
        let ended = audit_record("AKIA", &telling, Some(&told));
        assert_eq!((&ended["state"], &ended["events"]), (&json!("ended"), &json!(3)));
    }
}
