//! Folding: from snapshots or from the start, at a version or an instant, and what cannot be read.

use async_trait::async_trait;
use hostler_core::{Commit, ContractError, EventId, Failure, StreamId, StreamVersion, TimerId};
use hostler_runtime::ports::{EventStore, StoreError};
use hostler_runtime::state::history::{Fold, HistoryError};
use hostler_runtime::state::history::{load, load_until};
use hostler_runtime::state::item::{Field, Fields, to_commit, to_fields};
use hostler_testkit::sample;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use crate::tally::{Fixture, Input, Tally, cause_of, rival, stream};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_load_equals_the_fold_of_all_commits(amounts in proptest::collection::vec(1u64..1_000, 0..70)) {
        block_on(async {
            let fixture = Fixture::new();
            for (number, amount) in amounts.iter().enumerate() {
                fixture.add(&format!("add-{number}"), *amount).await;
            }
            let store = fixture.shell.store();
            let loaded: Fold<Tally<1>> = load(store, &stream()).await.unwrap();
            let folded: Fold<Tally<1>> = load_until(store, &stream(), |_| true).await.unwrap();
            assert_eq!(loaded.state, folded.state);
            assert_eq!((loaded.version, loaded.updated_at), (folded.version, folded.updated_at));
            assert_eq!(loaded.seen, folded.seen, "causes, too");
            assert_eq!(loaded.state.total, amounts.iter().sum::<u64>());
        });
    }

    #[test]
    fn the_state_at_every_version_is_that_of_the_moment(amounts in proptest::collection::vec(1u64..9, 1..40)) {
        block_on(async {
            let fixture = Fixture::new();
            for (number, amount) in amounts.iter().enumerate() {
                fixture.add(&format!("add-{number}"), *amount).await;
            }
            for version in 0..=amounts.len() {
                let wanted = StreamVersion(version as u64);
                let fold: Fold<Tally<1>> =
                    load_until(fixture.shell.store(), &stream(), |c| c.version <= wanted).await.unwrap();
                assert_eq!(fold.version, wanted);
                assert_eq!(fold.state.total, amounts[..version].iter().sum::<u64>());
            }
        });
    }
}

#[tokio::test]
async fn a_stream_that_is_not_there_has_the_first_state() {
    let fixture = Fixture::new();
    let fold = fixture.shell.load::<Tally<1>>(&stream()).await.unwrap();
    assert_eq!((fold.version, fold.state.total, fold.updated_at), (StreamVersion::EMPTY, 0, None));
}

#[tokio::test]
async fn a_snapshot_of_another_form_is_passed_over() {
    let fixture = Fixture::new();
    fixture.add_ones(37).await;
    let other = fixture.shell.load::<Tally<2>>(&stream()).await.unwrap();
    assert_eq!((other.version, other.state.total, other.seen.len()), (StreamVersion(37), 74, 37));
    let done =
        fixture.shell.execute::<Tally<2>>(&stream(), &cause_of("add-1"), &Input::Add(1)).await.unwrap();
    assert_eq!(done.fold.version, StreamVersion(37), "causes are recognised across the change of form");
}

#[tokio::test]
async fn a_snapshot_that_does_not_read_is_passed_over() {
    let fixture = Fixture::new();
    fixture.add_ones(15).await;
    let mut commit = rival(16, 1);
    commit.snapshot = Some(sample::snapshot(json!("not a state"), Vec::new()));
    commit.snapshot.as_mut().unwrap().state_version = 1;
    fixture.shell.store().append(&commit).await.unwrap();
    assert_eq!(fixture.shell.load::<Tally<1>>(&stream()).await.unwrap().state.total, 16);
}

#[tokio::test]
async fn the_state_at_an_instant_is_that_of_the_last_commit_until_then() {
    let fixture = Fixture::new();
    let start = fixture.shell.now();
    for number in 0..5 {
        fixture.clock.set(start + SignedDuration::from_secs(number * 10));
        fixture.add(&format!("add-{number}"), 1).await;
    }
    for (seconds, total) in [(-1, 0), (0, 1), (9, 1), (10, 2), (39, 4), (40, 5), (4_000, 5)] {
        let at = start + SignedDuration::from_secs(seconds);
        let fold: Fold<Tally<1>> =
            load_until(fixture.shell.store(), &stream(), |commit| commit.recorded_at <= at).await.unwrap();
        assert_eq!(fold.state.total, total, "after {seconds} s");
    }
}

/// What a load says of a stream whose second commit is this one.
async fn refused(second: Commit) -> HistoryError {
    let fixture = Fixture::new();
    fixture.add("first", 1).await;
    fixture.shell.store().append(&second).await.unwrap();
    fixture.shell.load::<Tally<1>>(&stream()).await.unwrap_err()
}

