//! Looks at the queues every minute: more consumers where much waits, and producers that wait in an emergency.

use hostler_runtime::flow::Watch;

/// The queues that are looked at, and how many consumers each has on a normal day, as in `template.yaml`.
pub const QUEUES: [(&str, u16); 7] = [
    ("commands", 20),
    ("run-sagas", 20),
    ("deploy-host", 20),
    ("configure-host", 20),
    ("monitor-host", 20),
    ("timers", 20),
    ("project-views", 20),
];

/// Looks once.
pub async fn watch_flow(watch: &Watch) {
    match watch.look().await {
        Ok(flow) => {
            let busy = flow.values().filter(|applied| applied.concurrency > 0).count();
            tracing::info!(queues = QUEUES.len(), known = busy, "queues looked at");
        }
        // The next look is a minute away, and each of them is complete in itself.
        Err(failure) => tracing::error!(error = failure.chain(), "some queues were not looked after"),
    }
}
