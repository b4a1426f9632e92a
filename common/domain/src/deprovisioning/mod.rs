//! The deprovisioning saga: gives a host back from service. Its stream is `deprovisioning#<host>.<n>`.
//!
//! The host is `draining` until its deployment is undone. One that takes part in traffic leaves that first.

use hostler_core::saga::{Ask, Plan, Saga, SagaDefinition, SagaRefusal, SagaState, Step};
use hostler_events::commands::{DeregisterMonitoring, UndeployHost};
use hostler_events::provisioning::HostReturned;
use hostler_events::traffic::LeaveTraffic;
use hostler_events::{HostId, PoolId, ProvisioningPolicy, StepCommand, StepPolicy, TrafficPolicy};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::traffic::leave_policy;

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
        /// Have the load balancer send the host nothing more, and the host end what it has.
        LeaveTraffic = "leave-traffic",
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
    /// Where the host takes part in traffic, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficPolicy>,
    /// How monitoring is asked.
    pub deregister_monitoring: StepPolicy,
    /// How the deployment is undone.
    pub undeploy_host: StepPolicy,
}

impl DeprovisioningOrder {
    /// An order with the numbers that a provisioning is undone by, for a host that takes no part in traffic.
    #[must_use]
    pub fn new(host: HostId, pool: PoolId, retire: bool, reason: &str, policy: &ProvisioningPolicy) -> Self {
        let (deregister_monitoring, undeploy_host) = (policy.deregister_monitoring, policy.undeploy_host);
        let (reason, traffic) = (reason.to_owned(), None);
        Self { host, pool, retire, reason, traffic, deregister_monitoring, undeploy_host }
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
    /// The second one leaves traffic first, where the host takes part in it.
    const VERSION: u32 = 2;
    type Order = DeprovisioningOrder;
    type Step = DeprovisioningStep;
    type Command = StepCommand;

    /// Forward only: a host that has begun to leave is not brought back half-way. What fails is tried again until an operator
    /// is needed.
    fn plan(version: u32, order: &DeprovisioningOrder) -> Option<Plan<DeprovisioningStep>> {
        use DeprovisioningStep::{DeregisterMonitoring, LeaveTraffic, UndeployHost};
        if !(1..=2).contains(&version) {
            return None;
        }
        let traffic = order.traffic.as_ref().filter(|_| version > 1);
        let plan = Plan::forward_only();
        let out_of_traffic = match traffic {
            Some(traffic) => plan.then(Step::ask(LeaveTraffic, leave_policy(traffic.drain_seconds))),
            None => plan,
        };
        let plan = out_of_traffic
            .then(Step::ask(DeregisterMonitoring, order.deregister_monitoring.into()))
            .then(Step::ask(UndeployHost, order.undeploy_host.into()).never_skipped(HELD));
        Some(plan)
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<StepCommand>, SagaRefusal> {
        let (saga, step, host) = (ask.saga.clone(), ask.id.clone(), ask.order.host.clone());
        Ok(Some(match ask.step {
            DeprovisioningStep::LeaveTraffic => {
                let why = "the order names no backend".to_owned();
                let name = hostler_core::saga::StepName::of(ask.step, None);
                let traffic = ask.order.traffic.clone().ok_or(SagaRefusal::Output { step: name, why })?;
                LeaveTraffic { saga, step, host, traffic }.into()
            }
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
            DeprovisioningStep::LeaveTraffic | DeprovisioningStep::DeregisterMonitoring => Ok(()),
            DeprovisioningStep::UndeployHost => HostReturned::deserialize(output).map(drop),
        }
    }

    fn examples() -> Vec<DeprovisioningOrder> {
        let (Ok(host), Ok(pool)) = ("h-01".parse(), "web".parse()) else { return Vec::new() };
        let Ok(backend) = "web".parse() else { return Vec::new() };
        let order = DeprovisioningOrder::new(host, pool, false, "scaled in", &ProvisioningPolicy::default());
        let traffic = Some(TrafficPolicy { backend, port: 80, drain_seconds: 30 });
        vec![DeprovisioningOrder { traffic, ..order.clone() }, order]
    }
}
