//! What has come of the hosts that pools have asked for, and of those that were to leave.

use hostler_core::saga::{SagaDefinition, SagaRef, SagaStatus};
use hostler_core::{Failure, StreamId};
use hostler_domain::deprovisioning::DeprovisioningSaga;
use hostler_domain::pool::{End, PoolDecider, PoolInput, PoolState, pool_of};
use hostler_domain::provisioning::{ProvisioningSaga, host_of};
use hostler_domain::{Deprovisioning, Provisioning};
use hostler_events::{HostId, PoolId, ProvisioningId};
use hostler_runtime::state::history::Fold;
use hostler_runtime::state::shell::{Cause, Executed};

use crate::{ScalePools, part, pool_stream};

impl ScalePools {
    /// A saga has ended, whosever it was.
    pub(crate) async fn hear(&self, cause: &Cause, stream: &StreamId) -> Result<(), Failure> {
        let key = stream.key();
        match stream.category() {
            Provisioning::KIND => {
                let Some(pool) = pool_of(key) else { return Ok(()) };
                let provisioning = ProvisioningId::new(key).map_err(Failure::invalid)?;
                match self.end_of(&provisioning).await? {
                    Some(end) => self.ended(cause, &pool, None, end).await,
                    None => Ok(()),
                }
            }
            Deprovisioning::KIND => {
                let Some((host, _)) = key.rsplit_once('.') else { return Ok(()) };
                let host = HostId::new(host).map_err(Failure::invalid)?;
                // The budget is given back whatever the pool knows of the host.
                self.give_back_claim(cause, &host).await?;
                // A host that was lent is in its own pool by now: whose it was then is in the saga's order.
                let Some(begun) = self.shell.load::<DeprovisioningSaga>(stream).await?.state.begun else {
                    return Ok(());
                };
                let pool = begun.order.pool;
                let fold = self.shell.load::<PoolDecider>(&pool_stream(&pool)?).await?;
                let saga = SagaRef::from(stream.clone());
                let is_it = fold.state.leaving.get(&host).is_some_and(|of| of.saga.as_ref() == Some(&saga));
                if !is_it || !self.is_over(&saga).await? {
                    return Ok(());
                }
                self.ended(cause, &pool, Some(fold), End::Left { host }).await
            }
            _ => Ok(()),
        }
    }

    /// Looks for the ends of a decision that nobody has told: an event may have been lost on its way.
    pub(crate) async fn reconcile(
        &self,
        cause: &Cause,
        pool: &PoolId,
        fold: Fold<PoolDecider>,
        number: u64,
    ) -> Result<(), Failure> {
        let PoolState { in_flight, leaving, open, .. } = &fold.state;
        if !open.contains_key(&number) {
            return Ok(());
        }
        let mut ends = Vec::new();
        for (provisioning, _) in in_flight.iter().filter(|(_, part)| part.number == number) {
            ends.extend(self.end_of(provisioning).await?);
        }
        for (host, part) in leaving.iter().filter(|(_, part)| part.number == number) {
            let Some(saga) = &part.saga else { continue };
            if self.is_over(saga).await? {
                self.give_back_claim(cause, host).await?;
                ends.push(End::Left { host: host.clone() });
            }
        }
        let (stream, again) = (pool_stream(pool)?, part(cause, "again")?);
        self.shell.execute::<PoolDecider>(&stream, &again, &PoolInput::StillOpen { number }).await?;
        let input = PoolInput::Ended { pool: pool.clone(), ends };
        let done = self.shell.execute::<PoolDecider>(&stream, cause, &input).await?;
        self.look_again(cause, pool, done.fold).await
    }

    /// Records an end, and looks at the pool where so much has ended that it may decide otherwise now: a look lists all its hosts, and
    /// a pool that grows by thousands of them hears thousands of ends.
    async fn ended(
        &self,
        cause: &Cause,
        pool: &PoolId,
        fold: Option<Fold<PoolDecider>>,
        end: End,
    ) -> Result<(), Failure> {
        let stream = pool_stream(pool)?;
        let input = PoolInput::Ended { pool: pool.clone(), ends: vec![end.clone()] };
        let done: Executed<PoolDecider> = match fold {
            Some(fold) => self.shell.execute_from(&stream, fold, cause, &input).await?,
            None => self.shell.execute(&stream, cause, &input).await?,
        };
        match done.fold.state.is_look_due_after(&end) {
            true => self.look_again(cause, pool, done.fold).await,
            false => Ok(()),
        }
    }

    /// A pool that scales no more is not looked at.
    async fn look_again(&self, cause: &Cause, pool: &PoolId, fold: Fold<PoolDecider>) -> Result<(), Failure> {
        let Some(facts) = self.facts(pool).await? else { return Ok(()) };
        let input = PoolInput::Look { due: None, facts: Box::new(facts.clone()) };
        self.tell(&part(cause, "look")?, &facts, Some(fold), input).await
    }

    async fn end_of(&self, provisioning: &ProvisioningId) -> Result<Option<End>, Failure> {
        let stream = StreamId::new(Provisioning::KIND, provisioning.as_str()).map_err(Failure::invalid)?;
        let saga = self.shell.load::<ProvisioningSaga>(&stream).await?.state;
        let (provisioning, failed) = (provisioning.clone(), |reason: &str| reason.to_owned());
        Ok(match &saga.status {
            SagaStatus::NotStarted | SagaStatus::Running | SagaStatus::Compensating { .. } => None,
            SagaStatus::Completed => Some(match host_of(&saga) {
                Some(host) => End::Arrived { provisioning, host },
                None => End::Failed { provisioning, reason: failed("it was completed without a host") },
            }),
            SagaStatus::Compensated { reason, .. } => {
                Some(End::Failed { provisioning, reason: failed(reason) })
            }
            // Should an operator have it resumed, its host is counted once it is in service.
            SagaStatus::Stuck { failure, .. } => Some(End::Failed { provisioning, reason: failed(failure) }),
        })
    }

    async fn is_over(&self, saga: &SagaRef) -> Result<bool, Failure> {
        let state = self.shell.load::<DeprovisioningSaga>(saga.stream()).await?.state;
        Ok(match state.status {
            SagaStatus::NotStarted | SagaStatus::Running | SagaStatus::Compensating { .. } => false,
            // Stuck is out of service as well.
            SagaStatus::Completed | SagaStatus::Compensated { .. } | SagaStatus::Stuck { .. } => true,
        })
    }
}
