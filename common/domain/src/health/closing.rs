//! Recovered, Escalated, closed: how an incident ends.

use hostler_core::failure::clip;
use hostler_events::health::{HealthEvent, HostRecovered, IncidentClosed, IncidentEscalated};

use super::{Condition, Draft, HealthRefusal};

impl Draft {
    pub(super) fn recovered(&mut self, reason: &str, remediated: bool) {
        let Some((host, incident)) = self.about() else { return };
        let (reason, at) = (reason.to_owned(), self.now);
        self.report(false);
        self.record(HealthEvent::Recovered(HostRecovered { host, incident, reason, remediated, at }));
    }

    /// The end until a person closes it. It has the whole story, so that nobody has to search for it.
    pub(super) fn escalate(&mut self, reason: &str) {
        let Some((host, incident)) = self.about() else { return };
        let Some(story) = self.state.story() else { return };
        let (reason, at) = (clip(reason), self.now);
        self.record(HealthEvent::Escalated(IncidentEscalated { host, incident, reason, story, at }));
    }

    /// A person says that it is over, whatever signals say: who still means it says it again.
    pub(super) fn close(&mut self, reason: &str) -> Result<(), HealthRefusal> {
        let Some((host, incident)) = self.about().filter(|_| self.state.open().is_some()) else {
            return Err(HealthRefusal::NoIncident);
        };
        if reason.trim().is_empty() {
            return Err(HealthRefusal::NoReason);
        }
        if let Condition::Acting { claim, .. } = &self.state.condition {
            return Err(HealthRefusal::Acting { host, saga: claim.saga.to_string() });
        }
        self.report(false);
        let (reason, at) = (clip(reason), self.now);
        self.record(HealthEvent::Closed(IncidentClosed { host, incident, reason, at }));
        Ok(())
    }
}
