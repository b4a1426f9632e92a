//! From the request to the last wave.

use super::*;

const STARTED: [&str; 2] = ["campaign.planned", "campaign.wave-started"];

#[test]
fn a_canary_comes_first_and_then_waves_of_what_is_left() {
    let mut fleet = fleet_of(10, 40);
    let mut campaign = planned(&fleet);
    let mut sizes = Vec::new();
    while campaign.state.stage == Stage::Running {
        let wave = campaign.state.wave().unwrap();
        sizes.push((wave.percent, wave.left, wave.hosts));
        end_wave(&mut campaign, &mut fleet, 0);
        soak(&mut campaign, &fleet);
    }
    assert_eq!(
        sizes,
        [(1, 400, 4), (5, 396, 20), (10, 376, 38), (25, 338, 85), (50, 253, 127), (100, 126, 126)]
    );
    assert_eq!(campaign.state.stage, Stage::Completed);
    let Some(CampaignEvent::Completed(completed)) = campaign.events.last() else { panic!("no end") };
    assert_eq!((completed.patched, completed.failed, completed.in_time), (400, 0, Some(true)));
}

/// Each wave asks each of its racks once, for its share.
#[test]
fn a_wave_is_spread_over_the_racks() {
    let campaign = planned(&fleet_of(300, 10));
    let shares = shares(&campaign);
    assert_eq!((shares.len(), shares.values().max()), (30, Some(&1)));
    let asked = campaign.commands.iter().filter(|command| command.type_name() == "run-lane").count();
    assert_eq!(asked, 30);
}

#[test]
fn small_fleets_have_a_canary_of_one_host() {
    let campaign = planned(&fleet_of(2, 3));
    let wave = campaign.state.wave().unwrap();
    assert_eq!((wave.hosts, wave.errors_max), (1, 0));
}

/// The hosts that have it are known only some time after the advisory.
#[test]
fn hosts_are_looked_for_for_an_hour_where_none_has_it() {
    let mut campaign = Campaign::new();
    let asked = urgency(Some(86_400), false, campaign.now);
    campaign.when(&asked).unwrap();
    let none = fleet_of(0, 0);
    let mut looks = 0;
    while campaign.state.stage == Stage::Requested {
        let mut looked = campaign.timers.iter().filter(|timer| timer.name.starts_with("look:"));
        campaign.now = looked.next_back().unwrap().due_at;
        campaign.when(&look(&none)).unwrap();
        looks += 1;
    }
    assert_eq!((campaign.state.stage, looks), (Stage::Completed, 7));
    assert_eq!(campaign.events.last().unwrap().type_name(), "campaign.completed");
}

#[test]
fn hosts_that_have_come_or_gone_are_seen_by_the_next_wave() {
    let mut fleet = fleet_of(4, 25);
    let mut campaign = planned(&fleet);
    end_wave(&mut campaign, &mut fleet, 0);
    // Two racks are upgraded by somebody else, and a new one comes.
    fleet.racks.remove(&id("r-000"));
    fleet.racks.remove(&id("r-001"));
    fleet.racks.insert(id("r-new"), 50);
    soak(&mut campaign, &fleet);
    let wave = campaign.state.wave().unwrap().clone();
    assert_eq!((wave.number, wave.left), (2, 100));
    assert!(shares(&campaign).contains_key(&id("r-new")));
}

/// A host that was left alone in every wave is not asked for again and again.
#[test]
fn what_cannot_be_patched_does_not_keep_a_campaign_open() {
    let mut fleet = fleet_of(1, 3);
    let mut campaign = planned(&fleet);
    let mut waves = 0;
    while campaign.state.stage == Stage::Running {
        waves += 1;
        let rack: FaultDomain = id("r-000");
        let known = campaign.state.racks[&rack];
        // One host of three can be patched, in the first wave.
        fleet.racks.insert(rack.clone(), 2);
        let report = RackReported {
            campaign: id(NAME),
            rack,
            wave: known.wave,
            finished: true,
            sequence: known.sequence + 1,
            patched: 1,
            skipped: if waves == 1 { 0 } else { 2 },
            failed: 0,
        };
        campaign.when(&CampaignInput::Report(report)).unwrap();
        soak(&mut campaign, &fleet);
        assert!(waves < 10);
    }
    assert_eq!(campaign.state.stage, Stage::Completed);
    assert_eq!((campaign.state.patched(), campaign.state.skipped()), (1, 2));
}

#[test]
fn what_is_only_observed_is_on_record_and_nothing_is_done() {
    let mut fleet = fleet_of(4, 25);
    fleet.autonomy = Autonomy::Observe;
    let campaign = planned(&fleet);
    assert_eq!(campaign.state.stage, Stage::Observed);
    assert_eq!(campaign.state.plan.as_ref().unwrap().hosts, 100);
    assert!(campaign.commands.is_empty());
}

#[test]
fn a_campaign_that_needs_approval_waits_for_it() {
    let mut fleet = fleet_of(4, 25);
    fleet.autonomy = Autonomy::Approve;
    let mut campaign = planned(&fleet);
    assert_eq!(campaign.state.held.as_ref().unwrap().rule, "approval");
    assert!(campaign.commands.is_empty());
    // It is looked at again, and that is not recorded.
    pass(&mut campaign, 3_600);
    let decision = campaign.when(&look(&fleet)).unwrap();
    assert_eq!((decision.events.len(), decision.timers.len()), (0, 1));
    let decision = campaign.when(&by_operator(approve)).unwrap();
    assert_eq!(decision.commands[0].type_name(), "look-at-campaign");
    assert_eq!(campaign.names(&look(&fleet)), ["campaign.wave-started"]);
    let again = campaign.when(&by_operator(approve)).unwrap_err();
    assert_eq!(again.label(), "not-awaited");
}

