//! What a campaign needs next, from a fresh count of the hosts: a plan, a wave, or its end.

use std::collections::BTreeMap;

use hostler_core::mutants;
use hostler_events::FaultDomain;
use hostler_events::campaign::{CampaignEvent, CampaignHeld, CampaignPlanned, RackShare, WaveStarted};
use hostler_events::campaigns::{CampaignsPolicy, EmergencyPolicy};
use hostler_events::site::Autonomy;
use jiff::Timestamp;

use super::{Draft, FleetFacts, LOOK_FOR_SECONDS, SETTLE_SECONDS, Stage, windows};
use crate::support::after;

/// How many racks a wave may have: its commit names each. More racks come in the next wave.
const RACKS_MAX: usize = 700;
/// After how many seconds a campaign is first looked at again that waits for a person or another policy; later each time.
const LOOK_AGAIN_SECONDS: u32 = 3_600;
/// For how many seconds a campaign counts hosts again by timer. After that it does so only when an operator asks.
const LOOK_UNTIL_SECONDS: u32 = 30 * 86_400;

/// The numbers that a campaign takes.
struct Pace<'a> {
    canary_percent: u32,
    soak_seconds: u32,
    waves: &'a [u32],
}

impl<'a> Pace<'a> {
    fn of(policy: &'a CampaignsPolicy, emergency: bool) -> Self {
        if emergency {
            let EmergencyPolicy { canary_percent, soak_seconds, waves } = &policy.emergency;
            return Self { canary_percent: *canary_percent, soak_seconds: *soak_seconds, waves };
        }
        let (canary_percent, soak_seconds) = (policy.canary_percent, policy.soak_seconds);
        Self { canary_percent, soak_seconds, waves: &policy.waves }
    }

    /// The size of a wave, in a hundred of what is left. After the last one that is named, all are as large as that.
    fn percent(&self, wave: u32) -> u32 {
        let index = usize::try_from(wave.saturating_sub(2)).unwrap_or(usize::MAX);
        if wave < 2 && !mutants::on("campaign.has-no-canary") {
            return self.canary_percent;
        }
        self.waves.get(index).or(self.waves.last()).copied().unwrap_or(100)
    }
}

impl Draft {
    /// What is needed now. A campaign that is stopped needs nothing until a person has it go on.
    pub(super) fn look(&mut self, fleet: &FleetFacts) {
        if self.state.stop.is_some() {
            return;
        }
        match self.state.stage {
            Stage::Requested => self.plan(fleet),
            Stage::Ready { from } if from <= self.now => self.next_wave(fleet),
            Stage::None
            | Stage::Observed
            | Stage::Ready { .. }
            | Stage::Running
            | Stage::Completed
            | Stage::Rejected => {}
        }
    }

    /// Where no host has the vulnerability it is looked again, later each time, for an hour: they may not be known yet.
    fn plan(&mut self, fleet: &FleetFacts) {
        let Some(request) = self.state.request.clone() else { return };
        let passed = self.now.duration_since(request.requested_at).as_secs();
        if fleet.hosts() == 0 && passed < LOOK_FOR_SECONDS {
            let delay = u32::try_from(passed).unwrap_or(0).max(SETTLE_SECONDS);
            return self.look_at(after(self.now, delay));
        }
        let pace = Pace::of(&fleet.policy, self.state.emergency);
        self.record(CampaignEvent::Planned(CampaignPlanned {
            campaign: request.campaign,
            planned_at: self.now,
            deadline: self.state.deadline,
            emergency: self.state.emergency,
            hosts: fleet.hosts(),
            racks: u32::try_from(fleet.racks.len()).unwrap_or(u32::MAX),
            excepted: fleet.excepted,
            without_fix: fleet.without_fix,
            withheld: fleet.withheld,
            waves: [pace.canary_percent].into_iter().chain(pace.waves.iter().copied()).collect(),
            soak_seconds: pace.soak_seconds,
            autonomy: fleet.autonomy,
            policy_version: fleet.policy_version,
        }));
        if !self.state.is_over() {
            self.next_wave(fleet);
        }
    }

    fn next_wave(&mut self, fleet: &FleetFacts) {
        let left = self.left(fleet);
        let total = left.values().fold(0_u32, |sum, hosts| sum.saturating_add(*hosts));
        if total == 0 || self.last_wave_did_nothing() {
            return self.complete(fleet.excepted);
        }
        if let Some((rule, lifts, until)) = self.held_by(fleet) {
            return self.hold(rule, lifts, until);
        }
        let Some(campaign) = self.state.campaign().cloned() else { return };
        let wave = self.state.wave().map_or(0, |wave| wave.number).saturating_add(1);
        let pace = Pace::of(&fleet.policy, self.state.emergency);
        let percent = pace.percent(wave);
        let racks = shares(&left, part_of(total, percent).max(1));
        let hosts = racks.iter().fold(0_u32, |sum, share| sum.saturating_add(share.hosts));
        self.record(CampaignEvent::WaveStarted(WaveStarted {
            campaign,
            wave,
            percent,
            left: total,
            hosts,
            racks,
            errors_max: errors_max(&fleet.policy, hosts),
            soak_seconds: pace.soak_seconds,
            excepted: fleet.excepted,
            policy_version: fleet.policy_version,
            started_at: self.now,
        }));
        self.ask_racks();
    }

