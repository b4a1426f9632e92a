//! Policies that are tried over what the functions have recorded: the replay meets the record, and says what would differ.

use std::time::Duration;

use hostler_core::Decider;
use hostler_domain::shadow::{Recorded, Recording, Report, What, try_policies};
use hostler_domain::{
    BudgetDecider, FaultDomainDecider, HealthDecider, HostDecider, PolicyDecider, PoolDecider,
};
use hostler_events::site::Rung;
use hostler_runtime::ports::Clock;
use hostler_runtime::state::history::decode_events;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::recovering::{in_service, policies};
use crate::site::{Boot, HostFault, Site};

impl Site {
    /// All streams of a kind, by their keys.
    fn recorded<D: Decider>(&self) -> impl Iterator<Item = (String, Vec<Recorded<D::Event>>)> {
        self.streams_of::<D>().into_iter().map(|stream| {
            let commits = self.store.commits(&stream);
            let recorded = commits.iter().map(|commit| Recorded {
                at: commit.recorded_at,
                events: decode_events::<D>(commit).unwrap(),
            });
            (stream.key().to_owned(), recorded.collect())
        })
    }

    /// Everything that policies decide on, as it is on record.
    fn recording(&self, since: Timestamp) -> Recording {
        Recording {
            health: self
                .recorded::<HealthDecider>()
                .map(|(key, commits)| (key.parse().unwrap(), commits))
                .collect(),
            hosts: self
                .recorded::<HostDecider>()
                .map(|(key, commits)| (key.parse().unwrap(), commits))
                .collect(),
            pools: self
                .recorded::<PoolDecider>()
                .map(|(key, commits)| (key.parse().unwrap(), commits))
                .collect(),
            domains: self.recorded::<FaultDomainDecider>().collect(),
            budget: self.recorded::<BudgetDecider>().flat_map(|(_, commits)| commits).collect(),
            policies: self.recorded::<PolicyDecider>().flat_map(|(_, commits)| commits).collect(),
            ..Recording::between(since, self.clock.now())
        }
    }
}

/// One host hangs, one has lost its disk's content, one is dead, and one is well again when it is looked at.
async fn story() -> Recording {
    let mut site = in_service(4, policies("auto")).await;
    let since = site.clock.now();
    site.breaks_and_fires("h-1", HostFault::Hang).await;
    site.advance(Duration::from_secs(30)).await;
    site.breaks_and_fires("h-2", HostFault::Disk).await;
    site.breaks_and_fires("h-3", HostFault::Dead).await;
    site.fires("h-4").await;
    site.run().await;
    site.check();
    site.recording(since)
}

fn tried(recording: &Recording, policy: Value) -> Report {
    let policy = serde_json::from_value(policy).unwrap();
    let report = try_policies(recording, &policy);
    assert_eq!(report.not_reproduced, [], "the policies of the time decide otherwise in a replay");
    report
}

#[tokio::test]
async fn what_the_functions_have_decided_is_reproduced() {
    let recording = story().await;
    let report = tried(&recording, policies("auto"));
    assert_eq!((report.differences, report.compared), (Vec::new(), 4));
    assert_eq!(report.recorded.acted, report.would.acted);
    assert!(report.recorded.acted[&Rung::Replace] == 1 && report.recorded.acted[&Rung::Reimage] >= 2);
}

