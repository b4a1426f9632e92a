//! What must hold between the counts.

use hostler_localstack::fleet::{Counts, RequestKind};
use serde_json::{Value, json};

use super::count::Tally;

/// How two counts must stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// They are the same.
    Equal,
    /// The left one is at least the right one.
    AtLeast,
}

impl Relation {
    /// Its sign.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::AtLeast => "≥",
        }
    }
}

/// Something that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// In words.
    pub(crate) what: &'static str,
    /// One count.
    pub(crate) left: u64,
    /// How they must stand.
    pub(crate) relation: Relation,
    /// The other.
    pub(crate) right: u64,
}

impl Check {
    fn equal(what: &'static str, left: u64, right: u64) -> Self {
        Self { what, left, relation: Relation::Equal, right }
    }

    fn at_least(what: &'static str, left: u64, right: u64) -> Self {
        Self { what, left, relation: Relation::AtLeast, right }
    }

    /// Whether it does.
    pub(crate) fn holds(&self) -> bool {
        match self.relation {
            Relation::Equal => self.left == self.right,
            Relation::AtLeast => self.left >= self.right,
        }
    }

    /// For programs.
    pub(crate) fn document(&self) -> Value {
        json!({
            "what": self.what, "left": self.left, "relation": self.relation.sign(), "right": self.right,
            "holds": self.holds(),
        })
    }
}

/// All that must hold.
pub(super) fn checks(tally: &Tally, fleet: Option<&Counts>, dead_letters: u64) -> Vec<Check> {
    let events = |name: &str| tally.events.get(name).copied().unwrap_or_default();
    let sagas = &tally.sagas;
    let ended = sagas.completed + sagas.compensated + sagas.stuck + sagas.running;
    let mut checks = vec![
        Check::equal("commits without a gap on any stream", tally.commits, tally.versions),
        Check::equal("causes that acted twice on a stream", tally.repeated_causes, 0),
        Check::equal("sagas started, of those asked for", sagas.started, tally.sagas_requested),
        Check::equal("sagas accounted for: completed, compensated, stuck, running", ended, sagas.started),
        Check::equal("sagas that ended in two ways", sagas.contradictory, 0),
        Check::at_least(
            "hosts that came into service, for each completed saga",
            events("host.in-service"),
            sagas.completed,
        ),
        // An effect whose answer was lost is recorded on the second try, as one that had nothing to change.
        Check::at_least(
            "roles applied, for each that events tell of",
            tally.drivers.roles_applied,
            tally.roles_changed,
        ),
        Check::at_least(
            "hosts registered, for each that events tell of",
            tally.drivers.registered,
            tally.registrations,
        ),
        Check::equal("dead letters", dead_letters, 0),
    ];
    if let Some(fleet) = fleet {
        let booted = events("host.deploy-booted") + events("host.cleaning-booted");
        checks.push(Check::at_least(
            "media inserted, for each boot that was reported",
            fleet.of(RequestKind::InsertMedia),
            booted,
        ));
        checks.push(Check::at_least(
            "power switched at BMCs, for each change recorded",
            fleet.resets.values().sum(),
            events("host.power-state-changed"),
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::count::Sagas;
    use super::*;

    #[test]
    fn nothing_adds_up_to_nothing() {
        assert!(checks(&Tally::default(), Some(&Counts::default()), 0).iter().all(Check::holds));
    }

    #[test]
    fn what_is_lost_or_done_twice_shows() {
        let failed = |tally: &Tally, dead_letters| -> Vec<&'static str> {
            let all = checks(tally, None, dead_letters);
            all.iter().filter(|check| !check.holds()).map(|check| check.what).collect()
        };
        let lost = Tally {
            sagas_requested: 2,
            sagas: Sagas { started: 1, running: 1, ..Sagas::default() },
            ..Tally::default()
        };
        assert_eq!(failed(&lost, 0), ["sagas started, of those asked for"]);
        let twice = Tally { events: BTreeMap::new(), roles_changed: 1, ..Tally::default() };
        assert_eq!(failed(&twice, 1), ["roles applied, for each that events tell of", "dead letters"]);
    }
}
