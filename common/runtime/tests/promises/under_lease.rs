//! Work on something outside whose record is a commit: by one at a time, and done again only when it left no commit.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Category, Failure, StreamVersion};
use hostler_runtime::effects::leases::{Claim, Claimed, Leases};
use hostler_runtime::effects::once::Once;
use hostler_runtime::effects::under_lease::{Lease, Recorded};
use hostler_runtime::ports::PortError;
use hostler_runtime::state::history::Fold;
use hostler_runtime::state::shell::Shell;
use hostler_testkit::SeededIds;
use hostler_testkit::memory::MemoryLeases;
use jiff::Timestamp;
use uuid::Uuid;

use crate::tally::{self, Input, Tally, cause_of, stream};

const KEY: &str = "bmc/h-1";

struct Fixture {
    tally: tally::Fixture,
    leases: MemoryLeases,
    once: Once,
}

impl Fixture {
    fn new() -> Self {
        let (tally, leases) = (tally::Fixture::new(), MemoryLeases::default());
        let ids = Arc::new(SeededIds::default());
        let once = Once::new(Arc::new(leases.clone()), Arc::new(tally.clock.clone()), ids);
        Self { tally, leases, once }
    }

    async fn leased(
        &self,
        cause: &str,
        work: impl AsyncFnOnce(Fold<Tally<1>>) -> Result<Recorded, Failure>,
    ) -> Result<(), Failure> {
        let (stream, cause) = (stream(), cause_of(cause));
        let lease = Lease { key: KEY, stream: &stream, recorded_by: &cause };
        self.once.under_lease(&self.tally.shell, &lease, async |fold, _| work(fold).await).await
    }

    /// Work that adds one.
    async fn add(&self, cause: &str) -> Result<(), Failure> {
        self.leased(cause, async |fold| self.commit(cause, fold).await).await
    }

    async fn commit(&self, cause: &str, fold: Fold<Tally<1>>) -> Result<Recorded, Failure> {
        let done = self.tally.shell.execute_from(&stream(), fold, &cause_of(cause), &Input::Add(1)).await?;
        Ok(done.outcome.into())
    }

    fn total(&self) -> u64 {
        self.tally.commits().len() as u64
    }
}

fn is_deferred(result: &Result<(), Failure>) -> bool {
    matches!(result, Err(Failure::Deferred { .. }))
}

/// Given two kinds of work on one machine, when both are asked for, then one waits for the other, whatever they are.
#[tokio::test]
async fn one_machine_is_worked_on_by_one_at_a_time() {
    let fixture = Fixture::new();
    let work = fixture.leased("one", async |fold| {
        assert!(is_deferred(&fixture.leased("two", async |_| unreachable!()).await));
        fixture.commit("one", fold).await
    });
    work.await.unwrap();
    fixture.add("two").await.unwrap();
    assert_eq!(fixture.total(), 2);
}

/// Given work that has made its commit, when the next comes, then the commit has given the lease back: nobody wrote to the
/// leases for it, and the next knows all that was done.
#[tokio::test]
async fn the_commit_gives_the_lease_back() {
    let fixture = Fixture::new();
    for number in 1..=40 {
        // One write for each, and no other is needed.
        fixture.leases.faults().pass_next(1);
        let cause = number.to_string();
        let work = async |fold: Fold<Tally<1>>| {
            assert_eq!(fold.version, StreamVersion(number - 1));
            fixture.commit(&cause, fold).await
        };
        fixture.leased(&cause, work).await.unwrap();
    }
    assert_eq!(fixture.leases.records().len(), 1);
    assert!(fixture.leases.records()[KEY].result.is_none());
}

/// Given work whose commit is there, when it is asked for again, then it is not done again, and nothing is written.
#[tokio::test]
async fn work_that_was_recorded_is_not_done_again() {
    let fixture = Fixture::new();
    fixture.add("once").await.unwrap();
    let before = fixture.leases.records();
    fixture.leased("once", async |_| unreachable!()).await.unwrap();
    assert_eq!((fixture.total(), fixture.leases.records()), (1, before));
}

