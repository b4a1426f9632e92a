//! What a replay says of hosts.

use hostler_events::site::Autonomy;

use super::*;

/// What would have been decided otherwise, as people read it.
fn told(report: &Report) -> Vec<String> {
    let decisions = report.differences.iter().flat_map(|compared| &compared.decisions);
    let seconds = |said: &Said| said.at.duration_since(moment(0)).as_secs();
    decisions
        .filter(|pair| pair.differs)
        .map(|pair| match (&pair.recorded, &pair.would) {
            (Some(recorded), Some(would)) => {
                format!("{} at {} instead of {}", would.what, seconds(would), seconds(recorded))
            }
            (Some(recorded), None) => format!("not: {}", recorded.what),
            (None, Some(would)) => format!("instead: {} at {}", would.what, seconds(would)),
            (None, None) => panic!("nothing was compared"),
        })
        .collect()
}

fn tries(faults: Vec<Fault>, change: impl Fn(&mut Value)) -> Report {
    let recording = Site::records(&policy(|_| {}), faults, 7_200);
    let report = try_policies(&recording, &policy(change));
    assert_eq!(report.not_reproduced, [], "the control differs from the record");
    report
}

#[test]
fn the_same_policies_decide_the_same() {
    let disk = Fault { class: "disk", heals: Some(Rung::Reimage), ..fault(3, 900) };
    let dead = Fault { heals: None, ..fault(4, 2_000) };
    let passing = Fault { ends_after: Some(40), ..fault(5, 3_000) };
    let report = tries(vec![fault(0, 0), fault(1, 400), disk, dead, passing], |_| {});
    assert_eq!(told(&report), [""; 0]);
    assert_eq!((report.compared, &report.recorded), (5, &report.would));
    assert_eq!(report.recorded.acted[&Rung::PowerCycle], 4);
    assert_eq!((report.recorded.asked, report.recorded.escalated), (1, 1));
}

#[test]
fn what_is_tolerated_for_longer_is_acted_on_later_and_takes_as_long() {
    let longer = |policy: &mut Value| policy["faults"]["unreachable"]["tolerationSeconds"] = json!(200);
    let report = tries(vec![fault(0, 0)], longer);
    assert_eq!(
        told(&report),
        [
            "tolerated for 200 s at 0 instead of 0",
            "confirmed: runbook reboot, auto at 200 instead of 60",
            "power-cycle, attempt 1 at 200 instead of 60",
            "it healed at 320 instead of 180",
            "recovered: monitoring sees it healthy since it was repaired at 320 instead of 180",
        ]
    );
    assert_eq!(report.would.acted, report.recorded.acted);
}

#[test]
fn what_ends_by_itself_while_it_is_tolerated_for_longer_is_not_acted_on() {
    let passing = Fault { ends_after: Some(55), ..fault(0, 0) };
    let longer = |policy: &mut Value| policy["faults"]["unreachable"]["tolerationSeconds"] = json!(300);
    let report = tries(vec![passing], longer);
    assert_eq!(report.recorded.acted[&Rung::PowerCycle], 1);
    assert!(report.would.acted.is_empty(), "{report:?}");
    assert_eq!(report.would.recovered, 1);
}

#[test]
fn another_first_rung_is_named_and_nobody_knows_whether_it_helps() {
    let reimage_first = |policy: &mut Value| {
        policy["runbooks"]["reboot"]["rungs"] = json!([{ "rung": "reimage", "attempts": 1 }]);
    };
    let report = tries(vec![fault(0, 0)], reimage_first);
    let told = told(&report);
    assert!(told.contains(&"not: power-cycle, attempt 1".to_owned()), "{told:?}");
    assert!(told.contains(&"instead: reimage, attempt 1 at 60".to_owned()), "{told:?}");
    assert!(told.contains(&"instead: whether reimage helps is not known at 660".to_owned()), "{told:?}");
    assert_eq!(report.would.unknown, 1);
}

/// How long it takes is what it took elsewhere on record.
#[test]
fn a_repair_that_the_record_has_of_another_host_is_taken_to_take_as_long() {
    let reimage_first = |policy: &mut Value| {
        policy["runbooks"]["reboot"]["rungs"] = json!([{ "rung": "reimage", "attempts": 1 }]);
    };
    let disk = Fault { class: "disk", heals: Some(Rung::Reimage), ..fault(3, 900) };
    let report = tries(vec![fault(0, 0), disk], reimage_first);
    let told = told(&report);
    assert!(told.contains(&"instead: whether reimage helps is not known at 180".to_owned()), "{told:?}");
}

#[test]
fn a_lower_budget_holds_back_with_its_rule_and_its_value() {
    let narrow = |policy: &mut Value| policy["budget"]["rack"] = json!(1);
    let report = tries(vec![fault(0, 0), fault(2, 10)], narrow);
    assert_eq!((report.recorded.disturbed_at_once, report.would.disturbed_at_once), (2, 1));
    assert_eq!((report.recorded.held.get("rack"), report.would.held["rack"]), (None, 1));
    let told = told(&report);
    let held = "instead: power-cycle held back by rack: 1, and the limit is 1 (policies of version 2) at 70";
    assert!(told.contains(&held.to_owned()), "{told:?}");
    assert_eq!(report.would.acted, report.recorded.acted, "it is done later: {told:?}");
}

