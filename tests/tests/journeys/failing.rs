//! Steps that fail: for good, for now, or without a word.

use hostler_drivers::memory::busy;
use hostler_drivers::{At, DriverError};
use serde_json::json;

use hostler_events::ProvisioningPolicy;

use crate::site::{Boot, Site, system_url};

/// A failure that no repeat puts right.
fn refused() -> DriverError {
    DriverError::Unauthorized { at: At { system: "h-1".to_owned(), doing: "being tested" }, status: 401 }
}

/// A site with one free host.
async fn with_a_free_host(labels: &[(&str, &str)]) -> Site {
    let mut site = Site::new();
    site.enrol("h-1", labels).await;
    site.run().await;
    assert_eq!(site.phase("h-1"), "available");
    site
}

/// The saga is undone, and the host is as free as before.
fn check_undone(site: &Site) {
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("compensated", "available"));
    assert_eq!(site.count("host.in-service"), 0);
}

fn check_in_service(site: &Site) {
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("completed", "in-service"));
}

async fn request(site: &mut Site) {
    site.request("r-1", 1).await;
    site.run().await;
}

#[tokio::test]
async fn no_host_is_free_and_the_request_ends_with_the_reason() {
    let mut site = Site::new();
    request(&mut site).await;
    site.check();
    assert_eq!((site.status("r-1.1"), site.count("saga.step-failed")), ("compensated", 4));
    let saga = site.get("/provisionings/r-1.1", &[]).await;
    let reason = saga.body["reason"].as_str().unwrap();
    assert!(reason.contains("no host is free in pool web"), "{reason}");
}

#[tokio::test]
async fn a_bmc_that_refuses_for_good_is_not_asked_again_and_everything_is_undone() {
    let mut site = with_a_free_host(&[]).await;
    site.fleet.bmc("h-1").fail_next(refused());
    request(&mut site).await;
    check_undone(&site);
    assert_eq!(site.count("saga.step-failed"), 1);
    assert_eq!(site.count("host.cleaned"), 2, "it may have been touched, so it is cleaned");
}

#[tokio::test]
async fn an_image_that_fails_at_every_try_is_undone() {
    let mut site = with_a_free_host(&[]).await;
    site.fleet.deploys("h-1", [Boot::Fails; 5]);
    request(&mut site).await;
    check_undone(&site);
    let saga = site.get("/provisionings/r-1.1", &[]).await;
    assert!(saga.body["reason"].as_str().unwrap().contains("the disk is full"), "{}", saga.body);
}

#[tokio::test]
async fn a_role_that_cannot_be_applied_is_undone() {
    let mut site = with_a_free_host(&[("simulate.configure", "fail")]).await;
    request(&mut site).await;
    check_undone(&site);
    assert_eq!(site.count("saga.step-failed"), 1, "a failure for good is not tried again");
}

#[tokio::test]
async fn a_host_that_monitoring_refuses_is_undone_in_reverse_order() {
    let mut site = with_a_free_host(&[("simulate.monitor", "fail")]).await;
    request(&mut site).await;
    check_undone(&site);
    let timeline = site.get("/provisionings/r-1.1/timeline", &[]).await;
    let commits = timeline.body["commits"].as_array().unwrap();
    let events = commits.iter().flat_map(|commit| commit["events"].as_array().unwrap());
    let steps: Vec<&str> = events
        .filter(|event| event["eventType"] == "saga.step-started")
        .map(|event| event["data"]["step"].as_str().unwrap())
        .collect();
    let forward = ["reserve-host", "deploy-image", "apply-role", "register-monitoring"];
    let back = ["deregister-monitoring", "undeploy-host", "release-reservation"];
    assert_eq!(steps, [&forward[..], &back[..]].concat());
}

#[tokio::test]
async fn failures_that_pass_are_tried_again() {
    for label in ["simulate.configure", "simulate.monitor"] {
        let mut site = with_a_free_host(&[(label, "fail-once")]).await;
        request(&mut site).await;
        check_in_service(&site);
        assert!(site.count("saga.step-failed") >= 1, "{label}");
    }
}

#[tokio::test]
async fn a_bmc_that_is_busy_for_a_moment_is_asked_again() {
    let mut site = Site::new();
    let bmc = |site: &Site| site.fleet.bmc("h-1");
    // Once while it is verified, once while it is cleaned, and once while it is deployed.
    bmc(&site).fail_next(busy(&system_url("h-1")));
    site.enrol("h-1", &[]).await;
    assert!(site.run_until(|site| site.phase("h-1") == "cleaning").await);
    bmc(&site).fail_next(busy(&system_url("h-1")));
    site.run().await;
    assert_eq!((site.count("host.verification-failed"), site.count("host.cleaning-failed")), (1, 1));
    bmc(&site).fail_next(busy(&system_url("h-1")));
    request(&mut site).await;
    check_in_service(&site);
    assert_eq!(site.count("saga.step-failed"), 1);
}

