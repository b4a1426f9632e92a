//! Work on something outside, by one at a time, whose record is a commit.
//!
//! An effect that a stream records needs no second record among the leases: the commit says that it was done, and that its
//! lease is over. So a piece of work costs one write beside its commit: the claim. When the worker dies between the effect
//! and the commit, the effect is done again once the lease ran out; so it would be between an effect and any other record.

use hostler_core::mutants;
use hostler_core::{Decider, Failure, StreamId};
use serde_json::Value;

use crate::effects::leases::{Claim, Claimed};
use crate::effects::once::{Fence, NotTried, Once, busy};
use crate::state::history::Fold;
use crate::state::shell::{Cause, Outcome, Shell};

/// How many of a stream's newest causes a claim knows: an item's condition takes a hundred values at most.
const RECORDED_MAX: usize = 30;

/// A lease on something outside, for work that a stream records.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// What is worked on by one at a time.
    pub key: &'a str,
    /// Where the work is recorded.
    pub stream: &'a StreamId,
    /// The cause of the work's last commit.
    pub recorded_by: &'a Cause,
}

/// Whether work has made the commit that records it and ends its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It has.
    Yes,
    /// It made none, and will make none.
    No,
}

impl From<Outcome> for Recorded {
    /// What an execution by the recording cause came to.
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Committed | Outcome::Repeated => Self::Yes,
            Outcome::Unchanged => Self::No,
        }
    }
}

impl Once {
    /// Works on something outside while nobody else does, for a stream: the work's commit by `lease.recorded_by` is its
    /// record, and gives the lease back as well. Whoever comes next finds that cause on the stream, and takes over; so a
    /// piece of work costs one write to the leases. Work whose commit is there already is not done again.
    ///
    /// The work is given the stream as it is while nobody else works: nothing that was done under the lease is missing in
    /// it. The fencing token is for whatever is worked on, where it can tell a late holder. What the work returns says whether it has made its commit. Without it the lease is given back; and when the worker
    /// dies, it runs out with the invocation.
    ///
    /// # Errors
    /// Those of the work, of the stream and of the leases; [`Failure::Deferred`] while somebody else is at it.
    pub async fn under_lease<D: Decider>(
        &self,
        shell: &Shell,
        lease: &Lease<'_>,
        work: impl AsyncFnOnce(Fold<D>, Fence) -> Result<Recorded, Failure>,
    ) -> Result<(), Failure> {
        let mut fold = shell.load::<D>(lease.stream).await?;
        let mut looked_again = false;
        let (claim, is_next) = loop {
            let before = shell.committed(lease.stream, &fold, lease.recorded_by).await?;
            if before.is_some() && !mutants::on("lease.does-it-again") {
                tracing::info!(stream = %lease.stream, "done before");
                return Ok(());
            }
            let newest = fold.seen.iter().rev().take(RECORDED_MAX);
            let claim = Claim {
                settled_by: Some(lease.recorded_by.id.clone()),
                settled: newest.map(|seen| seen.causation_id.clone()).collect(),
                ..self.claim_of(lease.key, &Value::Null)?
            };
            match self.leases.claim(&claim).await.map_err(NotTried::Port)? {
                Claimed::Ours => break (claim, false),
                Claimed::Next => break (claim, true),
                Claimed::Busy { .. } if mutants::on("lease.shared-by-two") => break (claim, true),
                // It may have been settled since the stream was read.
                Claimed::Busy { settled_by: Some(cause), until, .. } if !looked_again => {
                    looked_again = true;
                    fold = shell.load::<D>(lease.stream).await?;
                    if fold.seen(&cause).is_none() {
                        return Err(busy(&claim, until).into());
                    }
                }
                Claimed::Busy { until, .. } => return Err(busy(&claim, until).into()),
                Claimed::Done { .. } => return Err(busy(&claim, None).into()),
            }
        };
        let done = async {
            if !is_next && !mutants::on("lease.works-on-what-was-read-before") {
                // Whoever had the lease before may have written since the stream was read, by a cause that nobody knows.
                fold = shell.load::<D>(lease.stream).await?;
                if shell.committed(lease.stream, &fold, lease.recorded_by).await?.is_some() {
                    return Ok(Recorded::No);
                }
            }
            work(fold, Fence::at(claim.now)).await
        }
        .await;
        if !matches!(done, Ok(Recorded::Yes)) {
            self.give_back(&claim).await;
        }
        done.map(drop)
    }
}
