//! An event in one readable line.

use hostler_core::Payload;
use hostler_core::commit::RecordedEvent;
use hostler_core::saga::SagaEvent;
use hostler_core::triage::FailureEvent;
use hostler_events::inventory::SourceEvent;
use hostler_events::{
    AdvisoryEvent, CampaignEvent, CampaignRackEvent, CapacityEvent, FaultDomainEvent, FindingEvent,
    HealthEvent, HostEvent, InventoryEvent, PackagesEvent, PoolEvent, ReservationEvent,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::render::{
    describe_campaign, describe_failure, describe_finding, describe_health, describe_host,
    describe_inventory, describe_pool, describe_request, describe_saga,
};

/// What sort of thing happened; shown by a mark before the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Something began or was asked for.
    Begun,
    /// Something is done.
    Done,
    /// Something failed.
    Failed,
    /// Something is being undone.
    Undone,
    /// Something else.
    Other,
}

impl Mark {
    /// The mark itself.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Begun => "→",
            Self::Done => "✓",
            Self::Failed => "✗",
            Self::Undone => "↩",
            Self::Other => "·",
        }
    }
}

/// What happened, in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What sort of thing.
    pub(crate) mark: Mark,
    /// What exactly.
    pub(crate) text: String,
    /// Why; it may have been said already by another event of the commit.
    pub(crate) because: Option<String>,
}

impl Line {
    pub(super) fn new(mark: Mark, text: impl Into<String>) -> Self {
        Self { mark, text: text.into(), because: None }
    }

    pub(super) fn because(self, reason: &str) -> Self {
        Self { because: Some(reason.to_owned()), ..self }
    }
}

/// Describes an event that was recorded at a moment.
pub(crate) fn event(event: &RecordedEvent, recorded_at: Timestamp) -> Line {
    fn read<P: Payload>(event: &RecordedEvent) -> Option<P> {
        P::from_data(&event.event_type, event.schema_version, &event.data).ok()
    }
    if let Some(event) = read::<SagaEvent<Value>>(event) {
        return describe_saga::saga(&event, recorded_at);
    }
    if let Some(event) = read::<HostEvent>(event) {
        return describe_host::host(&event);
    }
    if let Some(event) = read::<HealthEvent>(event) {
        return describe_health::health(&event);
    }
    if let Some(event) = read::<FaultDomainEvent>(event) {
        return describe_health::fault_domain(&event);
    }
    if let Some(event) = read::<CapacityEvent>(event) {
        return describe_request::capacity(&event);
    }
    if let Some(event) = read::<ReservationEvent>(event) {
        return describe_request::reservation(&event);
    }
    if let Some(event) = read::<PoolEvent>(event) {
        return describe_pool::pool(&event);
    }
    if let Some(event) = read::<CampaignEvent>(event) {
        return describe_campaign::campaign(&event);
    }
    if let Some(event) = read::<CampaignRackEvent>(event) {
        return describe_campaign::rack(&event);
    }
    if let Some(event) = read::<AdvisoryEvent>(event) {
        return describe_finding::advisory(&event);
    }
    if let Some(event) = read::<PackagesEvent>(event) {
        return describe_finding::packages(&event);
    }
    if let Some(event) = read::<FindingEvent>(event) {
        return describe_finding::finding(&event);
    }
    if let Some(event) = read::<InventoryEvent>(event) {
        return describe_inventory::inventory(&event);
    }
    if let Some(event) = read::<SourceEvent>(event) {
        return describe_inventory::source(&event);
    }
    if let Some(event) = read::<FailureEvent>(event) {
        return describe_failure::failure(&event, recorded_at);
    }
    // A newer orchestrator says it; what it says is shown as it came.
    Line::new(Mark::Other, format!("{} {}", event.event_type, event.data))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_events_are_shown_as_they_came() {
        let recorded = json!({
            "eventId": "01890a5d-ac96-774b-bcce-b302099a8057", "eventType": "host.sang", "schemaVersion": 1,
            "data": {"song": "la"},
        });
        let line = event(&serde_json::from_value(recorded).unwrap(), Timestamp::UNIX_EPOCH);
        assert_eq!(line, Line::new(Mark::Other, r#"host.sang {"song":"la"}"#));
    }
}
