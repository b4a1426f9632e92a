//! What reading all that happened does.

use std::collections::BTreeMap;

use hostler_core::Commit;
use hostler_runtime::operations::replay::EventLog;
use hostler_runtime::ports::EventStore;

use super::fresh;
use crate::sample;

/// Runs the suite: `log` reads what `store` writes.
///
/// # Panics
/// When the implementation breaks the contract.
pub async fn event_log(store: &dyn EventStore, log: &dyn EventLog) {
    let mut written: BTreeMap<String, Vec<Commit>> = BTreeMap::new();
    for _ in 0..3 {
        let stream = format!("order#{}", fresh("log"));
        for version in 1..=4 {
            let commit = sample::full_commit(&stream, version);
            store.append(&commit).await.unwrap();
            written.entry(stream.clone()).or_default().push(commit);
        }
    }
    let mut read: BTreeMap<String, Vec<Commit>> = BTreeMap::new();
    let mut after: Option<String> = None;
    for _ in 0..10_000 {
        let page = log.page(after.as_deref()).await.unwrap();
        for commit in page.commits {
            read.entry(commit.stream.to_string()).or_default().push(commit);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(after, None, "the log has no end");
    for (stream, commits) in written {
        assert_eq!(
            read.remove(&stream),
            Some(commits),
            "each commit once and whole, ascending in its stream"
        );
    }
}
