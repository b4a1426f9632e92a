//! What does not fit a contract is refused, and the error says what, where and what to do.

use hostler_core::failure::error_chain;
use hostler_core::{Category, Failure, Incoming, Payload};
use hostler_events::{CapacityEvent, DeployCommand, HostEvent, OperatorCommand};
use serde_json::{Value, json};

use crate::inputs::sample;
use crate::samples::validator;

fn refused<P: Payload + std::fmt::Debug>(name: &str, version: u32, data: Value) -> String {
    let error = P::from_data(name, version, &data.into()).unwrap_err();
    let text = error_chain(&error);
    let failure = Failure::from(error);
    assert!(matches!(failure, Failure::Terminal { category: Category::Validation, .. }), "{failure}");
    text
}

/// The sample's payload with one change.
fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut data = sample(name)["data"].take();
    change(&mut data);
    data
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[test]
fn an_unknown_type_is_refused_with_the_known_ones() {
    let text = refused::<OperatorCommand>("reboot-everything", 1, json!({}));
    assert_says(&text, &["reboot-everything", "enrol-host", "request-hosts"]);
    // A type of another set is unknown, too.
    refused::<DeployCommand>("enrol-host", 1, sample("enrol-host")["data"].take());
}

#[test]
fn a_newer_version_is_refused_with_what_to_do() {
    let data = sample("host.reserved")["data"].take();
    let text = refused::<HostEvent>("host.reserved", 2, data.clone());
    assert_says(&text, &["host.reserved", "version 2", "versions 1 to 1", "deploy a newer reader"]);
    refused::<HostEvent>("host.reserved", 0, data);
}

#[test]
fn a_missing_field_is_named() {
    let data = changed("request-hosts", |data| drop(data.as_object_mut().unwrap().remove("pool")));
    assert!(!validator("request-hosts", 1).is_valid(&data));
    let text = refused::<OperatorCommand>("request-hosts", 1, data);
    assert_says(&text, &["request-hosts v1", "missing field `pool`"]);
}

#[test]
fn a_missing_field_deep_inside_is_named_with_its_path() {
    let data = changed("capacity.approval-requested", |data| {
        data["policy"]["deployImage"].as_object_mut().unwrap().remove("attempts");
    });
    let text = refused::<CapacityEvent>("capacity.approval-requested", 1, data);
    assert_says(&text, &["policy", "missing field `attempts`"]);
}

#[test]
fn a_field_of_the_wrong_kind_is_named() {
    let data = changed("request-hosts", |data| data["count"] = "three".into());
    let text = refused::<OperatorCommand>("request-hosts", 1, data);
    assert_says(&text, &["count", "\"three\"", "expected u32"]);
    let data = changed("report-boot", |data| data["outcome"] = "exploded".into());
    let text = refused::<OperatorCommand>("report-boot", 1, data);
    assert_says(&text, &["outcome", "exploded", "`succeeded` or `failed`"]);
}

#[test]
fn operators_learn_of_fields_that_do_not_exist() {
    for name in OperatorCommand::NAMES {
        let data = changed(name, |data| data["colour"] = "red".into());
        assert!(!validator(name, 1).is_valid(&data), "the schema of {name} takes any field");
        let text = refused::<OperatorCommand>(name, 1, data);
        assert_says(&text, &[name, "unknown field `colour`", "expected"]);
    }
}

#[test]
fn events_take_fields_that_newer_writers_add() {
    let data = changed("host.reserved", |data| data["addedLater"] = true.into());
    assert!(validator("host.reserved", 1).is_valid(&data));
    HostEvent::from_data("host.reserved", 1, &data.into()).unwrap();
}

#[test]
fn ids_that_keys_would_choke_on_are_refused() {
    let fields = ["host", "pool", "sku", "faultDomain"];
    let (long, just_right) = ("x".repeat(201), "x".repeat(200));
    for (value, why) in
        [("", "it is empty; give 1 to 200"), (&long, "longer than 200 bytes"), ("a b", "only letters")]
    {
        for field in fields {
            let data = changed("enrol-host", |data| data[field] = value.into());
            assert!(!validator("enrol-host", 1).is_valid(&data), "the schema takes {field} {value:?}");
            let text = refused::<OperatorCommand>("enrol-host", 1, data);
            assert_says(&text, &[field, why]);
        }
    }
    let data = changed("enrol-host", |data| data["host"] = just_right.into());
    OperatorCommand::from_data("enrol-host", 1, &data.into()).unwrap();
}

#[test]
fn numbers_out_of_range_do_not_fit_the_schema() {
    for count in [0, 251] {
        let data = changed("request-hosts", |data| data["count"] = count.into());
        assert!(!validator("request-hosts", 1).is_valid(&data), "{count}");
    }
    let data =
        changed("capacity.approval-requested", |data| data["policy"]["applyRole"]["attempts"] = 0.into());
    assert!(!validator("capacity.approval-requested", 1).is_valid(&data));
}

#[test]
fn a_body_that_is_no_envelope_says_what_it_lacks() {
    let decode = |body: &str| error_chain(&Incoming::decode(body).unwrap_err());
    assert_says(&decode("what?"), &["not JSON"]);
    assert_says(&decode("{}"), &["eventType", "commandType", "timerId", "send the whole envelope"]);
    let mut envelope = sample("host.reserved");
    envelope.as_object_mut().unwrap().remove("stream");
    assert_says(&decode(&envelope.to_string()), &["event envelope", "missing field `stream`"]);
    envelope["stream"] = "host#".into();
    assert_says(&decode(&envelope.to_string()), &["stream key", "empty"]);
}

#[test]
fn a_message_on_the_wrong_queue_is_told_so() {
    let event = Incoming::decode(&sample("host.reserved").to_string()).unwrap();
    let failure = event.command::<DeployCommand>().unwrap_err();
    assert_says(&failure.chain(), &["host.reserved", "a command is handled", "its own queue"]);
}
