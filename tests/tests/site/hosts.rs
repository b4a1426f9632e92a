//! What must hold of hosts after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use hostler_core::{Commit, Decider, Payload, StreamId};
use hostler_domain::{HostDecider, HostPhase, HostState};
use hostler_events::HostEvent;
use hostler_testkit::world::Invariants;

use super::Fleet;

/// A host is free only when it was cleaned since it was last written to, and is held by one saga at a time. An image is
/// inserted once for each step.
pub struct HostsHold {
    /// How a host is, and whether it was written to since it was cleaned.
    hosts: BTreeMap<StreamId, (HostState, bool)>,
    inserted: Arc<Mutex<Vec<String>>>,
    /// How many of these were looked at.
    looked_at: usize,
    inserts: BTreeSet<String>,
}

impl HostsHold {
    pub fn of(fleet: &Fleet) -> Self {
        let inserted = fleet.bmcs.inserted.clone();
        Self { hosts: BTreeMap::new(), inserted, looked_at: 0, inserts: BTreeSet::new() }
    }
}

impl Invariants for HostsHold {
    fn commit(&mut self, commit: &Commit) {
        let stream = &commit.stream;
        if stream.category() != HostDecider::CATEGORY {
            return;
        }
        let (state, dirty) = self.hosts.entry(stream.clone()).or_default();
        for event in &commit.events {
            let event = HostEvent::from_data(&event.event_type, event.schema_version, &event.data).unwrap();
            match &event {
                HostEvent::Enrolled(_) | HostEvent::DeployStarted(_) => *dirty = true,
                HostEvent::Cleaned(_) => *dirty = false,
                HostEvent::Reserved(reserved) => {
                    let holder = state.reservation.as_ref();
                    let free = holder.is_none_or(|holder| *holder == reserved.saga);
                    assert!(free, "{stream}: held by two sagas at a time: {holder:?}");
                }
                _ => {}
            }
            *state = HostDecider::evolve(std::mem::take(state), &event);
        }
        assert!(state.phase != HostPhase::Available || !*dirty, "{stream}: free, and not cleaned");
    }

    fn step(&mut self) {
        let inserted = self.inserted.lock().unwrap();
        for image in &inserted[self.looked_at..] {
            assert!(self.inserts.insert(image.clone()), "one effect per key: {image} was inserted twice");
        }
        self.looked_at = inserted.len();
    }
}
