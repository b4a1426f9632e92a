//! `schemas/` is what the types say.

use std::collections::BTreeMap;

use hostler_core::{CommandEnvelope, Envelope, TimerFired};
use hostler_events::{Contract, Kind, catalogue, schemas};
use schemars::{Schema, schema_for};
use serde_json::Value;

use crate::folder;

const ADVICE: &str = "A contract that is released is never changed in place: give the type a new version and upcast the old one. \
     One that nobody uses yet may change.";

#[test]
fn every_schema_file_is_what_its_type_says() {
    let mut made: BTreeMap<String, Value> = catalogue()
        .into_iter()
        .map(|contract| (format!("{}.v{}.json", contract.name, contract.version), payload_schema(&contract)))
        .collect();
    for (name, schema) in [
        ("envelope", schema_for!(Envelope)),
        ("command", schema_for!(CommandEnvelope)),
        ("timer", schema_for!(TimerFired)),
    ] {
        made.insert(format!("{name}.v1.json"), identified(schema, name, 1).to_value());
    }
    folder::compare_or_bless("schemas", &made, ADVICE);
}

fn payload_schema(contract: &Contract) -> Value {
    let mut schema = identified((contract.schema)(), contract.name, contract.version);
    let kind = match contract.kind {
        Kind::Event => "event",
        Kind::Command => "command",
    };
    schema.insert("x-kind".to_owned(), kind.into());
    if let Some(queue) = contract.queue {
        schema.insert("x-queue".to_owned(), queue.into());
    }
    schema.to_value()
}

fn identified(mut schema: Schema, name: &str, version: u32) -> Schema {
    schema.insert("$id".to_owned(), format!("https://hostler.dev/schemas/{name}.v{version}.json").into());
    schema.insert("title".to_owned(), format!("{name} v{version}").into());
    schema
}

#[test]
fn every_version_of_every_contract_has_its_files_and_its_line() {
    let mut expected: Vec<(&str, u32)> = catalogue()
        .iter()
        .flat_map(|contract| (1..=contract.version).map(|version| (contract.name, version)))
        .collect();
    expected.sort_unstable();
    let listed: Vec<(&str, u32)> =
        hostler_events::samples::all().map(|(name, version, _)| (name, version)).collect();
    let lines = expected.iter().map(|(name, version)| format!("    {name:?} v {version},"));
    if folder::list_or_bless("src/files.rs", "contract_files!", lines) {
        return;
    }
    assert_eq!(listed, expected, "the list changed since this test was compiled: run it again");

    let files = |names: &[(&str, u32)]| names.iter().map(|(name, v)| format!("{name}.v{v}.json")).collect();
    assert_eq!(
        folder::names("samples"),
        files(&expected),
        "events/samples has files of no contract, or lacks some"
    );
    expected.extend([("envelope", 1), ("command", 1), ("timer", 1)]);
    assert_eq!(
        folder::names("schemas"),
        files(&expected),
        "events/schemas has files of no contract, or lacks some"
    );
}

#[test]
fn every_schema_is_a_schema_and_every_field_says_what_it_means() {
    for (name, version, text) in schemas::all() {
        let schema: Value = serde_json::from_str(text).unwrap();
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name} v{version}: {error}"));
        assert!(schema["description"].is_string(), "{name} v{version} has no description: document the type");
        for (field, about) in schema["properties"].as_object().into_iter().flatten() {
            // A documented field that refers to another type keeps its own words beside the reference.
            assert!(about["description"].is_string(), "{name} v{version}: {field} is not documented");
        }
    }
}

#[test]
fn schemas_are_found_by_name_and_version() {
    assert!(schemas::schema_text("host.reserved", 1).unwrap().contains("host.reserved v1"));
    assert!(schemas::schema_text("envelope", 1).is_some());
    assert!(schemas::schema_text("host.reserved", 2).is_none());
    assert!(schemas::schema_text("nonsense", 1).is_none());
}
