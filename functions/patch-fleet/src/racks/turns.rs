//! Whose turn it is, where the disruption budget lets fewer hosts be disturbed than there are racks.

use hostler_core::{Failure, mutants};
use hostler_domain::CampaignRackDecider;
use hostler_domain::budget::Rule;
use hostler_domain::campaign::turns::{Place, ahead};
use hostler_domain::views::{CAMPAIGN_RACKS, CampaignRackView, held_racks_group};
use hostler_events::{CampaignId, FaultDomain};
use hostler_runtime::state::shell::Cause;
use serde::Deserialize;

use super::{Next, rack_stream};
use crate::{PatchFleet, part};

/// How many rows one page of racks has.
const PAGE_ROWS: usize = 1_000;
/// How many pages of a campaign are read: more racks than a site has.
const PAGES_MAX: usize = 20;

impl PatchFleet {
    /// Looks at a rack whose host has ended, or whose wait is over; and before it at those that it would overtake. These would have
    /// looked for themselves some time, so that what cannot be seen or done for them holds this one back no more.
    pub(crate) async fn in_turn(
        &self,
        cause: &Cause,
        campaign: &CampaignId,
        rack: &FaultDomain,
        after_wait: bool,
    ) -> Result<(), Failure> {
        if let Err(failure) = self.look_ahead(cause, campaign, rack).await {
            tracing::warn!(%campaign, %rack, %failure, "racks that come first were not looked at");
        }
        self.next(cause, campaign, rack, after_wait).await.map(drop)
    }

    async fn look_ahead(
        &self,
        cause: &Cause,
        campaign: &CampaignId,
        rack: &FaultDomain,
    ) -> Result<(), Failure> {
        if mutants::on("patch-fleet.gives-no-turn") {
            return Ok(());
        }
        let own = self.shell.load::<CampaignRackDecider>(&rack_stream(campaign, rack)?).await?.state;
        // One that patches a host by now is ahead of nobody, and one that is done in this wave leaves its part to others.
        let left = if own.finished { 0 } else { own.hosts.saturating_sub(own.used) };
        let place = Place { left, held_since: own.held.map(|held| held.since) };
        for first in ahead(rack, place, self.held_racks(campaign).await?) {
            match self.next(&part(cause, first.as_str())?, campaign, &first, false).await? {
                // One part of the budget is free for each host that ends, and by these rules it is for nobody.
                Next::Begun | Next::Held(Rule::Site | Rule::Window) => break,
                Next::Held(_) | Next::Nothing => {}
            }
        }
        Ok(())
    }

    /// The racks of a campaign that are held back. The view may be late: who is not held any more is looked at in vain.
    async fn held_racks(&self, campaign: &CampaignId) -> Result<Vec<CampaignRackView>, Failure> {
        let (group, mut racks, mut after) = (held_racks_group(campaign), Vec::new(), None);
        for _page in 0..PAGES_MAX {
            let page = self.views.list(CAMPAIGN_RACKS, Some(&group), after.as_deref(), PAGE_ROWS).await?;
            // A row that does not read is that of an older version: its rack looks for itself.
            racks.extend(page.rows.iter().filter_map(|row| CampaignRackView::deserialize(&row.body).ok()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(racks)
    }
}
