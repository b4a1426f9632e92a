//! What callers are told when two of them collide, and when an id is too long.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use hostler_app::Settings;
use hostler_runtime::operations::flow::Backpressure;
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_runtime::state::shell::Shell;
use hostler_testkit::memory::{MemoryControl, MemoryStore};
use hostler_testkit::{SeededIds, TestClock};
use serde_json::json;

use crate::AcceptCommands;

fn accept_commands(store: &MemoryStore, seed: u64) -> AcceptCommands {
    let (clock, ids) = (Arc::new(TestClock::default()), Arc::new(SeededIds::new(seed)));
    AcceptCommands::new(
        Shell::new(Arc::new(store.clone()), clock.clone(), ids, "hostler"),
        Backpressure::new(Arc::new(MemoryControl::default()), clock),
        Arc::new(MemoryControl::default()),
        CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap(),
        Settings::default(),
    )
}

async fn request(store: &MemoryStore, id: &str, count: u32) -> Response {
    let body = json!({ "request": id, "pool": "web", "role": "web", "image": "debian-12", "count": count });
    let request = Request {
        method: "POST".to_owned(),
        path: "/commands/request-hosts".to_owned(),
        body: body.to_string(),
        caller: Some("ada".to_owned()),
        ..Request::default()
    };
    accept_commands(store, u64::from(count)).answer(&request).await
}

#[tokio::test]
async fn two_contents_under_one_id_at_the_same_moment_are_told_apart() {
    let (elsewhere, store) = (MemoryStore::default(), MemoryStore::default());
    assert_eq!(request(&elsewhere, "r-1", 1).await.status, 202);
    store.rival_next(elsewhere.outbox_since(0).remove(0));
    let refused = request(&store, "r-1", 2).await;
    assert_eq!((refused.status, &refused.body["error"]), (409, &json!("payload-mismatch")), "{refused:?}");
    let repeated = request(&store, "r-1", 1).await;
    assert_eq!((repeated.status, &repeated.body["repeated"]), (202, &json!(true)), "{repeated:?}");
    assert_eq!(store.outbox_since(0).len(), 1);
}

#[tokio::test]
async fn an_id_that_is_too_long_is_the_callers_mistake() {
    for length in [160, 195, 200] {
        let refused = request(&MemoryStore::default(), &"x".repeat(length), 1).await;
        assert_eq!(refused.status, 400, "{length}: {refused:?}");
    }
}
