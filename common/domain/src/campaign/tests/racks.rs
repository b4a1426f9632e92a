//! Rules of the racks of a campaign.

use hostler_events::campaign::{CampaignRackEvent, PatchEnd};
use hostler_events::patching::{Fix, PatchOrder, PatchingPolicy, Reboot};

use super::super::rack::{Hold, STOPPED};
use super::*;

type CampaignRack = Run<CampaignRackDecider>;

pub(super) fn run(wave: u32, hosts: u32) -> CampaignRackInput {
    CampaignRackInput::Run(RunRack { campaign: id(NAME), rack: id("r-000"), wave, hosts })
}

pub(super) fn start(host: &str) -> CampaignRackInput {
    CampaignRackInput::Start {
        order: Box::new(PatchOrder {
            campaign: id(NAME),
            advisory: id("CVE-2026-1"),
            host: id(host),
            pool: id("web"),
            fixes: vec![Fix { package: "openssl".to_owned(), version: "3.0.11-1~deb12u2".to_owned() }],
            reboot: Reboot::WhenNeeded,
            traffic: None,
            policy: PatchingPolicy::default(),
        }),
    }
}

pub(super) fn ended(host: &str, end: PatchEnd) -> CampaignRackInput {
    CampaignRackInput::Ended { host: id(host), end, reason: "so it was".to_owned() }
}

fn hold(rule: &str, after_wait: bool) -> Hold {
    let (rule, lifts) = (rule.to_owned(), "something must end".to_owned());
    Hold { rule, limit: 10, value: 10, lifts, until: None, after_wait }
}

fn names(rack: &CampaignRack) -> Vec<&'static str> {
    rack.commands.iter().map(Payload::type_name).collect()
}

#[test]
fn one_host_of_a_rack_is_patched_at_a_time() {
    let mut rack = CampaignRack::given([run(1, 2)]);
    assert_eq!(rack.names(&start("h-1")), ["lane.host-started"]);
    assert!(rack.ignores(&start("h-2")), "another one is patched");
    assert!(rack.ignores(&ended("h-2", PatchEnd::Patched)));
    assert_eq!(rack.names(&ended("h-1", PatchEnd::Patched)), ["lane.host-ended"]);
    assert!(rack.ignores(&start("h-1")), "it was patched");
    rack.when(&start("h-2")).unwrap();
    assert_eq!(rack.names(&ended("h-2", PatchEnd::Patched)), ["lane.host-ended", "lane.wave-ended"]);
    assert_eq!(names(&rack), ["start-saga", "start-saga", "report-lane"]);
    assert!(rack.ignores(&start("h-3")), "its share is used up");
}

/// The campaign halts by what it is told.
#[test]
fn a_failure_is_told_at_once() {
    let mut rack = CampaignRack::given([run(1, 3), start("h-1")]);
    rack.when(&ended("h-1", PatchEnd::Failed)).unwrap();
    assert_eq!(names(&rack), ["start-saga", "report-lane"]);
    let CampaignCommand::Fleet(PatchFleetCommand::ReportRack(told)) = rack.commands.last().unwrap() else {
        panic!("no report")
    };
    assert_eq!((told.report.failed, told.report.finished), (1, false));
}

/// Partial success halts nothing, and is not tried again.
#[test]
fn a_host_that_is_patched_in_part_is_neither_patched_nor_failed() {
    let mut rack = CampaignRack::given([run(1, 2), start("h-1")]);
    rack.when(&ended("h-1", PatchEnd::Partial)).unwrap();
    assert_eq!(names(&rack), ["start-saga"], "it halts nothing");
    rack.when(&CampaignRackInput::Exhausted).unwrap();
    let CampaignCommand::Fleet(PatchFleetCommand::ReportRack(told)) = rack.commands.last().unwrap() else {
        panic!("no report")
    };
    assert_eq!((told.report.patched, told.report.failed, told.report.skipped), (0, 0, 1));
    rack.when(&run(2, 1)).unwrap();
    assert!(rack.ignores(&start("h-1")));
}

#[test]
fn a_rack_that_is_asked_again_says_how_far_it_is() {
    let mut rack = CampaignRack::given([run(1, 1), start("h-1")]);
    assert!(rack.ignores(&run(1, 1)), "it works");
    rack.when(&ended("h-1", PatchEnd::Patched)).unwrap();
    let decision = rack.when(&run(1, 1)).unwrap();
    assert_eq!((decision.events.len(), decision.commands.len()), (0, 1));
    assert_eq!(rack.names(&run(2, 4)), ["lane.wave-begun"]);
    assert!(rack.ignores(&run(1, 1)), "a wave that is over");
}

