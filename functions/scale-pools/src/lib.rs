//! Has pools grow and shrink by what is measured, within the limits of their policies.
//!
//! It looks at the hosts right before each decision, and at each host again before it is asked to leave. It talks to nothing
//! outside: provisionings and deprovisionings are sagas of their own, which it hears the ends of.

mod ends;
mod facts;
mod releases;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_app::{FollowedPolicies, UnhealthyHosts, check_due};
use hostler_core::{Category, Decider, Failure, Incoming, StreamId, TimerFired};
use hostler_domain::pool::{PoolDecider, PoolFacts, PoolInput, PoolState, PoolTimer};
use hostler_events::signal::{LendHosts, LookAtPool, ReportThreshold};
use hostler_events::{PoolId, ProvisioningPolicy, ScaleCommand};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::ports::Views;
use hostler_runtime::state::history::Fold;
use hostler_runtime::state::shell::{Cause, Executed, Shell};

/// Decides for pools, and has done what was decided.
pub struct ScalePools {
    /// Where pools are decided on.
    pub shell: Shell,
    /// Where hosts are listed.
    pub views: Arc<dyn Views>,
    /// Which hosts are unhealthy.
    pub unhealthy: UnhealthyHosts,
    /// By what is decided.
    pub policies: FollowedPolicies,
    /// By what hosts are provisioned and given back.
    pub provisioning: ProvisioningPolicy,
}

#[async_trait]
impl Handler for ScalePools {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let cause = &Cause::of(message);
        // A decision follows what is measured, and each has its cooldown or its delay.
        match message {
            Incoming::Event(event) => self.hear(&cause.afresh(), &event.stream).await,
            Incoming::Timer(timer) => self.wake(&cause.afresh(), timer).await,
            Incoming::Command(_) => match message.command::<ScaleCommand>()? {
                ScaleCommand::ReportThreshold(report) => self.report(cause, report).await,
                ScaleCommand::LookAtPool(LookAtPool { pool }) => self.look(cause, &pool).await,
                ScaleCommand::LendHosts(ask) => self.lend(&cause.afresh(), ask).await,
            },
        }
    }
}

impl ScalePools {
    /// A source repeats what it has said under the same id. What it has observed since is another cause.
    async fn report(&self, cause: &Cause, report: ReportThreshold) -> Result<(), Failure> {
        let pool = report.pool.clone();
        let cause = part(cause, &format!("observed:{}", report.header.observed_at.as_second()))?;
        let Some(facts) = self.facts(&pool).await? else {
            let metric = &report.metric;
            tracing::warn!(%pool, %metric, signals_dropped = 1, "the policies do not say how this pool scales: add pools.<pool>.scaling");
            return Ok(());
        };
        let (report, told) = (Box::new(report), Box::new(facts.clone()));
        self.tell(&cause, &facts, None, PoolInput::Signal { report, facts: told }).await
    }

    async fn look(&self, cause: &Cause, pool: &PoolId) -> Result<(), Failure> {
        match self.facts(pool).await? {
            Some(facts) => {
                let input = PoolInput::Look { due: None, facts: Box::new(facts.clone()) };
                self.tell(cause, &facts, None, input).await
            }
            None => Ok(()),
        }
    }

    /// A pool of higher priority asks. A pool that does not scale any more gives nothing.
    async fn lend(&self, cause: &Cause, ask: LendHosts) -> Result<(), Failure> {
        match self.facts(&ask.pool).await? {
            Some(facts) => {
                let input = PoolInput::Lend { ask, facts: Box::new(facts.clone()) };
                self.tell(cause, &facts, None, input).await
            }
            None => Ok(()),
        }
    }

    async fn wake(&self, cause: &Cause, timer: &TimerFired) -> Result<(), Failure> {
        let Some(timer_of) = PoolTimer::read(&timer.name) else {
            let reason = format!("the timer {} of {} means nothing here", timer.name, timer.stream);
            return Err(Failure::terminal(Category::Validation, reason));
        };
        check_due(timer.due_at, self.shell.now())?;
        let pool = PoolId::new(timer.stream.key()).map_err(Failure::invalid)?;
        let fold = self.shell.load::<PoolDecider>(&timer.stream).await?;
        match timer_of {
            // Most waits are over before their timer: nothing else is read for those. One that has led to a decision comes
            // again where its hosts were not asked.
            PoolTimer::Look(at) if fold.state.look_at != Some(at) && !fold.state.is_asking() => Ok(()),
            PoolTimer::Look(at) => match self.facts(&pool).await? {
                Some(facts) => {
                    let input = PoolInput::Look { due: Some(at), facts: Box::new(facts.clone()) };
                    self.tell(cause, &facts, Some(fold), input).await
                }
                None => Ok(()),
            },
            PoolTimer::Reconcile(number) => self.reconcile(cause, &pool, fold, number).await,
        }
    }

    /// Decides; and asks the hosts that are to leave, also those that an earlier try has left.
    async fn tell(
        &self,
        cause: &Cause,
        facts: &PoolFacts,
        fold: Option<Fold<PoolDecider>>,
        input: PoolInput,
    ) -> Result<(), Failure> {
        let stream = pool_stream(&facts.pool)?;
        let done: Executed<PoolDecider> = match fold {
            Some(fold) => self.shell.execute_from(&stream, fold, cause, &input).await?,
            None => self.shell.execute(&stream, cause, &input).await?,
        };
        let state: &PoolState = &done.fold.state;
        tracing::info!(%stream, outcome = ?done.outcome, in_flight = state.in_flight.len(), leaving = state.leaving.len(), "pool looked at");
        self.release(cause, facts, state).await
    }
}

fn pool_stream(pool: &PoolId) -> Result<StreamId, Failure> {
    StreamId::new(PoolDecider::CATEGORY, pool.as_str()).map_err(Failure::invalid)
}

fn part(cause: &Cause, name: &str) -> Result<Cause, Failure> {
    cause.part(name).map_err(Failure::invalid)
}
