//! The recovery saga: one remediation, tried once. Its stream is `recovery#<host>.<n>`.
//!
//! It looks at the host again before it does anything, has it for itself while it works, and ends with a healthy sample of
//! monitoring that is newer than what it did. It tells the host's health how it ended; that decides what comes next.

use hostler_core::saga::{Ask, Facts, Plan, RetryPolicy, Saga, SagaDefinition, SagaRefusal, SagaState, Step};
use hostler_events::commands::{
    ApplyRole, DeregisterMonitoring, PowerCycleHost, RegisterMonitoring, ReimageHost, UndeployHost,
};
use hostler_events::health::{CheckKind, RemediationOutcome};
use hostler_events::recovery::{
    AbandonRecovery, BeginRecovery, CheckHost, ConcludeRecovery, CordonHost, GiveBackHost, RestartService,
    UncordonHost,
};
use hostler_events::site::{RecoveryPolicy, Rung};
use hostler_events::traffic::{JoinTraffic, LeaveTraffic, ReturnTraffic};
use hostler_events::{
    FaultClass, HostId, Image, PoolId, ProvisioningOrder, ProvisioningPolicy, RequestId, Role, Service,
    StepCommand, StepPolicy, TrafficPolicy,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::health::name_of;
use crate::provisioning::Provisioning;
use crate::support::looks_for;
use crate::traffic::{JOIN, leave_policy};

#[cfg(test)]
mod tests;

/// Repairs a host, or looks whether it is healthy.
#[derive(Debug, Clone, Copy)]
pub struct Recovery;

/// Decides on `recovery#` streams.
pub type RecoverySaga = Saga<Recovery>;
/// What is known of a recovery.
pub type RecoveryState = SagaState<RecoveryOrder>;

/// Why telling of the end is never skipped.
const TELLS: &str = "its host would count as worked on for ever, and its disruption budget would stay taken";
/// Why a cordon is always lifted.
const CORDONED: &str = "its host would be cordoned for ever by a saga that has ended";
/// Why a host that was written to is always undeployed.
const DIRTY: &str = "its host would stay half installed";
/// What most steps wait for.
const FAULTY: &str = "the host is still faulty";

/// Commands to our own functions.
const OWN: RetryPolicy =
    RetryPolicy { deadline_seconds: 60, attempts: 8, backoff_seconds: 2, backoff_seconds_max: 300 };
/// A look at the host. Monitoring may take a scrape or two to have a new sample.
const LOOK: RetryPolicy =
    RetryPolicy { deadline_seconds: 60, attempts: 6, backoff_seconds: 5, backoff_seconds_max: 60 };
/// A restart of a service. What the host's agent refuses is refused for good.
const RESTART: RetryPolicy =
    RetryPolicy { deadline_seconds: 120, attempts: 3, backoff_seconds: 5, backoff_seconds_max: 30 };
/// A power cycle.
const POWER_CYCLE: RetryPolicy =
    RetryPolicy { deadline_seconds: 300, attempts: 3, backoff_seconds: 10, backoff_seconds_max: 60 };
/// How long a replacement may take: every step of a provisioning with its tries.
const REPLACED_WITHIN_SECONDS: u32 = 4 * 3_600;

hostler_core::step_names! {
    /// The steps of a recovery, and what undoes them.
    pub enum RecoveryStep {
        /// Ask the host's health whether this is still wanted.
        BeginRecovery = "begin-recovery",
        /// Undoes `BeginRecovery`: tell the host's health that it did not help, and give the budget back.
        AbandonRecovery = "abandon-recovery",
        /// Ask monitoring whether the host is healthy by now.
        LookAgain = "look-again",
        /// Where a new installation has failed: monitoring forgets the host once it is out of use.
        DeregisterMonitoring = "deregister-monitoring",
        /// Have the host for this saga alone.
        CordonHost = "cordon-host",
        /// Undoes `CordonHost`.
        UncordonHost = "uncordon-host",
        /// Take the host out of traffic.
        LeaveTraffic = "leave-traffic",
        /// Undoes `LeaveTraffic`.
        ReturnTraffic = "return-traffic",
        /// Put the host back into traffic, once monitoring has seen it well.
        JoinTraffic = "join-traffic",
        /// Have the host's agent restart a service.
        RestartService = "restart-service",
        /// Take the host's power and give it back.
        PowerCycleHost = "power-cycle-host",
        /// Install the host again, and wait for its own callback.
        ReimageHost = "reimage-host",
        /// Undoes `ReimageHost`, `ApplyRole` and `RegisterMonitoring`: power off, eject, restore the boot target, clean; the host
        /// is out of use then.
        UndeployHost = "undeploy-host",
        /// Apply its role's configuration.
        ApplyRole = "apply-role",
        /// Make it known to monitoring and wait for the first healthy sample.
        RegisterMonitoring = "register-monitoring",
        /// Bring another host of the pool into service.
        ProvideHost = "provide-host",
        /// Undoes `ProvideHost`.
        WithdrawHost = "withdraw-host",
        /// Ask monitoring for a healthy sample that is newer than what was done.
        VerifyRecovery = "verify-recovery",
        /// Let others work on the host again.
        ReturnToService = "return-to-service",
        /// Take the host out of service for good, because another one serves in its place.
        GiveBackHost = "give-back-host",
        /// Tell the host's health how it ended, and give the budget back.
        ConcludeRecovery = "conclude-recovery",
    }
}

/// What a recovery is started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryOrder {
    /// The host.
    pub host: HostId,
    /// Its pool.
    pub pool: PoolId,
    /// What is done; absent where the host is only looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
    /// What is wrong.
    pub fault: FaultClass,
    /// The host's incident.
    pub incident: u32,
    /// What hosts of the pool are, where the policies say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What hosts of the pool run, where the policies say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// How the host takes part in traffic, where its pool does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficPolicy>,
    /// Whether something has taken it out of traffic before, so that it is put back even when it is healthy by itself.
    #[serde(default)]
    pub out_of_traffic: bool,
    /// The service that has failed: the one that a signal names, else that of the pool's role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// Whether the host has left service before: then it is replaced, and nothing is done to it.
    pub out_of_service: bool,
    /// The numbers by which hosts are installed.
    pub provisioning: ProvisioningPolicy,
    /// Seconds that the host has until it must be healthy.
    #[serde(default = "verify_seconds")]
    pub verify_seconds: u32,
}

