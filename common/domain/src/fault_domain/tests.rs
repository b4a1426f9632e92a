//! Rules of racks and power domains.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use hostler_events::budget::{Disruption, Unhealthy};

use super::*;
use crate::testing::{Run, id};

type Domain = Run<FaultDomainDecider>;

fn member(member: u32, unhealthy: bool, incident: u32) -> MemberReport {
    MemberReport {
        domain: "rack.r-1".to_owned(),
        member: format!("h-{member}"),
        unhealthy,
        incident,
        size: 40,
        limit: DomainLimit { count: 3, percent: 20 },
        tells: Some((id("r-1"), id("feed-a"))),
        escalate_seconds: 1_800,
        policy_version: 1,
    }
}

fn report(host: u32, unhealthy: bool, incident: u32) -> FaultDomainInput {
    FaultDomainInput::Member(member(host, unhealthy, incident))
}

fn lost(hosts: u32) -> Domain {
    Domain::given((1..=hosts).map(|host| report(host, true, 1)))
}

#[test]
fn a_rack_of_forty_is_one_incident_and_its_power_domain_hears_of_it_once() {
    let rack = lost(40);
    let opened = rack.events.iter().filter(|event| matches!(event, FaultDomainEvent::Opened(_)));
    assert_eq!(opened.count(), 1);
    assert_eq!(rack.commands.len(), 1, "forty reports are one");
    assert_eq!(rack.state.unhealthy().len(), 40, "later ones are members of it");
}

#[test]
fn both_the_number_and_the_part_must_be_reached() {
    assert!(lost(7).state.open().is_none(), "7 of 40 are less than 20 %");
    let rack = lost(8);
    assert_eq!(rack.state.open().map(|incident| incident.number), Some(1));
    let held = rack.state.holds_back().unwrap();
    assert_eq!(held.value, "8 of 40 members of rack.r-1 are unhealthy: incident 1");
    let of = |size, host| FaultDomainInput::Member(MemberReport { size, ..member(host, true, 1) });
    let small = |host| of(5, host);
    assert!(Domain::given([small(1), small(2)]).state.open().is_none(), "2 of 5 are 40 %, and less than 3");
    let unknown = |host| of(0, host);
    assert!(Domain::given([unknown(1), unknown(2), unknown(3)]).state.open().is_some());
}

#[test]
fn it_is_over_when_so_few_are_left_that_each_has_a_fault_of_its_own() {
    let mut rack = lost(8);
    let closed = rack.when(&report(3, false, 1)).unwrap();
    assert_eq!(closed.events.len(), 2);
    assert!(rack.state.open().is_none() && rack.state.holds_back().is_none());
    let RecoverCommand::ReportDomain(told) = closed.commands[0].clone() else { panic!("{closed:?}") };
    assert!(!told.unhealthy);
    rack.when(&report(3, true, 2)).unwrap();
    assert_eq!(rack.state.open().map(|incident| incident.number), Some(2));
}

#[test]
fn it_is_over_when_half_of_its_members_are_back_however_many_are_left() {
    let mut rack = lost(38);
    for host in 1..=18 {
        rack.when(&report(host, false, 1)).unwrap();
        assert!(rack.state.open().is_some(), "{host} of 38 are back");
    }
    rack.when(&report(19, false, 1)).unwrap();
    assert!(rack.state.holds_back().is_none(), "what they share works: the other 19 are repaired one by one");
    for host in 20..=30 {
        rack.when(&report(host, false, 1)).unwrap();
        assert!(rack.state.open().is_none(), "one that is well begins no incident");
    }
    rack.when(&report(1, true, 2)).unwrap();
    assert_eq!(rack.state.open().map(|incident| incident.number), Some(2), "it is lost again");
}

#[test]
fn reports_that_come_twice_or_late_change_nothing() {
    let mut rack = lost(2);
    assert!(rack.ignores(&report(1, true, 1)));
    rack.when(&report(1, false, 1)).unwrap();
    assert!(rack.ignores(&report(1, false, 1)));
    assert!(rack.ignores(&report(1, true, 1)), "overtaken by the end of its incident");
    rack.when(&report(9, false, 4)).unwrap();
    assert!(rack.ignores(&report(9, true, 4)), "even when the end came first");
    assert_eq!(rack.state.unhealthy(), ["h-2"]);
}

