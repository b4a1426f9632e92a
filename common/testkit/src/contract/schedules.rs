//! What all schedules do.

use std::time::Duration;

use hostler_runtime::ports::{Clock, Schedule, Schedules};
use jiff::SignedDuration;
use serde_json::json;

use super::{Inbox, Supports, drain, fresh};

/// Runs the suite on schedules that send to a queue that is empty and that nobody else uses. With real time it takes some two
/// minutes, for a schedule is precise to one.
///
/// # Panics
/// When the implementation breaks the contract.
pub async fn schedules(
    schedules: &dyn Schedules,
    inbox: &dyn Inbox,
    clock: &dyn Clock,
    queue: &str,
    supports: Supports,
) {
    let at = clock.now() + SignedDuration::from_secs(5);
    let body = json!({ "text": "ünï ✓ \" \\ \n" }).to_string();
    let schedule = Schedule { name: fresh("timer"), at, body: body.clone() };
    schedules.create(&schedule).await.unwrap();
    let another = Schedule { body: json!("another").to_string(), ..schedule.clone() };
    schedules.create(&another).await.expect("a repeat is success");
    assert_eq!(inbox.receive(queue).await, [], "it is not sent before its time");
    inbox.wait(Duration::from_secs(5)).await;
    // A minute is how precise they are.
    let lag = supports.delivery_lag + Duration::from_secs(60);
    let came = drain(inbox, queue, 1, lag).await;
    let bodies: Vec<String> = came.into_iter().map(|delivery| delivery.body).collect();
    assert_eq!(bodies, [body], "as it was sent the first time, and once");
    assert!(clock.now() >= at, "never early");
    assert_eq!(drain(inbox, queue, 1, Duration::from_secs(5)).await, [], "a repeat sends nothing");
    schedules.create(&schedule).await.expect("what was sent is gone, and may be made anew");
    let unnameable = Schedule { name: "n".repeat(65), ..schedule };
    assert!(!schedules.create(&unnameable).await.unwrap_err().retryable);
}
