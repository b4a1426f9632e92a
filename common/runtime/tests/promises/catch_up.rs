//! Projections that catch up: the event is a hint, the store is the truth.

use hostler_core::{Envelope, Failure, StreamId, StreamVersion};
use hostler_runtime::ports::{Row, Views};
use hostler_runtime::state::catch_up::{CaughtUp, Follower};
use hostler_runtime::state::history::Fold;
use hostler_testkit::memory::MemoryViews;
use proptest::prelude::*;
use serde_json::json;

use crate::tally::{Ground, Tally};

fn row(_: &StreamId, fold: &Fold<Tally<1>>) -> Option<Row> {
    Some(Row {
        view: "tallies".to_owned(),
        key: "one".to_owned(),
        group: "all".to_owned(),
        version: fold.version,
        updated_at: fold.updated_at?,
        body: json!({ "total": fold.state.total }),
    })
}

fn follower() -> Follower<Tally<1>> {
    Follower::new("tallies", row)
}

/// By a process that has just started.
async fn follow(ground: &Ground, views: &MemoryViews, hint: &Envelope) -> Result<CaughtUp, Failure> {
    follower().follow(ground.shell.store(), views, hint).await
}

fn hints(ground: &Ground) -> Vec<Envelope> {
    ground.commits().iter().flat_map(|commit| commit.envelopes().collect::<Vec<_>>()).collect()
}

fn row_of(views: &MemoryViews) -> (u64, u64) {
    let row = views.rows("tallies").remove(0);
    (row.version.0, row.body["total"].as_u64().unwrap())
}

#[tokio::test]
async fn one_hint_brings_the_row_to_the_newest_version_and_the_others_find_it_there() {
    let ground = Ground::new();
    ground.add_ones(20).await;
    let views = MemoryViews::default();
    let hints = hints(&ground);
    assert!(follow(&ground, &views, &hints[2]).await.unwrap().written);
    assert_eq!(row_of(&views), (20, 20));
    for hint in &hints {
        assert!(!follow(&ground, &views, hint).await.unwrap().written);
    }
    assert_eq!(row_of(&views), (20, 20));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn disorder_duplicates_and_gaps_leave_the_right_row(
        commits in 1u64..30, picks in proptest::collection::vec(any::<prop::sample::Index>(), 1..60),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let (ground, views, follower) = (Ground::new(), MemoryViews::default(), follower());
            let mut newest = 0;
            // Hints come while commits are still being made: each of any commit so far.
            for (turn, pick) in picks.iter().enumerate() {
                if (turn as u64) < commits {
                    ground.add(&format!("add-{turn}"), 1).await;
                }
                let hints = hints(&ground);
                let hint = &hints[pick.index(hints.len())];
                if pick.index(3) == 0 {
                    follower.begin();
                }
                // By a process that knows the stream, or by another one.
                match pick.index(4) {
                    0 => follow(&ground, &views, hint).await.unwrap(),
                    _ => follower.follow(ground.shell.store(), &views, hint).await.unwrap(),
                };
                let (version, total) = row_of(&views);
                assert_eq!(version, total, "the row is the fold at its version");
                assert!(version >= newest && version >= hint.stream_version.0, "it never goes back");
                newest = version;
            }
            follow(&ground, &views, hints(&ground).last().unwrap()).await.unwrap();
            assert_eq!(row_of(&views).0, ground.commits().len() as u64);
        });
    }
}

#[tokio::test]
async fn an_older_row_never_replaces_a_newer_one() {
    let ground = Ground::new();
    ground.add_ones(3).await;
    let views = MemoryViews::default();
    let newer = Row {
        version: StreamVersion(9),
        body: json!({ "total": 9 }),
        ..row(&crate::tally::stream(), &ground.shell.load::<Tally<1>>(&crate::tally::stream()).await.unwrap())
            .unwrap()
    };
    assert!(views.put(&newer).await.unwrap());
    let older = Row { version: StreamVersion(3), body: json!({ "total": 3 }), ..newer.clone() };
    assert!(!views.put(&older).await.unwrap());
    assert!(!follow(&ground, &views, &hints(&ground)[2]).await.unwrap().written);
    assert_eq!(row_of(&views), (9, 9));
}

