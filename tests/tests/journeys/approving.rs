//! Requests that wait for a person's word.

use jiff::SignedDuration;
use serde_json::json;

use crate::site::{APPROVAL_ABOVE, Site};

async fn large(site: &mut Site, request: &str) {
    site.enrol("h-1", &[]).await;
    site.run().await;
    site.request(request, APPROVAL_ABOVE + 1).await;
}

#[tokio::test]
async fn a_large_request_starts_nothing_until_a_person_approves_it() {
    let mut site = Site::new();
    large(&mut site, "r-1").await;
    site.run_until(|site| site.queues.len("timers") > 0).await;
    assert!(site.sagas().is_empty());
    let approve = json!({ "request": "r-1", "reason": "capacity plan" });
    site.accepted("approve-request", approve.clone()).await;
    site.run().await;
    site.check();
    assert_eq!(site.sagas().len(), APPROVAL_ABOVE as usize + 1);
    assert_eq!(site.count("saga.completed"), 1, "there is one host");
    assert_eq!(site.post("approve-request", approve).await.status, 409);
    let row = site.get("/requests/r-1", &[]).await;
    assert_eq!((row.status, &row.body["status"]), (200, &json!("approved")), "{row:?}");
}

#[tokio::test]
async fn a_large_request_that_is_rejected_or_forgotten_starts_nothing() {
    let mut site = Site::new();
    large(&mut site, "r-1").await;
    site.accepted("reject-request", json!({ "request": "r-1", "reason": "enough" })).await;
    site.request("r-2", APPROVAL_ABOVE + 1).await;
    let begun = hostler_runtime::ports::Clock::now(&site.clock);
    site.run().await;
    site.check();
    assert!(site.sagas().is_empty());
    let passed = hostler_runtime::ports::Clock::now(&site.clock).duration_since(begun);
    assert!(passed >= SignedDuration::from_hours(24), "{passed:?}");
    let row = site.get("/requests/r-2", &[]).await;
    assert_eq!(row.body["status"], "rejected", "{row:?}");
    assert!(row.body["reason"].as_str().unwrap().contains("nobody approved it within 24 h"), "{row:?}");
}
