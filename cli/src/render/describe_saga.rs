//! What happens to sagas of every kind, in words.

use std::time::Duration;

use hostler_core::saga::{Direction, SagaEvent, StepName, Wait};
use jiff::Timestamp;
use serde_json::Value;

use crate::render::describe::{Line, Mark};
use crate::render::time;

/// How many fields of an order or an output are shown.
const FIELDS_MAX: usize = 6;

/// What a saga decided.
pub(super) fn saga(event: &SagaEvent<Value>, recorded_at: Timestamp) -> Line {
    let within = |at: &Timestamp| whole(time::between(recorded_at, *at));
    match event {
        SagaEvent::Started { order, parent, .. } => {
            let parent = parent.as_ref().map(|parent| format!(" by {}", parent.saga)).unwrap_or_default();
            Line::new(Mark::Begun, format!("started{parent}{}", after(": ", &brief(order))))
        }
        SagaEvent::StepStarted { step, direction, attempt, deadline_at, .. } => {
            let attempt = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            let mark = match direction {
                Direction::Forward => Mark::Begun,
                Direction::Back => Mark::Undone,
            };
            Line::new(mark, format!("{step} started{attempt}, due in {}", within(deadline_at)))
        }
        SagaEvent::StepDeferred { step, deadline_at, reason, .. } => {
            Line::new(Mark::Other, format!("{step} waits, due in {} now: {reason}", within(deadline_at)))
        }
        SagaEvent::HeartbeatHeard { step, due_at, .. } => {
            Line::new(Mark::Other, format!("{step} goes on, next sign of life due in {}", within(due_at)))
        }
        SagaEvent::DeadlineExceeded { step, wait, .. } => {
            let what = match wait {
                Wait::Answer => "no answer",
                Wait::Heartbeat => "no sign of life",
            };
            Line::new(Mark::Failed, format!("{step}: {what} by its deadline"))
        }
        SagaEvent::StepFailed { step, attempt, category, reason, retry_at, .. } => {
            let next = match retry_at {
                Some(at) => format!("tried again in {}", within(at)),
                None => "not tried again".to_owned(),
            };
            let category = category.as_str();
            let text = format!("{step} failed in attempt {attempt} ({category}), {next}: {reason}");
            Line::new(Mark::Failed, text)
        }
        SagaEvent::StepCompleted { step, output, approved_by, .. } => {
            let by = approved_by.as_ref().map(|by| format!(", approved by {by}")).unwrap_or_default();
            Line::new(Mark::Done, format!("{step} completed{by}{}", after(": ", &brief(output))))
        }
        SagaEvent::StepPassedOver { step, reason } => {
            Line::new(Mark::Failed, format!("the saga goes on without {step}, which is best effort"))
                .because(reason)
        }
        SagaEvent::StepStopped { step, uncertain } => {
            let undone = if *uncertain { "; it is undone, for something may have been done" } else { "" };
            Line::new(Mark::Other, format!("{step} is no longer waited for{undone}"))
        }
        SagaEvent::ParentChanged { parent } => {
            Line::new(Mark::Other, format!("{} waits for it by {}", parent.saga, parent.step))
        }
        SagaEvent::CompensationStarted { reason, category, actor, .. } => {
            let text = match (actor, category) {
                (Some(actor), _) => format!("cancelled by {actor}; compensating"),
                (None, Some(category)) => format!("compensating ({})", category.as_str()),
                (None, None) => "compensating".to_owned(),
            };
            Line::new(Mark::Undone, text).because(reason)
        }
        SagaEvent::CompensationRefused { reason, .. } => {
            Line::new(Mark::Failed, "cannot be compensated any more").because(reason)
        }
        SagaEvent::StepCompensated { step, undoes, output, .. } => {
            let shared = if let [_, _, ..] = &undoes[..] { listed(undoes) } else { String::new() };
            let undoes = after(", which undoes ", &shared);
            Line::new(Mark::Undone, format!("{step} completed{undoes}{}", after(": ", &brief(output))))
        }
        SagaEvent::Completed { output } => {
            Line::new(Mark::Done, format!("completed{}", after(": ", &brief(output))))
        }
        SagaEvent::Compensated { .. } => Line::new(Mark::Undone, "compensated: everything is undone"),
        SagaEvent::Stuck { step, reason, category, .. } => {
            Line::new(Mark::Failed, format!("stuck at {step} ({}): {reason}", category.as_str()))
        }
        SagaEvent::Resumed { actor, reason } => {
            Line::new(Mark::Other, format!("resumed by {actor}: {reason}"))
        }
        SagaEvent::StepSkipped { step, actor, reason, .. } => {
            Line::new(Mark::Other, format!("{step} skipped by {actor}: {reason}"))
        }
        SagaEvent::StepEdited { step, input, actor, reason } => {
            let input = after(", now ", &brief(input));
            Line::new(Mark::Other, format!("input of {step} edited by {actor}{input}: {reason}"))
        }
    }
}

/// Names, such as `charge, ship`.
fn listed(names: &[StepName]) -> String {
    names.iter().map(StepName::as_str).collect::<Vec<_>>().join(", ")
}

fn after(before: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{text}") }
}

/// The plain fields of a value, such as `host h-25, quarantined`.
fn brief(value: &Value) -> String {
    let shown = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Some(format!("{name} {text}")),
        Value::Number(number) => Some(format!("{name} {number}")),
        Value::Bool(true) => Some(name.clone()),
        Value::Bool(false) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let fields = value.as_object().into_iter().flatten();
    fields.filter_map(shown).take(FIELDS_MAX).collect::<Vec<_>>().join(", ")
}

/// A length of time that is mostly whole, such as `60 s` or `4 min`.
fn whole(span: Duration) -> String {
    match (span.as_secs(), span.subsec_millis()) {
        (seconds @ 0..120, 0) => format!("{seconds} s"),
        (seconds, 0) if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => time::span(span),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_fields_are_shown() {
        let returned = json!({ "host": "h-25", "quarantined": true, "policy": { "a": 1 }, "none": null });
        assert_eq!(brief(&returned), "host h-25, quarantined");
        assert_eq!(brief(&Value::Null), "");
    }
}
