//! Rules of lanes.

use hostler_events::campaign::{LaneEvent, PatchEnd};
use hostler_events::patching::{Fix, PatchOrder, PatchingPolicy, Reboot};

use super::super::lane::{Hold, STOPPED};
use super::*;

type Lane = Run<LaneDecider>;

pub(super) fn run(wave: u32, hosts: u32) -> LaneInput {
    LaneInput::Run(RunLane { campaign: id(NAME), rack: id("r-000"), wave, hosts })
}

pub(super) fn start(host: &str) -> LaneInput {
    LaneInput::Start {
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

pub(super) fn ended(host: &str, end: PatchEnd) -> LaneInput {
    LaneInput::Ended { host: id(host), end, reason: "so it was".to_owned() }
}

fn hold(rule: &str, after_wait: bool) -> Hold {
    let (rule, lifts) = (rule.to_owned(), "something must end".to_owned());
    Hold { rule, limit: 10, value: 10, lifts, until: None, after_wait }
}

fn names(lane: &Lane) -> Vec<&'static str> {
    lane.commands.iter().map(Payload::type_name).collect()
}

#[test]
fn one_host_of_a_rack_is_patched_at_a_time() {
    let mut lane = Lane::given([run(1, 2)]);
    assert_eq!(lane.names(&start("h-1")), ["lane.host-started"]);
    assert!(lane.ignores(&start("h-2")), "another one is patched");
    assert!(lane.ignores(&ended("h-2", PatchEnd::Patched)));
    assert_eq!(lane.names(&ended("h-1", PatchEnd::Patched)), ["lane.host-ended"]);
    assert!(lane.ignores(&start("h-1")), "it was patched");
    lane.when(&start("h-2")).unwrap();
    assert_eq!(lane.names(&ended("h-2", PatchEnd::Patched)), ["lane.host-ended", "lane.wave-ended"]);
    assert_eq!(names(&lane), ["start-saga", "start-saga", "report-lane"]);
    assert!(lane.ignores(&start("h-3")), "its share is used up");
}

/// The campaign halts by what it is told.
#[test]
fn a_failure_is_told_at_once() {
    let mut lane = Lane::given([run(1, 3), start("h-1")]);
    lane.when(&ended("h-1", PatchEnd::Failed)).unwrap();
    assert_eq!(names(&lane), ["start-saga", "report-lane"]);
    let CampaignCommand::Fleet(PatchFleetCommand::ReportLane(told)) = lane.commands.last().unwrap() else {
        panic!("no report")
    };
    assert_eq!((told.report.failed, told.report.finished), (1, false));
}

/// Partial success halts nothing, and is not tried again.
#[test]
fn a_host_that_is_patched_in_part_is_neither_patched_nor_failed() {
    let mut lane = Lane::given([run(1, 2), start("h-1")]);
    lane.when(&ended("h-1", PatchEnd::Partial)).unwrap();
    assert_eq!(names(&lane), ["start-saga"], "it halts nothing");
    lane.when(&LaneInput::Exhausted).unwrap();
    let CampaignCommand::Fleet(PatchFleetCommand::ReportLane(told)) = lane.commands.last().unwrap() else {
        panic!("no report")
    };
    assert_eq!((told.report.patched, told.report.failed, told.report.skipped), (0, 0, 1));
    lane.when(&run(2, 1)).unwrap();
    assert!(lane.ignores(&start("h-1")));
}

#[test]
fn a_lane_that_is_asked_again_says_how_far_it_is() {
    let mut lane = Lane::given([run(1, 1), start("h-1")]);
    assert!(lane.ignores(&run(1, 1)), "it works");
    lane.when(&ended("h-1", PatchEnd::Patched)).unwrap();
    let decision = lane.when(&run(1, 1)).unwrap();
    assert_eq!((decision.events.len(), decision.commands.len()), (0, 1));
    assert_eq!(lane.names(&run(2, 4)), ["lane.wave-begun"]);
    assert!(lane.ignores(&run(1, 1)), "a wave that is over");
}

#[test]
fn a_host_that_was_left_alone_is_looked_at_again_in_the_next_wave_and_one_that_was_tried_is_not() {
    let skip = LaneInput::Skip { host: id("h-1"), reason: "it is deploying".to_owned() };
    let mut lane = Lane::given([run(1, 2), skip.clone()]);
    assert!(lane.ignores(&start("h-1")));
    assert!(lane.ignores(&skip));
    lane.when(&start("h-2")).unwrap();
    lane.when(&ended("h-2", PatchEnd::Skipped)).unwrap();
    lane.when(&run(2, 2)).unwrap();
    assert!(lane.state.may_begin(&id("h-1")) && !lane.state.may_begin(&id("h-2")));
    lane.when(&start("h-1")).unwrap();
    lane.when(&ended("h-1", PatchEnd::Patched)).unwrap();
    assert_eq!(lane.names(&LaneInput::Exhausted), ["lane.wave-ended"]);
    let CampaignCommand::Fleet(PatchFleetCommand::ReportLane(told)) = lane.commands.last().unwrap() else {
        panic!("no report")
    };
    assert_eq!((told.report.patched, told.report.skipped, told.report.finished), (1, 1, true));
}

/// Whoever is asked again for another reason starts no second chain of waits.
#[test]
fn what_holds_a_lane_is_recorded_once_and_is_looked_at_by_one_timer() {
    let mut lane = Lane::given([run(1, 2)]);
    let first = LaneInput::Hold(hold("budget-pool", false));
    assert_eq!(lane.names(&first), ["lane.held"]);
    let since = lane.state.held.as_ref().unwrap().since;
    assert_eq!(LaneTimer::read(&lane.timers[0].name), Some(LaneTimer::Look(since)));
    assert!(lane.ignores(&first));
    let mut delays = Vec::new();
    for _ in 0..12 {
        lane.now = lane.timers.last().unwrap().due_at;
        let decision = lane.when(&LaneInput::Hold(hold("budget-pool", true))).unwrap();
        assert_eq!((decision.events.len(), decision.timers.len()), (0, 1));
        delays.push(decision.timers[0].due_at.duration_since(lane.now).as_secs());
    }
    assert!(delays[0] < 45 && delays[11] >= 300 && delays[11] < 330, "{delays:?}");
    // Another reason has a wait of its own.
    assert_eq!(lane.names(&LaneInput::Hold(hold("budget-rack", false))), ["lane.held"]);
    assert!(lane.state.held.as_ref().unwrap().since > since);
}

#[test]
fn a_lane_whose_campaign_is_stopped_waits_to_be_asked() {
    let mut lane = Lane::given([run(1, 2), LaneInput::Hold(hold("budget-pool", false))]);
    let decision = lane.when(&LaneInput::Stopped).unwrap();
    assert_eq!((decision.events.len(), decision.timers.len()), (1, 0));
    assert_eq!(lane.state.held.as_ref().unwrap().rule, STOPPED);
    assert!(lane.ignores(&LaneInput::Stopped));
    assert_eq!(lane.names(&start("h-1")), ["lane.host-started"]);
    assert_eq!(lane.state.held, None);
}

#[test]
fn the_end_of_a_saga_is_looked_for_again_and_again() {
    let mut lane = Lane::given([run(1, 2), start("h:1")]);
    assert_eq!(LaneTimer::read(&lane.timers[0].name), Some(LaneTimer::Running(id("h:1"))));
    let again = LaneInput::StillRunning { host: id("h:1") };
    assert_eq!(lane.when(&again).unwrap().timers.len(), 1);
    lane.when(&ended("h:1", PatchEnd::Patched)).unwrap();
    assert!(lane.ignores(&again));
    assert_eq!(LaneTimer::read("running:soon:h-1"), None);
}

/// Whatever was told of a lane before its campaign asked it means nothing.
#[test]
fn a_lane_that_nobody_has_asked_does_nothing() {
    let mut lane = Lane::new();
    for input in [start("h-1"), LaneInput::Exhausted, LaneInput::Stopped, ended("h-1", PatchEnd::Failed)] {
        assert!(lane.ignores(&input));
    }
    assert!(!lane.events.iter().any(|event| matches!(event, LaneEvent::HostStarted(_))));
}
