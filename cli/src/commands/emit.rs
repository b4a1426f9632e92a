//! `emit`: checks an event or a command from a file against its schema, and sends it.

use std::io::Read;
use std::path::PathBuf;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use clap::Args;
use hostler_events::schemas::schema_text;
use hostler_events::{Contract, Kind};
use hostler_runtime::register::COMMANDS_QUEUE;
use serde_json::{Value, json};

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

const EXAMPLES: &str = "\
The file holds one of
  an event's envelope        {\"eventId\": …, \"eventType\": \"host.cleaned\", …, \"data\": {…}}; goes to the bus
  a command's envelope       {\"commandId\": …, \"commandType\": \"clean-host\", …, \"data\": {…}}; goes to its queue
  an operator's command      {\"type\": \"label-host\", \"data\": {…}}; goes to the API

Examples:
  hostler emit events/samples/host.cleaned.v1.json --dry-run
  echo '{\"type\": \"requalify-host\", \"data\": {\"host\": \"h-03\"}}' | hostler emit -";
/// What fits one event or message.
const BYTES_MAX: u64 = 250_000;

/// What `emit` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EmitArgs {
    /// The file; - reads standard input
    file: PathBuf,
    /// Only check, send nothing
    #[arg(long)]
    dry_run: bool,
}

/// What a file holds, once it is known to be whole.
#[derive(Debug, PartialEq)]
enum Parcel {
    Event { name: String, envelope: Value },
    Command { name: String, queue: &'static str, envelope: Value },
    Operator { name: String, data: Value },
}

/// Checks and sends.
pub(crate) async fn run(args: EmitArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let text = read(&args.file)?;
    let parcel = match open(&text) {
        Ok(parcel) => parcel,
        Err(wrong) => {
            if out.json {
                out.document(&json!({ "violations": wrong }))?;
            }
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
            let accepted = target.api.command(&name, &data).await?;
            if out.json {
                return out.document(&accepted);
            }
            out.line(format!("{name} was taken: {} is at version {}", accepted.stream, accepted.version))
        }
    }
}

fn tell(out: Out, name: &str, to: &str, done: &str, id: Value) -> Result<(), CliError> {
    if out.json {
        return out.document(&json!({ "type": name, "to": to, "id": id }));
    }
    out.line(format!("{name} {done} {to}"))
}

fn read(file: &PathBuf) -> Result<String, CliError> {
    let failed = || CliError::file("read", file);
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(BYTES_MAX + 1).read_to_string(&mut text).map_err(failed())?;
    } else {
        let file = std::fs::File::open(file).map_err(failed())?;
        file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(failed())?;
    }
    if text.len() as u64 > BYTES_MAX {
        return Err(CliError::Usage(format!(
            "{} is larger than the {BYTES_MAX} bytes that fit one message: send a reference instead of the bulk",
            file.display()
        )));
    }
    Ok(text)
}

/// Tells what a text holds, or everything that is wrong with it.
fn open(text: &str) -> Result<Parcel, Vec<String>> {
    let mut value: Value =
        serde_json::from_str(text).map_err(|error| vec![format!("it is not JSON: {error}")])?;
    // As EventBridge delivers it; the envelope is inside.
    if value.get("detail-type").is_some()
        && let Some(detail) = value.get_mut("detail")
    {
        value = detail.take();
    }
    let field = |name: &str| value[name].as_str().map(str::to_owned);
    if let Some(name) = field("eventType") {
        check(&name, Kind::Event, &value, Some("envelope"))?;
        return Ok(Parcel::Event { name, envelope: value });
    }
    if let Some(name) = field("commandType") {
        let queue = check(&name, Kind::Command, &value, Some("command"))?;
        let queue = queue.ok_or_else(|| vec![format!("{name} has no queue")])?;
        return Ok(Parcel::Command { name, queue, envelope: value });
    }
    let Some(name) = field("type") else {
        return Err(vec![
            "it has none of eventType, commandType and type, so it is no event and no command".to_owned(),
        ]);
    };
    let of_operators = |contract: &Contract| contract.queue == Some(COMMANDS_QUEUE);
    if !hostler_events::find(&name).as_ref().is_some_and(of_operators) {
        let known = hostler_events::catalogue().into_iter().filter(of_operators);
        let known = known.map(|contract| contract.name).collect::<Vec<_>>().join(", ");
        return Err(vec![format!(
            "/type: {name:?} is no operator's command ({known}); other commands and events need their whole envelope"
        )]);
    }
    check(&name, Kind::Command, &value, None)?;
    Ok(Parcel::Operator { name, data: value["data"].take() })
}

