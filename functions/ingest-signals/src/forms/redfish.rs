//! Events that BMCs push (*DSP0266 Redfish Specification: Eventing*, schema `Event`). The subscription's `Context` names the host.

use hostler_events::inventory::{Facts, HearSource, ObserveHost, Presence};
use hostler_events::signal::SignalStatus;
use hostler_events::{HostId, InventorySource};
use jiff::Timestamp;
use serde_json::Value;

use super::Reading;
use super::item::{About, Claim, Said, short, text, time};

/// Its list of events.
pub(super) const LIST: &str = "Events";
const SOURCE: &str = "redfish";
/// What is broken in the machine itself.
const FAULT: &str = "hardware";
/// What may break.
const WARNING: &str = "hardware-warning";

pub(super) fn read(body: &Value, received_at: Timestamp) -> Reading {
    let Some(events) = body[LIST].as_array() else {
        return Reading::misread(
            "the event",
            "it has no list `Events`: subscribe with the EventFormatType Event, not MetricReport",
        );
    };
    let mut reading = Reading::default();
    reading.beside.push(HearSource { source: InventorySource::Redfish, received_at }.into());
    for (n, event) in events.iter().enumerate() {
        let place =
            || format!("Events[{n}] ({})", short(text(event, "MessageId").unwrap_or("no MessageId"), 80));
        reading.take(place, said(body, event, received_at));
    }
    reading
}

fn said(body: &Value, event: &Value, received_at: Timestamp) -> Result<Said, String> {
    // The subscription's context is the body's; older BMCs have it in each event.
    let host = text(body, "Context").or_else(|| text(event, "Context"));
    let host = host.ok_or("it has no Context: make the subscription with the host's id as its Context")?;
    if let Some(change) = Change::in_event(event) {
        return observed(host, change, event, received_at);
    }
    let severity = text(event, "MessageSeverity").or_else(|| text(event, "Severity"));
    let (status, fault) = match severity {
        Some("Critical") => (SignalStatus::Firing, FAULT),
        Some("Warning") => (SignalStatus::Firing, WARNING),
        Some("OK") => (SignalStatus::Resolved, FAULT),
        other => {
            let other = short(other.unwrap_or_default(), 40);
            return Err(format!("its severity is {other:?}, and none of OK, Warning and Critical"));
        }
    };
    let at = time(event, "EventTimestamp", received_at)?.unwrap_or(received_at);
    // What is over has another message than what began: the part that both are about names them.
    let message = text(event, "MessageId").unwrap_or_default();
    let origin = text(&event["OriginOfCondition"], "@odata.id").or_else(|| text(event, "OriginOfCondition"));
    let about = origin.unwrap_or(message);
    if about.is_empty() {
        return Err("it has neither OriginOfCondition nor MessageId, so that it is about nothing".to_owned());
    }
    let fingerprint = format!("{host} {about}");
    let claim = Claim { source: SOURCE, fingerprint, status, starts_at: at, observed_at: at };
    let labels = ["EventId", "MemberId", "MessageId", "EventType"];
    let labels = labels.into_iter().filter_map(|name| Some((name, text(event, name)?)));
    let labels = labels.chain(origin.map(|origin| ("OriginOfCondition", origin)));
    let summary = text(event, "Message").unwrap_or(message);
    claim.of_host(host, fault, About::new(severity.unwrap_or_default(), summary).labelled(labels))
}

/// What became of a part of the host, or of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Created,
    Changed,
    Removed,
}

impl Change {
    /// By the message of the registry `ResourceEvent` (DSP2065), or by the type of event that older BMCs have. Any other event is no
    /// change of what there is.
    fn in_event(event: &Value) -> Option<Self> {
        let message = text(event, "MessageId").unwrap_or_default();
        let message = message.starts_with("ResourceEvent.").then(|| message.rsplit('.').next()).flatten();
        match (message, text(event, "EventType").unwrap_or_default()) {
            (Some("ResourceCreated"), _) | (None, "ResourceAdded") => Some(Self::Created),
            (Some("ResourceChanged"), _) | (None, "ResourceUpdated") => Some(Self::Changed),
            (Some("ResourceRemoved"), _) | (None, "ResourceRemoved") => Some(Self::Removed),
            (Some(_) | None, _) => None,
        }
    }
}

/// That a part has changed says that the host is there, and that a look at it is worth it. Only the removal of the system itself
/// says that the host is gone.
fn observed(host: &str, change: Change, event: &Value, received_at: Timestamp) -> Result<Said, String> {
    let origin = text(&event["OriginOfCondition"], "@odata.id").or_else(|| text(event, "OriginOfCondition"));
    let is_gone = change == Change::Removed && origin.is_some_and(is_system);
    let observed = ObserveHost {
        host: HostId::new(host).map_err(|error| error.to_string())?,
        source: InventorySource::Redfish,
        observed_at: time(event, "EventTimestamp", received_at)?.unwrap_or(received_at),
        received_at,
        presence: if is_gone { Presence::Gone } else { Presence::Present },
        facts: Facts::new(),
        look: !is_gone,
    };
    Ok(Said::Inventory(Box::new(observed.into())))
}

/// Whether it is a whole system, such as `/redfish/v1/Systems/1`, and not a part of one.
fn is_system(origin: &str) -> bool {
    origin
        .trim_end_matches('/')
        .strip_prefix("/redfish/v1/Systems/")
        .is_some_and(|id| !id.is_empty() && !id.contains('/'))
}
