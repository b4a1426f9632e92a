//! Sagas: what this build cannot decide on is never acknowledged.

use std::sync::Arc;
use std::time::Duration;

use hostler_core::{Failure, Incoming};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::ports::EventStore;
use hostler_runtime::serving::sagas::Sagas;
use hostler_runtime::state::shell::Shell;
use hostler_testkit::memory::MemoryStore;
use hostler_testkit::sample_saga::OrderSaga;
use hostler_testkit::{SeededIds, TestClock, sample};
use serde_json::json;

/// The function is rolled back while sagas of the newer version run.
#[tokio::test]
async fn a_message_to_a_saga_of_a_version_that_is_not_here_waits_for_a_build_that_has_it() {
    let store = MemoryStore::default();
    let (clock, ids) = (Arc::new(TestClock::default()), Arc::new(SeededIds::default()));
    let shell = Shell::new(Arc::new(store.clone()), clock, ids, "hostler");
    let sagas = Sagas::new(shell).with::<OrderSaga>().unwrap();
    for (version, waits) in [(1, false), (9, true)] {
        let stream = format!("order#o-{version}");
        let mut begun = sample::full_commit(&stream, 1);
        let started =
            json!({ "event": "started", "saga": stream, "version": version, "order": { "amount": 1 } });
        (begun.events, begun.snapshot) = (vec![sample::event("saga.started", started)], None);
        store.append(&begun).await.unwrap();
        let timer = begun.timer_messages().next().unwrap();
        let heard = sagas.handle(&Incoming::Timer(Box::new(timer))).await;
        match heard {
            Ok(()) => assert!(!waits, "acknowledged, its timer would be lost"),
            Err(Failure::Deferred { after, source }) => {
                assert!(waits && after >= Duration::from_secs(60), "{source}");
                assert!(source.to_string().contains("version 9"), "{source}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}
