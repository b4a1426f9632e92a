//! What a campaign is told.

use std::collections::BTreeMap;

use hostler_events::FaultDomain;
use hostler_events::campaign::{CreateCampaign, RackReported};
use hostler_events::campaigns::CampaignsPolicy;
use hostler_events::site::Autonomy;
use hostler_events::{AdvisoryId, CampaignId};
use jiff::Timestamp;

/// How urgent an advisory is, by the site's decision table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urgency {
    /// The campaign that patches it.
    pub campaign: CampaignId,
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The deadline.
    pub deadline: Option<Timestamp>,
    /// Whether it is an emergency.
    pub emergency: bool,
    /// What the table says, for people.
    pub reason: String,
}

/// The hosts that have the vulnerability, as they were counted just before a decision, and by what is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetFacts {
    /// How many hosts of each rack are to be patched: those that have it, with a fixed version, and no exception.
    pub racks: BTreeMap<FaultDomain, u32>,
    /// How many hosts have it and an exception.
    pub excepted: u32,
    /// How many have it, and no fixed version is known.
    pub without_fix: u32,
    /// How many have it in pools that may only be observed.
    pub withheld: u32,
    /// The least autonomy of the policy and of the pools of the hosts that are to be patched.
    pub autonomy: Autonomy,
    /// The policy.
    pub policy: CampaignsPolicy,
    /// Its version.
    pub policy_version: u64,
}

impl FleetFacts {
    /// How many hosts are to be patched.
    #[must_use]
    pub fn hosts(&self) -> u32 {
        self.racks.values().fold(0, |sum, hosts| sum.saturating_add(*hosts))
    }
}

/// What a campaign is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CampaignInput {
    /// A person asks for it.
    Create(CreateCampaign),
    /// The site's decision table says how urgent it is.
    Prioritised(Urgency),
    /// See what it needs now.
    Look {
        /// The hosts.
        fleet: Box<FleetFacts>,
    },
    /// A rack says how far it is.
    Report(RackReported),
    /// A wave has gone on for long: racks that have not ended it are asked again.
    StillRunning {
        /// The wave.
        wave: u32,
    },
    /// A deadline has passed.
    DeadlinePassed {
        /// The deadline.
        deadline: Timestamp,
    },
    /// A person has it begin.
    Approve {
        /// The campaign.
        campaign: CampaignId,
        /// Why.
        reason: String,
    },
    /// A person ends it.
    Reject {
        /// The campaign.
        campaign: CampaignId,
        /// Why.
        reason: String,
    },
    /// A person has it begin nothing for now.
    Pause {
        /// The campaign.
        campaign: CampaignId,
        /// Why.
        reason: String,
    },
    /// A person has it go on.
    Resume {
        /// The campaign.
        campaign: CampaignId,
        /// Why.
        reason: String,
    },
}