#[tokio::test]
async fn an_image_that_fails_once_is_booted_again() {
    let mut site = with_a_free_host(&[]).await;
    site.fleet.deploys("h-1", [Boot::Fails]);
    request(&mut site).await;
    check_in_service(&site);
    assert_eq!(site.count("host.deploy-started"), 2);
}

#[tokio::test]
async fn a_host_that_never_answers_is_given_up_at_its_deadlines() {
    let mut site = with_a_free_host(&[]).await;
    site.fleet.deploys("h-1", [Boot::Silent; 5]);
    let asked = hostler_runtime::ports::Clock::now(&site.clock);
    request(&mut site).await;
    check_undone(&site);
    assert_eq!(site.count("saga.deadline-exceeded"), 5, "each breach of a deadline is an event");
    let minutes = hostler_runtime::ports::Clock::now(&site.clock).duration_since(asked).as_mins();
    assert!(minutes >= 150, "five deadlines of 30 minutes: {minutes} minutes");
}

#[tokio::test]
async fn a_host_that_answers_only_the_second_time_comes_into_service() {
    let mut site = with_a_free_host(&[]).await;
    site.fleet.deploys("h-1", [Boot::Silent]);
    request(&mut site).await;
    check_in_service(&site);
    assert_eq!(site.count("saga.deadline-exceeded"), 1);
}

#[tokio::test]
async fn a_saga_that_cannot_be_undone_is_stuck_in_the_open_and_resumed_by_an_operator() {
    let mut site = with_a_free_host(&[("simulate.configure", "fail")]).await;
    site.request("r-1", 1).await;
    assert!(site.run_until(|site| site.phase("h-1") == "configuring").await);
    for _ in 0..ProvisioningPolicy::default().undeploy_host.attempts {
        site.fleet.bmc("h-1").fail_next(refused());
    }
    site.run().await;
    site.check();
    assert_eq!(site.status("r-1.1"), "stuck");
    let saga = site.get("/provisionings/r-1.1", &[]).await;
    assert_eq!((&saga.body["status"], &saga.body["step"]), (&json!("stuck"), &json!("undeploy-host")));
    assert!(saga.body["reason"].as_str().unwrap().contains("resume"), "it says what to do: {}", saga.body);
    assert_eq!(site.cancel("r-1.1").await.status, 409, "it is being undone already");

    let skip = json!({ "saga": "provisioning#r-1.1", "step": "undeploy-host", "reason": "done by hand" });
    let skipped = site.post("skip-step", skip).await;
    assert_eq!(skipped.status, 409, "what gives the host back is not skipped: {}", skipped.body);

    let resume = json!({ "saga": "provisioning#r-1.1", "reason": "the BMC was replaced" });
    site.accepted("resume-saga", resume.clone()).await;
    site.run().await;
    check_undone(&site);
    let again = site.post("resume-saga", resume).await;
    assert_eq!(again.status, 409, "{}", again.body);
}

#[tokio::test]
async fn a_label_that_is_put_right_lets_the_next_request_through() {
    let mut site = with_a_free_host(&[("simulate.monitor", "fail")]).await;
    request(&mut site).await;
    check_undone(&site);
    site.accepted("label-host", json!({ "host": "h-1", "remove": ["simulate.monitor"] })).await;
    site.request("r-2", 1).await;
    site.run().await;
    site.check();
    assert_eq!((site.status("r-2.1"), site.phase("h-1")), ("completed", "in-service"));
}

#[tokio::test]
async fn of_five_hosts_one_fails_and_the_other_sagas_do_not_notice() {
    let mut site = Site::new();
    for n in 1..=5 {
        let labels: &[(&str, &str)] = if n == 3 { &[("simulate.configure", "fail")] } else { &[] };
        site.enrol(&format!("h-{n}"), labels).await;
    }
    site.run().await;
    site.request("r-1", 5).await;
    site.run().await;
    site.check();
    let ended = |status| site.sagas().iter().filter(|(_, saga)| saga.status.name() == status).count();
    assert_eq!((ended("completed"), ended("compensated")), (4, 1));
    assert_eq!(site.phase("h-3"), "available");
}