/// Orders from before it was a policy do not say it.
const fn verify_seconds() -> u32 {
    RecoveryPolicy::VERIFY_SECONDS
}

impl RecoveryOrder {
    /// As a saga is started with it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // A plain record with text keys, for which this cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The looks after a repair.
    fn verify(&self) -> RetryPolicy {
        looks_for(self.verify_seconds)
    }

    fn reason(&self) -> String {
        let rung = self.rung.map_or("look", name_of);
        format!("{rung} because of {}, incident {}", self.fault, self.incident)
    }
}

/// What monitoring said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    healthy: bool,
}

type RecoveryPlan = Plan<RecoveryStep>;

/// What is tried while the host is faulty: the saga goes on to its end when the host has become healthy by itself.
fn if_faulty(step: Step<RecoveryStep>) -> Step<RecoveryStep> {
    step.when(FAULTY)
}

/// Has the host for this saga alone, and out of traffic.
fn cordoned(plan: RecoveryPlan, traffic: Option<&TrafficPolicy>) -> RecoveryPlan {
    use RecoveryStep::{CordonHost, LeaveTraffic, ReturnTraffic, UncordonHost};
    let plan = plan.then(if_faulty(Step::ask(CordonHost, OWN)).always_undone_by(UncordonHost, OWN, CORDONED));
    let Some(traffic) = traffic else { return plan };
    let leave = Step::ask(LeaveTraffic, leave_policy(traffic.drain_seconds));
    plan.then(if_faulty(leave).undone_by(ReturnTraffic, JOIN))
}

/// Ends with the host in traffic, as it was before.
fn returned(plan: RecoveryPlan, traffic: Option<&TrafficPolicy>) -> RecoveryPlan {
    use RecoveryStep::{JoinTraffic, ReturnToService};
    let plan = match traffic {
        Some(_) => plan.then(if_faulty(Step::ask(JoinTraffic, JOIN))),
        None => plan,
    };
    plan.then(if_faulty(Step::ask(ReturnToService, OWN)).never_skipped(CORDONED))
}

