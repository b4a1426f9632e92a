//! Snapshots, how long causes are remembered, and what is refused for its size.

use hostler_core::{Category, CausationId, Commit, CommitError, Failure, SeenCause, Snapshot, StreamVersion};
use hostler_runtime::ports::StoreError;
use hostler_runtime::state::shell::SNAPSHOT_EVERY;
use hostler_runtime::state::shell::{ExecuteError, Outcome};
use hostler_testkit::sample;
use jiff::SignedDuration;
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
async fn a_cause_is_remembered_for_two_days_and_then_not_carried_on() {
    let fixture = Fixture::new();
    fixture.add("old", 1).await;
    fixture.clock.set(fixture.shell.now() + SignedDuration::from_hours(47));
    fixture.add_ones(SNAPSHOT_EVERY - 1).await;
    assert_eq!(fixture.add("old", 1).await.outcome, Outcome::Repeated, "after 47 hours");
    fixture.clock.set(fixture.shell.now() + SignedDuration::from_hours(2));
    fixture.add_ones(SNAPSHOT_EVERY - 1).await;
    for number in 0..SNAPSHOT_EVERY {
        fixture.add(&format!("more-{number}"), 1).await;
    }
    let newest = fixture.commits().pop().unwrap();
    let seen = newest.snapshot.unwrap().seen;
    assert!(seen.iter().all(|seen| seen.causation_id.as_str() != "old"), "the list does not grow for ever");
    assert_eq!(seen.len() as u64, SNAPSHOT_EVERY * 2 - 1, "all but the old one");
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
    assert_eq!(fixture.shell.load::<Tally<1>>(&stream()).await.unwrap().state.total, 22);
    assert_eq!(
        fixture.add("big", 1).await.outcome,
        Outcome::Repeated,
        "its causes are recognised all the same"
    );
}

#[tokio::test]
async fn a_stream_with_thousands_of_recent_causes_goes_on() {
    let fixture = Fixture::new();
    let recorded_at = fixture.shell.now();
    let cause = |number: u64| format!("0198c0de-0000-7000-8000-{number:012}");
    let seen = |number| SeenCause {
        causation_id: CausationId::new(cause(number)).unwrap(),
        version: StreamVersion(1),
        recorded_at,
    };
    // Just below the limit of a commit, so that some commits later the list is over it.
    let mut commit = rival(1, 1);
    let state = json!({ "total": 1, "commits": 1, "last_note": "" }).into();
    commit.snapshot = Some(Snapshot { state_version: 1, state, seen: (0..4_900).map(seen).collect() });
    fixture.shell.store().append(&commit).await.unwrap();
    for number in 1..SNAPSHOT_EVERY * 10 {
        assert_eq!(fixture.add(&cause(1_000_000 + number), 1).await.fold.version, StreamVersion(number + 1));
    }
    let left_out =
        |commit: &Commit| commit.version.0.is_multiple_of(SNAPSHOT_EVERY) && commit.snapshot.is_none();
    assert!(fixture.commits().iter().any(left_out), "the limit was reached");
    assert_eq!(fixture.add(&cause(4_899), 1).await.outcome, Outcome::Repeated);
}