/// Checks an envelope and its payload; gives a command's queue.
fn check(
    name: &str,
    kind: Kind,
    value: &Value,
    envelope: Option<&str>,
) -> Result<Option<&'static str>, Vec<String>> {
    let Some(contract) = hostler_events::find(name).filter(|contract| contract.kind == kind) else {
        let known: Vec<&str> = hostler_events::catalogue()
            .into_iter()
            .filter(|contract| contract.kind == kind)
            .map(|contract| contract.name)
            .collect();
        return Err(vec![format!("{name:?} is not known; known are {}", known.join(", "))]);
    };
    let version = match value.get("schemaVersion") {
        None => contract.version,
        Some(version) => version.as_u64().and_then(|version| u32::try_from(version).ok()).unwrap_or_default(),
    };
    let mut wrong = Vec::new();
    if let Some(envelope) = envelope {
        wrong.extend(violations(schema_text(envelope, 1), value, ""));
    }
    match schema_text(name, version) {
        Some(schema) => wrong.extend(violations(Some(schema), &value["data"], "/data")),
        None => wrong.push(format!("/schemaVersion: {name} has versions 1 to {}", contract.version)),
    }
    // What a schema cannot say, its type can.
    if wrong.is_empty()
        && let Err(error) = (contract.check)(&value["data"].clone().into())
    {
        wrong.push(format!("/data: {error}"));
    }
    if wrong.is_empty() { Ok(contract.queue) } else { Err(wrong) }
}

fn violations(schema: Option<&str>, value: &Value, at: &str) -> Vec<String> {
    let schema: Option<Value> = schema.and_then(|text| serde_json::from_str(text).ok());
    let validator = schema.and_then(|schema| jsonschema::validator_for(&schema).ok());
    let Some(validator) = validator else {
        return vec![format!("{at}: its schema is missing from this program: build it anew")];
    };
    let line = |path: String, error: String| {
        let place = format!("{at}{path}");
        format!("{}: {error}", if place.is_empty() { "/" } else { &place })
    };
    validator
        .iter_errors(value)
        .map(|error| line(error.instance_path().to_string(), error.to_string()))
        .collect()
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
            "{name} was not taken by the bus: {}",
            entry.and_then(|entry| entry.error_message()).unwrap_or("no reason was given")
        ))),
    }
}

async fn send_message(target: &Target, queue: &str, envelope: &Value) -> Result<String, CliError> {
    let queues = target.queues()?;
    let url = queues.get(queue).ok_or_else(|| {
        CliError::Usage(format!("the stack has no queue {queue}: deploy template.yaml anew"))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
    use hostler_events::samples::{all, event_bridge_sample, sample_text};

    use super::*;

    #[test]
    fn every_sample_is_taken() {
        for (name, _, text) in all() {
            match open(text).unwrap() {
                Parcel::Event { name: found, .. } | Parcel::Command { name: found, .. } => {
                    assert_eq!(found, name)
                }
                Parcel::Operator { .. } => panic!("{name} is a whole envelope"),
            }
        }
        assert!(matches!(open(event_bridge_sample()), Ok(Parcel::Event { .. })));
    }

    #[test]
    fn an_operators_command_is_short() {
        let text = r#"{"type": "label-host", "data": {"host": "h-01", "set": {"a": "b"}}}"#;
        let data = json!({"host": "h-01", "set": {"a": "b"}});
        assert_eq!(open(text).unwrap(), Parcel::Operator { name: "label-host".to_owned(), data });
        let step = open(r#"{"type": "clean-host", "data": {}}"#).unwrap_err();
        assert!(step[0].contains("whole envelope"), "{step:?}");
    }

    #[test]
    fn everything_wrong_is_told_with_its_place() {
        let mut value: Value = serde_json::from_str(sample_text("request-hosts", 1).unwrap()).unwrap();
        value["data"]["count"] = json!(0);
        value["data"]["pool"] = json!("no pool");
        value["data"]["more"] = json!(1);
        value["timestamp"] = Value::Null;
        let wrong = open(&value.to_string()).unwrap_err();
        for place in ["/timestamp", "/data/count", "/data/pool", "more"] {
            assert!(wrong.iter().any(|line| line.contains(place)), "{place}: {wrong:?}");
        }
        let newer = open(&{
            let mut value: Value = serde_json::from_str(sample_text("host.cleaned", 1).unwrap()).unwrap();
            value["schemaVersion"] = json!(9);
            value.to_string()
        });
        assert!(newer.unwrap_err()[0].starts_with("/schemaVersion"));
    }

    #[test]
    fn what_is_nothing_is_said_so() {
        assert!(open("{").unwrap_err()[0].contains("not JSON"));
        assert!(open("{}").unwrap_err()[0].contains("none of eventType"));
        assert!(open(r#"{"eventType": "host.sang"}"#).unwrap_err()[0].contains("not known"));
    }
}