fn verified(plan: RecoveryPlan, order: &RecoveryOrder, traffic: Option<&TrafficPolicy>) -> RecoveryPlan {
    returned(plan.then(if_faulty(Step::ask(RecoveryStep::VerifyRecovery, order.verify()))), traffic)
}

/// The host is only looked at. One that was taken out of traffic before, and is healthy, is put back.
fn looked_at(plan: RecoveryPlan, order: &RecoveryOrder, traffic: Option<&TrafficPolicy>) -> RecoveryPlan {
    use RecoveryStep::{CordonHost, UncordonHost, VerifyRecovery};
    let plan = plan.then(Step::ask(VerifyRecovery, LOOK).stopped_on_cancel());
    match traffic.filter(|_| order.out_of_traffic) {
        Some(_) => returned(
            plan.then(if_faulty(Step::ask(CordonHost, OWN)).always_undone_by(UncordonHost, OWN, CORDONED)),
            traffic,
        ),
        None => plan,
    }
}

fn reimaged(plan: RecoveryPlan, policy: &ProvisioningPolicy) -> RecoveryPlan {
    use RecoveryStep::{ApplyRole, RegisterMonitoring, ReimageHost, UndeployHost};
    let step = |name, policy: StepPolicy| if_faulty(Step::ask(name, policy.into())).stopped_on_cancel();
    let undeploy = policy.undeploy_host.into();
    plan.then(step(ReimageHost, policy.deploy_image).always_undone_by(UndeployHost, undeploy, DIRTY))
        .then(step(ApplyRole, policy.apply_role).always_undone_by(UndeployHost, undeploy, DIRTY))
        .then(step(RegisterMonitoring, policy.register_monitoring).always_undone_by(
            UndeployHost,
            undeploy,
            DIRTY,
        ))
}

/// The other host is in service before this one leaves. Once this one leaves there is no way back.
fn replaced(plan: RecoveryPlan, order: &RecoveryOrder) -> RecoveryPlan {
    use RecoveryStep::{GiveBackHost, ProvideHost, ReturnToService, WithdrawHost};
    let undeploy = order.provisioning.undeploy_host.into();
    let provide = Step::child(ProvideHost, Provisioning::KIND, REPLACED_WITHIN_SECONDS)
        .undone_by(WithdrawHost, undeploy);
    if order.out_of_service {
        return plan.then(provide);
    }
    // Others could take the host between these two: giving it back is then tried again.
    plan.then(if_faulty(provide))
        .then(if_faulty(Step::ask(ReturnToService, OWN)).never_skipped(CORDONED))
        .then(if_faulty(Step::ask(GiveBackHost, OWN)).pivot())
}

impl SagaDefinition for Recovery {
    const KIND: &'static str = "recovery";
    /// The second one takes hosts out of traffic while it works on them.
    const VERSION: u32 = 2;
    type Order = RecoveryOrder;
    type Step = RecoveryStep;
    type Command = StepCommand;