#[tokio::test]
async fn an_event_of_an_unknown_type_is_an_error_that_names_stream_version_and_type() {
    let mut commit = rival(2, 1);
    commit.events = vec![sample::event("tally.halved", json!({}))];
    let error = refused(commit).await;
    let text = error.to_string();
    for part in ["tally#one", "version 2", "tally.halved"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    assert!(matches!(error, HistoryError::Contract { source: ContractError::UnknownType { .. }, .. }));
    assert!(matches!(Failure::from(error), Failure::Terminal { .. }), "retrying does not help");
}

#[tokio::test]
async fn an_event_of_an_older_form_is_upcast() {
    let fixture = Fixture::new();
    let mut commit = rival(1, 1);
    (commit.events[0].schema_version, commit.events[0].data) = (1, json!({ "amount": 7 }).into());
    fixture.shell.store().append(&commit).await.unwrap();
    let fold = fixture.shell.load::<Tally<1>>(&stream()).await.unwrap();
    assert_eq!(fold.state.total, 7);
}

#[tokio::test]
async fn an_event_of_newer_code_is_an_error_that_says_so() {
    let mut commit = rival(2, 1);
    commit.events[0].schema_version = 3;
    let error = refused(commit).await;
    let text = error.to_string();
    assert!(text.contains("tally#one") && text.contains("deploy a newer reader"), "{text}");
    assert!(matches!(error, HistoryError::Contract { source: ContractError::Version { found: 3, .. }, .. }));
}

#[tokio::test]
async fn a_missing_version_is_an_error_and_never_skipped() {
    let error = refused(rival(3, 1)).await;
    assert!(
        matches!(&error, HistoryError::Store(StoreError::Corrupt { version: StreamVersion(2), .. })),
        "{error}"
    );
    assert!(matches!(Failure::from(error), Failure::Terminal { .. }));
}

#[tokio::test]
async fn a_stream_that_does_not_begin_at_its_beginning_is_an_error() {
    let fixture = Fixture::new();
    fixture.shell.store().append(&rival(2, 1)).await.unwrap();
    let error = fixture.shell.load::<Tally<1>>(&stream()).await.unwrap_err();
    assert!(
        matches!(error, HistoryError::Store(StoreError::Corrupt { version: StreamVersion(1), .. })),
        "{error}"
    );
}

/// A stream that never ends.
struct Endless;

#[async_trait]
impl EventStore for Endless {
    async fn load(&self, _: &StreamId) -> Result<Vec<Commit>, StoreError> {
        Ok(vec![rival(7, 1)])
    }

    async fn read(
        &self,
        _: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        Ok((1..=limit as u64).map(|n| rival(after.0 + n, 1)).collect())
    }

    async fn append(&self, _: &Commit) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_part_of_a_stream_is_never_taken_for_the_whole() {
    let error = load::<Tally<1>>(&Endless, &stream()).await.unwrap_err();
    assert!(matches!(error, HistoryError::TooLong { .. }), "{error}");
    assert!(matches!(Failure::from(error), Failure::Terminal { .. }));
}

/// Given a commit, when it is written as an item, then its parts need no ids of their own; and what was written before that,
/// with long names and ids, reads as the same.
#[test]
fn items_of_both_forms_are_read() {
    let mut commit = sample::full_commit("order#1", 7);
    let written = |commit: &Commit| to_fields(commit).unwrap();
    let text = |fields: &Fields, wanted: &str| match fields.iter().find(|(name, _)| *name == wanted) {
        Some((_, Field::Text(text) | Field::Number(text))) => text.clone(),
        None => String::new(),
    };
    // Ids that do not follow from the commit's are kept.
    assert_eq!(to_commit(&written(&commit)).unwrap(), commit);
    let ids: Vec<Uuid> = (0..4).map(|n| commit.commit_id.part(n)).collect();
    for (event, id) in commit.events.iter_mut().zip(&ids) {
        event.event_id = EventId(*id);
    }
    commit.commands[0].command_id = ids[2].into();
    commit.timers[0].timer_id = TimerId(ids[3]);
    let short = written(&commit);
    assert_eq!(to_commit(&short).unwrap(), commit);
    for name in ["events", "commands", "timers"] {
        assert!(!text(&short, name).contains(&ids[0].to_string()[..13]), "{}", text(&short, name));
    }
    let mut long = short.clone();
    for (name, field) in &mut long {
        let lists = match *name {
            "events" => serde_json::to_string(&commit.events).unwrap(),
            "commands" => serde_json::to_string(&commit.commands).unwrap(),
            "timers" => serde_json::to_string(&commit.timers).unwrap(),
            _ => continue,
        };
        *field = Field::Text(lists);
    }
    assert_eq!(to_commit(&long).unwrap(), commit);
}
