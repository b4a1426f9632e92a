//! Streams of any length: what loads, commands and past states cost, and how old a repeat may be that is recognised.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hostler_core::{CausationId, Commit, SeenCause, Snapshot, StreamId, StreamVersion};
use hostler_runtime::ports::{EventStore, StoreError};
use hostler_runtime::state::causes::SKEW_MAX;
use hostler_runtime::state::history::{CAUSES_BYTES_MAX, CAUSES_MAX, Fold, Moment, load_at};
use hostler_runtime::state::shell::{Cause, ExecuteError, Executed, Outcome, SNAPSHOT_EVERY, Shell};
use hostler_testkit::memory::MemoryStore;
use hostler_testkit::{SeededIds, TestClock};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::tally::{Input, Tally, cause_of, rival, stream};

/// A store that counts what is read of it beside loads.
#[derive(Clone, Default)]
struct Counted {
    memory: MemoryStore,
    reads: Arc<AtomicUsize>,
}

#[async_trait]
impl EventStore for Counted {
    async fn load(&self, stream: &StreamId) -> Result<Vec<Commit>, StoreError> {
        self.memory.load(stream).await
    }

    async fn read(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.memory.read(stream, after, limit).await
    }

    async fn append(&self, commit: &Commit) -> Result<(), StoreError> {
        self.memory.append(commit).await
    }
}

/// A tally that somebody adds to again and again.
struct Noisy {
    store: Counted,
    clock: TestClock,
    shell: Shell,
}

impl Noisy {
    /// One that was added to so often, by `add-1` and so on, at such intervals. Written as the shell writes.
    async fn of(commits: u64, every: SignedDuration) -> Self {
        let (store, clock) = (Counted::default(), TestClock::default());
        let ids = Arc::new(SeededIds::default());
        let shell = Shell::new(Arc::new(store.clone()), Arc::new(clock.clone()), ids, "tests");
        let noisy = Self { store, clock, shell };
        let mut fold = Fold::<Tally<1>>::default();
        for number in 1..=commits {
            let cause = noisy.cause(&format!("add-{number}"));
            fold = noisy.shell.execute_from(&stream(), fold, &cause, &Input::Add(1)).await.unwrap().fold;
            noisy.clock.set(noisy.shell.now() + every);
        }
        noisy.store.reads.store(0, Ordering::Relaxed);
        noisy
    }

    /// A cause that is there since now.
    fn cause(&self, id: &str) -> Cause {
        Cause { since: self.shell.now(), ..cause_of(id) }
    }

    /// A cause that is there since when the stream had this many commits.
    async fn cause_of_then(&self, id: &str, commits: u64) -> Cause {
        let last = self.store.memory.read(&stream(), StreamVersion(commits - 1), 1).await.unwrap();
        Cause { since: last[0].recorded_at, ..cause_of(id) }
    }

    async fn add(&self, cause: &Cause) -> Executed<Tally<1>> {
        self.shell.execute::<Tally<1>>(&stream(), cause, &Input::Add(1)).await.unwrap()
    }

    fn reads(&self) -> usize {
        self.store.reads.swap(0, Ordering::Relaxed)
    }

    fn newest_snapshot(&self) -> (StreamVersion, Snapshot) {
        let commits = self.store.memory.commits(&stream());
        let newest = commits.iter().rev().find(|commit| commit.snapshot.is_some()).unwrap();
        (newest.version, newest.snapshot.clone().unwrap())
    }
}

#[tokio::test]
async fn a_snapshot_carries_the_newest_causes_up_to_a_limit() {
    let noisy = Noisy::of(1_600, SignedDuration::from_secs(1)).await;
    let (version, snapshot) = noisy.newest_snapshot();
    assert_eq!(version, StreamVersion(1_600));
    let versions: Vec<u64> = snapshot.seen.iter().map(|seen| seen.version.0).collect();
    assert_eq!(versions, (1_601 - CAUSES_MAX as u64..=1_600).collect::<Vec<_>>());
}

#[tokio::test]
async fn long_causes_are_fewer_in_a_snapshot() {
    let noisy = Noisy::of(0, SignedDuration::ZERO).await;
    for number in 0..SNAPSHOT_EVERY * 40 {
        noisy.add(&noisy.cause(&format!("{number:0>200}"))).await;
    }
    let (_, snapshot) = noisy.newest_snapshot();
    let bytes = serde_json::to_string(&snapshot.seen).unwrap().len();
    assert!((40_000..=CAUSES_BYTES_MAX).contains(&bytes), "{bytes} bytes");
}

