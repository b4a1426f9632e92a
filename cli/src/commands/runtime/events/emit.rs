//! `events emit`: checks an event or a command from a file against its schema, and sends it.

use std::path::PathBuf;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use clap::Args;
use serde_json::{Value, json};

use super::contracts::{Parcel, open};
use crate::api::Said;
use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};
use crate::values::text_of;

const EXAMPLES: &str = "\
The file holds one of
  an event's envelope        {\"eventId\": …, \"eventType\": \"host.cleaned\", …, \"data\": {…}}; goes to the bus
  a command's envelope       {\"commandId\": …, \"commandType\": \"clean-host\", …, \"data\": {…}}; goes to its queue
  an operator's command      {\"type\": \"label-host\", \"data\": {…}}; goes to the API

Examples:
  hostler events emit events/samples/host.cleaned.v1.json --dry-run
  echo '{\"type\": \"requalify-host\", \"data\": {\"host\": \"h-03\"}}' | hostler events emit -";
/// What `events emit` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EmitArgs {
    /// The file; - reads standard input
    file: PathBuf,
    /// Only check, send nothing
    #[arg(long)]
    dry_run: bool,
}

/// Checks and sends.
pub(crate) async fn run(args: EmitArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let text = text_of(&args.file)?;
    let parcel = match open(&text) {
        Ok(parcel) => parcel,
        Err(wrong) => {
            let list = wrong.iter().map(|line| format!("\n  {line}")).collect::<String>();
            let message = format!("{} was not sent:{list}", args.file.display());
            return Err(CliError::Usage(message));
        }
    };
    if args.dry_run {
        let (name, to) = match &parcel {
            Parcel::Event { name, .. } => (name, "the event bus".to_owned()),
            Parcel::Command { name, queue, .. } => (name, format!("the queue {queue}")),
            Parcel::Operator { name, .. } => (name, "the API".to_owned()),
        };
        return tell(out, name, &to, "fits its schema and would go to", Value::Null);
    }
    let target = Target::open(global).await?;
    match parcel {
        Parcel::Event { name, envelope } => {
            let id = put_event(&target, &name, &envelope).await?;
            tell(out, &name, "the event bus", "was put on", json!(id))
        }
        Parcel::Command { name, queue, envelope } => {
            let id = send_message(&target, queue, &envelope).await?;
            tell(out, &name, &format!("the queue {queue}"), "was sent to", json!(id))
        }
        Parcel::Operator { name, data } => {
            let accepted = target.api.command(Said("events emit"), &name, &data).await?;
            if out.json {
                return out.document(&accepted);
            }
            out.line(format!("{name} was accepted: {} is at version {}", accepted.stream, accepted.version))
        }
    }
}

fn tell(out: Out, name: &str, to: &str, done: &str, id: Value) -> Result<(), CliError> {
    if out.json {
        return out.document(&json!({ "type": name, "to": to, "id": id }));
    }
    out.line(format!("{name} {done} {to}"))
}

async fn put_event(target: &Target, name: &str, envelope: &Value) -> Result<String, CliError> {
    let entry = PutEventsRequestEntry::builder()
        .event_bus_name(target.output("EventBus")?)
        .source(envelope["source"].as_str().unwrap_or(hostler_events::SOURCE))
        .detail_type(name)
        .detail(target.integrity.signed_body(envelope.to_string()))
        .build();
    let answer =
        aws_sdk_eventbridge::Client::new(&target.config).put_events().entries(entry).send().await.map_err(
            CliError::aws(format!("{name} was not put on the bus; check the credentials' events:PutEvents")),
        )?;
    let entry = answer.entries().first();
    match entry.and_then(|entry| entry.event_id()) {
        Some(id) => Ok(id.to_owned()),
        None => Err(CliError::Outcome(format!(
            "{name} was not accepted by the bus: {}",
            entry.and_then(|entry| entry.error_message()).unwrap_or("no reason was given")
        ))),
    }
}

async fn send_message(target: &Target, queue: &str, envelope: &Value) -> Result<String, CliError> {
    let queues = target.queues()?;
    let url = queues.get(queue).ok_or_else(|| {
        CliError::Usage(format!("the stack has no queue {queue}: deploy template.yaml again"))
    })?;
    let sent = aws_sdk_sqs::Client::new(&target.config)
        .send_message()
        .queue_url(url)
        .message_body(target.integrity.signed_body(envelope.to_string()))
        .send()
        .await
        .map_err(CliError::aws(format!(
            "nothing was sent to {queue}; check the credentials' sqs:SendMessage"
        )))?;
    Ok(sent.message_id().unwrap_or_default().to_owned())
}
