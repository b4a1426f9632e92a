//! Whether a host may be disturbed now: what it fails together with, and the disruption budget.

use hostler_core::saga::SagaRef;
use hostler_core::{Decider, Failure, StreamId};
use hostler_domain::views::{INCIDENTS, IncidentView, open_incidents};
use hostler_domain::{
    BudgetDecider, BudgetInput, Claim, Condition, FaultDomainDecider, FaultDomainState, HealthDecider,
    HealthInput, HealthState, Held, HoldBack, PolicyState, power_key, rack_key,
};
use hostler_events::HostId;
use hostler_events::PoolId;
use hostler_events::budget::{Disruption, Unhealthy};
use hostler_events::recovery::ClaimDisruption;
use hostler_events::site::{PolicySet, SITE};
use hostler_runtime::state::shell::{Cause, ExecuteError};
use serde::Deserialize;

use crate::{RecoverHosts, domain_stream, health_stream, part};

/// After so long a claim is void: longer than any recovery takes that has not got stuck.
const HOLD_SECONDS: u32 = 6 * 3_600;
/// How many rows one page of a listing has.
const PAGE_ROWS: usize = 1_000;
/// How many pages are counted at most. A pool with more unhealthy hosts is over any limit.
const PAGES_MAX: usize = 10;

impl RecoverHosts {
    /// What fails together is looked at first; the budget is asked for what is left. A claim that the host's health does not
    /// make any more is returned, whatever it was granted before.
    pub(crate) async fn claim(&self, cause: &Cause, command: ClaimDisruption) -> Result<(), Failure> {
        let ClaimDisruption { host, saga, .. } = &command;
        let health = self.shell.load::<HealthDecider>(&health_stream(host)?).await?.state;
        if !wants(&health, saga) {
            return self.return_disruption(cause, saga).await;
        }
        let policies = self.policies.now().await?;
        let rack = self.fault_domain(&rack_key(&command.rack)).await?;
        let place = policies.policy.topology.racks.get(&command.rack);
        let power = match place {
            Some(place) => self.fault_domain(&power_key(&place.power_domain)).await?,
            None => FaultDomainState::default(),
        };
        // What heals the cause of a brake is not held back by it, whatever the brake: what members share works again by it.
        let correlated = power.holds_back().or_else(|| rack.holds_back());
        if let Some(why) = correlated.filter(|_| !command.passes_brake) {
            return self.tell(host, cause, HealthInput::Held { saga: saga.clone(), why }).await.map(drop);
        }
        let claim = Claim {
            budget: budget_name()?,
            saga: saga.clone(),
            disruption: Disruption {
                host: host.clone(),
                pool: command.pool.clone(),
                rack: command.rack.clone(),
                power_domain: place.map(|place| place.power_domain.clone()),
            },
            is_unhealthy: true,
            passes_brake: command.passes_brake,
            hold_seconds: HOLD_SECONDS,
            pool_hosts: policies.policy.pools.get(&command.pool).map_or(0, |pool| pool.hosts),
            unhealthy: self.unhealthy(&command.pool, host, &rack, &power).await?,
            limits: policies.policy.budget,
            policy_version: policies.policy_version,
        };
        let asked = part(cause, "claim")?;
        let input = BudgetInput::Claim(Box::new(claim));
        let answer = match self.shell.execute::<BudgetDecider>(&budget_stream()?, &asked, &input).await {
            Ok(_) => HealthInput::Granted { saga: saga.clone(), seen: self.seen(host).await? },
            Err(ExecuteError::Refused(held)) => {
                HealthInput::Held { saga: saga.clone(), why: why(&held, &policies) }
            }
            Err(error) => return Err(error.into()),
        };
        self.tell(host, cause, answer).await.map(drop)
    }

    pub(crate) async fn return_disruption(&self, cause: &Cause, saga: &SagaRef) -> Result<(), Failure> {
        let input = BudgetInput::Return { budget: budget_name()?, saga: saga.clone() };
        let cause = part(cause, "return")?;
        Ok(self.shell.execute::<BudgetDecider>(&budget_stream()?, &cause, &input).await.map(drop)?)
    }

    pub(crate) async fn fault_domain(&self, key: &str) -> Result<FaultDomainState, Failure> {
        Ok(self.shell.load::<FaultDomainDecider>(&domain_stream(key)?).await?.state)
    }

    /// Other hosts that are known to be faulty. Of a power domain only the racks are known that are lost as a whole.
    async fn unhealthy(
        &self,
        pool: &PoolId,
        host: &HostId,
        rack: &FaultDomainState,
        power: &FaultDomainState,
    ) -> Result<Unhealthy, Failure> {
        let others = |state: &FaultDomainState| {
            let others = state.unhealthy().iter().filter(|member| member.as_str() != host.as_str()).count();
            u32::try_from(others).unwrap_or(u32::MAX)
        };
        let (group, mut after, mut found) = (open_incidents(pool), None::<String>, 0_u32);
        for _ in 0..PAGES_MAX {
            let page = self.views.list(INCIDENTS, Some(&group), after.as_deref(), PAGE_ROWS).await?;
            let views = page.rows.iter().filter_map(|row| IncidentView::deserialize(&row.body).ok());
            let faulty = views.filter(|view| view.host != *host && view.is_confirmed()).count();
            found = found.saturating_add(u32::try_from(faulty).unwrap_or(u32::MAX));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(Unhealthy { pool: found, rack: others(rack), power_domain: others(power).max(others(rack)) })
    }
}

/// Whether this saga still is what the host's health waits for, or has begun.
fn wants(health: &HealthState, saga: &SagaRef) -> bool {
    match &health.condition {
        Condition::Claiming { claim, .. } | Condition::Acting { claim, .. } => claim.saga == *saga,
        Condition::Healthy
        | Condition::Suspect { .. }
        | Condition::Held { .. }
        | Condition::AwaitingApproval { .. }
        | Condition::Waiting { .. }
        | Condition::Escalated { .. } => false,
    }
}

fn why(held: &Held, policies: &PolicyState) -> HoldBack {
    HoldBack {
        rule: held.rule.name().to_owned(),
        limit: format!("{} (policies of version {})", held.limit, policies.policy_version),
        value: held.value.to_string(),
        lifts: held.lifts.clone(),
    }
}

fn budget_name() -> Result<PolicySet, Failure> {
    PolicySet::new(SITE).map_err(Failure::invalid)
}

fn budget_stream() -> Result<StreamId, Failure> {
    StreamId::new(BudgetDecider::CATEGORY, SITE).map_err(Failure::invalid)
}
