//! References: every name that the template uses is one that it has, and every parameter is used.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::repository::Findings;
use crate::stack::{FILE, template};

const PSEUDO: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// A name that is used, and where.
struct Used {
    place: String,
    name: String,
    condition: bool,
}

fn walk(value: &Value, place: &str, used: &mut Vec<Used>) {
    let mut note = |name: &str, condition: bool| {
        used.push(Used { place: place.to_owned(), name: name.to_owned(), condition });
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("Ref", Value::String(name)) => note(name, false),
                    ("Condition", Value::String(name)) => note(name, true),
                    ("Fn::GetAtt", Value::Array(pair)) => note(pair[0].as_str().unwrap_or_default(), false),
                    ("Fn::GetAtt", Value::String(text)) => {
                        note(text.split('.').next().unwrap_or_default(), false)
                    }
                    ("Fn::FindInMap", Value::Array(items)) => {
                        note(items[0].as_str().unwrap_or_default(), false);
                    }
                    ("Fn::If", Value::Array(items)) => note(items[0].as_str().unwrap_or_default(), true),
                    ("DependsOn", names) => {
                        crate::stack::list(names)
                            .iter()
                            .filter_map(|name| name.as_str())
                            .for_each(|name| note(name, false));
                    }
                    ("Fn::Sub", sub) => {
                        let local = sub[1].as_object();
                        let text = sub.as_str().or_else(|| sub[0].as_str()).unwrap_or_default();
                        for name in names_in(text) {
                            if !local.is_some_and(|local| local.contains_key(name)) {
                                note(name.split('.').next().unwrap_or_default(), false);
                            }
                        }
                    }
                    _ => {}
                }
            }
            for (key, value) in fields {
                walk(value, &format!("{place}.{key}"), used);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{place}[{index}]"), used);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The names in `a-${Name}-${Other.Arn}`; `${!Literal}` is none.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| rest.split('}').next()).filter(|name| !name.starts_with('!'))
}

fn keys(section: &str) -> BTreeSet<&'static str> {
    template().body[section].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

fn used() -> Vec<Used> {
    let mut used = Vec::new();
    for section in ["Conditions", "Globals", "Resources", "Outputs"] {
        walk(&template().body[section], section, &mut used);
    }
    used
}

#[test]
fn nothing_refers_to_what_is_not_there() {
    let mut findings = Findings::of(
        "every !Ref, !GetAtt, !Sub, !If, !FindInMap and DependsOn names a resource, an alias, a parameter, a condition or a table of the template",
    );
    let mappings = crate::stack::mappings();
    let aliases: BTreeSet<String> =
        crate::stack::functions().iter().map(|function| format!("{}.Alias", function.id)).collect();
    let (resources, parameters, conditions) = (keys("Resources"), keys("Parameters"), keys("Conditions"));
    let tables = keys("Mappings");
    for Used { place, name, condition } in used() {
        let known = if condition {
            conditions.contains(name.as_str())
        } else {
            [&resources, &parameters, &tables].iter().any(|of| of.contains(name.as_str()))
                || PSEUDO.contains(&name.as_str())
                || [&mappings, &aliases].iter().any(|of| of.contains(&name))
        };
        // The `Condition` of a policy statement is an object, and never comes here.
        findings.unless(known, format!("{FILE} {place}"), format!("{name} is not there"));
    }
    findings.none();
}

#[test]
fn every_parameter_and_condition_is_used() {
    let mut findings =
        Findings::of("every parameter and condition is used, and every parameter says what it is");
    let used = used();
    for name in keys("Parameters").into_iter().chain(keys("Conditions")) {
        findings.unless(used.iter().any(|of| of.name == name), FILE, format!("{name} is not used"));
    }
    for name in keys("Parameters") {
        let described = template().body["Parameters"][name]["Description"].is_string();
        findings.unless(described, FILE, format!("{name} has no Description"));
    }
    findings.none();
}

#[test]
fn secrets_are_not_shown() {
    let mut findings =
        Findings::of("a parameter that is a secret has NoEcho, and no default but the empty one");
    for name in keys("Parameters")
        .into_iter()
        .filter(|name| ["Key", "Password", "Secret", "Token"].iter().any(|word| name.ends_with(word)))
    {
        let parameter = &template().body["Parameters"][name];
        findings.unless(parameter["NoEcho"] == true, FILE, format!("{name} is shown"));
        findings.unless(
            parameter["Default"].as_str().is_none_or(str::is_empty),
            FILE,
            format!("{name} has a default that everybody knows"),
        );
    }
    findings.none();
}
