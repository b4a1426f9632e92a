//! Rules of campaigns.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeMap;

use hostler_core::Payload;
use hostler_events::FaultDomain;
use hostler_events::campaigns::{CampaignsPolicy, WindowPolicy};
use hostler_events::site::Autonomy;

use super::*;
use crate::testing::{Run, id};

mod deciding;
mod fleet;
mod properties;
mod racks;
mod stopping;

type Campaign = Run<CampaignDecider>;

const NAME: &str = "CVE-2026-1.1";

/// A fleet of so many racks with so many hosts each, all of which have the vulnerability.
fn fleet_of(racks: u32, hosts: u32) -> FleetFacts {
    let racks: BTreeMap<FaultDomain, u32> =
        (0..racks).map(|n| (id::<FaultDomain>(&format!("r-{n:03}")), hosts)).collect();
    FleetFacts {
        racks,
        excepted: 0,
        without_fix: 0,
        withheld: 0,
        autonomy: Autonomy::Auto,
        policy: CampaignsPolicy { autonomy: Autonomy::Auto, ..CampaignsPolicy::default() },
        policy_version: 7,
    }
}

fn urgency(deadline_seconds: Option<u32>, emergency: bool, now: Timestamp) -> CampaignInput {
    CampaignInput::Prioritised(Urgency {
        campaign: id(NAME),
        advisory: id("CVE-2026-1"),
        deadline: deadline_seconds.map(|seconds| after(now, seconds)),
        emergency,
        reason: "act, by decision table 1".to_owned(),
    })
}

fn look(fleet: &FleetFacts) -> CampaignInput {
    CampaignInput::Look { fleet: Box::new(fleet.clone()) }
}

fn pass(campaign: &mut Campaign, seconds: u32) {
    campaign.now = after(campaign.now, seconds);
}

/// A campaign that was planned for this fleet.
fn planned(fleet: &FleetFacts) -> Campaign {
    let mut campaign = Campaign::new();
    let asked = urgency(Some(3 * 86_400), false, campaign.now);
    campaign.when(&asked).unwrap();
    pass(&mut campaign, SETTLE_SECONDS);
    campaign.when(&look(fleet)).unwrap();
    campaign
}

/// How many hosts of each rack are in the newest wave.
fn shares(campaign: &Campaign) -> BTreeMap<FaultDomain, u32> {
    campaign.state.open_racks().map(|(rack, of)| (rack.clone(), of.hosts)).collect()
}

/// All racks of the wave end it: the first hosts of it fail, so many as this, and the others are patched.
fn end_wave(campaign: &mut Campaign, fleet: &mut FleetFacts, mut fails: u32) {
    for (rack, hosts) in shares(campaign) {
        let failed = fails.min(hosts);
        fails -= failed;
        let known = campaign.state.racks[&rack];
        let patched = hosts - failed;
        *fleet.racks.get_mut(&rack).unwrap() -= patched;
        let report = RackReported {
            campaign: id(NAME),
            rack,
            wave: known.wave,
            finished: true,
            sequence: known.sequence + 3,
            patched: known.patched + patched,
            skipped: known.skipped,
            failed: known.failed + failed,
        };
        campaign.when(&CampaignInput::Report(report)).unwrap();
    }
}

/// Until the next wave starts, or the campaign ends.
fn soak(campaign: &mut Campaign, fleet: &FleetFacts) -> Vec<&'static str> {
    if let Stage::Ready { from } = campaign.state.stage {
        campaign.now = from;
    }
    campaign.names(&look(fleet))
}

fn by_operator(input: fn(CampaignId, String) -> CampaignInput) -> CampaignInput {
    input(id(NAME), "agreed".to_owned())
}

fn approve(campaign: CampaignId, reason: String) -> CampaignInput {
    CampaignInput::Approve { campaign, reason }
}

fn reject(campaign: CampaignId, reason: String) -> CampaignInput {
    CampaignInput::Reject { campaign, reason }
}

fn pause(campaign: CampaignId, reason: String) -> CampaignInput {
    CampaignInput::Pause { campaign, reason }
}

fn resume(campaign: CampaignId, reason: String) -> CampaignInput {
    CampaignInput::Resume { campaign, reason }
}
