//! Whether a text is an event or a command of the application, by the schemas that this program was built with.

use hostler_events::schemas::schema_text;
use hostler_events::{Contract, Kind};
use hostler_runtime::register::COMMANDS_QUEUE;
use serde_json::Value;

use crate::near::hint;

/// What a file holds, once it is known to be whole.
#[derive(Debug, PartialEq)]
pub(super) enum Parcel {
    Event { name: String, envelope: Value },
    Command { name: String, queue: &'static str, envelope: Value },
    Operator { name: String, data: Value },
}

/// Tells what a text holds, or everything that is wrong with it.
pub(super) fn open(text: &str) -> Result<Parcel, Vec<String>> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| {
        vec![format!("it is not JSON: look at line {}, column {}", error.line(), error.column())]
    })?;
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
        let hint = hint(&name, known.map(|contract| contract.name));
        return Err(vec![format!(
            "/type: {name:?} is no operator's command{hint}; other commands and events need their whole envelope"
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
        return Err(vec![format!("{name:?} is not known{}", hint(name, known))]);
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
        return vec![format!("{at}: its schema is missing from this program: build it again")];
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
    use hostler_events::samples::{all, event_bridge_sample, sample_text};
    use serde_json::json;

    use super::*;

    #[test]
    fn every_sample_is_accepted() {
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
