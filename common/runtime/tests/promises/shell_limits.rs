//! Snapshots, and what is refused for its size.

use hostler_core::{Category, CommitError, Failure, StreamVersion};
use hostler_runtime::ports::StoreError;
use hostler_runtime::state::shell::SNAPSHOT_EVERY;
use hostler_runtime::state::shell::{ExecuteError, Outcome};
use hostler_testkit::sample;
use serde_json::json;

use crate::tally::{Fixture, Input, Tally, cause_of, rival, stream};

#[tokio::test]
async fn every_sixteenth_commit_carries_a_snapshot_and_a_load_starts_there() {
    let fixture = Fixture::new();
    fixture.add_ones(40).await;
    let with_snapshot: Vec<u64> = fixture
        .commits()
        .iter()
        .filter(|commit| commit.snapshot.is_some())
        .map(|commit| commit.version.0)
        .collect();
    assert_eq!(with_snapshot, [16, 32]);
    assert_eq!(fixture.shell.store().load(&stream()).await.unwrap().len(), 9, "32 to 40");
    let fold = fixture.shell.load::<Tally<1>>(&stream()).await.unwrap();
    assert_eq!((fold.version, fold.state.total), (StreamVersion(40), 40));
}

#[tokio::test]
async fn a_cause_is_recognised_behind_any_number_of_snapshots() {
    let fixture = Fixture::new();
    fixture.add_ones(SNAPSHOT_EVERY * 4 + 3).await;
    for number in 1..=SNAPSHOT_EVERY * 4 + 3 {
        let repeated = fixture.add(&format!("add-{number}"), 1).await;
        assert_eq!(repeated.outcome, Outcome::Repeated, "add-{number}");
        assert_eq!(repeated.events.len(), 1);
    }
    assert_eq!(fixture.commits().len() as u64, SNAPSHOT_EVERY * 4 + 3);
}

#[tokio::test]
async fn an_event_too_large_for_the_bus_is_refused_before_anything_is_written() {
    let fixture = Fixture::new();
    let refused = fixture.shell.execute::<Tally<1>>(&stream(), &cause_of("big"), &Input::Note(260_000)).await;
    let error = refused.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("tally.added") && text.contains("250000") && text.contains("nothing was written"),
        "{text}"
    );
    let ExecuteError::Store(StoreError::Refused(CommitError::TooLarge { bytes, limit, .. })) = &error else {
        panic!("{error}")
    };
    assert!(*bytes > 260_000 && *limit == 250_000);
    assert!(matches!(Failure::from(error), Failure::Terminal { category: Category::Validation, .. }));
    assert!(fixture.commits().is_empty());
}

#[tokio::test]
async fn a_commit_too_large_for_its_item_is_refused_before_anything_is_written() {
    let fixture = Fixture::new();
    let mut commit = rival(1, 1);
    let half = json!({ "n": 1, "note": "x".repeat(200_000) });
    commit.events = vec![sample::event("tally.added", half.clone()), sample::event("tally.added", half)];
    let refused = fixture.shell.store().append(&commit).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(CommitError::TooLarge { limit: 390_000, .. }))),
        "{refused:?}"
    );
    assert!(fixture.commits().is_empty());
}

/// A snapshot is a cache. One that does not fit must not stop its stream.
#[tokio::test]
async fn a_snapshot_that_does_not_fit_is_left_out_and_the_stream_goes_on() {
    let fixture = Fixture::new();
    fixture.add_ones(14).await;
    // The state keeps the last note, so that event and snapshot together are over the limit of an item.
    let noted = fixture.shell.execute::<Tally<1>>(&stream(), &cause_of("big"), &Input::Note(200_000)).await;
    assert_eq!(noted.unwrap().fold.version, StreamVersion(15));
    let noted = fixture.shell.execute::<Tally<1>>(&stream(), &cause_of("big-2"), &Input::Note(200_000)).await;
    assert_eq!(noted.unwrap().fold.version, StreamVersion(16));
    assert!(fixture.commits()[15].snapshot.is_none());
    fixture.add_ones(20).await;
    assert!(fixture.commits()[16].snapshot.is_some(), "the next commit carries it");
    assert_eq!(fixture.shell.load::<Tally<1>>(&stream()).await.unwrap().state.total, 22);
    assert_eq!(
        fixture.add("big", 1).await.outcome,
        Outcome::Repeated,
        "its causes are recognised all the same"
    );
}