/// The newest timer is due.
fn wakes(rack: &mut Domain, is_part_of_another: bool) -> Vec<FaultDomainEvent> {
    let timer = rack.timers.last().unwrap().clone();
    rack.now = timer.due_at;
    let input = FaultDomainInput::Timer { name: timer.name, is_part_of_another, escalate_seconds: 1_800 };
    rack.when(&input).unwrap().events
}

#[test]
fn an_incident_that_goes_on_is_told_to_a_person_again_and_again_ever_more_seldom() {
    let mut rack = lost(38);
    for host in 1..=10 {
        rack.when(&report(host, false, 1)).unwrap();
    }
    let mut waits = Vec::new();
    for times in 1..=8 {
        let events = wakes(&mut rack, false);
        let [FaultDomainEvent::Escalated(told)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((told.times, told.members.len(), told.most, told.size), (times, 28, 38, 40));
        waits.push(told.next_at.duration_since(told.at).as_secs());
    }
    assert_eq!(waits, [3_600, 7_200, 14_400, 28_800, 57_600, 86_400, 86_400, 86_400]);
}

#[test]
fn an_incident_that_is_over_or_is_part_of_another_is_told_to_nobody() {
    let mut rack = lost(8);
    assert!(wakes(&mut rack, true).is_empty(), "its power domain is lost");
    assert_eq!(wakes(&mut rack, false).len(), 1, "and is back, while the rack is not");
    rack.when(&report(3, false, 1)).unwrap();
    assert!(wakes(&mut rack, false).is_empty());
    let timers = rack.timers.len();
    rack.when(&report(3, true, 2)).unwrap();
    assert_eq!(rack.timers.len(), timers + 1, "another incident has a timer of its own");
    let late = FaultDomainInput::Timer {
        name: "escalate:1:9".to_owned(),
        is_part_of_another: false,
        escalate_seconds: 1,
    };
    assert!(rack.ignores(&late), "one of an earlier incident says nothing");
}

/// In the pool are five unhealthy hosts: one is disturbed itself, one stands in its rack, one behind the same feed.
#[test]
fn unhealthy_hosts_are_counted_where_they_stand_and_by_what_their_rack_was_told() {
    let policy = serde_json::from_value(serde_json::json!({ "topology": { "racks": {
        "r-1": { "room": "a", "powerDomain": "feed-a", "hosts": 40 },
        "r-2": { "room": "a", "powerDomain": "feed-a", "hosts": 40 },
        "r-3": { "room": "a", "powerDomain": "feed-b", "hosts": 40 },
    } } }));
    let policies = PolicyState { policy: policy.unwrap(), ..PolicyState::default() };
    let known = [("h-1", "r-1"), ("h-2", "r-1"), ("h-3", "r-2"), ("h-4", "r-3"), ("h-5", "elsewhere")];
    let known = known.map(|(host, rack)| (id(host), id(rack))).into();
    let of = |rack: &str, power_domain: Option<&str>| Disruption {
        host: id("h-1"),
        pool: id("web"),
        rack: id(rack),
        power_domain: power_domain.map(id),
    };
    let counted = |surroundings: &Surroundings, of: &Disruption| {
        let Unhealthy { pool, rack, power_domain } = surroundings.unhealthy(of, &known, &policies);
        (pool, rack, power_domain)
    };
    let quiet = Surroundings::default();
    assert_eq!(counted(&quiet, &of("r-1", Some("feed-a"))), (4, 1, 2));
    assert_eq!(counted(&quiet, &of("elsewhere", None)), (4, 1, 1), "no power domain is none that it shares");
    // The rack was told of hosts of other pools, too.
    let told = Surroundings { rack: lost(4).state, ..Surroundings::default() };
    assert_eq!(counted(&told, &of("r-1", Some("feed-a"))), (4, 3, 3));
}
