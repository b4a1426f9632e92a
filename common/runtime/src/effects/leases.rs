//! The port behind effects that happen once: a lease on a key, and the result once it is done.

use async_trait::async_trait;
use hostler_core::CausationId;
use jiff::Timestamp;
use uuid::Uuid;

use crate::ports::PortError;

/// What a worker asks for before it touches the outside world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What the effect is, the same each time it is tried.
    pub key: String,
    /// A hash of what is to be done: the same key with another one is a mistake of the caller.
    pub payload_hash: String,
    /// This try. A repeat of the same claim is recognised by it.
    pub owner: Uuid,
    /// The time now.
    pub now: Timestamp,
    /// Until when the worker may be at it: the end of its invocation.
    pub lease_until: Timestamp,
    /// When the row is void, whatever it says. It is judged by this time, and not by when the row is removed.
    pub expires_at: Timestamp,
    /// The cause by which the work will be recorded on a stream; once it is there, the work is over, and nobody gives the
    /// lease back.
    pub settled_by: Option<CausationId>,
    /// Causes that are on the stream: a lease that one of them settled is over.
    pub settled: Vec<CausationId>,
}

/// What a claim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The lease is ours.
    Ours,
    /// The lease is ours, and nobody wrote under it whom [`Claim::settled`] does not tell of: it was last held by work that
    /// is among these, or there is no row. Only claims that a cause settles are told so.
    Next,
    /// Somebody else is at it.
    Busy {
        /// Until when at most; absent when its owner did not say.
        until: Option<Timestamp>,
        /// The hash of what is being done; absent when its owner does not check.
        payload_hash: Option<String>,
        /// The cause that will settle it, where its owner said so.
        settled_by: Option<CausationId>,
    },
    /// It is done.
    Done {
        /// The result, JSON as text.
        result: String,
        /// The hash of what was done; absent when its owner does not check.
        payload_hash: Option<String>,
    },
}

/// Leases. Rows have the form of Powertools for AWS Lambda, so that functions in other languages can share them.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes the lease if there is no row, if the row has expired, if its lease ran out over the same payload, or if it
    /// is settled. The repeat of a claim that was granted is granted.
    ///
    /// # Errors
    /// [`PortError`]; whether the lease was taken is not known then.
    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError>;

    /// Records the result, if the lease is still the owner's. Says whether it was.
    ///
    /// # Errors
    /// [`PortError`].
    async fn complete(
        &self,
        key: &str,
        owner: Uuid,
        result: &str,
        expires_at: Timestamp,
    ) -> Result<bool, PortError>;

    /// Gives the lease back, if it is still the claim's. Says whether it was. Where a cause was to settle it, its row stays
    /// until it expires: whoever comes next then knows that somebody was at it, and wrote perhaps.
    ///
    /// # Errors
    /// [`PortError`].
    async fn release(&self, claim: &Claim) -> Result<bool, PortError>;
}
