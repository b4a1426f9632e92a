//! The provisioning saga: brings one host into service, or undoes what it did. Its stream is `provisioning#<id>`.

use hostler_core::saga::{
    Ask, Plan, Saga, SagaDefinition, SagaRef, SagaRefusal, SagaState, StartSaga, Step, StepName,
};
use hostler_events::commands::{
    ApplyRole, DeployImage, DeregisterMonitoring, RegisterMonitoring, ReleaseReservation, ReserveHost,
    UndeployHost,
};
use hostler_events::provisioning::{HostHeld, HostReturned};
use hostler_events::traffic::{JoinTraffic, LeaveTraffic};
use hostler_events::{
    HostId, ProvisioningId, ProvisioningOrder, ProvisioningPolicy, ProvisioningStep, StepCommand, StepPolicy,
    TrafficPolicy,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::output;
use crate::traffic::{JOIN, leave_policy};

#[cfg(test)]
mod tests;

/// Brings a host into service.
#[derive(Debug, Clone, Copy)]
pub struct Provisioning;

/// Decides on `provisioning#` streams.
pub type ProvisioningSaga = Saga<Provisioning>;
/// What is known of a provisioning.
pub type ProvisioningState = SagaState<ProvisioningOrder>;

/// Why leaving traffic is never skipped.
const IN_TRAFFIC: &str = "requests would be sent to a host that is taken out of use";
/// Why giving a reservation back is never skipped.
const HOLDS: &str = "its host would be held for ever by a saga that has ended";
/// Why reserving is never skipped.
const NEEDED: &str = "the steps after it would have no host";
/// Why undeploying is never skipped.
const DIRTY: &str = "its host would go back to the pool uncleaned";

impl SagaDefinition for Provisioning {
    const KIND: &'static str = "provisioning";
    /// The second one joins traffic at the end, where the pool has some.
    const VERSION: u32 = 2;
    type Order = ProvisioningOrder;
    type Step = ProvisioningStep;
    type Command = StepCommand;

    /// A fresh host has no earlier role to go back to, so that undeploying undoes its configuration as well. Steps
    /// are not awaited when the saga turns back: a step that outlives its deadline, and its undoing, both need the
    /// host's lease and never work on it at the same time.
    fn plan(version: u32, order: &ProvisioningOrder) -> Option<Plan<ProvisioningStep>> {
        use ProvisioningStep::{
            ApplyRole, DeployImage, DeregisterMonitoring, RegisterMonitoring, ReleaseReservation,
            ReserveHost, UndeployHost,
        };
        let policy = &order.policy;
        let step = |name, policy: StepPolicy| Step::ask(name, policy.into()).stopped_on_cancel();
        let (release, undeploy) = (policy.release_reservation.into(), policy.undeploy_host.into());
        if !(1..=2).contains(&version) {
            return None;
        }
        let traffic = order.traffic.as_ref().filter(|_| version > 1);
        let plan = Plan::default()
            .then(
                step(ReserveHost, policy.reserve_host)
                    .always_undone_by(ReleaseReservation, release, HOLDS)
                    .never_skipped(NEEDED),
            )
            .then(step(DeployImage, policy.deploy_image).always_undone_by(UndeployHost, undeploy, DIRTY))
            .then(step(ApplyRole, policy.apply_role).always_undone_by(UndeployHost, undeploy, DIRTY))
            .then(
                step(RegisterMonitoring, policy.register_monitoring)
                    .undone_by(DeregisterMonitoring, policy.deregister_monitoring.into()),
            );
        Some(match traffic {
            Some(traffic) => plan.then(joined(traffic)),
            None => plan,
        })
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<StepCommand>, SagaRefusal> {
        let ProvisioningOrder { pool, take_from, role, image, sku, .. } = ask.order;
        let (saga, step) = (ask.saga.clone(), ask.id.clone());
        let host = || ask.output::<HostHeld>(ProvisioningStep::ReserveHost).map(|held| held.host);
        let traffic = || {
            let (step, why) = (StepName::of(ask.step, None), "the order names no backend".to_owned());
            ask.order.traffic.clone().ok_or(SagaRefusal::Output { step, why })
        };
        Ok(Some(match ask.step {
            ProvisioningStep::ReserveHost => {
                let (pool, take_from) = (pool.clone(), take_from.clone());
                ReserveHost { saga, step, pool, take_from, sku: sku.clone() }.into()
            }
            ProvisioningStep::DeployImage => {
                DeployImage { saga, step, host: host()?, image: image.clone() }.into()
            }
            ProvisioningStep::ApplyRole => {
                ApplyRole { saga, step, host: host()?, role: role.clone(), revision: None }.into()
            }
            ProvisioningStep::RegisterMonitoring => {
                RegisterMonitoring { saga, step, host: host()?, role: role.clone() }.into()
            }
            ProvisioningStep::JoinTraffic => {
                JoinTraffic { saga, step, host: host()?, traffic: traffic()? }.into()
            }
            ProvisioningStep::LeaveTraffic => {
                LeaveTraffic { saga, step, host: host()?, traffic: traffic()? }.into()
            }
            ProvisioningStep::DeregisterMonitoring => {
                DeregisterMonitoring { saga, step, host: host()? }.into()
            }
            ProvisioningStep::UndeployHost => UndeployHost { saga, step, host: host()? }.into(),
            ProvisioningStep::ReleaseReservation => ReleaseReservation { saga, step }.into(),
        }))
    }

    fn check_output(step: ProvisioningStep, _: Option<u32>, output: &Value) -> Result<(), serde_json::Error> {
        match step {
            ProvisioningStep::ReserveHost => HostHeld::deserialize(output).map(drop),
            ProvisioningStep::DeployImage
            | ProvisioningStep::ApplyRole
            | ProvisioningStep::RegisterMonitoring
            | ProvisioningStep::JoinTraffic
            | ProvisioningStep::LeaveTraffic
            | ProvisioningStep::DeregisterMonitoring
            | ProvisioningStep::UndeployHost
            | ProvisioningStep::ReleaseReservation => Ok(()),
        }
    }

    fn example_output(step: ProvisioningStep) -> Option<Value> {
        (step == ProvisioningStep::ReserveHost).then(|| json!({ "host": "h-01" }))
    }

    fn examples() -> Vec<ProvisioningOrder> {
        let id = "example";
        let order = (id.parse(), id.parse(), id.parse(), id.parse());
        let (Ok(request), Ok(pool), Ok(role), Ok(image)) = order else { return Vec::new() };
        let policy = ProvisioningPolicy::default();
        let Ok(backend) = "web".parse() else { return Vec::new() };
        let take_from = Vec::new();
        let order =
            ProvisioningOrder { request, pool, take_from, role, image, sku: None, traffic: None, policy };
        let traffic = Some(TrafficPolicy { backend, port: 80, drain_seconds: 30 });
        vec![ProvisioningOrder { traffic, ..order.clone() }, order]
    }
}

/// The last step: the host gets requests once monitoring has seen it well.
fn joined(traffic: &TrafficPolicy) -> Step<ProvisioningStep> {
    use ProvisioningStep::{JoinTraffic, LeaveTraffic};
    Step::ask(JoinTraffic, JOIN).stopped_on_cancel().always_undone_by(
        LeaveTraffic,
        leave_policy(traffic.drain_seconds),
        IN_TRAFFIC,
    )
}

/// What starts provisionings: one for each id, all with the same order.
pub(crate) fn starts<'a>(
    order: &ProvisioningOrder,
    provisionings: &'a [ProvisioningId],
) -> impl Iterator<Item = StartSaga> + 'a {
    // Orders are plain records with text keys, for which this cannot fail.
    let order = serde_json::to_value(order).unwrap_or_default();
    let sagas = provisionings.iter().filter_map(|id| SagaRef::new(Provisioning::KIND, id.as_str()).ok());
    sagas.map(move |saga| StartSaga { saga, order: order.clone(), parent: None })
}

/// The host that a provisioning holds or held.
#[must_use]
pub fn host_of(state: &ProvisioningState) -> Option<HostId> {
    output::<HostHeld>(&state.outputs, ProvisioningStep::ReserveHost).map(|held| held.host)
}

/// Whether that host was quarantined instead of going back to its pool.
#[must_use]
pub fn is_host_quarantined(state: &ProvisioningState) -> bool {
    output::<HostReturned>(&state.outputs, ProvisioningStep::UndeployHost)
        .is_some_and(|returned| returned.quarantined)
}
