//! Campaigns and their racks: their views, and the status codes of their refusals.

use hostler_domain::campaign::{
    CAMPAIGN_TIMERS_TO, CampaignDecider, CampaignRackDecider, CampaignRackState, CampaignRefusal,
    CampaignState,
};
use hostler_domain::views::{self, CAMPAIGN_RACKS, CAMPAIGNS};
use hostler_runtime::register::{Entity, Operated, Refused, Shown, Viewed};

/// Campaigns, listed by their status.
#[derive(Debug, Clone, Copy)]
pub struct Campaigns;

impl Entity for Campaigns {
    type Decider = CampaignDecider;
    const TIMERS_TO: Option<&'static str> = Some(CAMPAIGN_TIMERS_TO);
}

impl Viewed for Campaigns {
    const VIEW: &'static str = CAMPAIGNS;

    fn show(state: &CampaignState) -> Option<Shown> {
        let campaign = views::campaign(state)?;
        Some(Shown::of(campaign.status.clone(), &campaign))
    }
}

impl Operated for Campaigns {
    fn refused(refusal: &CampaignRefusal) -> Refused {
        let status = match refusal {
            CampaignRefusal::Unknown => 404,
            CampaignRefusal::NameTooLong { .. } | CampaignRefusal::NoReason { .. } => 400,
            CampaignRefusal::Exists { .. }
            | CampaignRefusal::Ended { .. }
            | CampaignRefusal::NotAwaited { .. }
            | CampaignRefusal::Stopped { .. }
            | CampaignRefusal::NotStopped { .. } => 409,
        };
        Refused { status, label: refusal.label() }
    }
}

/// The racks of campaigns, listed by campaign and status.
#[derive(Debug, Clone, Copy)]
pub struct CampaignRacks;

impl Entity for CampaignRacks {
    type Decider = CampaignRackDecider;
    const TIMERS_TO: Option<&'static str> = Some(CAMPAIGN_TIMERS_TO);
}

impl Viewed for CampaignRacks {
    const VIEW: &'static str = CAMPAIGN_RACKS;

    fn show(state: &CampaignRackState) -> Option<Shown> {
        let campaign_rack = views::campaign_rack(state)?;
        let group = views::campaign_rack_group(&campaign_rack.campaign, &campaign_rack.status);
        Some(Shown::of(group, &campaign_rack))
    }
}