#[tokio::test]
async fn a_store_or_view_that_does_not_answer_is_tried_again() {
    let ground = Ground::new();
    ground.add_ones(1).await;
    let (views, hint) = (MemoryViews::default(), hints(&ground).remove(0));
    ground.store.faults().fail_reads_next(1);
    assert!(matches!(follow(&ground, &views, &hint).await, Err(Failure::Retryable { .. })));
    views.faults().fail_reads_next(1);
    assert!(matches!(follow(&ground, &views, &hint).await, Err(Failure::Retryable { .. })));
    views.faults().fail_next(1);
    assert!(matches!(follow(&ground, &views, &hint).await, Err(Failure::Retryable { .. })));
    views.faults().lose_answer_next(1);
    assert!(matches!(follow(&ground, &views, &hint).await, Err(Failure::Retryable { .. })));
    assert!(!follow(&ground, &views, &hint).await.unwrap().written, "it was written");
}

#[tokio::test]
async fn what_has_no_row_leaves_none() {
    let ground = Ground::new();
    ground.add_ones(1).await;
    let views = MemoryViews::default();
    let hint = hints(&ground).remove(0);
    let follower = Follower::<Tally<1>>::new("tallies", |_, _| None);
    let done = follower.follow(ground.shell.store(), &views, &hint).await;
    assert!(!done.unwrap().written);
    assert!(views.rows("tallies").is_empty());
}

#[tokio::test]
async fn hints_of_one_batch_follow_their_stream_once() {
    let ground = Ground::new();
    ground.add_ones(5).await;
    let (views, follower) = (MemoryViews::default(), follower());
    let mut written = 0;
    for hint in hints(&ground).iter().rev().chain(&hints(&ground)) {
        let done = follower.follow(ground.shell.store(), &views, hint).await.unwrap();
        assert!(done.version >= hint.stream_version);
        written += u32::from(done.written);
    }
    assert_eq!(written, 1);
    // A row that was removed is made anew by the next batch, from what is known already.
    let views = MemoryViews::default();
    follower.begin();
    ground.store.faults().fail_reads_next(1);
    let hint = &hints(&ground)[0];
    assert!(follower.follow(ground.shell.store(), &views, hint).await.unwrap().written);
    assert_eq!(row_of(&views), (5, 5));
}

#[tokio::test]
async fn a_stream_that_is_known_is_read_from_there_on() {
    let ground = Ground::new();
    ground.add_ones(40).await;
    let (views, follower) = (MemoryViews::default(), follower());
    let last = || hints(&ground).pop().unwrap();
    follower.follow(ground.shell.store(), &views, &last()).await.unwrap();
    // The row is not asked for: a newer one is there only where another process was faster, and the put sees it.
    views.faults().fail_reads_next(1);
    for total in 41..60 {
        ground.add(&format!("more-{total}"), 1).await;
        follower.begin();
        assert!(follower.follow(ground.shell.store(), &views, &last()).await.unwrap().written);
        assert_eq!(row_of(&views), (total, total));
    }
}

#[tokio::test]
async fn a_hint_that_could_not_be_followed_does_not_count() {
    let ground = Ground::new();
    ground.add_ones(2).await;
    let (views, follower) = (MemoryViews::default(), follower());
    let hint = &hints(&ground)[0];
    views.faults().fail_next(1);
    assert!(follower.follow(ground.shell.store(), &views, hint).await.is_err());
    assert!(follower.follow(ground.shell.store(), &views, hint).await.unwrap().written);
    // What was known is lost when the store does not answer, and is read again.
    ground.add("more", 1).await;
    follower.begin();
    let hint = &hints(&ground)[2];
    ground.store.faults().fail_reads_next(1);
    assert!(follower.follow(ground.shell.store(), &views, hint).await.is_err());
    assert!(follower.follow(ground.shell.store(), &views, hint).await.unwrap().written);
    assert_eq!(row_of(&views), (3, 3));
}
