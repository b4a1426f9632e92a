//! What every event bus does.

use std::collections::BTreeMap;

use hostler_core::{Envelope, EventId, Incoming};
use hostler_runtime::ports::EventBus;
use serde_json::json;

use super::{Inbox, Supports, drain, fresh};
use crate::sample;

/// The event types that the bus under test brings to its queue; it has no other rule.
pub const SUBSCRIBED: [&str; 2] = ["order.placed", "order.paid"];

/// Runs the suite on a bus that brings events of [`SUBSCRIBED`] types to a queue, which is empty and used by
/// nobody else.
///
/// # Panics
/// When the implementation breaks the contract.
pub async fn event_bus(bus: &dyn EventBus, inbox: &dyn Inbox, queue: &str, supports: Supports) {
    nothing_published_is_nothing_failed(bus).await;
    an_event_arrives_whole_where_it_is_wanted(bus, inbox, queue, supports).await;
    many_events_are_packed_into_calls(bus, inbox, queue, supports).await;
    an_event_over_the_limit_fails_alone(bus, inbox, queue, supports).await;
}

fn envelope(event_type: &str, data: serde_json::Value) -> Envelope {
    sample::envelope(&fresh("contract#s"), event_type, data)
}

async fn nothing_published_is_nothing_failed(bus: &dyn EventBus) {
    assert_eq!(bus.publish(&[]).await, []);
}

async fn publish_all(bus: &dyn EventBus, events: &[Envelope]) {
    assert_eq!(bus.publish(events).await, vec![Ok(()); events.len()]);
}

/// The events that come to the queue, by id.
async fn arrived(
    inbox: &dyn Inbox,
    queue: &str,
    count: usize,
    supports: Supports,
) -> BTreeMap<EventId, Envelope> {
    let deliveries = drain(inbox, queue, count, supports.delivery_lag).await;
    deliveries
        .into_iter()
        .map(|delivery| match Incoming::decode(&delivery.body) {
            Ok(Incoming::Event(event)) => (event.event_id, *event),
            other => panic!("{other:?} is no event: {}", delivery.body),
        })
        .collect()
}

fn by_id(events: impl IntoIterator<Item = Envelope>) -> BTreeMap<EventId, Envelope> {
    events.into_iter().map(|event| (event.event_id, event)).collect()
}

async fn an_event_arrives_whole_where_it_is_wanted(
    bus: &dyn EventBus,
    inbox: &dyn Inbox,
    queue: &str,
    supports: Supports,
) {
    let mut wanted =
        envelope(SUBSCRIBED[0], json!({ "text": "ünï ✓ \" \\ \n", "big": u64::MAX, "none": null }));
    wanted.header.trace_context = sample::full_commit("order#1", 1).trace_context;
    let unwanted = envelope("order.lost", json!({}));
    let other = envelope(SUBSCRIBED[1], json!([1, 2.5]));
    publish_all(bus, &[unwanted, wanted.clone(), other.clone()]).await;
    assert_eq!(arrived(inbox, queue, 2, supports).await, by_id([wanted, other]));
    assert_eq!(inbox.receive(queue).await, []);
}

async fn many_events_are_packed_into_calls(
    bus: &dyn EventBus,
    inbox: &dyn Inbox,
    queue: &str,
    supports: Supports,
) {
    // 35 events are more than ten, and the large ones together far more than 256 KB.
    let filler = |number: usize| "x".repeat(if number.is_multiple_of(3) { 90_000 } else { 10 });
    let events: Vec<Envelope> = (0..35)
        .map(|number| envelope(SUBSCRIBED[0], json!({ "number": number, "filler": filler(number) })))
        .collect();
    publish_all(bus, &events).await;
    assert_eq!(arrived(inbox, queue, events.len(), supports).await, by_id(events));
}

async fn an_event_over_the_limit_fails_alone(
    bus: &dyn EventBus,
    inbox: &dyn Inbox,
    queue: &str,
    supports: Supports,
) {
    let small = || envelope(SUBSCRIBED[0], json!({}));
    let large = envelope(SUBSCRIBED[0], json!({ "filler": "x".repeat(262_144) }));
    let (first, last) = (small(), small());
    let results = bus.publish(&[first.clone(), large, last.clone()]).await;
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    let failure = results[1].clone().unwrap_err();
    assert!(!failure.retryable && failure.message.contains("262144"), "{failure}");
    assert_eq!(arrived(inbox, queue, 2, supports).await, by_id([first, last]));
}
