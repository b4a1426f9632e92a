//! Hosts of one pool for another one of higher priority: the one that lacks them asks, and the other one shrinks by its own rules.

use hostler_events::pool::{PoolEvent, PoolHostsReclaimed, ScalingDirection};
use hostler_events::signal::{LendHosts, ScaleCommand};
use hostler_events::site::Autonomy;

use super::choosing::{Choice, choose_lending};
use super::{Draft, PoolFacts};
use crate::support::after;

/// For so many seconds a pool that was asked for hosts is not asked again: what it gives is free by then.
const ASKED_AGAIN_SECONDS: u32 = 600;
/// The rule by which no more hosts are added than are free.
pub(super) const SPARE: &str = "spare";

/// How many hosts fewer are added than could be if more were free.
pub(super) fn short(choice: &Choice) -> u32 {
    match choice {
        Choice::Act(decided) => {
            let spare = decided.limits.iter().find(|limit| limit.rule == SPARE);
            spare.map_or(0, |limit| limit.value.saturating_sub(limit.limit))
        }
        Choice::HoldBack(held) if held.direction == ScalingDirection::Out && held.rule == SPARE => {
            held.value.saturating_sub(held.limit)
        }
        Choice::HoldBack(_) | Choice::Propose(_) | Choice::Nothing => 0,
    }
}

impl Draft {
    /// Asks for hosts that are in service elsewhere, each pool once in ten minutes.
    pub(super) fn reclaim(&mut self, mut short: u32, facts: &PoolFacts) {
        if facts.policy.scaling_autonomy() != Some(Autonomy::Auto) {
            return;
        }
        let coming = facts.lenders.iter().fold(0_u32, |sum, lender| sum.saturating_add(lender.coming));
        short = short.saturating_sub(coming);
        for lender in &facts.lenders {
            let asked_at = self.state.reclaimed.get(&lender.pool).map(|asked| asked.asked_at);
            let was_asked = asked_at.is_some_and(|at| after(at, ASKED_AGAIN_SECONDS) > self.now);
            let hosts = short.min(lender.may_give);
            if was_asked || hosts == 0 {
                continue;
            }
            short = short.saturating_sub(hosts);
            let (pool, from, asked_at) = (facts.pool.clone(), lender.pool.clone(), self.now);
            let expires_at = after(self.now, ASKED_AGAIN_SECONDS);
            let ask = LendHosts { pool: from.clone(), to: pool.clone(), hosts, expires_at };
            self.record(PoolEvent::Reclaimed(PoolHostsReclaimed { pool, from, hosts, asked_at }));
            self.decision.commands.push(ScaleCommand::from(ask).into());
        }
    }

    /// Gives hosts back, or says why not. Who needs them asks again.
    pub(super) fn lend(&mut self, ask: &LendHosts, facts: &PoolFacts) {
        if ask.expires_at > self.now {
            let choice = choose_lending(&self.state, facts, ask, self.now);
            self.carry_out(choice, facts);
        }
    }
}
