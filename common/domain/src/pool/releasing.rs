//! What came of asking the hosts that are to leave.

use hostler_events::PoolId;
use hostler_events::pool::{
    PoolEvent, PoolReleaseRefused, PoolReleaseStarted, ScalingDirection, ScalingSuppressed,
};

use super::{Draft, HeldByBudget, Released};

impl Draft {
    pub(super) fn released(&mut self, pool: &PoolId, released: &[Released], held: Option<&HeldByBudget>) {
        let now = self.now;
        for of in released {
            let (Released::By { host, .. } | Released::Refused { host, .. }) = of;
            // A host that is known to leave already was asked twice.
            let Some(number) =
                self.state.leaving.get(host).filter(|of| of.saga.is_none()).map(|of| of.number)
            else {
                continue;
            };
            let (pool, host) = (pool.clone(), host.clone());
            self.record(match of {
                Released::By { saga, .. } => {
                    let saga = saga.clone();
                    PoolEvent::ReleaseStarted(PoolReleaseStarted {
                        pool: pool.clone(),
                        host,
                        saga,
                        started_at: now,
                    })
                }
                Released::Refused { reason, .. } => {
                    let reason = hostler_core::failure::clip(reason);
                    PoolEvent::ReleaseRefused(PoolReleaseRefused {
                        pool: pool.clone(),
                        host,
                        reason,
                        refused_at: now,
                    })
                }
            });
            self.complete(&pool, number);
        }
        let (Some(held), Some(last)) = (held, self.state.last.clone()) else { return };
        if self.decision.events.is_empty() {
            return;
        }
        let HeldByBudget { rule, limit, value, lifts } = held.clone();
        self.hold_back(ScalingSuppressed {
            pool: pool.clone(),
            direction: ScalingDirection::In,
            rule,
            limit,
            value,
            lifts,
            since: now,
            until: Some(self.state.look_again_at(now)),
            inputs: last.inputs,
            per_metric: last.per_metric,
            policy_version: last.policy_version,
        });
    }
}