#[test]
fn a_host_that_was_left_alone_is_looked_at_again_in_the_next_wave_and_one_that_was_tried_is_not() {
    let skip = CampaignRackInput::Skip { host: id("h-1"), reason: "it is deploying".to_owned() };
    let mut rack = CampaignRack::given([run(1, 2), skip.clone()]);
    assert!(rack.ignores(&start("h-1")));
    assert!(rack.ignores(&skip));
    rack.when(&start("h-2")).unwrap();
    rack.when(&ended("h-2", PatchEnd::Skipped)).unwrap();
    rack.when(&run(2, 2)).unwrap();
    assert!(rack.state.may_begin(&id("h-1")) && !rack.state.may_begin(&id("h-2")));
    rack.when(&start("h-1")).unwrap();
    rack.when(&ended("h-1", PatchEnd::Patched)).unwrap();
    assert_eq!(rack.names(&CampaignRackInput::Exhausted), ["lane.wave-ended"]);
    let CampaignCommand::Fleet(PatchFleetCommand::ReportRack(told)) = rack.commands.last().unwrap() else {
        panic!("no report")
    };
    assert_eq!((told.report.patched, told.report.skipped, told.report.finished), (1, 1, true));
}

/// Whoever is asked again for another reason starts no second chain of waits.
#[test]
fn what_holds_a_rack_is_recorded_once_and_is_looked_at_by_one_timer() {
    let mut rack = CampaignRack::given([run(1, 2)]);
    let first = CampaignRackInput::Hold(hold("budget-pool", false));
    assert_eq!(rack.names(&first), ["lane.held"]);
    let since = rack.state.held.as_ref().unwrap().since;
    assert_eq!(CampaignRackTimer::read(&rack.timers[0].name), Some(CampaignRackTimer::Look(since)));
    assert!(rack.ignores(&first));
    let mut delays = Vec::new();
    for _ in 0..12 {
        rack.now = rack.timers.last().unwrap().due_at;
        let decision = rack.when(&CampaignRackInput::Hold(hold("budget-pool", true))).unwrap();
        assert_eq!((decision.events.len(), decision.timers.len()), (0, 1));
        delays.push(decision.timers[0].due_at.duration_since(rack.now).as_secs());
    }
    assert!(delays[0] < 45 && delays[11] >= 300 && delays[11] < 330, "{delays:?}");
    // Another reason has a wait of its own.
    assert_eq!(rack.names(&CampaignRackInput::Hold(hold("budget-rack", false))), ["lane.held"]);
    assert!(rack.state.held.as_ref().unwrap().since > since);
}

#[test]
fn a_rack_whose_campaign_is_stopped_waits_to_be_asked() {
    let mut rack = CampaignRack::given([run(1, 2), CampaignRackInput::Hold(hold("budget-pool", false))]);
    let decision = rack.when(&CampaignRackInput::Stopped).unwrap();
    assert_eq!((decision.events.len(), decision.timers.len()), (1, 0));
    assert_eq!(rack.state.held.as_ref().unwrap().rule, STOPPED);
    assert!(rack.ignores(&CampaignRackInput::Stopped));
    assert_eq!(rack.names(&start("h-1")), ["lane.host-started"]);
    assert_eq!(rack.state.held, None);
}

#[test]
fn the_end_of_a_saga_is_looked_for_again_and_again() {
    let mut rack = CampaignRack::given([run(1, 2), start("h:1")]);
    assert_eq!(CampaignRackTimer::read(&rack.timers[0].name), Some(CampaignRackTimer::Running(id("h:1"))));
    let again = CampaignRackInput::StillRunning { host: id("h:1") };
    assert_eq!(rack.when(&again).unwrap().timers.len(), 1);
    rack.when(&ended("h:1", PatchEnd::Patched)).unwrap();
    assert!(rack.ignores(&again));
    assert_eq!(CampaignRackTimer::read("running:soon:h-1"), None);
}

/// Whatever was told of a rack before its campaign asked it means nothing.
#[test]
fn a_rack_that_nobody_has_asked_does_nothing() {
    let mut rack = CampaignRack::new();
    for input in [
        start("h-1"),
        CampaignRackInput::Exhausted,
        CampaignRackInput::Stopped,
        ended("h-1", PatchEnd::Failed),
    ] {
        assert!(rack.ignores(&input));
    }
    assert!(!rack.events.iter().any(|event| matches!(event, CampaignRackEvent::HostStarted(_))));
}
