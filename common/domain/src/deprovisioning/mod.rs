//! The deprovisioning saga: gives a host back from service. Its stream is `deprovisioning#<host>.<n>`.
//!
//! The host is `draining` until its deployment is undone. What moves its traffic away belongs before
//! `deregister-monitoring`, as a second version of the plan, once there is something that moves traffic.

use hostler_core::saga::{Ask, Plan, Saga, SagaDefinition, SagaRefusal, SagaState, Step};
use hostler_events::commands::{DeregisterMonitoring, UndeployHost};
use hostler_events::provisioning::HostReturned;
use hostler_events::{HostId, PoolId, ProvisioningPolicy, StepCommand, StepPolicy};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(test)]
mod tests;

/// Gives a host back from service.
#[derive(Debug, Clone, Copy)]
pub struct Deprovisioning;

/// Decides on `deprovisioning#` streams.
pub type DeprovisioningSaga = Saga<Deprovisioning>;
/// What is known of a deprovisioning.
pub type DeprovisioningState = SagaState<DeprovisioningOrder>;

/// Why undeploying is never skipped.
const HELD: &str = "its host would be held for ever by a saga that has ended";

hostler_core::step_names! {
    /// The steps of a deprovisioning.
    pub enum DeprovisioningStep {
        /// Have monitoring forget the host, so that what follows raises no alarm.
        DeregisterMonitoring = "deregister-monitoring",
        /// Undo its deployment and clean it: power off, eject, restore the boot target, wipe. The commit that says that it
        /// is clean also gives it back or retires it.
        UndeployHost = "undeploy-host",
    }
}

/// What a deprovisioning is started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeprovisioningOrder {
    /// The host.
    pub host: HostId,
    /// Its pool.
    pub pool: PoolId,
    /// Whether it is retired instead of going back to its pool.
    pub retire: bool,
    /// Why.
    pub reason: String,
    /// How monitoring is asked.
    pub deregister_monitoring: StepPolicy,
    /// How the deployment is undone.
    pub undeploy_host: StepPolicy,
}

impl DeprovisioningOrder {
    /// An order with the numbers that a provisioning is undone by.
    #[must_use]
    pub fn new(host: HostId, pool: PoolId, retire: bool, reason: &str, policy: &ProvisioningPolicy) -> Self {
        let (deregister_monitoring, undeploy_host) = (policy.deregister_monitoring, policy.undeploy_host);
        Self { host, pool, retire, reason: reason.to_owned(), deregister_monitoring, undeploy_host }
    }

    /// As a saga is started with it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // A plain record with text keys, for which this cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl SagaDefinition for Deprovisioning {
    const KIND: &'static str = "deprovisioning";
    const VERSION: u32 = 1;
    type Order = DeprovisioningOrder;
    type Step = DeprovisioningStep;
    type Command = StepCommand;

    /// Forward only: a host that has begun to leave is not brought back half-way. What fails is tried again until an operator
    /// is needed.
    fn plan(version: u32, order: &DeprovisioningOrder) -> Option<Plan<DeprovisioningStep>> {
        use DeprovisioningStep::{DeregisterMonitoring, UndeployHost};
        (version == 1).then(|| {
            Plan::forward_only()
                .then(Step::ask(DeregisterMonitoring, order.deregister_monitoring.into()))
                .then(Step::ask(UndeployHost, order.undeploy_host.into()).never_skipped(HELD))
        })
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<StepCommand>, SagaRefusal> {
        let (saga, step, host) = (ask.saga.clone(), ask.id.clone(), ask.order.host.clone());
        Ok(Some(match ask.step {
            DeprovisioningStep::DeregisterMonitoring => DeregisterMonitoring { saga, step, host }.into(),
            DeprovisioningStep::UndeployHost => UndeployHost { saga, step, host }.into(),
        }))
    }

    fn check_output(
        step: DeprovisioningStep,
        _: Option<u32>,
        output: &Value,
    ) -> Result<(), serde_json::Error> {
        match step {
            DeprovisioningStep::DeregisterMonitoring => Ok(()),
            DeprovisioningStep::UndeployHost => HostReturned::deserialize(output).map(drop),
        }
    }

    fn examples() -> Vec<DeprovisioningOrder> {
        let (Ok(host), Ok(pool)) = ("h-01".parse(), "web".parse()) else { return Vec::new() };
        vec![DeprovisioningOrder::new(host, pool, false, "scaled in", &ProvisioningPolicy::default())]
    }
}
