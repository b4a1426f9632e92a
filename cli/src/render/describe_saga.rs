//! What happens to requests, reservations and provisioning sagas, in words.

use std::time::Duration;

use hostler_events::{CapacityEvent, ProvisioningEvent, ReservationEvent};
use jiff::Timestamp;

use crate::render::describe::{Line, Mark};
use crate::render::time;

/// What a saga decided.
pub(super) fn provisioning(event: &ProvisioningEvent, recorded_at: Timestamp) -> Line {
    match event {
        ProvisioningEvent::Started(it) => {
            let sku = it.sku.as_ref().map(|sku| format!(", SKU {sku}")).unwrap_or_default();
            let text = format!(
                "started for request {}: pool {}, role {}, image {}{sku}",
                it.request, it.pool, it.role, it.image
            );
            Line::new(Mark::Other, text)
        }
        ProvisioningEvent::StepStarted(it) => {
            let attempt = if it.attempt > 1 { format!(", attempt {}", it.attempt) } else { String::new() };
            let due = whole(time::between(recorded_at, it.deadline_at));
            Line::new(Mark::Begun, format!("{} asked for{attempt}, answer due in {due}", it.kind))
        }
        ProvisioningEvent::StepSucceeded(it) => {
            let host = it.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
            let kept = if it.host_quarantined { "; the host was quarantined" } else { "" };
            Line::new(Mark::Done, format!("{} done{host}{kept}", it.kind))
        }
        ProvisioningEvent::StepFailed(it) => {
            let next = match it.retry_at {
                Some(at) => {
                    format!("tried again in {}", whole(time::between(recorded_at, at)))
                }
                None => "not tried again".to_owned(),
            };
            let text = format!(
                "{} failed in attempt {} ({}), {next}: {}",
                it.kind,
                it.attempt,
                it.category.as_str(),
                it.reason
            );
            Line::new(Mark::Failed, text)
        }
        ProvisioningEvent::StepDeferred(it) => {
            let due = whole(time::between(recorded_at, it.deadline_at));
            Line::new(Mark::Other, format!("{} waits, answer due in {due} now: {}", it.kind, it.reason))
        }
        ProvisioningEvent::SlaExceeded(it) => {
            Line::new(Mark::Failed, format!("{}: no answer within {} s", it.kind, it.deadline_seconds))
        }
        ProvisioningEvent::CancelRequested(it) => {
            Line::new(Mark::Other, format!("an operator cancelled it: {}", it.reason))
        }
        ProvisioningEvent::CompensationStarted(it) => {
            let plan: Vec<&str> = it.plan.iter().map(|kind| kind.as_str()).collect();
            let plan = if plan.is_empty() { "nothing to undo".to_owned() } else { plan.join(", then ") };
            Line::new(Mark::Undone, format!("undoing: {plan}")).because(&it.reason)
        }
        ProvisioningEvent::CompensationCompleted(it) => {
            let host = match (&it.host, it.host_quarantined) {
                (Some(host), true) => format!("; {host} could not be cleaned and is quarantined"),
                (Some(host), false) => format!("; {host} is back in its pool"),
                (None, _) => String::new(),
            };
            Line::new(Mark::Undone, format!("everything is undone{host}"))
        }
        ProvisioningEvent::Completed(it) => {
            Line::new(Mark::Done, format!("completed: {} is in service", it.host))
        }
        ProvisioningEvent::Stuck(it) => {
            Line::new(Mark::Failed, format!("stuck in {}: {}", it.kind, it.reason))
        }
        ProvisioningEvent::Resumed(_) => Line::new(Mark::Other, "an operator had it try again"),
        ProvisioningEvent::CompensationSkipped(it) => {
            Line::new(Mark::Other, format!("an operator had it go on without {}: {}", it.kind, it.reason))
        }
    }
}

/// A length of time that is mostly whole, such as `60 s` or `4 min`.
fn whole(span: Duration) -> String {
    match (span.as_secs(), span.subsec_millis()) {
        (seconds @ 0..120, 0) => format!("{seconds} s"),
        (seconds, 0) if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => time::span(span),
    }
}

/// What happened to a request.
pub(super) fn capacity(event: &CapacityEvent) -> Line {
    match event {
        CapacityEvent::Requested(it) => {
            let sku = it.sku.as_ref().map(|sku| format!(" of SKU {sku}")).unwrap_or_default();
            let count = it.provisionings.len();
            let hosts = if count == 1 { "host" } else { "hosts" };
            let text = format!(
                "{count} {hosts}{sku} asked for: pool {}, role {}, image {}",
                it.pool, it.role, it.image
            );
            Line::new(Mark::Begun, text)
        }
        CapacityEvent::ApprovalRequested(it) => {
            let (count, most) = (it.order.provisionings.len(), it.approval_above);
            let text = format!("{count} hosts asked for, more than the {most} that need no approval");
            Line::new(Mark::Other, text)
        }
        CapacityEvent::Approved(it) => Line::new(Mark::Done, "approved").because(&it.reason),
        CapacityEvent::Rejected(it) => Line::new(Mark::Failed, "rejected").because(&it.reason),
    }
}

/// How a saga found its host.
pub(super) fn reservation(event: &ReservationEvent) -> Line {
    match event {
        ReservationEvent::CandidateChosen(it) => Line::new(Mark::Begun, format!("{} will be tried", it.host)),
        ReservationEvent::CandidateLost(it) => {
            Line::new(Mark::Other, format!("{} went to somebody else", it.host))
        }
        ReservationEvent::Failed(it) => {
            Line::new(Mark::Failed, format!("no host could be had ({}): {}", it.category.as_str(), it.reason))
        }
        ReservationEvent::Closed(_) => Line::new(Mark::Undone, "no host will be held any more"),
        ReservationEvent::Released(it) => {
            let text = match &it.host {
                Some(host) => format!("{host} was given back"),
                None => "there was no host to give back".to_owned(),
            };
            Line::new(Mark::Undone, text)
        }
    }
}
