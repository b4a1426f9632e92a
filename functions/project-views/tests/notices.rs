//! What is no notice that this build knows is never acknowledged.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use hostler_core::{Category, Failure, Incoming};
use hostler_runtime::messages::batch::Handler;
use hostler_testkit::memory::{MemoryStore, MemoryViews};
use hostler_testkit::sample;
use project_views::project_views;
use serde_json::json;

#[tokio::test]
async fn an_event_that_this_build_does_not_know_is_a_failure() {
    let views = project_views(Arc::new(MemoryStore::default()), Arc::new(MemoryViews::default()));
    let unknown_type = sample::envelope("host#h-1", "host.teleported", json!({}));
    let unknown_stream = sample::envelope("spaceship#1", "host.enrolled", json!({}));
    let mut newer = sample::envelope("host#h-1", "host.enrolled", json!({}));
    newer.schema_version = 99;
    for (event, says) in
        [(unknown_type, "host.teleported"), (unknown_stream, "spaceship#1"), (newer, "version 99")]
    {
        match views.handle(&Incoming::Event(Box::new(event))).await {
            Err(failure @ Failure::Terminal { category: Category::Validation, .. }) => {
                assert!(failure.chain().contains(says), "{}", failure.chain());
            }
            other => panic!("{says}: {other:?}"),
        }
    }
}
