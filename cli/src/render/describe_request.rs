//! What happens to requests for hosts, and to reservations, in words.

use hostler_events::{CapacityEvent, ReservationEvent};

use crate::render::describe::{Line, Mark};

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
