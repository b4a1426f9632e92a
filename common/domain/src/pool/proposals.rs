//! What a person says of a change that a pool proposes.

use hostler_events::PoolId;
use hostler_events::pool::{PoolEvent, ScalingApproved, ScalingRejected};
use hostler_events::signal::{LookAtPool, ScaleCommand};

use super::{Draft, PoolRefusal, Proposal, Word};

impl Draft {
    fn proposal(&self, pool: &PoolId, number: u64, reason: &str) -> Result<(), PoolRefusal> {
        if reason.trim().is_empty() {
            return Err(PoolRefusal::NoReason { pool: pool.clone() });
        }
        let is_open = |proposal: &&Proposal| {
            proposal.number == number && proposal.word == Word::Awaited && proposal.approve_by > self.now
        };
        match self.state.proposal.as_ref().filter(is_open) {
            Some(_) => Ok(()),
            None => Err(PoolRefusal::NotProposed { pool: pool.clone(), number }),
        }
    }

    /// The hosts are looked at again before anything is done, by the function that can.
    pub(super) fn approve(&mut self, pool: &PoolId, number: u64, reason: &str) -> Result<(), PoolRefusal> {
        self.proposal(pool, number, reason)?;
        let (pool, reason) = (pool.clone(), reason.to_owned());
        self.record(PoolEvent::Approved(ScalingApproved { pool: pool.clone(), number, reason }));
        self.decision.commands.push(ScaleCommand::from(LookAtPool { pool }).into());
        Ok(())
    }

    pub(super) fn reject(&mut self, pool: &PoolId, number: u64, reason: &str) -> Result<(), PoolRefusal> {
        self.proposal(pool, number, reason)?;
        let (pool, reason) = (pool.clone(), reason.to_owned());
        self.record(PoolEvent::Rejected(ScalingRejected { pool, number, reason }));
        Ok(())
    }
}
