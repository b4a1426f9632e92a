//! What every event store does.

use futures::future::join_all;
use hostler_core::{Commit, CommitError, CommitId, SeenCause, StreamId, StreamVersion};
use hostler_runtime::ports::{COMMITS_PER_LOAD_MAX, EventStore, StoreError};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fresh;
use crate::sample;

/// Runs the suite.
///
/// # Panics
/// When the implementation breaks the contract; so do all suites.
pub async fn event_store(store: &dyn EventStore) {
    an_unknown_stream_is_empty(store).await;
    what_was_appended_is_read_back_whole(store).await;
    a_version_is_written_once(store).await;
    a_repeated_append_is_success(store).await;
    of_concurrent_appends_one_wins(store).await;
    a_load_starts_at_the_newest_snapshot(store).await;
    a_load_without_a_snapshot_is_bounded(store).await;
    reads_go_on_after_a_version_up_to_a_limit(store).await;
    causes_are_those_of_the_commits(store).await;
    streams_do_not_mix(store).await;
    an_oversize_commit_is_refused_before_any_write(store).await;
    the_largest_commit_is_taken(store).await;
    a_stream_over_a_megabyte_loads_whole(store).await;
}

fn fresh_stream() -> String {
    fresh("contract#s")
}

fn id(stream: &str) -> StreamId {
    stream.parse().unwrap()
}

fn versions(commits: &[Commit]) -> Vec<u64> {
    commits.iter().map(|commit| commit.version.0).collect()
}

async fn read(store: &dyn EventStore, stream: &str, after: u64, limit: usize) -> Vec<Commit> {
    store.read(&id(stream), StreamVersion(after), limit).await.unwrap()
}

async fn an_unknown_stream_is_empty(store: &dyn EventStore) {
    let stream = fresh_stream();
    assert_eq!(store.load(&id(&stream)).await.unwrap(), []);
    assert_eq!(read(store, &stream, 0, 10).await, []);
}

async fn what_was_appended_is_read_back_whole(store: &dyn EventStore) {
    let stream = fresh_stream();
    let mut without_events = sample::commit(&stream, 3);
    without_events.events.clear();
    let commits = [sample::full_commit(&stream, 1), sample::commit(&stream, 2), without_events];
    for commit in &commits {
        store.append(commit).await.unwrap();
    }
    assert_eq!(store.load(&id(&stream)).await.unwrap(), commits);
    assert_eq!(read(store, &stream, 0, 10).await, commits);
}

async fn a_version_is_written_once(store: &dyn EventStore) {
    let stream = fresh_stream();
    let first = sample::commit(&stream, 1);
    store.append(&first).await.unwrap();
    let error = store.append(&sample::commit(&stream, 1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { version: StreamVersion(1), .. }), "{error}");
    assert_eq!(store.load(&id(&stream)).await.unwrap(), [first]);
}

async fn a_repeated_append_is_success(store: &dyn EventStore) {
    let stream = fresh_stream();
    let first = sample::full_commit(&stream, 1);
    store.append(&first).await.unwrap();
    store.append(&first).await.expect("the same commit id is our own put, whose answer was lost");
    store.append(&sample::commit(&stream, 2)).await.unwrap();
    store.append(&first).await.expect("also when the stream has gone on");
    assert_eq!(versions(&store.load(&id(&stream)).await.unwrap()), [1, 2]);
}

async fn of_concurrent_appends_one_wins(store: &dyn EventStore) {
    let stream = fresh_stream();
    for version in 1..=3 {
        let rivals: Vec<Commit> = (0..8).map(|_| sample::commit(&stream, version)).collect();
        let results = join_all(rivals.iter().map(|commit| store.append(commit))).await;
        let won: Vec<CommitId> = rivals
            .iter()
            .zip(&results)
            .filter_map(|(commit, result)| match result {
                Ok(()) => Some(commit.commit_id),
                Err(StoreError::Conflict { .. }) => None,
                Err(error) => panic!("{error}"),
            })
            .collect();
        let stored = read(store, &stream, version - 1, 1).await;
        assert_eq!(won, [stored[0].commit_id], "exactly the stored one was told that it won");
    }
}

async fn a_load_starts_at_the_newest_snapshot(store: &dyn EventStore) {
    let stream = fresh_stream();
    for version in 1..=40 {
        let mut commit = sample::commit(&stream, version);
        if version == 3 || version == 5 {
            commit.snapshot = Some(sample::snapshot(json!(version), Vec::new()));
        }
        store.append(&commit).await.unwrap();
    }
    let loaded = store.load(&id(&stream)).await.unwrap();
    assert_eq!(versions(&loaded), (5..=40).collect::<Vec<_>>());
    assert_eq!(loaded[0].snapshot.as_ref().unwrap().state, json!(5));
    let mut newest = sample::commit(&stream, 41);
    newest.snapshot = Some(sample::snapshot(Value::Null, Vec::new()));
    store.append(&newest).await.unwrap();
    assert_eq!(store.load(&id(&stream)).await.unwrap(), [newest]);
}