#[tokio::test]
async fn a_quiet_stream_carries_two_days_and_the_cause_before_them() {
    let noisy = Noisy::of(SNAPSHOT_EVERY * 2, SignedDuration::from_hours(10)).await;
    let (version, snapshot) = noisy.newest_snapshot();
    let versions: Vec<u64> = snapshot.seen.iter().map(|seen| seen.version.0).collect();
    assert_eq!(versions, (version.0 - 5..=version.0).collect::<Vec<_>>());
    // Nothing is as young as a fresh cause behind that one, so that nobody looks.
    noisy.add(&noisy.cause("fresh")).await;
    assert_eq!(noisy.reads(), 0);
}

#[tokio::test]
async fn a_repeat_is_recognised_however_old_it_is() {
    // 25 days.
    let noisy = Noisy::of(3_600, SignedDuration::from_mins(10)).await;
    for number in [1, 2, 16, 17, 999, 1_000, 1_001, 2_500, 3_100, 3_599, 3_600] {
        let repeated = noisy.add(&noisy.cause_of_then(&format!("add-{number}"), number).await).await;
        assert_eq!(repeated.outcome, Outcome::Repeated, "add-{number}");
        assert_eq!(repeated.events.len(), 1, "its own events are given");
    }
    assert_eq!(noisy.store.memory.commits(&stream()).len(), 3_600);
}

#[tokio::test]
async fn a_key_of_a_caller_is_recognised_behind_the_snapshot() {
    let noisy = Noisy::of(0, SignedDuration::ZERO).await;
    let keyed = |payload| {
        let id = CausationId::keyed("scope", "key-1", payload).unwrap();
        Cause { id, ..noisy.cause("key") }
    };
    let (first, other) = (keyed("one"), keyed("two"));
    noisy.add(&first).await;
    for number in 0..2_000 {
        noisy.add(&noisy.cause(&format!("add-{number}"))).await;
    }
    assert_eq!(noisy.add(&first).await.outcome, Outcome::Repeated);
    let refused = noisy.shell.execute::<Tally<1>>(&stream(), &other, &Input::Add(1)).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::PayloadMismatch { version: StreamVersion(1), .. }), "{refused}");
}

#[tokio::test]
async fn the_stream_is_looked_through_no_further_than_to_when_the_cause_began() {
    let noisy = Noisy::of(10_000, SignedDuration::from_mins(1)).await;
    noisy.add(&noisy.cause("fresh")).await;
    assert_eq!(noisy.reads(), 0, "the snapshot decides");
    noisy.add(&noisy.cause_of_then("late", 7_000).await).await;
    assert_eq!(noisy.reads(), 3, "3,000 commits came since, of which the snapshot has 500");
    noisy.add(&Cause { since: Timestamp::MIN, ..cause_of("of-no-age") }).await;
    assert_eq!(noisy.reads(), 10, "the whole stream");
    let ahead = noisy.shell.now() + SKEW_MAX + SignedDuration::from_secs(1);
    noisy.add(&Cause { since: ahead, ..cause_of("ahead") }).await;
    assert_eq!(noisy.reads(), 10, "a wrong clock tells nothing");
    let repeated = noisy.add(&Cause { since: ahead, ..cause_of("add-3") }).await;
    assert_eq!(repeated.outcome, Outcome::Repeated);
}

#[tokio::test]
async fn clocks_that_differ_a_little_do_not_hide_a_repeat() {
    let noisy = Noisy::of(1_000, SignedDuration::from_secs(1)).await;
    let mut cause = noisy.cause_of_then("add-300", 300).await;
    cause.since += SKEW_MAX - SignedDuration::from_secs(1);
    assert_eq!(noisy.add(&cause).await.outcome, Outcome::Repeated);
}

#[tokio::test]
async fn a_list_with_gaps_is_believed_only_from_its_last_gap_on() {
    let noisy = Noisy::of(0, SignedDuration::ZERO).await;
    for version in 1..=40 {
        let mut commit = rival(version, 1);
        if version == 40 {
            // As one that was written with a window of time, by clocks that differ: 20 is missing.
            let seen = (15..=40).filter(|version| *version != 20).map(|version| SeenCause {
                causation_id: CausationId::new(format!("rival-{version}")).unwrap(),
                version: StreamVersion(version),
                recorded_at: commit.recorded_at,
            });
            let state = json!({ "total": 40, "commits": 40, "last_note": "" }).into();
            commit.snapshot = Some(Snapshot { state_version: 1, state, seen: seen.collect() });
        }
        noisy.store.append(&commit).await.unwrap();
    }
    for number in [1, 14, 15, 19, 20, 21, 40] {
        let cause = Cause { since: Timestamp::MIN, ..cause_of(&format!("rival-{number}")) };
        assert_eq!(noisy.add(&cause).await.outcome, Outcome::Repeated, "rival-{number}");
    }
}

