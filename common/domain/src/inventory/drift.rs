//! What sources say of a host beside what is expected of it.

use std::collections::{BTreeMap, BTreeSet};

use hostler_events::host::BmcAddress;
use hostler_events::inventory::{DriftDetected, DriftResolved, Fact, Standing};
use hostler_events::{HostId, InventoryEvent, InventorySource};
use jiff::Timestamp;

use super::{InventoryState, Story};
use crate::host::bmc_place;

/// Expected, and said.
type Differing = BTreeMap<(InventorySource, Fact), (String, String)>;

impl InventoryState {
    /// What is not as expected now, whatever is on record of it.
    fn differing(&self) -> Differing {
        let mut differing = Differing::new();
        match self.standing {
            Standing::Enrolled => {}
            // Nothing is expected of these.
            Standing::NotEnrolled | Standing::Retired => return differing,
        }
        for (source, observed) in &self.sources {
            let presence = (Fact::Presence, observed.presence.name().to_owned());
            let said = observed.facts.iter().map(|(fact, said)| (*fact, said.clone())).chain([presence]);
            for (fact, actual) in said {
                if let Some(expected) =
                    self.expected.get(&fact).filter(|expected| !is_same(fact, expected, &actual))
                {
                    differing.insert((*source, fact), (expected.clone(), actual));
                }
            }
        }
        differing
    }
}

impl Story {
    /// Records what is not as expected any more, and what is again. Each difference is told once for as long as it is the same.
    pub(super) fn compare(&mut self, host: &HostId, now: Timestamp) {
        let differing = self.state.differing();
        let known: BTreeSet<(InventorySource, Fact)> = self
            .state
            .drift
            .iter()
            .flat_map(|(source, of_source)| of_source.keys().map(|fact| (*source, *fact)))
            .collect();
        for (source, fact) in known {
            let since =
                self.state.drift.get(&source).and_then(|of_source| of_source.get(&fact)).map(|it| it.since);
            if let (false, Some(since)) = (differing.contains_key(&(source, fact)), since) {
                let host = host.clone();
                self.tell(InventoryEvent::DriftResolved(DriftResolved {
                    host,
                    source,
                    fact,
                    since,
                    at: now,
                }));
            }
        }
        for ((source, fact), (expected, actual)) in differing {
            let known = self.state.drift.get(&source).and_then(|of_source| of_source.get(&fact));
            if known.is_some_and(|known| known.expected == expected && known.actual == actual) {
                continue;
            }
            let host = host.clone();
            let drift = DriftDetected { host, source, fact, expected, actual, at: now };
            self.tell(InventoryEvent::DriftDetected(drift));
        }
    }
}

/// Whether two texts say the same of a fact: people and machines spell addresses and numbers differently.
fn is_same(fact: Fact, expected: &str, actual: &str) -> bool {
    match fact {
        Fact::Bmc => {
            let place = |url: &str| bmc_place(&BmcAddress { system_url: url.to_owned() });
            expected == actual || place(expected).is_some_and(|expected| Some(expected) == place(actual))
        }
        Fact::Processors | Fact::MemoryGib => {
            let number = |text: &str| text.trim().parse::<f64>().ok();
            expected == actual
                || number(expected)
                    .zip(number(actual))
                    .is_some_and(|(expected, actual)| (expected - actual).abs() < 0.001)
        }
        Fact::Presence
        | Fact::Pool
        | Fact::FaultDomain
        | Fact::Sku
        | Fact::Role
        | Fact::Manufacturer
        | Fact::Model
        | Fact::Serial => expected.trim().eq_ignore_ascii_case(actual.trim()),
    }
}
