//! What stops a campaign, and what has it go on.

use super::*;

fn reported(campaign: &Campaign, failed: u32, finished: bool) -> CampaignInput {
    let (rack, known) = campaign.state.racks.iter().next().unwrap();
    CampaignInput::Report(RackReported {
        campaign: id(NAME),
        rack: rack.clone(),
        wave: known.wave,
        finished,
        sequence: known.sequence + 1,
        patched: known.patched,
        skipped: known.skipped,
        failed: known.failed + failed,
    })
}

#[test]
fn a_wave_is_halted_with_one_error_more_than_may_be() {
    let mut fleet = fleet_of(10, 40);
    let mut campaign = planned(&fleet);
    end_wave(&mut campaign, &mut fleet, 0);
    soak(&mut campaign, &fleet);
    assert_eq!(campaign.state.wave().unwrap().errors_max, 2);
    for _ in 0..2 {
        let failed = reported(&campaign, 1, false);
        assert_eq!(campaign.names(&failed), ["campaign.rack-reported"]);
    }
    let failed = reported(&campaign, 1, false);
    assert_eq!(campaign.names(&failed), ["campaign.rack-reported", "campaign.wave-halted"]);
    assert!(!campaign.state.runs(2));
    let Some(Stop::Halted(halted)) = &campaign.state.stop else { panic!("it goes on") };
    assert_eq!((halted.rule.as_str(), halted.limit, halted.value), ("errors", 2, 3));
    assert!(halted.lifts.contains("campaigns resume"), "{}", halted.lifts);
    // What runs is finished, and starts nothing.
    end_wave(&mut campaign, &mut fleet, 0);
    assert_eq!(campaign.state.stage, Stage::Running);
    // An operator resumes it, and errors are counted from zero.
    assert_eq!(campaign.names(&by_operator(resume)), ["campaign.resumed", "campaign.wave-completed"]);
    assert_eq!(soak(&mut campaign, &fleet), ["campaign.wave-started"]);
}

#[test]
fn a_canary_of_one_host_that_fails_halts_the_campaign() {
    let mut fleet = fleet_of(2, 3);
    let mut campaign = planned(&fleet);
    end_wave(&mut campaign, &mut fleet, 1);
    assert!(matches!(campaign.state.stop, Some(Stop::Halted(_))), "{:?}", campaign.state);
    assert!(soak(&mut campaign, &fleet).is_empty());
}

#[test]
fn a_paused_campaign_begins_nothing_until_it_is_resumed() {
    let mut fleet = fleet_of(10, 40);
    let mut campaign = planned(&fleet);
    campaign.when(&by_operator(pause)).unwrap();
    assert!(!campaign.state.runs(1));
    assert!(campaign.ignores(&CampaignInput::StillRunning { wave: 1 }));
    assert_eq!(campaign.when(&by_operator(pause)).unwrap_err().label(), "already-stopped");
    // One rack has ended its part, and the others are asked again.
    let ended = reported(&campaign, 0, true);
    campaign.when(&ended).unwrap();
    let decision = campaign.when(&by_operator(resume)).unwrap();
    let asked = decision.commands.iter().filter(|command| command.type_name() == "run-lane").count();
    assert_eq!(asked, 3);
    assert_eq!(campaign.when(&by_operator(resume)).unwrap_err().label(), "not-stopped");
    // Between two waves it is looked at when it is resumed.
    end_wave(&mut campaign, &mut fleet, 0);
    campaign.when(&by_operator(pause)).unwrap();
    assert!(soak(&mut campaign, &fleet).is_empty());
    let decision = campaign.when(&by_operator(resume)).unwrap();
    assert_eq!(decision.commands[0].type_name(), "look-at-campaign");
    assert_eq!(campaign.names(&look(&fleet)), ["campaign.wave-started"]);
}

#[test]
fn a_campaign_that_is_rejected_begins_nothing_more() {
    let mut fleet = fleet_of(10, 40);
    let mut campaign = planned(&fleet);
    campaign.when(&by_operator(reject)).unwrap();
    assert!(!campaign.state.runs(1));
    // What runs is finished and counted.
    end_wave(&mut campaign, &mut fleet, 1);
    assert_eq!((campaign.state.stage, campaign.state.patched()), (Stage::Rejected, 3));
    for input in [approve, pause, resume, reject] {
        assert_eq!(campaign.when(&by_operator(input)).unwrap_err().label(), "campaign-ended");
    }
    let nobody = Campaign::new().when(&by_operator(reject)).unwrap_err();
    assert_eq!(nobody.label(), "unknown-campaign");
    let silent = CampaignInput::Pause { campaign: id(NAME), reason: String::new() };
    assert_eq!(planned(&fleet).when(&silent).unwrap_err().label(), "no-reason");
}

#[test]
fn reports_that_come_twice_or_late_say_nothing_new() {
    let mut campaign = planned(&fleet_of(10, 40));
    let first = reported(&campaign, 1, false);
    campaign.when(&first).unwrap();
    let second = reported(&campaign, 0, true);
    campaign.when(&second).unwrap();
    assert!(campaign.ignores(&second));
    assert!(campaign.ignores(&first));
    let stranger = CampaignInput::Report(RackReported {
        campaign: id(NAME),
        rack: id("elsewhere"),
        wave: 1,
        finished: true,
        sequence: 9,
        patched: 9,
        skipped: 0,
        failed: 0,
    });
    assert!(campaign.ignores(&stranger));
}

#[test]
fn policies_that_need_approval_again_hold_the_next_wave() {
    let mut fleet = fleet_of(10, 40);
    let mut campaign = planned(&fleet);
    end_wave(&mut campaign, &mut fleet, 0);
    fleet.autonomy = Autonomy::Observe;
    assert_eq!(soak(&mut campaign, &fleet), ["campaign.held"]);
    assert_eq!(campaign.state.held.as_ref().unwrap().rule, "autonomy");
    fleet.autonomy = Autonomy::Approve;
    assert_eq!(soak(&mut campaign, &fleet), ["campaign.held"]);
    campaign.when(&by_operator(approve)).unwrap();
    assert_eq!(soak(&mut campaign, &fleet), ["campaign.wave-started"]);
}
