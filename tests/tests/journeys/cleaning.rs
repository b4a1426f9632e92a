//! Cleaning: the only way into the pool. What cannot be cleaned is never given out.

use hostler_domain::provisioning::is_host_quarantined;
use hostler_drivers::BootMethod;
use hostler_drivers::memory::busy;
use serde_json::json;

use crate::site::{Boot, Site, system_url};

fn group_of(site: &Site, host: &str) -> String {
    site.views.rows("hosts").into_iter().find(|row| row.key == host).unwrap().group
}

#[tokio::test]
async fn a_host_that_cannot_be_cleaned_is_quarantined_never_given_out_and_requalified_by_an_operator() {
    for boot in [Boot::Fails, Boot::Silent] {
        let mut site = Site::new();
        site.enrol("h-1", &[]).await;
        site.fleet.cleans("h-1", [boot; 3]);
        assert!(!site.run_until(|site| site.phase("h-1") == "available").await, "it was never in the pool");
        assert_eq!((site.phase("h-1"), site.count("host.cleaning-failed")), ("quarantined", 3));
        assert_eq!(group_of(&site, "h-1"), "web/quarantined");
        site.check();

        site.request("r-1", 1).await;
        site.run().await;
        assert_eq!((site.status("r-1.1"), site.count("host.reserved")), ("compensated", 0));
        let shown = site.get("/hosts/h-1", &[]).await.body;
        assert!(shown["reason"].as_str().unwrap().contains("requalify"), "it says what to do: {shown}");

        site.accepted("requalify-host", json!({ "host": "h-1" })).await;
        site.request("r-2", 1).await;
        assert!(
            site.run_until(|site| site.phase("h-1") == "verifying" || site.phase("h-1") == "cleaning").await
        );
        site.run().await;
        assert_eq!(group_of(&site, "h-1").split_once('/').unwrap().0, "web");
        site.request("r-3", 1).await;
        site.run().await;
        site.check();
        assert_eq!((site.phase("h-1"), site.count("host.requalified")), ("in-service", 1));
    }
}

#[tokio::test]
async fn a_host_that_fails_its_cleaning_twice_is_cleaned_at_the_third_try() {
    let mut site = Site::new();
    site.enrol("h-1", &[]).await;
    site.fleet.cleans("h-1", [Boot::Fails, Boot::Silent]);
    site.run().await;
    site.check();
    assert_eq!((site.phase("h-1"), site.count("host.cleaning-failed")), ("available", 2));
}

#[tokio::test]
async fn a_host_whose_bmc_never_answers_is_quarantined_before_it_is_cleaned() {
    let mut site = Site::new();
    // After the third time it is left alone for longer and longer, until the last try is overdue.
    for _ in 0..30 {
        site.fleet.bmc("h-1").fail_next(busy(&system_url("h-1")));
    }
    site.enrol("h-1", &[]).await;
    site.run().await;
    site.check();
    assert_eq!((site.phase("h-1"), site.count("host.verification-failed")), ("quarantined", 3));
    assert_eq!(site.fleet.boots().len(), 0);
}

#[tokio::test]
async fn a_saga_whose_host_cannot_be_cleaned_ends_compensated_and_the_host_is_quarantined() {
    let mut site = Site::new();
    site.enrol("h-1", &[("simulate.configure", "fail")]).await;
    site.run().await;
    site.fleet.cleans("h-1", [Boot::Fails; 3]);
    site.request("r-1", 1).await;
    site.run().await;
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("compensated", "quarantined"));
    assert!(is_host_quarantined(&site.saga("r-1.1")));
    assert_eq!(site.get("/provisionings/r-1.1", &[]).await.body["hostQuarantined"], true);

    // Nobody gets it until it is requalified.
    site.request("r-2", 1).await;
    site.run().await;
    assert_eq!(site.status("r-2.1"), "compensated");
    site.check();
}

#[tokio::test]
async fn every_host_that_goes_back_to_the_pool_was_cleaned_since_it_was_deployed() {
    let mut site = Site::new();
    site.enrol("h-1", &[("simulate.monitor", "fail")]).await;
    site.run().await;
    for request in ["r-1", "r-2", "r-3"] {
        site.request(request, 1).await;
        site.run().await;
        assert_eq!(site.phase("h-1"), "available");
    }
    site.check();
    assert_eq!((site.count("host.deploy-started"), site.count("host.cleaned")), (3, 4));
    let cleanings = site.fleet.boots().iter().filter(|url| url.contains("/cleaner?")).count();
    assert_eq!(cleanings, 4);
}

/// Its BMC has neither a virtual drive nor UEFI HTTP boot: another try changes nothing.
#[tokio::test]
async fn a_host_that_can_boot_no_image_is_quarantined_at_once_with_the_reason() {
    let mut site = Site::new();
    site.fleet.bmc("h-1").boot_by(None);
    site.enrol("h-1", &[]).await;
    site.run().await;
    site.check();
    let (verifications, cleanings) =
        (site.count("host.verification-failed"), site.count("host.cleaning-started"));
    assert_eq!((site.phase("h-1"), verifications, cleanings), ("quarantined", 1, 0));
    let shown = site.get("/hosts/h-1", &[]).await.body;
    let reason = shown["reason"].as_str().unwrap();
    assert!(reason.contains("virtual CD drive") && reason.contains("UEFI HTTP"), "{reason}");

    site.fleet.bmc("h-1").boot_by(Some(BootMethod::UefiHttp));
    site.accepted("requalify-host", json!({ "host": "h-1" })).await;
    site.run().await;
    site.check();
    assert_eq!(site.phase("h-1"), "available", "it was put right");
}

#[tokio::test]
async fn a_cleaning_that_fails_for_a_permanent_reason_is_not_tried_again() {
    let mut site = Site::new();
    site.enrol("h-1", &[]).await;
    assert!(site.run_until(|site| site.phase("h-1") == "cleaning").await);
    site.fleet.bmc("h-1").boot_by(None);
    site.run().await;
    site.check();
    assert_eq!((site.phase("h-1"), site.count("host.cleaning-failed")), ("quarantined", 1));
}

#[tokio::test]
async fn a_host_without_virtual_media_is_cleaned_and_brought_into_service_by_uefi_http() {
    let mut site = Site::new();
    site.fleet.bmc("h-1").boot_by(Some(BootMethod::UefiHttp));
    site.enrol("h-1", &[]).await;
    site.run().await;
    assert_eq!(site.host("h-1").facts.unwrap().boot_method, Some(hostler_events::host::BootMethod::UefiHttp));
    site.request("r-1", 1).await;
    site.run().await;
    site.check();
    assert_eq!((site.phase("h-1"), site.fleet.boots().len()), ("in-service", 2));
}
