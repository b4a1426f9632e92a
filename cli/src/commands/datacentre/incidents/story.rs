//! The story of an incident: detect, decide, act, verify, close, with the time that each took.

use hostler_domain::health::name_of;
use hostler_domain::views::IncidentView;
use hostler_events::health::{RemediationOutcome, Tried};
use jiff::Timestamp;

use crate::render::time;

/// As it is printed.
pub(super) fn of(incident: &IncidentView) -> String {
    let IncidentView { host, incident: number, fault, status, pool, rack, .. } = incident;
    let mut lines = vec![format!("{host}, incident {number}: {fault}, {status}")];
    lines.push(format!("in pool {pool}, {rack}"));
    lines.push(String::new());
    lines.extend(times(incident));
    if let Some(reason) = &incident.reason {
        lines.push(format!("{:>10}  {reason}", if incident.closed_at.is_some() { "ended" } else { "why" }));
    }
    if let Some(held) = incident.held_back.as_ref().filter(|_| incident.closed_at.is_none()) {
        let (since, times) = (time::moment(held.since), held.times);
        lines.push(format!("{:>10}  {}; since {since}, {times} times", "held back", held.why));
    }
    if let Some(until) = incident.until {
        lines.push(format!("{:>10}  {}", "next look", time::moment(until)));
    }
    for signal in &incident.signals {
        lines.push(format!("{:>10}  {signal}", "signal"));
    }
    if !incident.tried.is_empty() {
        lines.push(String::new());
        lines.extend(incident.tried.iter().map(tried));
    }
    lines.join("\n")
}

/// Each moment, and how long after the one before it.
fn times(incident: &IncidentView) -> Vec<String> {
    let moments = [
        ("detected", Some(incident.detected_at)),
        ("confirmed", incident.confirmed_at),
        ("decided", incident.decided_at),
        ("acted", incident.acted_at),
        ("verified", incident.verified_at),
        ("closed", incident.closed_at),
    ];
    let mut before: Option<Timestamp> = None;
    let mut lines = Vec::new();
    for (name, at) in moments {
        let Some(at) = at else { continue };
        let after = before.map(|before| format!("  + {}", time::span(time::between(before, at))));
        lines.push(format!("{name:>10}  {}{}", time::moment(at), after.unwrap_or_default()));
        before = Some(at);
    }
    lines
}

fn tried(tried: &Tried) -> String {
    let what = match tried.rung {
        Some(rung) => format!("{} {}", name_of(rung), tried.attempt),
        None => "look".to_owned(),
    };
    let saga = tried.saga.to_string().replacen('#', "/", 1);
    let (outcome, took) = match (tried.outcome, tried.ended_at) {
        (Some(outcome), Some(ended)) => {
            (said(outcome), format!(" after {}", time::span(time::between(tried.started_at, ended))))
        }
        _ => ("goes on", String::new()),
    };
    let why = tried.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{:>10}  {what} ({saga}) {outcome}{took}{why}", "tried")
}

fn said(outcome: RemediationOutcome) -> &'static str {
    match outcome {
        RemediationOutcome::Healed => "healed",
        RemediationOutcome::Needless => "was not needed",
        RemediationOutcome::Replaced => "replaced the host",
        RemediationOutcome::Redirected => "took it out of traffic",
        RemediationOutcome::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn each_moment_has_the_time_since_the_one_before() {
        let incident: IncidentView = serde_json::from_value(json!({
            "host": "h-1", "incident": 1, "pool": "web", "rack": "rack-1", "fault": "unreachable", "status": "closed",
            "detectedAt": "2026-02-03T09:00:00Z", "confirmedAt": "2026-02-03T09:05:00Z",
            "decidedAt": "2026-02-03T09:05:01Z", "actedAt": "2026-02-03T09:05:02.2Z",
            "verifiedAt": "2026-02-03T09:06:30Z", "closedAt": "2026-02-03T09:06:31Z", "reason": "monitoring sees it healthy",
            "tried": [{ "rung": "power-cycle", "attempt": 1, "saga": "recovery#h-1.1", "startedAt": "2026-02-03T09:05:02.2Z",
                "endedAt": "2026-02-03T09:06:31Z", "outcome": "healed" }],
        }))
        .unwrap();
        let told = of(&incident);
        for line in [
            "h-1, incident 1: unreachable, closed",
            "detected  2026-02-03 09:00:00 UTC",
            "confirmed  2026-02-03 09:05:00 UTC  + 5 min 0 s",
            "acted  2026-02-03 09:05:02 UTC  + 1.20 s",
            "ended  monitoring sees it healthy",
            "tried  power-cycle 1 (recovery/h-1.1) healed after 88.8 s",
        ] {
            assert!(told.contains(line), "{line}\n{told}");
        }
    }
}