/// Given work that makes no commit, whether it fails or finds nothing to do, then the lease is given back.
#[tokio::test]
async fn work_without_a_commit_gives_its_lease_back() {
    let fixture = Fixture::new();
    fixture.leased("late", async |_| Ok(Recorded::No)).await.unwrap();
    let failed = fixture.leased("fails", async |_| Err(Failure::terminal(Category::Business, "no"))).await;
    assert!(matches!(failed, Err(Failure::Terminal { .. })));
    fixture.add("next").await.unwrap();
    assert_eq!(fixture.total(), 1);
}

/// Given a worker that dies before its commit, then its lease runs out, and the work is done by whoever comes then.
#[tokio::test]
async fn the_lease_of_a_dead_worker_runs_out() {
    let fixture = Fixture::new();
    let dies = fixture.leased("one", async |_| std::future::pending().await);
    assert!(tokio::time::timeout(Duration::from_millis(5), dies).await.is_err());
    assert!(is_deferred(&fixture.add("one").await));
    fixture.tally.clock.advance_seconds(36);
    fixture.add("one").await.unwrap();
    assert_eq!(fixture.total(), 1);
}

/// Given a worker that dies after its commit, then nobody waits for its lease.
#[tokio::test]
async fn nobody_waits_for_a_worker_that_died_after_its_commit() {
    let fixture = Fixture::new();
    let dies = fixture.leased("one", async |fold| {
        fixture.commit("one", fold).await.unwrap();
        std::future::pending().await
    });
    assert!(tokio::time::timeout(Duration::from_millis(5), dies).await.is_err());
    fixture.leased("one", async |_| unreachable!()).await.unwrap();
    fixture.add("two").await.unwrap();
    assert_eq!(fixture.total(), 2);
}

/// Given a late worker whose lease was taken over, when it makes its commit, then it meets the newer one's: it is decided
/// again, on what the newer one has left.
#[tokio::test]
async fn a_late_worker_decides_on_what_the_newer_one_left() {
    let fixture = Fixture::new();
    let late = fixture.leased("late", async |fold| {
        fixture.tally.clock.advance_seconds(36);
        fixture.add("newer").await.unwrap();
        let (shell, cause) = (&fixture.tally.shell, cause_of("late"));
        let done = shell.execute_from(&stream(), fold, &cause, &Input::Double).await?;
        Ok(done.outcome.into())
    });
    late.await.unwrap();
    let fold = fixture.tally.shell.load::<Tally<1>>(&stream()).await.unwrap();
    assert_eq!((fold.version, fold.state.total), (StreamVersion(2), 2));
}

/// Given leases that do not answer, then the work waits or is tried again, and is never done by two at once.
#[tokio::test]
async fn lost_calls_to_the_leases_never_do_work_twice() {
    let fixture = Fixture::new();
    fixture.leases.faults().fail_next(1);
    assert!(matches!(fixture.add("one").await, Err(Failure::Retryable { .. })));
    fixture.leases.faults().lose_answer_next(1);
    assert!(matches!(fixture.add("one").await, Err(Failure::Retryable { .. })));
    // It is taken, and nobody knows by whom.
    assert!(is_deferred(&fixture.add("one").await));
    fixture.tally.clock.advance_seconds(36);
    fixture.add("one").await.unwrap();
    assert_eq!(fixture.total(), 1);
}

/// Leases that somebody else gives back at the last moment, after a commit by a cause that nobody knows.
struct JustGivenBack {
    leases: MemoryLeases,
    shell: Shell,
}

#[async_trait]
impl Leases for JustGivenBack {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError> {
        let meanwhile = cause_of("meanwhile");
        self.shell.execute::<Tally<1>>(&stream(), &meanwhile, &Input::Add(1)).await.unwrap();
        self.leases.claim(claim).await.map(|_| Claimed::Ours)
    }

