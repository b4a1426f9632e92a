//! Turns: where the budget lets fewer hosts be disturbed than there are racks, the rack that has most left goes first.
//!
//! A rack patches one host at a time, so that a campaign lasts at least as long as its rack that has most left. One that began
//! its next host at once would keep its part of the budget to its end, while others have all of theirs before them.

use std::cmp::Reverse;

use hostler_events::FaultDomain;
use jiff::Timestamp;

use crate::views::CampaignRackView;

/// How many racks are looked at before the one that has its turn anyway: what holds these back may hold back no other.
const AHEAD_MAX: usize = 3;

/// Where a rack stands in the line of its campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// How many hosts it has left in the wave.
    pub left: u32,
    /// Since when it is held back. One that is not has just had its turn.
    pub held_since: Option<Timestamp>,
}

/// The racks that come before this one, of those that the budget holds back: the ones that have more left, and of the others that
/// have as much left those that have waited longer.
#[must_use]
pub fn ahead(rack: &FaultDomain, place: Place, held: Vec<CampaignRackView>) -> Vec<FaultDomain> {
    let waits = held.into_iter().filter_map(|other| {
        let since = other.held.as_ref().filter(|held| held.rule.starts_with(super::rack::BY_BUDGET))?.since;
        let left = other.hosts.saturating_sub(other.ended);
        let is_before = left > place.left
            || left == place.left && place.held_since.is_none_or(|held_since| since < held_since);
        (is_before && other.rack != *rack).then_some((Reverse(left), since, other.rack))
    });
    let mut line: Vec<_> = waits.collect();
    line.sort();
    line.into_iter().take(AHEAD_MAX).map(|(_, _, rack)| rack).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use hostler_events::campaign::RackHeld;

    use super::*;

    fn held(rack: &str, rule: &str, left: u32, since: i64) -> CampaignRackView {
        let (campaign, rack) = ("c.1".parse().unwrap(), rack.parse::<FaultDomain>().unwrap());
        let held = RackHeld {
            campaign,
            rack: rack.clone(),
            rule: rule.to_owned(),
            limit: 1,
            value: 1,
            lifts: String::new(),
            since: Timestamp::from_second(since).unwrap(),
        };
        CampaignRackView {
            campaign: held.campaign.clone(),
            rack,
            status: "held-back".to_owned(),
            wave: 2,
            hosts: 10,
            ended: 10 - left,
            running: None,
            held: Some(held),
            not_patched: Vec::new(),
        }
    }

    fn ahead_of(left: u32, held_since: Option<i64>, others: &[CampaignRackView]) -> Vec<String> {
        let held_since = held_since.map(|since| Timestamp::from_second(since).unwrap());
        let line = ahead(&"own".parse().unwrap(), Place { left, held_since }, others.to_vec());
        line.into_iter().map(|rack| rack.to_string()).collect()
    }

    #[test]
    fn whoever_has_most_left_goes_first_and_then_whoever_has_waited_longest() {
        let others = [
            held("a", "budget-pool", 4, 30),
            held("b", "budget-site", 6, 20),
            held("c", "budget-pool", 6, 10),
            held("d", "budget-window", 2, 0),
        ];
        assert_eq!(ahead_of(4, None, &others), ["c", "b", "a"], "it has just had its turn");
        assert_eq!(ahead_of(4, Some(20), &others), ["c", "b"], "it has waited longer than a");
        assert_eq!(ahead_of(4, Some(40), &others), ["c", "b", "a"]);
        assert_eq!(ahead_of(7, None, &others), [""; 0]);
        assert_eq!(ahead_of(0, None, &others), ["c", "b", "a"], "no more than three are looked at");
    }

    #[test]
    fn a_rack_is_not_before_itself_and_what_a_campaign_holds_back_has_no_turn() {
        let others =
            [held("own", "budget-pool", 9, 0), held("a", "window", 9, 0), held("b", "campaign", 9, 0)];
        assert_eq!(ahead_of(1, None, &others), [""; 0]);
    }
}
