//! `events replay` and `events republish`: what happened, sent again to one consumer's read models or, after an outage, to
//! everybody.

use std::sync::Arc;
use std::time::Duration;

use hostler_aws::{DynamoEventLog, EventBridgeBus, SqsQueues, SystemClock};
use hostler_runtime::messages::relay::Relay;
use hostler_runtime::operations::replay::{Replayer, Selection, Told};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use uuid::Uuid;

use super::args::{How, ReplayArgs, RepublishArgs};
use crate::audit;
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::target::Target;

/// Puts events on one consumer's queue again.
pub(super) async fn replay(args: ReplayArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let ReplayArgs { to, stream, event_type, since, how } = args;
    let queues = target.queues()?;
    require("queue", &to, queues.keys().map(String::as_str).filter(|name| !name.ends_with("-dlq")))?;
    let selection = Selection { stream, event_type, since, until: how.until };
    tell(target, Telling { action: "replay", to: Some(to), selection, how }, out).await
}

/// Publishes again what was committed.
pub(super) async fn republish(args: RepublishArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let RepublishArgs { since, how } = args;
    let selection = Selection { since: Some(since), until: how.until, ..Selection::default() };
    tell(target, Telling { action: "republish", to: None, selection, how }, out).await
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
        bar.set_message(format!("{} commits read, {} events sent", told.read, told.events));
    };
    let told = match to {
        _ if how.dry_run => replayer.count(selection, show).await,
        Some(to) => replayer.replay(selection, &queues, to, show).await,
        None => {
            let bus = aws_sdk_eventbridge::Client::new(&target.config);
            let bus = EventBridgeBus::new(bus, target.output("EventBus")?);
            let register = target.api.register().await?;
            let failures = register.relay_failures.clone();
            let relay = Relay::new(Arc::new(bus), Arc::new(queues), Arc::new(SystemClock), failures);
            let relay = match &register.views_queue {
                Some(queue) => {
                    relay.notifying(queue, register.views.iter().map(|view| view.category.as_str()))
                }
                None => relay,
            };
            let relay = relay.signed_by(target.integrity.clone());
            replayer.republish(selection, &relay, show).await
        }
    };
    bar.finish_and_clear();
    let told = told.map_err(CliError::failed(format!("the {action} did not reach its end")))?;
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
            "parked": told.parked, "failed": told.failed,
        }))?;
    } else {
        let would = if how.dry_run { "Would send" } else { "Sent" };
        let whom = to.as_deref().map_or_else(|| "everybody".to_owned(), |to| format!("the queue {to}"));
        out.line(format!(
            "{would} {} events, {commands} commands and {timers} timers of {} commits ({} read) to {whom}.",
            told.events, told.commits, told.read
        ))?;
        if told.parked > 0 {
            out.line(format!("{} of them were not taken now; triage sends them on.", told.parked))?;
        }
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
