//! Taking a host out of traffic heals nothing: the next rung follows, and a person hears that it is out.

use hostler_events::TrafficPolicy;

use super::*;
use crate::host::{Traffic, TrafficPart};

/// A host in traffic whose runbook begins with taking it out.
fn acting(rungs: Value) -> Host {
    let mut host = Host::healthy();
    let mut policies = (*host.seen.policies).clone();
    for runbook in policies.policy.runbooks.values_mut() {
        runbook.rungs = serde_json::from_value(rungs.clone()).unwrap();
    }
    host.seen.policies = Arc::new(policies);
    let policy = TrafficPolicy { backend: id("web"), port: 80, drain_seconds: 30 };
    let traffic = Traffic { policy, address: "10.0.0.7:80".to_owned(), part: TrafficPart::In };
    host.seen.host.as_mut().unwrap().traffic = Some(traffic);
    host
}

fn is_out(host: &mut Host) {
    let traffic = host.seen.host.as_mut().unwrap().traffic.as_mut().unwrap();
    traffic.part = TrafficPart::Out { saga: id("recovery#h-1.1") };
}

fn redirected(rungs: Value) -> Host {
    let mut host = acting(rungs);
    host.fires("a1");
    host.wakes();
    host.granted();
    assert_eq!(host.order()["rung"], "redirect-traffic");
    is_out(&mut host);
    assert_eq!(host.ends(RemediationOutcome::Redirected), ["health.remediation-ended"]);
    assert_eq!((host.waits(), host.condition()), (0, "waiting"), "the incident is not over");
    host
}

#[test]
fn the_next_rung_follows_at_once_and_the_saga_knows_that_the_host_is_out() {
    let mut host = redirected(json!([{ "rung": "redirect-traffic" }, { "rung": "power-cycle" }]));
    host.wakes();
    host.granted();
    let order = host.order();
    assert_eq!((&order["rung"], &order["outOfTraffic"]), (&json!("power-cycle"), &json!(true)));
    assert_eq!(order["traffic"]["backend"], "web");
    assert_eq!(host.heals()[..2], ["health.remediation-ended", "health.recovered"]);
}

#[test]
fn as_the_last_one_it_goes_to_a_person_who_hears_that_the_host_is_out() {
    let mut host = redirected(json!([{ "rung": "redirect-traffic" }]));
    assert_eq!(host.wakes(), ["health.escalated"]);
    let Condition::Escalated { reason } = &host.run.state.condition else { panic!() };
    assert!(reason.starts_with("the host is out of traffic, and not healed"), "{reason}");
}

#[test]
fn a_host_that_takes_no_part_in_traffic_is_not_taken_out_of_it() {
    let mut host = acting(json!([{ "rung": "redirect-traffic" }, { "rung": "power-cycle" }]));
    host.seen.host.as_mut().unwrap().traffic = None;
    host.fires("a1");
    host.wakes();
    host.granted();
    assert_eq!(host.order()["rung"], "power-cycle");
    assert!(host.order().get("traffic").is_none());
}
