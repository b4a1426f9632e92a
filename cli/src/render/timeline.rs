//! A timeline: what happened, commit by commit, with the time since the beginning.

use comfy_table::{Cell, Color, Table};

use crate::api::{CommitShown, Timeline};
use crate::render::describe::{self, Mark};
use crate::render::{table, time};

/// Draws a timeline. With `all`, also what each commit asked of others and the timers it set.
pub(crate) fn timeline(timeline: &Timeline, all: bool) -> String {
    let Some(first) = timeline.commits.first() else { return "nothing happened yet".to_owned() };
    let started = first.recorded_at;
    let mut drawn = table::plain(["AFTER", "V", "", "WHAT HAPPENED"]);
    for commit in &timeline.commits {
        let after = format!("+{}", time::span(time::between(started, commit.recorded_at)));
        let version = commit.version.to_string();
        let mut head = Some((after, version));
        let mut said: Vec<String> = Vec::new();
        for event in &commit.events {
            let mut line = describe::event(event, commit.recorded_at);
            if let Some(reason) = line.because.filter(|reason| !is_said(reason, &said)) {
                line.text.push_str(&format!("; because {reason}"));
            }
            row(&mut drawn, head.take(), line.mark, &line.text);
            said.push(line.text);
        }
        if all {
            for text in orders(commit) {
                row(&mut drawn, head.take(), Mark::Other, &text);
            }
        }
    }
    if let Some(column) = drawn.column_mut(0) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    table::text(&drawn)
}

/// Whether a reason, or what follows its first colon, was said.
fn is_said(reason: &str, said: &[String]) -> bool {
    let core = reason.split_once(": ").map_or(reason, |(_, core)| core);
    said.iter().any(|text| text.contains(core))
}

/// What a commit asks of others, who caused it, and when it wants to be woken.
fn orders(commit: &CommitShown) -> Vec<String> {
    let commands =
        commit.commands.iter().map(|order| format!("sent {} to {}", order.command_type, order.queue));
    let timers = commit.timers.iter().map(|timer| {
        let due = time::span(time::between(commit.recorded_at, timer.due_at));
        format!("timer {} in {due}", timer.name)
    });
    let cause = format!("caused by {} ({})", commit.causation_id, commit.actor);
    commands.chain(timers).chain([cause]).collect()
}

fn row(drawn: &mut Table, head: Option<(String, String)>, mark: Mark, text: &str) {
    let (after, version) = head.unwrap_or_default();
    let colour = match mark {
        Mark::Begun => Color::Blue,
        Mark::Done => Color::Green,
        Mark::Failed => Color::Red,
        Mark::Undone => Color::Magenta,
        Mark::Other => Color::DarkGrey,
    };
    drawn.add_row([
        Cell::new(after).fg(Color::DarkGrey),
        Cell::new(version).fg(Color::DarkGrey),
        Cell::new(mark.sign()).fg(colour),
        Cell::new(text),
    ]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::{Value, json};

    use super::*;

    fn commit(version: u64, seconds: &str, events: &[(&str, Value)]) -> Value {
        let events: Vec<Value> = events
            .iter()
            .map(|(name, data)| {
                json!({
                    "eventId": "01890a5d-ac96-774b-bcce-b302099a8057", "eventType": name, "schemaVersion": 1,
                    "data": data,
                })
            })
            .collect();
        json!({
            "version": version, "recordedAt": format!("2026-01-31T12:00:{seconds}Z"), "actor": "operator",
            "correlationId": "01890a5d-ac96-774b-bcce-b302099a8057", "causationId": "key:1", "events": events,
            "commands": [{
                "commandId": "01890a5d-ac96-774b-bcce-b302099a8057", "commandType": "apply-role",
                "schemaVersion": 1, "queue": "configure-host", "data": {},
            }],
            "timers": [],
        })
    }

    fn failing_saga() -> Timeline {
        let id = |step: &str| format!("lab.1/{step}/1");
        let began = json!({
            "step": "reserve-host", "direction": "forward", "id": id("reserve-host"), "attempt": 1,
            "deadlineAt": "2026-01-31T12:01:00Z",
        });
        let failed = json!({
            "step": "apply-role", "direction": "forward", "id": id("apply-role"), "attempt": 1,
            "category": "business", "reason": "the label asks for it", "uncertain": false,
        });
        let reason = "apply-role failed: the label asks for it";
        let started = json!({
            "saga": "provisioning#lab.1", "version": 1,
            "order": { "request": "lab", "pool": "lab", "role": "web", "image": "debian-12", "policy": {} },
        });
        let host = |step: &str, output: Value| json!({ "step": step, "id": id(step), "output": output });
        let reserved = host("reserve-host", json!({ "host": "h-25" }));
        let mut returned = host("undeploy-host", json!({ "host": "h-25", "quarantined": false }));
        returned["undoes"] = json!(["deploy-image", "apply-role"]);
        let commits = [
            commit(1, "00", &[("saga.started", started), ("saga.step-started", began)]),
            commit(2, "00.4", &[("saga.step-completed", reserved)]),
            commit(
                3,
                "03.25",
                &[
                    ("saga.step-failed", failed),
                    ("saga.compensation-started", json!({ "reason": reason, "category": "business" })),
                ],
            ),
            commit(
                4,
                "05",
                &[("saga.step-compensated", returned), ("saga.compensated", json!({ "reason": reason }))],
            ),
        ];
        serde_json::from_value(json!({"stream": "provisioning#lab.1", "commits": commits, "next": null}))
            .unwrap()
    }

    #[test]
    fn a_failing_saga_reads_like_a_story() {
        let text = timeline(&failing_saga(), false);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let line = |n: usize| lines[n].join(" ");
        assert_eq!(line(1), "+0.00 s 1 → started: image debian-12, pool lab, request lab, role web");
        assert_eq!(line(2), "→ reserve-host started, due in 60 s");
        assert_eq!(line(3), "+0.40 s 2 ✓ reserve-host completed: host h-25");
        assert_eq!(
            line(4),
            "+3.25 s 3 ✗ apply-role failed in attempt 1 (business), not tried again: the label asks for it"
        );
        assert_eq!(line(5), "↩ compensating (business)");
        assert_eq!(
            line(6),
            "+5.00 s 4 ↩ undeploy-host completed, which undoes deploy-image, apply-role: host h-25"
        );
        assert_eq!(line(7), "↩ compensated: everything is undone");
        assert_eq!(lines.len(), 8, "{text}");
    }

    #[test]
    fn orders_are_shown_on_request() {
        let text = timeline(&failing_saga(), true);
        assert!(text.contains("sent apply-role to configure-host"), "{text}");
        assert!(text.contains("caused by key:1 (operator)"), "{text}");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let empty = Timeline { stream: "host#h-1".to_owned(), commits: Vec::new(), next: None };
        assert_eq!(timeline(&empty, false), "nothing happened yet");
    }
}
