//! A host in service is given back: it leaves monitoring, is undeployed and cleaned, and is free again, or retired.

use serde_json::json;

use crate::site::Site;

async fn in_service() -> Site {
    let mut site = Site::new();
    site.enrol("h-1", &[]).await;
    site.run().await;
    site.request("r-1", 1).await;
    site.run().await;
    assert_eq!(site.phase("h-1"), "in-service");
    site
}

async fn give_back(site: &mut Site, command: &str) {
    site.accepted(command, json!({ "host": "h-1", "reason": "scaled in" })).await;
}

fn deprovisionings(site: &Site) -> Vec<String> {
    site.views.rows("deprovisionings").into_iter().map(|row| row.group).collect()
}

#[tokio::test]
async fn a_released_host_serves_the_next_request() {
    let mut site = in_service().await;
    give_back(&mut site, "release-host").await;
    assert_eq!(site.phase("h-1"), "draining");
    site.run().await;
    site.check();
    assert_eq!((site.phase("h-1"), deprovisionings(&site)), ("available", vec!["completed".to_owned()]));
    assert_eq!(site.status("r-1.1"), "completed", "what brought it into service stays done");
    site.request("r-2", 1).await;
    site.run().await;
    site.check();
    assert_eq!((site.phase("h-1"), site.status("r-2.1")), ("in-service", "completed"));
    give_back(&mut site, "release-host").await;
    site.run().await;
    assert_eq!(deprovisionings(&site), ["completed", "completed"], "each release is a saga of its own");
}

#[tokio::test]
async fn a_retired_host_is_clean_and_given_out_to_nobody_until_it_is_requalified() {
    let mut site = in_service().await;
    give_back(&mut site, "retire-host").await;
    site.run().await;
    assert_eq!((site.phase("h-1"), site.count("host.cleaned")), ("retired", 2));
    site.request("r-2", 1).await;
    site.run().await;
    assert_eq!((site.phase("h-1"), site.status("r-2.1")), ("retired", "compensated"));
    site.accepted("requalify-host", json!({ "host": "h-1" })).await;
    site.run().await;
    site.check();
    assert_eq!(site.phase("h-1"), "available");
}

/// The provisioning may not have heard yet that its host is in service.
#[tokio::test]
async fn a_host_is_released_as_soon_as_it_is_in_service_and_both_sagas_end() {
    let mut site = Site::new();
    site.enrol("h-1", &[]).await;
    site.run().await;
    site.request("r-1", 1).await;
    assert!(site.run_until(|site| site.phase("h-1") == "in-service").await);
    give_back(&mut site, "release-host").await;
    site.run().await;
    site.check();
    assert_eq!((site.phase("h-1"), deprovisionings(&site)), ("available", vec!["completed".to_owned()]));
    assert!(matches!(site.status("r-1.1"), "completed" | "compensated"));
}

#[tokio::test]
async fn only_a_host_in_service_is_released_and_the_reason_is_asked_for() {
    let mut site = Site::new();
    site.enrol("h-1", &[]).await;
    site.run().await;
    let refused = site.post("release-host", json!({ "host": "h-1", "reason": "scaled in" })).await;
    assert_eq!((refused.status, &refused.body["error"]), (409, &json!("not-possible")));
    let refused = site.post("release-host", json!({ "host": "h-1", "reason": " " })).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let refused = site.post("release-host", json!({ "host": "h-9", "reason": "scaled in" })).await;
    assert_eq!(refused.status, 404, "{}", refused.body);
}
