//! Operators cancel: whatever the saga is at, it is undone, and the host goes back to the pool clean.

use hostler_core::saga::{StepName, StepNames, Waiting};
use hostler_events::ProvisioningStep;
use serde_json::json;

use crate::site::{Boot, Setup, Site};

/// One message at a time, so that a journey can be stopped anywhere.
async fn with_a_free_host() -> Site {
    let mut site = Site::with(Setup { batch: 1, ..Setup::default() });
    site.enrol("h-1", &[]).await;
    site.run().await;
    site.request("r-1", 1).await;
    site
}

/// The steps of the way forward.
const FORWARD: [ProvisioningStep; 4] = [
    ProvisioningStep::ReserveHost,
    ProvisioningStep::DeployImage,
    ProvisioningStep::ApplyRole,
    ProvisioningStep::RegisterMonitoring,
];

fn at(site: &Site, step: ProvisioningStep, waiting: Waiting) -> bool {
    let running = site.saga("r-1.1").running;
    running.get(&StepName::of(step, None)).is_some_and(|attempt| attempt.waiting == waiting)
}

async fn cancel_and_check(site: &mut Site) {
    let answer = site.cancel("r-1.1").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    site.run().await;
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("compensated", "available"));
    let shown = site.get("/provisionings/r-1.1", &[]).await.body;
    assert!(shown["reason"].as_str().unwrap().contains("not needed"), "{shown}");
}

#[tokio::test]
async fn a_saga_is_cancelled_at_any_of_its_steps() {
    for kind in FORWARD {
        let mut site = with_a_free_host().await;
        assert!(site.run_until(|site| at(site, kind, Waiting::Answer)).await, "{}", kind.as_str());
        cancel_and_check(&mut site).await;
    }
}

/// Between any two things that happen on the way: the cancellation meets the step's own messages at each point.
#[tokio::test]
async fn a_saga_is_cancelled_at_any_moment() {
    let mut whole = with_a_free_host().await;
    assert!(whole.run_until(|site| site.status("r-1.1") == "running").await);
    let first = whole.store.outbox_since(0).len();
    whole.run().await;
    let last = whole.store.outbox_since(0).len();
    for commits in first..=last {
        for views_first in [false, true] {
            let mut site = with_a_free_host().await;
            assert!(site.run_until(|site| site.store.outbox_since(0).len() >= commits).await);
            if views_first {
                // The messages of that commit are on their way, too.
                site.run_until(|site| site.queues.len("project-views") == 0).await;
            }
            let completed = site.status("r-1.1") == "completed";
            let answer = site.cancel("r-1.1").await;
            assert_eq!(answer.status, if completed { 409 } else { 202 }, "{}", answer.body);
            site.run().await;
            site.check();
            let end = if completed { ("completed", "in-service") } else { ("compensated", "available") };
            assert_eq!((site.status("r-1.1"), site.phase("h-1")), end, "cancelled after {commits} commits");
        }
    }
}

/// What is under way and what undoes it run at the same time, step by step in each other's way. Monitoring is left
/// out: its registration and deregistration need a lease on the host to be safe from each other.
#[tokio::test]
async fn a_cancellation_races_with_the_step_that_it_undoes() {
    for seed in 1..=90 {
        let mut site = Site::with(Setup { at_once: Some(seed), ..Setup::default() });
        for host in ["h-1", "h-2"] {
            site.enrol(host, &[]).await;
        }
        site.run().await;
        site.request("r-1", 1).await;
        let kind = FORWARD[usize::try_from(seed % 3).unwrap()];
        // Every other time the step's own order is on its queue still.
        let held =
            |site: &Site| site.host("h-1").reservation.is_some() || site.host("h-2").reservation.is_some();
        let early = seed % 2 == 0 || kind != ProvisioningStep::ReserveHost;
        assert!(
            site.run_until(|site| if early { at(site, kind, Waiting::Answer) } else { held(site) }).await
        );
        assert_eq!(site.cancel("r-1.1").await.status, 202);
        site.run().await;
        site.check();
        assert_eq!(site.status("r-1.1"), "compensated", "seed {seed}");
        assert_eq!((site.phase("h-1"), site.phase("h-2")), ("available", "available"), "seed {seed}");
    }
}

#[tokio::test]
async fn a_saga_is_cancelled_while_it_waits_for_its_next_try() {
    let mut site = with_a_free_host().await;
    site.fleet.deploys("h-1", [Boot::Fails]);
    assert!(site.run_until(|site| at(site, ProvisioningStep::DeployImage, Waiting::Retry)).await);
    cancel_and_check(&mut site).await;
    assert_eq!(site.count("host.deploy-started"), 1, "the next try never came");
}

#[tokio::test]
async fn a_host_that_is_silent_while_its_saga_is_cancelled_comes_back_clean() {
    let mut site = with_a_free_host().await;
    site.fleet.deploys("h-1", [Boot::Silent]);
    assert!(site.run_until(|site| site.phase("h-1") == "deploying").await);
    cancel_and_check(&mut site).await;
}

#[tokio::test]
async fn a_saga_is_cancelled_before_it_finds_a_host() {
    let mut site = Site::with(Setup { batch: 1, ..Setup::default() });
    site.request("r-1", 1).await;
    assert!(site.run_until(|site| at(site, ProvisioningStep::ReserveHost, Waiting::Retry)).await);
    assert_eq!(site.cancel("r-1.1").await.status, 202);
    site.enrol("h-1", &[]).await;
    site.run().await;
    site.check();
    assert_eq!(
        (site.status("r-1.1"), site.phase("h-1"), site.count("host.reserved")),
        ("compensated", "available", 0)
    );
}

#[tokio::test]
async fn cancelling_twice_or_too_late_or_the_unknown_is_refused_with_the_reason() {
    let mut site = with_a_free_host().await;
    assert!(site.run_until(|site| at(site, ProvisioningStep::ApplyRole, Waiting::Answer)).await);
    assert_eq!(site.cancel("r-1.1").await.status, 202);
    let again = site.cancel("r-1.1").await;
    assert_eq!(again.status, 409, "{}", again.body);
    site.run().await;
    assert_eq!(site.cancel("r-1.1").await.status, 409);
    let unknown = site.cancel("no-such-saga").await;
    assert_eq!((unknown.status, unknown.body["error"].as_str()), (404, Some("unknown")));

    site.request("r-2", 1).await;
    site.run().await;
    let completed = site.cancel("r-2.1").await;
    assert_eq!(completed.status, 409);
    assert!(completed.body["message"].as_str().unwrap().contains("completed"), "{}", completed.body);
    site.check();
}

#[tokio::test]
async fn a_host_of_a_cancelled_saga_serves_the_next_request() {
    let mut site = with_a_free_host().await;
    assert!(site.run_until(|site| at(site, ProvisioningStep::RegisterMonitoring, Waiting::Answer)).await);
    cancel_and_check(&mut site).await;
    site.request("r-2", 1).await;
    site.run().await;
    site.check();
    assert_eq!((site.status("r-2.1"), site.phase("h-1")), ("completed", "in-service"));
    let host = site.get("/hosts/h-1", &[]).await.body;
    assert_eq!(host["saga"], json!("provisioning#r-2.1"));
}