#[test]
fn who_only_observes_acts_on_nothing() {
    let observe = |policy: &mut Value| policy["pools"]["web"]["autonomy"] = json!("observe");
    let disk = Fault { class: "disk", heals: Some(Rung::Reimage), ..fault(3, 900) };
    let report = tries(vec![fault(0, 0), disk], observe);
    assert!(report.would.acted.is_empty(), "{report:?}");
    assert_eq!((report.would.asked, report.would.held["observe"]), (0, 2));
}

#[test]
fn who_is_asked_only_by_the_other_policies_does_not_answer() {
    let approve = |policy: &mut Value| policy["runbooks"]["reboot"]["autonomy"] = json!("approve");
    let report = tries(vec![fault(0, 0)], approve);
    assert_eq!((report.would.asked, report.would.acted.len()), (1, 0));
}

#[test]
fn who_is_not_asked_any_more_is_not_waited_for() {
    let auto = |policy: &mut Value| policy["runbooks"]["reinstall"]["autonomy"] = json!("auto");
    let disk = Fault { class: "disk", heals: Some(Rung::Reimage), ..fault(3, 0) };
    let report = tries(vec![disk], auto);
    let told = told(&report);
    assert!(told.contains(&"reimage, attempt 1 at 30 instead of 90".to_owned()), "{told:?}");
    assert_eq!((report.recorded.asked, report.would.asked), (1, 0));
    let confirmed = What::Confirmed { runbook: Some("reinstall".to_owned()), autonomy: Autonomy::Auto };
    assert!(told.iter().any(|line| line.starts_with(&confirmed.to_string())), "{told:?}");
}

/// Whatever came of other policies, the next incident is compared for itself.
#[test]
fn each_incident_begins_as_it_did_on_record() {
    let observe = |policy: &mut Value| policy["faults"]["unreachable"]["tolerationSeconds"] = json!(61);
    let report = tries(vec![fault(0, 0), fault(0, 4_000)], observe);
    assert_eq!(report.differences.len(), 2, "{report:?}");
    let last = &report.differences[1];
    assert_eq!(last.incident_at, moment(4_000));
    assert_eq!(report.would.acted[&Rung::PowerCycle], 2);
}

#[test]
fn a_rack_that_was_lost_is_acted_on_by_whoever_does_not_correlate() {
    let faults = (0..10).step_by(2).map(|n| Fault { ends_after: Some(900), ..fault(n, 0) }).collect();
    let blind = |policy: &mut Value| policy["correlation"]["rack"] = json!({ "count": 50, "percent": 100 });
    let recording = Site::records(
        &policy(|policy| policy["topology"]["racks"]["rack-0"]["hosts"] = json!(6)),
        faults,
        3_600,
    );
    let report = try_policies(&recording, &policy(blind));
    assert_eq!((report.recorded.held["correlated"], report.recorded.acted.len()), (5, 0));
    assert_eq!(report.would.held.get("correlated"), None);
    assert!(report.would.acted[&Rung::PowerCycle] >= 2, "{:?}", report.would);
}

#[test]
fn what_was_under_way_when_the_replay_begins_goes_on_as_on_record() {
    let mut recording = Site::records(&policy(|_| {}), vec![fault(0, 0), fault(1, 50)], 7_200);
    // The first is being repaired by then, and the second is tolerated.
    recording.since = moment(100);
    let report = try_policies(&recording, &policy(|_| {}));
    assert_eq!((report.not_reproduced, report.differences), (Vec::new(), Vec::new()));
    assert_eq!(report.control, report.recorded);
    assert_eq!(report.recorded.acted[&Rung::PowerCycle], 1);
}

#[test]
fn what_the_control_cannot_reproduce_is_named() {
    let mut recording = Site::records(&policy(|_| {}), vec![fault(0, 0)], 7_200);
    // As if an older program had decided: what it did is on record, and is not what this one does.
    let stricter = policy(|policy| policy["runbooks"]["reboot"]["autonomy"] = json!("observe"));
    let PolicyEvent::Applied(applied) = &mut recording.policies[0].events[0];
    applied.policy = stricter;
    let report = try_policies(&recording, &policy(|_| {}));
    assert_eq!(report.not_reproduced.len(), 1);
    assert_eq!(report.not_reproduced[0].of, Subject::Host(host(0)));
}

/// What takes no time on record is done at the moment at which it ends there.
#[test]
fn what_the_replay_does_a_little_later_than_the_record_is_the_same() {
    let passing = Fault { ends_after: Some(58), ..fault(0, 0) };
    let mut recording = Site::records(&policy(|_| {}), vec![passing], 7_200);
    for commits in recording.health.values_mut() {
        for commit in commits {
            // As if its timers had been a little early.
            if commit.at > moment(30) {
                commit.at -= SignedDuration::from_secs(7);
            }
        }
    }
    let report = try_policies(&recording, &policy(|_| {}));
    assert_eq!((report.not_reproduced, report.recorded.acted[&Rung::PowerCycle]), (Vec::new(), 1));
}

/// A person takes so long that the repair goes on when the next incident begins: what has no end is not counted for ever.
#[test]
fn a_repair_that_goes_on_when_the_next_incident_begins_has_no_end() {
    let slow = |policy: &mut Value| policy["faults"]["unreachable"]["tolerationSeconds"] = json!(350);
    let next = Fault { at: 420, ..fault(0, 0) };
    let report = tries(vec![fault(0, 0), next, fault(2, 600)], slow);
    assert_eq!((report.would.unknown, report.would.disturbed_at_once), (1, 1));
    assert_eq!(report.would.acted[&Rung::PowerCycle], 3);
}
