//! Projections that catch up: the event is a notice, the store is the truth.

use hostler_core::{Envelope, Failure, StreamId, StreamVersion};
use hostler_runtime::ports::{Row, Views};
use hostler_runtime::state::catch_up::{CaughtUp, Follower};
use hostler_runtime::state::history::Fold;
use hostler_testkit::memory::MemoryViews;
use proptest::prelude::*;
use serde_json::json;

use crate::tally::{Fixture, Tally};

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
async fn follow(fixture: &Fixture, views: &MemoryViews, notice: &Envelope) -> Result<CaughtUp, Failure> {
    follower().follow(fixture.shell.store(), views, notice).await
}

fn notices(fixture: &Fixture) -> Vec<Envelope> {
    fixture.commits().iter().flat_map(|commit| commit.envelopes().collect::<Vec<_>>()).collect()
}

fn row_of(views: &MemoryViews) -> (u64, u64) {
    let row = views.rows("tallies").remove(0);
    (row.version.0, row.body["total"].as_u64().unwrap())
}

#[tokio::test]
async fn one_hint_brings_the_row_to_the_newest_version_and_the_others_find_it_there() {
    let fixture = Fixture::new();
    fixture.add_ones(20).await;
    let views = MemoryViews::default();
    let notices = notices(&fixture);
    assert!(follow(&fixture, &views, &notices[2]).await.unwrap().written);
    assert_eq!(row_of(&views), (20, 20));
    for notice in &notices {
        assert!(!follow(&fixture, &views, notice).await.unwrap().written);
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
            let (fixture, views, follower) = (Fixture::new(), MemoryViews::default(), follower());
            let mut newest = 0;
            // Notices come while commits are still being made: each of any commit so far.
            for (turn, pick) in picks.iter().enumerate() {
                if (turn as u64) < commits {
                    fixture.add(&format!("add-{turn}"), 1).await;
                }
                let notices = notices(&fixture);
                let notice = &notices[pick.index(notices.len())];
                if pick.index(3) == 0 {
                    follower.begin();
                }
                // By a process that knows the stream, or by another one.
                match pick.index(4) {
                    0 => follow(&fixture, &views, notice).await.unwrap(),
                    _ => follower.follow(fixture.shell.store(), &views, notice).await.unwrap(),
                };
                let (version, total) = row_of(&views);
                assert_eq!(version, total, "the row is the fold at its version");
                assert!(version >= newest && version >= notice.stream_version.0, "it never goes back");
                newest = version;
            }
            follow(&fixture, &views, notices(&fixture).last().unwrap()).await.unwrap();
            assert_eq!(row_of(&views).0, fixture.commits().len() as u64);
        });
    }
}

#[tokio::test]
async fn an_older_row_never_replaces_a_newer_one() {
    let fixture = Fixture::new();
    fixture.add_ones(3).await;
    let views = MemoryViews::default();
    let newer = Row {
        version: StreamVersion(9),
        body: json!({ "total": 9 }),
        ..row(
            &crate::tally::stream(),
            &fixture.shell.load::<Tally<1>>(&crate::tally::stream()).await.unwrap(),
        )
        .unwrap()
    };
    assert!(views.put(&newer).await.unwrap());
    let older = Row { version: StreamVersion(3), body: json!({ "total": 3 }), ..newer.clone() };
    assert!(!views.put(&older).await.unwrap());
    assert!(!follow(&fixture, &views, &notices(&fixture)[2]).await.unwrap().written);
    assert_eq!(row_of(&views), (9, 9));
}

#[tokio::test]
async fn a_store_or_view_that_does_not_answer_is_tried_again() {
    let fixture = Fixture::new();
    fixture.add_ones(1).await;
    let (views, notice) = (MemoryViews::default(), notices(&fixture).remove(0));
    fixture.store.faults().fail_reads_next(1);
    assert!(matches!(follow(&fixture, &views, &notice).await, Err(Failure::Retryable { .. })));
    views.faults().fail_reads_next(1);
    assert!(matches!(follow(&fixture, &views, &notice).await, Err(Failure::Retryable { .. })));
    views.faults().fail_next(1);
    assert!(matches!(follow(&fixture, &views, &notice).await, Err(Failure::Retryable { .. })));
    views.faults().lose_answer_next(1);
    assert!(matches!(follow(&fixture, &views, &notice).await, Err(Failure::Retryable { .. })));
    assert!(!follow(&fixture, &views, &notice).await.unwrap().written, "it was written");
}

#[tokio::test]
async fn what_has_no_row_leaves_none() {
    let fixture = Fixture::new();
    fixture.add_ones(1).await;
    let views = MemoryViews::default();
    let notice = notices(&fixture).remove(0);
    let follower = Follower::<Tally<1>>::new("tallies", |_, _| None);
    let done = follower.follow(fixture.shell.store(), &views, &notice).await;
    assert!(!done.unwrap().written);
    assert!(views.rows("tallies").is_empty());
}

#[tokio::test]
async fn notices_of_one_batch_follow_their_stream_once() {
    let fixture = Fixture::new();
    fixture.add_ones(5).await;
    let (views, follower) = (MemoryViews::default(), follower());
    let mut written = 0;
    for notice in notices(&fixture).iter().rev().chain(&notices(&fixture)) {
        let done = follower.follow(fixture.shell.store(), &views, notice).await.unwrap();
        assert!(done.version >= notice.stream_version);
        written += u32::from(done.written);
    }
    assert_eq!(written, 1);
    // A row that was removed is made again by the next batch, from what is known already.
    let views = MemoryViews::default();
    follower.begin();
    fixture.store.faults().fail_reads_next(1);
    let notice = &notices(&fixture)[0];
    assert!(follower.follow(fixture.shell.store(), &views, notice).await.unwrap().written);
    assert_eq!(row_of(&views), (5, 5));
}

#[tokio::test]
async fn a_stream_that_is_known_is_read_from_there_on() {
    let fixture = Fixture::new();
    fixture.add_ones(40).await;
    let (views, follower) = (MemoryViews::default(), follower());
    let last = || notices(&fixture).pop().unwrap();
    follower.follow(fixture.shell.store(), &views, &last()).await.unwrap();
    // The row is not asked for: a newer one is there only where another process was faster, and the put sees it.
    views.faults().fail_reads_next(1);
    for total in 41..60 {
        fixture.add(&format!("more-{total}"), 1).await;
        follower.begin();
        assert!(follower.follow(fixture.shell.store(), &views, &last()).await.unwrap().written);
        assert_eq!(row_of(&views), (total, total));
    }
}

#[tokio::test]
async fn a_hint_that_could_not_be_followed_does_not_count() {
    let fixture = Fixture::new();
    fixture.add_ones(2).await;
    let (views, follower) = (MemoryViews::default(), follower());
    let notice = &notices(&fixture)[0];
    views.faults().fail_next(1);
    assert!(follower.follow(fixture.shell.store(), &views, notice).await.is_err());
    assert!(follower.follow(fixture.shell.store(), &views, notice).await.unwrap().written);
    // What was known is lost when the store does not answer, and is read again.
    fixture.add("more", 1).await;
    follower.begin();
    let notice = &notices(&fixture)[2];
    fixture.store.faults().fail_reads_next(1);
    assert!(follower.follow(fixture.shell.store(), &views, notice).await.is_err());
    assert!(follower.follow(fixture.shell.store(), &views, notice).await.unwrap().written);
    assert_eq!(row_of(&views), (3, 3));
}
