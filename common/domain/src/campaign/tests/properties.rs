//! What holds whatever becomes of the hosts.

use hostler_events::campaign::PatchEnd;
use proptest::prelude::*;

use super::fleet::{Fate, Fleet};
use super::*;

fn fate() -> impl Strategy<Value = Fate> {
    let end = prop_oneof![
        12 => Just(PatchEnd::Patched),
        1 => Just(PatchEnd::Failed),
        1 => Just(PatchEnd::Skipped),
        1 => Just(PatchEnd::Partial),
    ];
    (end, prop::bool::weighted(0.1), prop::bool::weighted(0.1)).prop_map(|(end, is_lost, comes_twice)| Fate {
        end,
        is_lost,
        comes_twice,
    })
}

fn policy() -> CampaignsPolicy {
    CampaignsPolicy {
        autonomy: Autonomy::Auto,
        soak_seconds: 600,
        errors: 1,
        errors_percent: 5,
        ..CampaignsPolicy::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Never two hosts of a rack at a time, never more than the budget, and none after the wave was halted. Every campaign ends or
    /// waits for a person, by its timers and the ends of its sagas alone; and then nothing is disturbed.
    #[test]
    fn every_campaign_keeps_its_limits_and_ends_or_waits_for_a_person(
        fates in proptest::collection::vec(proptest::collection::vec(fate(), 0..8), 1..8),
        budget in 1_usize..6,
        pause_after in 0_usize..200,
        resumes in 0_u32..3,
    ) {
        let mut fleet = Fleet::new(&fates, budget, policy());
        let asked = urgency(Some(86_400), false, fleet.now);
        fleet.tell(&asked);
        let (mut steps, mut resumed) = (0, 0);
        loop {
            let stopped = fleet.campaign.state.stop.is_some();
            let started = fleet.started.len();
            if steps == pause_after {
                fleet.tell(&by_operator(pause));
            }
            if !fleet.step() {
                // Nothing is on its way any more: it is over, or a person is waited for.
                if fleet.campaign.state.stop.is_none() || resumed == resumes {
                    break;
                }
                resumed += 1;
                prop_assert!(fleet.tell(&by_operator(resume)));
            }
            steps += 1;
            prop_assert!(steps < 20_000, "it never ends: {:?}", fleet.campaign.state);
            if stopped && fleet.campaign.state.stop.is_some() {
                prop_assert_eq!(fleet.started.len(), started, "a host was begun in a campaign that is stopped");
            }
            prop_assert!(fleet.most <= budget);
            let running = fleet.campaign_racks.values().filter(|campaign_rack| campaign_rack.state.running.is_some()).count();
            prop_assert!(fleet.disturbed.len() <= running, "{:?}", fleet.disturbed);
        }
        let state = &fleet.campaign.state;
        prop_assert!(state.is_over() || state.stop.is_some(), "{state:?}");
        prop_assert!(fleet.disturbed.is_empty(), "{:?}", fleet.disturbed);
        prop_assert!(fleet.campaign_racks.values().all(|campaign_rack| campaign_rack.state.running.is_none()));
        for wave in &state.waves {
            prop_assert!(wave.hosts <= wave.left);
            prop_assert!(wave.patched + wave.failed <= wave.hosts, "{wave:?}");
        }
        if state.stage == Stage::Completed {
            let hosts = fates.iter().map(Vec::len).sum::<usize>();
            prop_assert_eq!(fleet.started.len(), hosts, "a host was left out: {:?}", state);
            let all = state.patched() + state.failed() + state.skipped();
            prop_assert_eq!(all as usize, hosts);
        }
    }
}
