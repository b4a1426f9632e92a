//! Rules of a site's policies.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
use super::*;

#[test]
fn what_cannot_be_is_named_with_its_place_and_all_of_it() {
    assert_eq!(SitePolicy::default().check(), Ok(()));
    let policy: SitePolicy = serde_json::from_value(serde_json::json!({
        "faults": { "unreachable": { "tolerationSeconds": 300, "runbook": "reboot" } },
        "runbooks": { "restart": { "rungs": [{ "rung": "power-cycle", "attempts": 99 }] }, "idle": { "rungs": [] } },
        "budget": { "poolPercent": 101 },
        "recovery": { "verifySeconds": 0 },
    }))
    .unwrap();
    let problems: Vec<String> = policy.check().unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "faults.unreachable.runbook: there is no runbook reboot: name one of runbooks (idle, restart), or add it there",
            "runbooks.idle.rungs: it has no rung: give at least one",
            "runbooks.restart.rungs.0.attempts: it is 99: give 1 to 10",
            "budget.poolPercent: it is 101: give 0 to 100",
            "recovery.verifySeconds: it is 0: give 5 to 3600",
        ]
    );
}

/// Without a site's file nothing is done to a host.
#[test]
fn a_runbook_observes_unless_it_says_otherwise() {
    let runbook: Runbook =
        serde_json::from_value(serde_json::json!({ "rungs": [{ "rung": "reimage" }] })).unwrap();
    assert_eq!(runbook.autonomy, Autonomy::Observe);
    assert_eq!((runbook.rungs[0].attempts, runbook.rungs[0].delay_seconds), (3, 60));
    assert!(SitePolicy::default().faults.is_empty());
}