#[test]
fn a_campaign_that_an_operator_creates_needs_no_approval() {
    let mut fleet = fleet_of(4, 25);
    fleet.autonomy = Autonomy::Approve;
    let mut campaign = Campaign::new();
    let create = CreateCampaign {
        campaign: id("openssl"),
        advisory: id("CVE-2026-1"),
        deadline: None,
        emergency: false,
        reason: "the board wants it".to_owned(),
    };
    campaign.when(&CampaignInput::Create(create.clone())).unwrap();
    assert_eq!(campaign.names(&look(&fleet)), STARTED);
    let again = campaign.when(&CampaignInput::Create(create.clone())).unwrap_err();
    assert_eq!(again.label(), "campaign-exists");
    let long = CreateCampaign { campaign: id(&"x".repeat(60)), ..create.clone() };
    let long = Campaign::new().when(&CampaignInput::Create(long)).unwrap_err();
    assert_eq!(long.label(), "name-too-long");
    let silent = CreateCampaign { reason: " ".to_owned(), ..create };
    let silent = Campaign::new().when(&CampaignInput::Create(silent)).unwrap_err();
    assert_eq!(silent.label(), "no-reason");
}

/// 2027-01-15 08:00 is when tests begin: a Friday.
#[test]
fn no_wave_starts_outside_of_a_window_and_an_emergency_waits_for_none() {
    let mut fleet = fleet_of(4, 25);
    let window =
        WindowPolicy { days: Vec::new(), start: "22:00".to_owned(), minutes: 60, cutoff_minutes: 30 };
    fleet.policy.windows = vec![window];
    let mut campaign = planned(&fleet);
    let held = campaign.state.held.clone().unwrap();
    assert_eq!((held.rule.as_str(), held.until), ("window", "2027-01-15T22:00:00Z".parse().unwrap()));
    assert_eq!(campaign.timers.last().unwrap().due_at, held.until);
    // It becomes urgent.
    let reason = "act: it is exploited";
    let urgent = Urgency {
        campaign: id(NAME),
        advisory: id("CVE-2026-1"),
        deadline: Some(after(campaign.now, 86_400)),
        emergency: true,
        reason: reason.to_owned(),
    };
    let decision = campaign.when(&CampaignInput::Prioritised(urgent)).unwrap();
    assert_eq!(decision.commands[0].type_name(), "look-at-campaign");
    assert_eq!(campaign.state.request.as_ref().unwrap().reason, reason);
    assert_eq!(campaign.names(&look(&fleet)), ["campaign.wave-started"]);
    // What was known already changes nothing.
    assert!(campaign.ignores(&CampaignInput::Prioritised(Urgency {
        campaign: id(NAME),
        advisory: id("CVE-2026-1"),
        deadline: campaign.state.deadline,
        emergency: true,
        reason: "the same".to_owned(),
    })));
}

/// The advisory is published, and seconds later it is known to be exploited: a count now would miss most hosts.
#[test]
fn new_facts_do_not_have_hosts_counted_before_they_are_known() {
    let mut campaign = Campaign::new();
    let published = urgency(Some(14 * 86_400), false, campaign.now);
    let first = campaign.when(&published).unwrap().timers[0].due_at;
    pass(&mut campaign, 5);
    let exploited = urgency(Some(3 * 86_400), true, campaign.now);
    let decision = campaign.when(&exploited).unwrap();
    assert_eq!((decision.events.len(), decision.commands), (1, Vec::new()));
    campaign.now = first;
    assert_eq!(campaign.names(&look(&fleet_of(4, 25))), STARTED);
    assert!(campaign.state.emergency);
}

#[test]
fn an_emergency_has_larger_waves_and_a_shorter_soak() {
    let mut fleet = fleet_of(10, 40);
    let mut campaign = Campaign::new();
    let asked = urgency(Some(3 * 86_400), true, campaign.now);
    campaign.when(&asked).unwrap();
    pass(&mut campaign, SETTLE_SECONDS);
    campaign.when(&look(&fleet)).unwrap();
    let begun = campaign.now;
    let mut percents = Vec::new();
    while campaign.state.stage == Stage::Running {
        percents.push(campaign.state.wave().unwrap().percent);
        end_wave(&mut campaign, &mut fleet, 0);
        soak(&mut campaign, &fleet);
    }
    assert_eq!(percents, [1, 25, 100]);
    assert!(campaign.now.duration_since(begun).as_secs() < 2 * 900 + 200);
}

#[test]
fn a_deadline_that_is_missed_is_said_once_and_stops_nothing() {
    let fleet = fleet_of(10, 40);
    let mut campaign = planned(&fleet);
    let deadline = campaign.state.deadline.unwrap();
    let passed = CampaignInput::DeadlinePassed { deadline };
    assert!(campaign.ignores(&passed), "it is not due");
    campaign.now = deadline;
    assert_eq!(campaign.names(&passed), ["campaign.deadline-breached"]);
    assert!(campaign.ignores(&passed));
    assert_eq!(campaign.state.stage, Stage::Running);
    let Some(CampaignEvent::DeadlineBreached(breached)) = campaign.events.last() else { panic!("none") };
    assert_eq!(breached.left, 400);
}

#[test]
fn timers_are_known_by_their_names() {
    let campaign = planned(&fleet_of(4, 25));
    let read: Vec<CampaignTimer> =
        campaign.timers.iter().map(|timer| CampaignTimer::read(&timer.name).unwrap()).collect();
    let deadline = CampaignTimer::Deadline(campaign.state.deadline.unwrap());
    assert_eq!(read, [CampaignTimer::Look, deadline, CampaignTimer::Running(1)]);
    assert_eq!(CampaignTimer::read("soon"), None);
}