    /// How many hosts of each rack are left: those that have it, without those that have failed. After a wave of all that was
    /// left, also without those that were left alone: they were looked at in each wave.
    fn left(&self, fleet: &FleetFacts) -> BTreeMap<FaultDomain, u32> {
        let all_were_looked_at = self.state.wave().is_some_and(|wave| wave.percent == 100);
        let left = fleet.racks.iter().map(|(rack, hosts)| {
            let known = self.state.racks.get(rack).copied().unwrap_or_default();
            let skipped = if all_were_looked_at { known.skipped } else { 0 };
            (rack.clone(), hosts.saturating_sub(known.failed).saturating_sub(skipped))
        });
        left.filter(|(_, hosts)| *hosts > 0).collect()
    }

    /// A wave of all that was left, in which no host was patched and none failed: another one would do nothing either.
    fn last_wave_did_nothing(&self) -> bool {
        self.state.wave().is_some_and(|wave| wave.percent == 100 && wave.patched == 0 && wave.failed == 0)
    }

    fn held_by(&self, fleet: &FleetFacts) -> Option<(&'static str, String, Timestamp)> {
        let campaign = self.state.campaign()?;
        let waited = self.state.held.as_ref().map_or(0, |held| self.now.duration_since(held.since).as_secs());
        let waited = u32::try_from(waited).unwrap_or(0);
        let later = after(self.now, waited.max(LOOK_AGAIN_SECONDS));
        match fleet.autonomy {
            Autonomy::Observe => {
                let lifts = "the policies let campaigns only observe: raise campaigns.autonomy".to_owned();
                return Some(("autonomy", lifts, later));
            }
            Autonomy::Approve if !self.state.approved => {
                let lifts = format!("it waits for `hostler campaigns approve {campaign}`");
                return Some(("approval", lifts, later));
            }
            Autonomy::Approve | Autonomy::Auto => {}
        }
        if self.state.emergency {
            return None;
        }
        let until = windows::is_open(&fleet.policy.windows, self.now).err()?;
        Some(("window", format!("the next maintenance window opens at {until}"), until))
    }

    /// The same reason is recorded once, and is looked at again by one timer.
    fn hold(&mut self, rule: &str, lifts: String, until: Timestamp) {
        let Some(campaign) = self.state.campaign().cloned() else { return };
        match self.state.held.as_ref().filter(|held| held.rule == rule && held.lifts == lifts) {
            Some(held) if held.until > self.now => return,
            Some(held) if after(held.since, LOOK_UNTIL_SECONDS) < self.now => return,
            Some(_) => {}
            None => {
                let (rule, since) = (rule.to_owned(), self.now);
                self.record(CampaignEvent::Held(CampaignHeld { campaign, rule, lifts, since, until }));
            }
        }
        self.look_at(until);
    }
}

/// So many in a hundred, rounded up.
fn part_of(total: u32, percent: u32) -> u32 {
    let part = (u64::from(total) * u64::from(percent)).div_ceil(100);
    u32::try_from(part).unwrap_or(u32::MAX)
}

/// How many hosts of a wave may fail: so many, or so many in a hundred of it; but never all of them.
fn errors_max(policy: &CampaignsPolicy, hosts: u32) -> u32 {
    policy.errors.max(part_of(hosts, policy.errors_percent)).min(hosts.saturating_sub(1))
}

/// Spreads so many hosts over the racks: one for each in turn, as long as it has some.
fn shares(left: &BTreeMap<FaultDomain, u32>, hosts: u32) -> Vec<RackShare> {
    let mut shares: Vec<(u32, RackShare)> = left
        .iter()
        .take(RACKS_MAX)
        .map(|(rack, left)| (*left, RackShare { rack: rack.clone(), hosts: 0 }))
        .collect();
    let mut to_give = hosts;
    while to_give > 0 {
        let before = to_give;
        for (left, share) in &mut shares {
            if to_give > 0 && share.hosts < *left {
                share.hosts += 1;
                to_give -= 1;
            }
        }
        if to_give == before {
            break;
        }
    }
    shares.into_iter().map(|(_, share)| share).filter(|share| share.hosts > 0).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn a_wave_is_spread_over_the_racks_and_takes_no_more_than_there_is() {
        let left = [("a", 1), ("b", 5), ("c", 3)].map(|(rack, hosts)| (rack.parse().unwrap(), hosts));
        let spread = |hosts| -> Vec<(String, u32)> {
            let shares = shares(&left.clone().into(), hosts);
            shares.into_iter().map(|share| (share.rack.to_string(), share.hosts)).collect()
        };
        let named = |of: &[(&str, u32)]| -> Vec<(String, u32)> {
            of.iter().map(|(rack, hosts)| ((*rack).to_owned(), *hosts)).collect()
        };
        assert_eq!(spread(2), named(&[("a", 1), ("b", 1)]));
        assert_eq!(spread(6), named(&[("a", 1), ("b", 3), ("c", 2)]));
        assert_eq!(spread(99), named(&[("a", 1), ("b", 5), ("c", 3)]));
    }

    #[test]
    fn errors_are_a_number_or_a_part_and_never_the_whole_wave() {
        let policy = CampaignsPolicy { errors: 2, errors_percent: 5, ..CampaignsPolicy::default() };
        let max = |hosts| errors_max(&policy, hosts);
        assert_eq!([max(1), max(2), max(3), max(40), max(250)], [0, 1, 2, 2, 13]);
    }
}