async fn reads_go_on_after_a_version_up_to_a_limit(store: &dyn EventStore) {
    let stream = fresh_stream();
    for version in 1..=12 {
        store.append(&sample::commit(&stream, version)).await.unwrap();
    }
    assert_eq!(versions(&read(store, &stream, 0, 5).await), [1, 2, 3, 4, 5]);
    assert_eq!(versions(&read(store, &stream, 9, 5).await), [10, 11, 12]);
    assert_eq!(versions(&read(store, &stream, 8, 1).await), [9]);
    assert_eq!(versions(&read(store, &stream, 12, 5).await), [0; 0]);
    assert_eq!(versions(&read(store, &stream, 0, 0).await), [0; 0]);
}

/// What goes on from there reads page by page.
async fn a_load_without_a_snapshot_is_bounded(store: &dyn EventStore) {
    let stream = fresh_stream();
    let newest = COMMITS_PER_LOAD_MAX as u64 + 100;
    let mut first = sample::commit(&stream, 1);
    first.snapshot = Some(sample::snapshot(json!(1), Vec::new()));
    let mut commits = vec![first];
    commits.extend((2..=newest).map(|version| sample::commit(&stream, version)));
    for some in commits.chunks(50) {
        for done in join_all(some.iter().map(|commit| store.append(commit))).await {
            done.unwrap();
        }
    }
    let loaded = versions(&store.load(&id(&stream)).await.unwrap());
    assert!((COMMITS_PER_LOAD_MAX..COMMITS_PER_LOAD_MAX + 100).contains(&loaded.len()), "{}", loaded.len());
    assert_eq!(
        loaded,
        (newest + 1 - loaded.len() as u64..=newest).collect::<Vec<_>>(),
        "the newest, ascending"
    );
}

async fn causes_are_those_of_the_commits(store: &dyn EventStore) {
    let stream = fresh_stream();
    let commits: Vec<Commit> = (1..=12).map(|version| sample::full_commit(&stream, version)).collect();
    for commit in &commits {
        store.append(commit).await.unwrap();
    }
    let causes: Vec<SeenCause> = commits.into_iter().map(SeenCause::of).collect();
    for (after, limit, expected) in
        [(0, 100, 0..12), (0, 5, 0..5), (9, 5, 9..12), (12, 5, 12..12), (3, 0, 3..3)]
    {
        let found = store.causes(&id(&stream), StreamVersion(after), limit).await.unwrap();
        assert_eq!(found, causes[expected], "after {after}, {limit} at most");
    }
}

async fn streams_do_not_mix(store: &dyn EventStore) {
    let stream = fresh_stream();
    let longer = format!("{stream}0");
    store.append(&sample::commit(&stream, 1)).await.unwrap();
    store.append(&sample::commit(&longer, 1)).await.unwrap();
    store.append(&sample::commit(&longer, 2)).await.unwrap();
    assert_eq!(versions(&store.load(&id(&stream)).await.unwrap()), [1]);
    assert_eq!(versions(&store.load(&id(&longer)).await.unwrap()), [1, 2]);
}

async fn an_oversize_commit_is_refused_before_any_write(store: &dyn EventStore) {
    let stream = fresh_stream();
    let text = |bytes: usize| json!({ "text": "x".repeat(bytes) });
    let of_events = |sizes: &[usize]| Commit {
        events: sizes.iter().map(|bytes| sample::event("order.placed", text(*bytes))).collect(),
        ..sample::commit(&stream, 1)
    };
    for (commit, limit) in [(of_events(&[260_000]), "250000"), (of_events(&[200_000, 200_000]), "390000")] {
        let error = store.append(&commit).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused(CommitError::TooLarge { .. })), "{error}");
        let said = error.to_string();
        assert!(said.contains(limit) && said.contains(&stream), "{said}");
    }
    assert_eq!(store.load(&id(&stream)).await.unwrap(), []);
}

async fn the_largest_commit_is_taken(store: &dyn EventStore) {
    let stream = fresh_stream();
    let mut commit = sample::full_commit(&stream, 1);
    // Quotes are two bytes in JSON: what counts is what is stored.
    commit.events.push(sample::event("order.placed", json!({ "text": "\"".repeat(120_000) })));
    commit.snapshot = Some(sample::snapshot(json!({ "text": "✓".repeat(48_000) }), Vec::new()));
    commit.check_size().expect("the sample is within the limit");
    store.append(&commit).await.unwrap();
    assert_eq!(store.load(&id(&stream)).await.unwrap(), [commit]);
}

async fn a_stream_over_a_megabyte_loads_whole(store: &dyn EventStore) {
    let stream = fresh_stream();
    let data = json!({ "text": "x".repeat(50_000) });
    for version in 1..=45 {
        let events = vec![sample::event("order.placed", data.clone())];
        let commit =
            Commit { events, commit_id: CommitId(Uuid::now_v7()), ..sample::commit(&stream, version) };
        store.append(&commit).await.unwrap();
    }
    let all: Vec<u64> = (1..=45).collect();
    assert_eq!(versions(&store.load(&id(&stream)).await.unwrap()), all);
    assert_eq!(versions(&read(store, &stream, 0, 1_000).await), all);
    assert_eq!(versions(&read(store, &stream, 0, 30).await), all[..30]);
}
