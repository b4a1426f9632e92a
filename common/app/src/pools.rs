//! Pools: how each is shown, and what its refusals are.

use hostler_domain::pool::{POOL_TIMERS_TO, PoolDecider, PoolRefusal, PoolState};
use hostler_domain::views::{self, POOLS};
use hostler_runtime::register::{Entity, Operated, Refused, Shown, Viewed};

/// Pools that grow and shrink, listed by what holds them back.
#[derive(Debug, Clone, Copy)]
pub struct Pools;

impl Entity for Pools {
    type Decider = PoolDecider;
    const TIMERS_TO: Option<&'static str> = Some(POOL_TIMERS_TO);
}

impl Viewed for Pools {
    const VIEW: &'static str = POOLS;

    fn show(state: &PoolState) -> Option<Shown> {
        let pool = views::pool(state)?;
        Some(Shown::of(pool.status.clone(), &pool))
    }
}

impl Operated for Pools {
    fn refused(refusal: &PoolRefusal) -> Refused {
        let status = match refusal {
            PoolRefusal::NotProposed { .. } => 409,
            PoolRefusal::NoReason { .. } => 400,
        };
        Refused { status, label: refusal.label() }
    }
}
