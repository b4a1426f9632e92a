//! Whether a host may be disturbed now: what it fails together with, and the disruption budget.

use hostler_core::saga::SagaRef;
use hostler_core::{Decider, Failure, StreamId};
use hostler_domain::{
    BudgetDecider, BudgetInput, Claim, Condition, HealthDecider, HealthInput, HealthState, HoldBack, Phase,
};
use hostler_events::StepId;
use hostler_events::recovery::ClaimDisruption;
use hostler_events::site::{PolicySet, SITE};
use hostler_runtime::state::shell::{Cause, ExecuteError};

use crate::{RecoverHosts, health_stream, part};

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
        let seen = self.seen(host).await?;
        let disruption = Claim::disruption_of(&command, &policies);
        let surroundings = self.unhealthy.surroundings(&disruption.rack, &policies).await?;
        // What heals the cause of a brake is not held back by it, whatever the brake: what members share works again by it.
        if let Some(why) = surroundings.holds_back().filter(|_| !command.passes_brake) {
            return self.tell(host, cause, HealthInput::Held { saga: saga.clone(), why }).await.map(drop);
        }
        // A host in service is looked at again before it is cordoned, and that may wait for monitoring. One that has left
        // service already is not touched.
        let waits = seen.host.as_ref().is_some_and(|host| host.phase == Phase::InService);
        let unhealthy = self.unhealthy.around(&disruption, &surroundings, &policies).await?;
        let claim = Claim::of_recovery(budget_name()?, &command, waits, unhealthy, &policies);
        let asked = part(cause, "claim")?;
        let input = BudgetInput::Claim(Box::new(claim));
        let answer = match self.shell.execute::<BudgetDecider>(&budget_stream()?, &asked, &input).await {
            Ok(_) => HealthInput::Granted { saga: saga.clone(), seen },
            Err(ExecuteError::Refused(held)) => {
                let why = HoldBack::by_budget(&held, policies.policy_version);
                HealthInput::Held { saga: saga.clone(), why }
            }
            Err(error) => return Err(error.into()),
        };
        self.tell(host, cause, answer).await.map(drop)
    }

    /// What was granted begins now; says whether it does. Whoever has waited for so long that the claim is void is told so by
    /// the budget.
    pub(crate) async fn begins(&self, cause: &Cause, saga: &SagaRef, step: &StepId) -> Result<bool, Failure> {
        let input = BudgetInput::Begin { budget: budget_name()?, saga: saga.clone(), step: step.clone() };
        let cause = part(cause, "begin")?;
        let done = self.shell.execute::<BudgetDecider>(&budget_stream()?, &cause, &input).await?;
        Ok(done.fold.state.has_begun(saga, self.shell.now()))
    }

    pub(crate) async fn return_disruption(&self, cause: &Cause, saga: &SagaRef) -> Result<(), Failure> {
        let input = BudgetInput::Return { budget: budget_name()?, saga: saga.clone() };
        let cause = part(cause, "return")?;
        Ok(self.shell.execute::<BudgetDecider>(&budget_stream()?, &cause, &input).await.map(drop)?)
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

fn budget_name() -> Result<PolicySet, Failure> {
    PolicySet::new(SITE).map_err(Failure::invalid)
}

fn budget_stream() -> Result<StreamId, Failure> {
    StreamId::new(BudgetDecider::CATEGORY, SITE).map_err(Failure::invalid)
}