/// A rack is lost while a person approves each rung: about its hosts nobody is asked, but about the one that is faulty after that.
#[tokio::test]
async fn of_a_lost_rack_a_person_is_told_once_and_asked_about_who_is_still_faulty() {
    let mut lost = policies("approve");
    lost["topology"]["racks"]["rack-1"]["hosts"] = json!(3);
    let mut site = in_service(9, lost.clone()).await;
    let since = site.clock.now();
    let rack = |host: &str| site.host(host).profile.unwrap().fault_domain.to_string();
    let members = (1..=9).map(|n| format!("h-{n}")).filter(|host| rack(host) == "rack-1").collect::<Vec<_>>();
    assert_eq!(members.len(), 3);
    for host in &members {
        site.breaks_and_fires(host, HostFault::Hang).await;
    }
    site.advance(Duration::from_secs(7_200)).await;
    assert_eq!((site.count("domain.incident-opened"), site.count("domain.incident-escalated")), (1, 2));
    assert_eq!((site.count("health.approval-requested"), site.count("health.escalated")), (0, 0));
    for host in &members[1..] {
        site.fleet.heals(host);
        site.resolves(host).await;
    }
    site.advance(Duration::from_secs(3_600)).await;
    assert_eq!(site.count("domain.incident-closed"), 1);
    let asked = |host: &String| site.health(host).condition.name() == "awaits-approval";
    assert_eq!(members.iter().filter(|host| asked(host)).count(), 1);
    let tried_of = |host: &String| site.health(host).incident.unwrap().tried;
    assert!(tried_of(&members[0]).iter().all(|tried| tried.rung.is_none()), "it was looked at only");
    let report = tried(&site.recording(since), lost);
    assert_eq!((report.recorded.asked, report.control), (1, report.recorded));
    let go_on = json!({ "host": members[0], "reason": "the others are back" });
    site.accepted("approve-remediation", go_on).await;
    site.run().await;
    site.check();
    assert_eq!((site.count("host.power-cycled"), site.count("health.escalated")), (1, 0));
}

/// A host that was replaced and cannot be cleaned is in quarantine. With the next one that is faulty that is too much of the pool.
#[tokio::test]
async fn the_brake_binds_in_a_replay_where_it_did_for_the_functions() {
    let mut braked = policies("auto");
    braked["budget"] = json!({ "brakePercent": 10 });
    let mut site = in_service(3, braked.clone()).await;
    let since = site.clock.now();
    site.fleet.cleans("h-1", [Boot::Fails; 3]);
    site.breaks_and_fires("h-1", HostFault::Dead).await;
    site.run().await;
    assert_eq!((site.phase("h-1"), site.health("h-1").condition.name()), ("quarantined", "healthy"));
    site.breaks_and_fires("h-2", HostFault::Hang).await;
    site.advance(Duration::from_secs(600)).await;
    assert_eq!(site.health("h-2").incident.unwrap().held_back.unwrap().rule, "brake");
    let report = tried(&site.recording(since), braked);
    assert_eq!(report.recorded.held["brake"], 1);
}

#[tokio::test]
async fn stricter_policies_act_on_less_and_are_told_by_which_rule() {
    let recording = story().await;
    let observed = tried(&recording, policies("observe")).would;
    assert_eq!((observed.acted.len(), observed.asked, observed.held["observe"]), (0, 0, 4));
    let asked = tried(&recording, policies("approve")).would;
    assert_eq!((asked.acted.len(), asked.asked), (0, 4));
    let mut narrow = policies("auto");
    narrow["budget"] = json!({ "site": 1 });
    let narrow = tried(&recording, narrow).would;
    assert_eq!(narrow.disturbed_at_once, 1);
    assert!(narrow.held["site"] >= 1, "{narrow:?}");
}

#[tokio::test]
async fn another_runbook_is_named_and_what_would_have_come_of_it_is_not_claimed() {
    let recording = story().await;
    let mut anew = policies("auto");
    anew["runbooks"]["reboot"]["rungs"] = json!([{ "rung": "reimage", "attempts": 1 }]);
    let report = tried(&recording, anew);
    let decisions = report.differences.iter().flat_map(|compared| &compared.decisions);
    let would: Vec<&What> = decisions.filter_map(|pair| pair.would.as_ref()).map(|said| &said.what).collect();
    assert!(would.contains(&&What::Acted { rung: Rung::Reimage, attempt: 1 }));
    // The host that hangs was never installed anew, so that nobody knows; the one whose disk was the fault was.
    assert!(would.contains(&&What::Unknown { rung: Rung::Reimage }));
    assert_eq!(report.would.acted.get(&Rung::PowerCycle), None);
}