/// What earlier versions left behind: so many commits that their causes did not fit into a snapshot any more.
#[tokio::test]
async fn a_stream_of_ten_thousand_commits_without_a_snapshot_goes_on_and_gets_one() {
    let noisy = Noisy::of(0, SignedDuration::ZERO).await;
    for version in 1..=10_050 {
        noisy.store.append(&rival(version, 1)).await.unwrap();
    }
    noisy.clock.set(rival(1, 1).recorded_at + SignedDuration::from_hours(1));
    assert_eq!(noisy.shell.load::<Tally<1>>(&stream()).await.unwrap().state.total, 10_050);
    let added = noisy.add(&noisy.cause("next")).await;
    assert_eq!((added.fold.version, added.fold.state.total), (StreamVersion(10_051), 10_051));
    assert_eq!(noisy.newest_snapshot().0, StreamVersion(10_051));
    noisy.reads();
    noisy.add(&noisy.cause("the-one-after")).await;
    assert_eq!(noisy.reads(), 0, "a load is one query again");
}

#[tokio::test]
async fn a_snapshot_of_another_form_costs_no_walk_from_the_start() {
    let noisy = Noisy::of(5_000, SignedDuration::from_mins(1)).await;
    // Code with another form of the state wrote the newest snapshot.
    let other = Cause { since: noisy.shell.now(), ..cause_of("other") };
    let fold = noisy.shell.load::<Tally<2>>(&stream()).await.unwrap();
    noisy.shell.execute_from::<Tally<2>>(&stream(), fold, &other, &Input::Add(1)).await.unwrap();
    noisy.reads();
    let fold = noisy.shell.load::<Tally<1>>(&stream()).await.unwrap();
    assert_eq!(fold.state.total, 5_001);
    assert!(noisy.reads() <= 3, "it goes on from the snapshot before");
}

#[tokio::test]
async fn a_past_state_starts_at_a_snapshot_near_it() {
    let noisy = Noisy::of(5_000, SignedDuration::from_mins(1)).await;
    let began = TestClock::default();
    for version in [0, 1, 99, 100, 101, 2_500, 4_983, 4_999, 5_000, 9_999] {
        let moment = Moment::Version(StreamVersion(version));
        let fold: Fold<Tally<1>> = load_at(&noisy.store, &stream(), moment).await.unwrap();
        assert_eq!(fold.state.total, version.min(5_000));
        assert!(noisy.reads() <= 4, "version {version}");
        let at = hostler_runtime::ports::Clock::now(&began)
            + SignedDuration::from_mins(i64::try_from(version).unwrap() - 1);
        let fold: Fold<Tally<1>> = load_at(&noisy.store, &stream(), Moment::At(at)).await.unwrap();
        assert_eq!(fold.state.total, version.min(5_000));
        assert!(noisy.reads() <= 12, "the time of version {version}");
    }
}

/// A commit a second for more than a day, and no snapshot at all. Prints what it took.
#[tokio::test]
async fn a_stream_of_a_hundred_thousand_commits_costs_no_more_than_a_short_one() {
    const COMMITS: u64 = 100_000;
    let noisy = Noisy::of(0, SignedDuration::ZERO).await;
    for version in 1..=COMMITS {
        let mut commit = rival(version, 1);
        noisy.clock.set(noisy.shell.now() + SignedDuration::from_secs(1));
        commit.recorded_at = noisy.shell.now();
        noisy.store.append(&commit).await.unwrap();
    }
    let begun = Instant::now();
    let added = noisy.add(&noisy.cause("the-first-with-a-snapshot")).await;
    println!("a command where there is no snapshot: {:?}", begun.elapsed());
    assert_eq!((added.fold.state.total, noisy.reads()), (COMMITS + 1, 1_010 + 1));
    let begun = Instant::now();
    let fold = noisy.shell.load::<Tally<1>>(&stream()).await.unwrap();
    println!("a load: {:?}", begun.elapsed());
    assert_eq!((fold.state.total, noisy.reads()), (COMMITS + 1, 0));
    for (what, cause, expected) in [
        ("a command", noisy.cause("fresh"), (Outcome::Committed, 0)),
        (
            "a command of an hour ago",
            noisy.cause_of_then("hour", COMMITS - 3_600).await,
            (Outcome::Committed, 4),
        ),
        ("a repeat of the first", noisy.cause_of_then("rival-1", 1).await, (Outcome::Repeated, 101)),
    ] {
        let begun = Instant::now();
        let done = noisy.add(&cause).await;
        let (reads, took) = (noisy.reads(), begun.elapsed());
        println!("{what}: {took:?}, {reads} reads beside the load");
        assert_eq!((done.outcome, reads), expected, "{what}");
        assert!(took < Duration::from_secs(10), "{what}: {took:?}");
    }
}
