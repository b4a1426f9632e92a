//! Asking hosts to leave: each is looked at again, needs a part of the disruption budget, and is given back by a saga of its
//! own.

use hostler_core::saga::SagaRef;
use hostler_core::{CausationId, Decider, Failure, StreamId};
use hostler_domain::budget::{BudgetDecider, BudgetInput, Held};
use hostler_domain::pool::{
    HeldByBudget, Leaving, PoolDecider, PoolFacts, PoolHost, PoolInput, PoolState, RELEASES, Released,
    may_release,
};
use hostler_domain::{HostDecider, HostInput, HostPhase};
use hostler_events::budget::Disruption;
use hostler_events::site::{PolicySet, SITE};
use hostler_events::{HostEvent, HostId};
use hostler_runtime::state::shell::{Cause, ExecuteError};

use crate::{ScalePools, part, pool_stream};

impl ScalePools {
    /// Asks all hosts that are to leave and were not asked yet. Doing it again is safe: a host is released by a decision once.
    pub(crate) async fn release(
        &self,
        cause: &Cause,
        facts: &PoolFacts,
        state: &PoolState,
    ) -> Result<(), Failure> {
        let mut chosen: Vec<(&HostId, &Leaving)> =
            state.leaving.iter().filter(|(_, of)| of.saga.is_none()).collect();
        chosen.sort_by_key(|(host, of)| (of.number, *host));
        let Some((_, Leaving { number, .. })) = chosen.last().copied() else { return Ok(()) };
        let (mut released, mut first) = (Vec::new(), None);
        for (host, of) in chosen {
            released.push(match self.release_one(cause, facts, host, of).await? {
                Asked::Leaves(saga) => Released::By { host: host.clone(), saga },
                Asked::Stays(reason) => Released::Refused { host: host.clone(), reason },
                Asked::HeldBack(held) => {
                    let reason = held.to_string();
                    first.get_or_insert(held);
                    Released::Refused { host: host.clone(), reason }
                }
            });
        }
        let held = first.map(HeldByBudget::from);
        let (stream, cause) = (pool_stream(&facts.pool)?, part(cause, &format!("released:{number}"))?);
        let input = PoolInput::Released { pool: facts.pool.clone(), released, held };
        Ok(self.shell.execute::<PoolDecider>(&stream, &cause, &input).await.map(drop)?)
    }

    async fn release_one(
        &self,
        cause: &Cause,
        facts: &PoolFacts,
        host: &HostId,
        of: &Leaving,
    ) -> Result<Asked, Failure> {
        let stream = StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)?;
        let fold = self.shell.load::<HostDecider>(&stream).await?;
        let Some(profile) = fold.state.profile.clone() else {
            return Ok(Asked::Stays("it is not enrolled".to_owned()));
        };
        // The same for whoever carries the decision out, so that the host is released once.
        let id = format!("{}:{}:{}:{host}", RELEASES, facts.pool, of.number);
        let by_decision =
            Cause { id: CausationId::new(id).map_err(Failure::invalid)?, since: of.since, ..cause.clone() };
        let is_begun = self.shell.committed(&stream, &fold, &by_decision).await?.is_some();
        if !is_begun {
            if fold.state.phase != HostPhase::InService || profile.pool != facts.pool {
                return Ok(Asked::Stays(format!(
                    "it is {} in pool {}",
                    fold.state.phase.name(),
                    profile.pool
                )));
            }
            if PoolHost::is_protected(&profile.labels) {
                return Ok(Asked::Stays("its label protect=scale-in keeps it in service".to_owned()));
            }
            if !may_release(of.since, self.shell.now()) {
                return Ok(Asked::Stays(format!("it was chosen at {}: too long ago", of.since)));
            }
            if let Err(held) = self.claim(cause, facts, facts.disruption(host, &profile.fault_domain)).await?
            {
                return Ok(Asked::HeldBack(held));
            }
        }
        let reason = format!("pool {} shrinks: decision {}", facts.pool, of.number);
        let give_back = HostInput::GiveBack { retire: false, reason, policy: Box::new(facts.provisioning) };
        match self.shell.execute_from(&stream, fold, &by_decision, &give_back).await {
            Ok(done) => Ok(match done.events.into_iter().find_map(saga_of) {
                Some(saga) => Asked::Leaves(saga),
                None => Asked::Stays("it was not given back".to_owned()),
            }),
            Err(ExecuteError::Refused(refusal)) => {
                self.give_back_claim(cause, host).await?;
                Ok(Asked::Stays(refusal.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn claim(
        &self,
        cause: &Cause,
        facts: &PoolFacts,
        disruption: Disruption,
    ) -> Result<Result<(), Held>, Failure> {
        let host = disruption.host.clone();
        let policies = self.policies.now().await?;
        let surroundings = self.unhealthy.surroundings(&disruption.rack, &policies).await?;
        let unhealthy = self.unhealthy.around(&disruption, &surroundings, &policies).await?;
        let budget = PolicySet::new(SITE).map_err(Failure::invalid)?;
        let claim = facts.claim(budget, claimant(&host)?, disruption, unhealthy);
        let cause = part(cause, &format!("claim:{host}"))?;
        let input = BudgetInput::Claim(Box::new(claim));
        match self.shell.execute::<BudgetDecider>(&budget_stream()?, &cause, &input).await {
            Ok(_) => Ok(Ok(())),
            Err(ExecuteError::Refused(held)) => Ok(Err(held)),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives back what was claimed for a host, if anything was.
    pub(crate) async fn give_back_claim(&self, cause: &Cause, host: &HostId) -> Result<(), Failure> {
        let budget = PolicySet::new(SITE).map_err(Failure::invalid)?;
        let (input, cause) =
            (BudgetInput::Return { budget, saga: claimant(host)? }, part(cause, &format!("return:{host}"))?);
        Ok(self.shell.execute::<BudgetDecider>(&budget_stream()?, &cause, &input).await.map(drop)?)
    }
}

/// What a host said that was asked to leave.
enum Asked {
    Leaves(SagaRef),
    Stays(String),
    HeldBack(Held),
}

fn saga_of(event: HostEvent) -> Option<SagaRef> {
    if let HostEvent::ReleaseRequested(requested) = event { Some(requested.saga) } else { None }
}

fn claimant(host: &HostId) -> Result<SagaRef, Failure> {
    SagaRef::new(RELEASES, host.as_str()).map_err(Failure::invalid)
}

fn budget_stream() -> Result<StreamId, Failure> {
    StreamId::new(BudgetDecider::CATEGORY, SITE).map_err(Failure::invalid)
}