    async fn complete(
        &self,
        key: &str,
        owner: Uuid,
        result: &str,
        expires_at: Timestamp,
    ) -> Result<bool, PortError> {
        self.leases.complete(key, owner, result, expires_at).await
    }

    async fn release(&self, claim: &Claim) -> Result<bool, PortError> {
        self.leases.release(claim).await
    }
}

/// Given a worker that writes and gives its lease back while the next one reads, then the next one works on what was written.
#[tokio::test]
async fn work_knows_what_was_written_under_the_lease_before_it() {
    let fixture = Fixture::new();
    let (shell, leases) = (fixture.tally.shell.clone(), fixture.leases.clone());
    let leases = JustGivenBack { leases, shell };
    let (clock, ids) = (Arc::new(fixture.tally.clock.clone()), Arc::new(SeededIds::default()));
    let fixture = Fixture { once: Once::new(Arc::new(leases), clock, ids), ..fixture };
    let work = fixture.leased("next", async |fold| {
        assert_eq!(fold.version, StreamVersion(1), "it knows of the commit");
        fixture.commit("next", fold).await
    });
    work.await.unwrap();
    assert_eq!(fixture.total(), 2);
}

/// Leases whose holder commits and dies just before the claim, by the cause that it said it would.
struct JustSettled {
    leases: MemoryLeases,
    shell: Shell,
    /// How many commits by other causes came after it.
    later: u32,
}

#[async_trait]
impl Leases for JustSettled {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError> {
        // Gives the test's limit of time a chance.
        tokio::task::yield_now().await;
        for number in 0..=self.later {
            let name = if number == 0 { "holder".to_owned() } else { format!("later-{number}") };
            self.shell.execute::<Tally<1>>(&stream(), &cause_of(&name), &Input::Add(1)).await.unwrap();
        }
        self.leases.claim(claim).await
    }

    async fn complete(
        &self,
        key: &str,
        owner: Uuid,
        result: &str,
        expires_at: Timestamp,
    ) -> Result<bool, PortError> {
        self.leases.complete(key, owner, result, expires_at).await
    }

    async fn release(&self, claim: &Claim) -> Result<bool, PortError> {
        self.leases.release(claim).await
    }
}

/// A machine whose holder died, and its leases, in which the holder settles just before the next claim.
async fn settled_just_before_the_claim(later: u32) -> Fixture {
    let fixture = Fixture::new();
    let dies = fixture.leased("holder", async |_| std::future::pending().await);
    assert!(tokio::time::timeout(Duration::from_millis(5), dies).await.is_err());
    let (shell, leases) = (fixture.tally.shell.clone(), fixture.leases.clone());
    let leases = JustSettled { leases, shell, later };
    // Of another seed than the holder's: with the same ids the claim would be the holder's own.
    let (clock, ids) = (Arc::new(fixture.tally.clock.clone()), Arc::new(SeededIds::new(2)));
    Fixture { once: Once::new(Arc::new(leases), clock, ids), ..fixture }
}

/// Given a holder that commits after the stream was read and before the lease is claimed, then the next one looks again,
/// and goes on instead of waiting for a lease that is over.
#[tokio::test]
async fn a_lease_that_was_settled_meanwhile_is_taken_over() {
    let fixture = settled_just_before_the_claim(0).await;
    fixture.add("next").await.unwrap();
    assert_eq!(fixture.total(), 2);
}

/// Given a holder whose commit is older than the causes that a claim can name, then the next one looks again once, and waits.
#[tokio::test]
async fn a_lease_is_looked_at_again_once() {
    let fixture = settled_just_before_the_claim(40).await;
    let waits = tokio::time::timeout(Duration::from_secs(5), fixture.add("next"));
    assert!(is_deferred(&waits.await.expect("it does not look for ever")));
    assert_eq!(fixture.total(), 41);
}
