//! Rules of policies.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use serde_json::json;

use super::*;
use crate::testing::{Run, id};

fn apply(policy: Value) -> ApplyPolicies {
    let policy = serde_json::from_value(policy).unwrap();
    ApplyPolicies { policies: id("site"), policy, reason: "a test".to_owned(), from_version: None }
}

fn rungs() -> Value {
    json!({ "restart": { "autonomy": "auto", "rungs": [{ "rung": "power-cycle" }] } })
}

#[test]
fn a_change_is_an_event_with_what_was_and_what_is() {
    let mut run =
        Run::<PolicyDecider>::given([apply(json!({ "budget": { "rack": 2 }, "runbooks": rungs() }))]);
    assert_eq!(run.state.policy_version, 1);
    assert_eq!(run.names(&apply(json!({ "budget": { "rack": 3 } }))), ["policies.applied"]);
    let shown: Vec<_> = run.state.changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(shown, ["budget.rack", "runbooks.restart"]);
    assert_eq!(
        (&run.state.changes[0].before, &run.state.changes[0].after),
        (&Some(json!(2)), &Some(json!(3)))
    );
    assert_eq!((run.state.changes[1].after.as_ref(), run.state.policy_version), (None, 2));
}

#[test]
fn the_same_policies_again_change_nothing() {
    let first = apply(json!({ "budget": { "rack": 3 } }));
    let mut run = Run::<PolicyDecider>::given([first.clone()]);
    assert!(run.ignores(&first));
    // So does a repeat that names the version that it was made from.
    assert!(run.ignores(&ApplyPolicies { from_version: Some(0), ..first }));
}

#[test]
fn the_first_policies_are_recorded_even_when_they_are_the_defaults() {
    let mut run = Run::<PolicyDecider>::new();
    assert_eq!(run.names(&apply(json!({}))), ["policies.applied"]);
}

#[test]
fn policies_that_cannot_be_followed_are_refused_with_every_place() {
    let mut run = Run::<PolicyDecider>::new();
    let faults = json!({ "unreachable": { "tolerationSeconds": 60, "runbook": "restart" } });
    let refusal = run.when(&apply(json!({ "faults": faults, "budget": { "brakePercent": 0 } }))).unwrap_err();
    assert_eq!(refusal.label(), "invalid-policies");
    let said = refusal.to_string();
    assert!(said.contains("faults.unreachable.runbook: there is no runbook restart"), "{said}");
    assert!(said.contains("budget.brakePercent: it is 0: give 1 to 100"), "{said}");
}

#[test]
fn nobody_overwrites_a_change_that_they_do_not_know() {
    let mut run = Run::<PolicyDecider>::given([apply(json!({})), apply(json!({ "budget": { "rack": 3 } }))]);
    let mut late = apply(json!({ "budget": { "rack": 4 } }));
    late.from_version = Some(1);
    assert_eq!(run.when(&late).unwrap_err(), PolicyRefusal::Changed { version: 2, from_version: 1 });
    late.from_version = Some(2);
    assert_eq!(run.names(&late), ["policies.applied"]);
}

#[test]
fn a_change_needs_a_reason() {
    let mut run = Run::<PolicyDecider>::new();
    let silent = ApplyPolicies { reason: " ".to_owned(), ..apply(json!({})) };
    assert_eq!(run.when(&silent).unwrap_err(), PolicyRefusal::NoReason);
}