    fn plan(version: u32, order: &RecoveryOrder) -> Option<RecoveryPlan> {
        use RecoveryStep::{
            AbandonRecovery, BeginRecovery, ConcludeRecovery, DeregisterMonitoring, LookAgain,
            PowerCycleHost, RestartService, ReturnToService,
        };
        if !(1..=2).contains(&version) {
            return None;
        }
        let traffic = order.traffic.as_ref().filter(|_| version > 1);
        let begun = Plan::default().then(
            Step::ask(BeginRecovery, OWN).always_undone_by(AbandonRecovery, OWN, TELLS).never_skipped(TELLS),
        );
        let look = || Step::ask(LookAgain, LOOK).stopped_on_cancel();
        let done = match order.rung {
            None => looked_at(begun, order, traffic),
            // Not put back: that is what is left of it.
            Some(Rung::RedirectTraffic) => cordoned(begun.then(look()), traffic)
                .then(if_faulty(Step::ask(ReturnToService, OWN)).never_skipped(CORDONED)),
            // A service that has failed serves nobody, so that a host in traffic is left there for the moment that it takes.
            Some(Rung::RestartService) => {
                let traffic = traffic.filter(|_| order.out_of_traffic);
                let cordoned = cordoned(begun.then(look()), traffic);
                verified(cordoned.then(if_faulty(Step::ask(RestartService, RESTART))), order, traffic)
            }
            Some(Rung::PowerCycle) => {
                let cordoned = cordoned(begun.then(look()), traffic);
                verified(cordoned.then(if_faulty(Step::ask(PowerCycleHost, POWER_CYCLE))), order, traffic)
            }
            Some(Rung::Reimage) => {
                let forgotten = order.provisioning.deregister_monitoring.into();
                let looked = begun.then(look().undone_by(DeregisterMonitoring, forgotten));
                verified(reimaged(cordoned(looked, traffic), &order.provisioning), order, traffic)
            }
            Some(Rung::Replace) if order.out_of_service => replaced(begun, order),
            Some(Rung::Replace) => replaced(cordoned(begun.then(look()), traffic), order),
        };
        let plan = done.then(Step::ask(ConcludeRecovery, OWN).never_skipped(TELLS));
        Some(plan)
    }

