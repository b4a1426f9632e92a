//! Tables: kept, keyed as the adapters say, and with the outbox's stream.

use std::collections::BTreeMap;

use hostler_aws::tables::{control, events, idempotency, views};
use serde_json::{Value, json};

use crate::repository::Findings;
use crate::stack::{FILE, properties, template};

fn tables() -> BTreeMap<&'static str, &'static Value> {
    template().resources("AWS::DynamoDB::Table").collect()
}

#[test]
fn tables_outlive_their_stack() {
    let mut findings = Findings::of(
        "every table has DeletionPolicy and UpdateReplacePolicy Retain; the event store is protected",
    );
    for (id, table) in tables() {
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            findings.unless(
                table[policy] == "Retain",
                FILE,
                format!("the {policy} of {id} is {}", table[policy]),
            );
        }
        findings.unless(
            table["Properties"]["TableName"].is_null(),
            FILE,
            format!("{id} has a fixed name, and could not be replaced"),
        );
    }
    let store = properties("EventsTable");
    findings.unless(
        store["DeletionProtectionEnabled"] == true,
        FILE,
        "EventsTable is not protected from deletion",
    );
    let recovery = &store["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
    findings.unless(*recovery == true, FILE, "EventsTable cannot be recovered to a point in time");
    findings.none();
}

/// A key schema as the template has it.
fn keys(hash: &str, range: Option<&str>) -> Value {
    let mut keys = vec![json!({ "AttributeName": hash, "KeyType": "HASH" })];
    keys.extend(range.map(|range| json!({ "AttributeName": range, "KeyType": "RANGE" })));
    keys.into()
}

#[test]
fn keys_are_those_of_the_adapters() {
    let mut findings =
        Findings::of("keys and indexes in the template are the constants of hostler_aws::tables");
    for (id, hash, range) in [
        ("EventsTable", events::STREAM, Some(events::VERSION)),
        ("ViewsTable", views::VIEW, Some(views::KEY)),
        ("ControlTable", control::KEY, None),
        ("IdempotencyTable", idempotency::ID, None),
    ] {
        let found = &properties(id)["KeySchema"];
        findings.unless(*found == keys(hash, range), FILE, format!("the keys of {id} are {found}"));
    }
    let indexes = properties("ViewsTable")["GlobalSecondaryIndexes"].as_array();
    let index =
        indexes.and_then(|indexes| indexes.iter().find(|index| index["IndexName"] == views::BY_GROUP));
    match index {
        None => findings.add(FILE, format!("ViewsTable has no index {}", views::BY_GROUP)),
        Some(index) => {
            let found = &index["KeySchema"];
            let fine = *found == keys(views::GROUP, Some(views::KEY));
            findings.unless(fine, FILE, format!("the keys of {} are {found}", views::BY_GROUP));
            findings.unless(
                index["Projection"]["ProjectionType"] == "ALL",
                FILE,
                "the index does not project everything",
            );
        }
    }
    findings.none();
}

#[test]
fn keys_have_the_types_of_the_adapters() {
    let mut findings = Findings::of(
        "a key is text, and the version of a stream is a number; no attribute is defined for nothing",
    );
    for (id, table) in tables() {
        let table = &table["Properties"];
        let mut used: Vec<&str> = Vec::new();
        for schema in
            [table].into_iter().chain(table["GlobalSecondaryIndexes"].as_array().into_iter().flatten())
        {
            let keys = schema["KeySchema"].as_array().into_iter().flatten();
            used.extend(keys.filter_map(|key| key["AttributeName"].as_str()));
        }
        let defined: BTreeMap<&str, &str> = table["AttributeDefinitions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|attribute| {
                Some((attribute["AttributeName"].as_str()?, attribute["AttributeType"].as_str()?))
            })
            .collect();
        for name in &used {
            let number = id == "EventsTable" && *name == events::VERSION;
            let expected = if number { "N" } else { "S" };
            let found = defined.get(name);
            findings.unless(found == Some(&expected), FILE, format!("{name} of {id} is of type {found:?}"));
        }
        for name in defined.keys() {
            findings.unless(used.contains(name), FILE, format!("{id} defines {name}, which is no key"));
        }
    }
    findings.none();
}

#[test]
fn the_store_is_the_outbox() {
    let mut findings = Findings::of(
        "EventsTable has a stream of new images, and exactly relay-outbox reads it, from the beginning",
    );
    let stream = &properties("EventsTable")["StreamSpecification"]["StreamViewType"];
    findings.unless(stream == "NEW_IMAGE", FILE, format!("StreamViewType is {stream}"));
    let mut readers = Vec::new();
    for function in crate::stack::functions() {
        for source in function.sources("DynamoDB") {
            readers.push(function.folder());
            let from_the_start = source["StartingPosition"] == "TRIM_HORIZON";
            findings.unless(from_the_start, FILE, format!("{} would miss what came before it", function.id));
            let failure = crate::stack::resource(&source["DestinationConfig"]["OnFailure"]["Destination"]).0;
            findings.unless(
                failure == "RelayOutboxDlq",
                FILE,
                format!("the OnFailure of {} is {failure}", function.id),
            );
        }
    }
    findings.unless(readers == ["relay-outbox"], FILE, format!("the stream is read by {readers:?}"));
    findings.none();
}
