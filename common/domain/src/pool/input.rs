//! What a pool is told.

use hostler_core::saga::SagaRef;
use hostler_events::signal::{LendHosts, ReportThreshold};
use hostler_events::{HostId, PoolId, ProvisioningId};
use jiff::Timestamp;

use super::{HeldByBudget, PoolFacts};

/// What a pool is told. Where it may decide by it, how its hosts are at that moment comes with it.
#[derive(Debug, Clone, PartialEq)]
pub enum PoolInput {
    /// A metric has crossed a threshold, or is back.
    Signal {
        /// What was said.
        report: Box<ReportThreshold>,
        /// How the pool is.
        facts: Box<PoolFacts>,
    },
    /// See what it needs now: a wait is over, or a person has approved something.
    Look {
        /// When the wait ended, where it is a wait that ended. One that the pool does not wait for any more means nothing.
        due: Option<Timestamp>,
        /// How the pool is.
        facts: Box<PoolFacts>,
    },
    /// A pool of higher priority lacks free hosts.
    Lend {
        /// How many, and for whom.
        ask: LendHosts,
        /// How the pool is.
        facts: Box<PoolFacts>,
    },
    /// Provisionings and releases of the pool have ended. What that means for the pool is seen when it is looked at again, if so much
    /// has ended that it should be: see [`PoolState::is_look_due_after`](super::PoolState::is_look_due_after).
    Ended {
        /// The pool.
        pool: PoolId,
        /// Which, and how.
        ends: Vec<End>,
    },
    /// The ends of a decision were looked for, and some of it goes on.
    StillOpen {
        /// The decision.
        number: u64,
    },
    /// Hosts that were to leave were asked.
    Released {
        /// The pool.
        pool: PoolId,
        /// What came of it.
        released: Vec<Released>,
        /// What held the first of them back, where the disruption budget did.
        held: Option<HeldByBudget>,
    },
    /// A person approves a proposal.
    Approve {
        /// The pool.
        pool: PoolId,
        /// The proposal.
        number: u64,
        /// Why.
        reason: String,
    },
    /// A person rejects a proposal.
    Reject {
        /// The pool.
        pool: PoolId,
        /// The proposal.
        number: u64,
        /// Why.
        reason: String,
    },
}

/// How something that the pool had asked for has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A host is in service.
    Arrived {
        /// The provisioning.
        provisioning: ProvisioningId,
        /// The host.
        host: HostId,
    },
    /// No host comes of it.
    Failed {
        /// The provisioning.
        provisioning: ProvisioningId,
        /// Why.
        reason: String,
    },
    /// A host is out of service.
    Left {
        /// The host.
        host: HostId,
    },
}

/// What came of asking a host to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// A saga gives it back.
    By {
        /// The host.
        host: HostId,
        /// The saga.
        saga: SagaRef,
    },
    /// It stays.
    Refused {
        /// The host.
        host: HostId,
        /// Why.
        reason: String,
    },
}