    /// A host that is healthy by now is only put back into traffic, where something has taken it out before.
    fn applies(step: RecoveryStep, _: Option<u32>, facts: &Facts<'_, Self>) -> bool {
        use RecoveryStep::{CordonHost, JoinTraffic, ReturnToService};
        let puts_back = matches!(step, CordonHost | JoinTraffic | ReturnToService);
        !is_healthy(facts) || (puts_back && facts.order.out_of_traffic && facts.order.traffic.is_some())
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<StepCommand>, SagaRefusal> {
        let (saga, step, host) = (ask.saga.clone(), ask.id.clone(), ask.order.host.clone());
        let missing = |what: &str| {
            let pool = &ask.order.pool;
            let why = format!("the policies do not say the {what} of pool {pool}: add it under pools");
            SagaRefusal::Output { step: hostler_core::saga::StepName::of(ask.step, None), why }
        };
        let role = || ask.order.role.clone().ok_or_else(|| missing("role"));
        let traffic = || ask.order.traffic.clone().ok_or_else(|| missing("traffic"));
        let image = || ask.order.image.clone().ok_or_else(|| missing("image"));
        Ok(Some(match ask.step {
            RecoveryStep::BeginRecovery => BeginRecovery { saga, step, host }.into(),
            RecoveryStep::AbandonRecovery => AbandonRecovery { saga, step, host }.into(),
            RecoveryStep::LookAgain => CheckHost { saga, step, host, check: CheckKind::Before }.into(),
            RecoveryStep::DeregisterMonitoring => DeregisterMonitoring { saga, step, host }.into(),
            RecoveryStep::CordonHost => CordonHost { saga, step, host, reason: ask.order.reason() }.into(),
            RecoveryStep::UncordonHost | RecoveryStep::ReturnToService => {
                UncordonHost { saga, step, host }.into()
            }
            RecoveryStep::LeaveTraffic => LeaveTraffic { saga, step, host, traffic: traffic()? }.into(),
            RecoveryStep::ReturnTraffic => ReturnTraffic { saga, step, host, traffic: traffic()? }.into(),
            RecoveryStep::JoinTraffic => JoinTraffic { saga, step, host, traffic: traffic()? }.into(),
            RecoveryStep::RestartService => {
                let service = ask.order.service.clone().ok_or_else(|| missing("role"))?;
                RestartService { saga, step, host, service }.into()
            }
            RecoveryStep::PowerCycleHost => PowerCycleHost { saga, step, host }.into(),
            RecoveryStep::ReimageHost => ReimageHost { saga, step, host, image: image()? }.into(),
            RecoveryStep::UndeployHost => UndeployHost { saga, step, host }.into(),
            RecoveryStep::ApplyRole => ApplyRole { saga, step, host, role: role()?, revision: None }.into(),
            RecoveryStep::RegisterMonitoring => RegisterMonitoring { saga, step, host, role: role()? }.into(),
            RecoveryStep::ProvideHost | RecoveryStep::WithdrawHost => return Ok(None),
            RecoveryStep::VerifyRecovery => CheckHost { saga, step, host, check: CheckKind::After }.into(),
            RecoveryStep::GiveBackHost => {
                GiveBackHost { saga, step, host, reason: ask.order.reason() }.into()
            }
            RecoveryStep::ConcludeRecovery => {
                ConcludeRecovery { saga, step, host, outcome: outcome(&ask.facts) }.into()
            }
        }))
    }

    fn child_order(ask: &Ask<'_, Self>) -> Result<Value, SagaRefusal> {
        let order = ask.order;
        let refused =
            |why: String| SagaRefusal::Output { step: hostler_core::saga::StepName::of(ask.step, None), why };
        let (Some(role), Some(image)) = (order.role.clone(), order.image.clone()) else {
            return Err(refused(format!("the policies do not know pool {}: add it under pools", order.pool)));
        };
        let request = RequestId::new(format!("recovery.{}", ask.saga.id()));
        let request = request.map_err(|error| refused(error.to_string()))?;
        let (pool, traffic, policy) = (order.pool.clone(), order.traffic.clone(), order.provisioning);
        let take_from = Vec::new();
        let child = ProvisioningOrder { request, pool, take_from, role, image, sku: None, traffic, policy };
        // A plain record with text keys, for which this cannot fail.
        Ok(serde_json::to_value(child).unwrap_or_default())
    }

    fn check_output(step: RecoveryStep, _: Option<u32>, output: &Value) -> Result<(), serde_json::Error> {
        match Self::example_output(step) {
            Some(_) => Look::deserialize(output).map(drop),
            None => Ok(()),
        }
    }

    fn example_output(step: RecoveryStep) -> Option<Value> {
        matches!(step, RecoveryStep::LookAgain | RecoveryStep::VerifyRecovery)
            .then(|| json!({ "healthy": false }))
    }

    fn examples() -> Vec<RecoveryOrder> {
        let id = "example";
        let ids = (id.parse(), id.parse(), id.parse(), id.parse(), id.parse(), id.parse(), id.parse());
        let (Ok(host), Ok(pool), Ok(fault), Ok(role), Ok(image), Ok(service), Ok(backend)) = ids else {
            return Vec::new();
        };
        let traffic = Some(TrafficPolicy { backend, port: 80, drain_seconds: 30 });
        let order = RecoveryOrder {
            host,
            pool,
            rung: None,
            fault,
            incident: 1,
            role: Some(role),
            image: Some(image),
            traffic: None,
            out_of_traffic: false,
            service: Some(service),
            out_of_service: false,
            provisioning: ProvisioningPolicy::default(),
            verify_seconds: RecoveryPolicy::VERIFY_SECONDS,
        };
        let rungs = [
            None,
            Some(Rung::RestartService),
            Some(Rung::PowerCycle),
            Some(Rung::Reimage),
            Some(Rung::Replace),
        ];
        let mut orders: Vec<_> = rungs.map(|rung| RecoveryOrder { rung, ..order.clone() }).into();
        orders.push(RecoveryOrder { rung: Some(Rung::Replace), out_of_service: true, ..order.clone() });
        // The same in a pool with traffic.
        let order = RecoveryOrder { traffic, ..order };
        let rungs = rungs.into_iter().chain([Some(Rung::RedirectTraffic)]);
        orders.extend(rungs.map(|rung| RecoveryOrder { rung, ..order.clone() }));
        orders.push(RecoveryOrder { out_of_traffic: true, ..order });
        orders
    }
}

fn is_healthy(facts: &Facts<'_, Recovery>) -> bool {
    facts.output::<Look>(RecoveryStep::LookAgain).is_ok_and(|look| look.healthy)
}

fn outcome(facts: &Facts<'_, Recovery>) -> RemediationOutcome {
    match facts.order.rung {
        _ if is_healthy(facts) => RemediationOutcome::Needless,
        None => RemediationOutcome::Needless,
        Some(Rung::RedirectTraffic) => RemediationOutcome::Redirected,
        Some(Rung::Replace) => RemediationOutcome::Replaced,
        Some(Rung::RestartService | Rung::PowerCycle | Rung::Reimage) => RemediationOutcome::Healed,
    }
}
