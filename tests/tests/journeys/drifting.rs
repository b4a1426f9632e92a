//! A host in service is changed by hand: a check finds it, and its role is applied again by autonomy or by a person's word.

use std::sync::Arc;
use std::time::Duration;

use hostler_core::{Commit, Decider, StreamId};
use hostler_domain::HostDecider;
use hostler_drivers::{ApplyRole, Configuration, ControlState, PlainConfiguration};
use serde_json::{Value, json};

use crate::site::Site;

const DAY: Duration = Duration::from_secs(86_400);

async fn in_service() -> Site {
    let mut site = Site::new();
    site.enrol("h-1", &[]).await;
    site.run().await;
    site.request("r-1", 1).await;
    site.run().await;
    assert_eq!(site.phase("h-1"), "in-service");
    site
}

/// Policies by which hosts are kept as they were configured.
async fn policies(site: &mut Site, check_seconds: Option<u32>, autonomy: &str) {
    let pool = json!({ "role": "web-server", "image": "debian-13", "hosts": 1 });
    let policy = json!({
        "configuration": { "checkSeconds": check_seconds, "autonomy": autonomy }, "pools": { "web": pool },
    });
    let reason = format!("{autonomy} {check_seconds:?}");
    site.accepted("apply-policies", json!({ "policies": "site", "policy": policy, "reason": reason })).await;
    // Functions follow it within ten seconds.
    site.advance(Duration::from_secs(20)).await;
}

/// Somebody brings another revision onto the host.
async fn changed_by_hand(site: &Site) {
    let configuration = PlainConfiguration::new(ControlState(Arc::new(site.control.clone())));
    let order = ApplyRole {
        host: "h-1".to_owned(),
        role: "web-server".to_owned(),
        revision: Some("99".to_owned()),
        ..ApplyRole::default()
    };
    configuration.apply_role(&order).await.unwrap();
}

async fn check(site: &mut Site) {
    site.accepted("check-configuration", json!({ "host": "h-1" })).await;
    site.settle().await;
}

async fn row(site: &Site) -> Value {
    site.get("/hosts/h-1", &[]).await.body
}

#[tokio::test]
async fn drift_is_found_and_repaired_by_autonomy_and_a_second_check_finds_nothing() {
    let mut site = in_service().await;
    policies(&mut site, None, "auto").await;
    check(&mut site).await;
    assert_eq!((site.count("host.configuration-checked"), site.count("host.configuration-drifted")), (1, 0));
    changed_by_hand(&site).await;
    check(&mut site).await;
    assert_eq!((site.count("host.configuration-drifted"), site.count("host.configuration-restored")), (1, 1));
    check(&mut site).await;
    assert_eq!((site.count("host.configuration-checked"), site.count("host.configuration-drifted")), (2, 1));
    assert_eq!(site.phase("h-1"), "in-service");
    site.run().await;
    site.check();
    assert_eq!(site.count("host.configuration-run-failed"), 0, "the deadlines of what has ended are over");
}

#[tokio::test]
async fn drift_that_awaits_approval_is_shown_and_repaired_once_it_is_approved() {
    let mut site = in_service().await;
    policies(&mut site, None, "approve").await;
    changed_by_hand(&site).await;
    check(&mut site).await;
    assert_eq!(site.count("host.configuration-restore-started"), 0);
    let shown = row(&site).await;
    assert_eq!(shown["drift"]["repair"]["decision"], "awaits-approval", "{shown}");
    assert_eq!(shown["drift"]["changes"], 1);
    let silent = site.post("restore-configuration", json!({ "host": "h-1", "reason": " " })).await;
    assert_eq!(silent.status, 400, "{silent:?}");
    site.accepted("restore-configuration", json!({ "host": "h-1", "reason": "looked at" })).await;
    site.settle().await;
    assert_eq!(site.count("host.configuration-restored"), 1);
    assert!(row(&site).await.get("drift").is_none());
}

/// Hosts are checked by the policies' schedule, and not while somebody works on them.
#[tokio::test]
async fn a_schedule_has_a_host_checked_each_day_until_the_policies_end_it() {
    let mut site = in_service().await;
    policies(&mut site, Some(86_400), "auto").await;
    check(&mut site).await;
    assert!(row(&site).await.get("nextCheck").is_some(), "the schedule begins with the first check");
    changed_by_hand(&site).await;
    site.advance(DAY).await;
    assert_eq!((site.count("host.configuration-drifted"), site.count("host.configuration-restored")), (1, 1));
    let checks = site.count("host.configuration-check-started");
    site.advance(DAY * 3).await;
    assert_eq!(site.count("host.configuration-check-started") - checks, 3);
    // A chain of causes that went on from check to check would come to its limit, and the host be checked no more.
    let commits = site.store.commits(&StreamId::new(HostDecider::CATEGORY, "h-1").unwrap());
    let is_check = |commit: &&Commit| {
        commit.events.iter().any(|event| event.event_type == "host.configuration-check-started")
    };
    let hops: Vec<u16> = commits.iter().filter(is_check).map(|commit| commit.hops).collect();
    assert!(hops.len() > 4 && hops.iter().all(|hops| *hops <= 1), "{hops:?}");
    policies(&mut site, None, "auto").await;
    site.advance(DAY).await;
    assert!(row(&site).await.get("nextCheck").is_none());
    let checks = site.count("host.configuration-check-started");
    site.run().await;
    site.check();
    assert_eq!(site.count("host.configuration-check-started"), checks, "nothing is left to happen");
}

#[tokio::test]
async fn a_host_that_is_given_back_is_checked_no_more() {
    let mut site = in_service().await;
    policies(&mut site, Some(86_400), "auto").await;
    check(&mut site).await;
    site.accepted("release-host", json!({ "host": "h-1", "reason": "scaled in" })).await;
    let refused = site.post("check-configuration", json!({ "host": "h-1" })).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    let checks = site.count("host.configuration-check-started");
    site.run().await;
    site.check();
    assert_eq!((site.phase("h-1"), site.count("host.configuration-check-started")), ("available", checks));
}
