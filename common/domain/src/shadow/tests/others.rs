//! What else is unhealthy: the record and its replay count alike, so that both are held back by the same.

use hostler_events::FaultDomain;
use hostler_events::recovery::ClaimDisruption;

use super::*;
use crate::budget::Claim;
use crate::fault_domain::{Surroundings, rack_key};
use crate::health::HoldBack;
use crate::host::Phase;

impl Site {
    pub(super) fn surroundings(&self, rack: &FaultDomain) -> Surroundings {
        let of = |key: &str| self.domains.get(key).cloned().unwrap_or_default();
        Surroundings { rack: of(&rack_key(rack)), power: of("power.feed-a") }
    }

    /// Those in quarantine, and those with a confirmed fault.
    fn unhealthy(&self) -> BTreeMap<HostId, FaultDomain> {
        let unhealthy = self.health.iter().filter_map(|(host, health)| {
            let seen = self.seen(host).host.unwrap();
            let confirmed = health.open().is_some_and(|open| open.confirmed_at.is_some());
            (confirmed || seen.phase == Phase::Quarantined).then(|| (host.clone(), seen.rack))
        });
        unhealthy.collect()
    }

    pub(super) fn claim(&mut self, claim: &ClaimDisruption) {
        let (saga, of) = (claim.saga.clone(), claim.host.clone());
        let surroundings = self.surroundings(&claim.rack);
        let why = surroundings.holds_back().filter(|_| !claim.passes_brake);
        let input = match why {
            Some(why) => HealthInput::Held { saga, why },
            None => {
                let disruption = Claim::disruption_of(claim, &self.policies);
                let unhealthy = surroundings.unhealthy(&disruption, &self.unhealthy(), &self.policies);
                let made = Claim::of_recovery(id(SITE), claim, false, unhealthy, &self.policies);
                match self.budgeted(&BudgetInput::Claim(Box::new(made))) {
                    Ok(()) => HealthInput::Granted { saga, seen: self.seen(&of) },
                    Err(held) => HealthInput::Held { saga, why: HoldBack::by_budget(&held, 1) },
                }
            }
        };
        self.tell(&of, &input);
    }
}

/// What a site of this policy records, and what comes of it under the same policy.
fn again(faults: Vec<Fault>, change: impl Fn(&mut Value)) -> Report {
    let policy = policy(change);
    let report = try_policies(&Site::records(&policy, faults, 7_200), &policy);
    assert_eq!(report.not_reproduced, [], "the control differs from the record");
    assert_eq!(report.control, report.recorded);
    report
}

/// Five hosts of the first rack, which are well again after a quarter of an hour.
fn lost_rack() -> Vec<Fault> {
    (0..10).step_by(2).map(|n| Fault { ends_after: Some(900), ..fault(n, 0) }).collect()
}

fn of_six(policy: &mut Value) {
    policy["topology"]["racks"]["rack-0"]["hosts"] = json!(6);
}

/// The host is out of use without an incident that goes on.
#[test]
fn a_host_in_quarantine_counts_where_the_brake_binds() {
    let gone = Fault { ends_after: Some(10), out_of_use_after: Some(40), ..fault(0, 0) };
    let report = again(vec![gone, fault(3, 600)], |policy| {
        policy["pools"]["web"]["hosts"] = json!(5);
        policy["budget"]["brakePercent"] = json!(40);
    });
    assert_eq!(report.recorded.held["brake"], 1, "{report:?}");
    assert!(report.recorded.acted.is_empty(), "{report:?}");
}

#[test]
fn what_heals_the_cause_of_an_incident_is_done_in_a_replay_as_well() {
    let report = again(lost_rack(), |policy| {
        of_six(policy);
        policy["runbooks"]["reboot"]["passesBrake"] = json!(true);
    });
    assert_eq!(report.recorded.held.get("correlated"), None);
    assert!(report.recorded.acted[&Rung::PowerCycle] >= 2, "{report:?}");
}

#[test]
fn of_a_rack_that_was_lost_nobody_is_asked_host_by_host() {
    let report = again(lost_rack(), |policy| {
        of_six(policy);
        policy["runbooks"]["reboot"]["autonomy"] = json!("approve");
    });
    assert_eq!((report.recorded.asked, report.recorded.escalated), (0, 0));
    assert!(report.recorded.held["correlated"] >= 5, "{report:?}");
}
