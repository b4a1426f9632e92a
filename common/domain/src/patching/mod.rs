//! The patching saga: one host's part in a campaign. Its stream is `patching#<campaign>.<host>`.
//!
//! It looks again whether the host still has the finding, has the host for itself and out of traffic while it works, and puts it
//! back only when it is healthy on what was installed. What comes of the finding is said by a scan, not by the installation. Of the
//! disruption budget it knows nothing: whoever starts it has claimed that.

use hostler_core::saga::{
    Action, Ask, Facts, Plan, RetryPolicy, Saga, SagaDefinition, SagaRef, SagaRefusal, SagaState, SagaStatus,
    Step, StepName,
};
use hostler_core::{Category, InvalidId, mutants};
use hostler_events::commands::PowerCycleHost;
use hostler_events::health::CheckKind;
use hostler_events::patching::{
    BeginPatching, Fix, InstallPackages, InstalledPackages, PackagesScanned, PatchOrder, PatchingPolicy,
    PatchingWanted, Reboot, RollBackPackages, ScanPackages,
};
use hostler_events::recovery::{CheckHost, CordonHost, UncordonHost};
use hostler_events::traffic::{JoinTraffic, LeaveTraffic, ReturnTraffic};
use hostler_events::{CampaignId, HostId, StepCommand, TrafficPolicy};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{looks_for, output};
use crate::traffic::{JOIN, leave_policy};

#[cfg(test)]
mod tests;

/// Patches a host.
#[derive(Debug, Clone, Copy)]
pub struct Patching;

/// Decides on `patching#` streams.
pub type PatchingSaga = Saga<Patching>;
/// What is known of a patching.
pub type PatchingState = SagaState<PatchOrder>;

/// Why a cordon is always lifted.
const CORDONED: &str = "its host would be cordoned for ever by a saga that has ended";
/// Why installed packages are always rolled back.
const HALF_PATCHED: &str = "its host would go back into traffic with what has failed";
/// What most steps wait for.
const WANTED: &str = "the host still has the finding";
/// What a reboot waits for.
const NEEDS_REBOOT: &str = "the host's system asks for it";
/// The longest that the host's packages are changed for without a word of whoever does it, beside the policy's minutes.
const CHANGE_ATTEMPTS: u32 = 3;

/// Commands to our own functions.
const OWN: RetryPolicy =
    RetryPolicy { deadline_seconds: 60, attempts: 8, backoff_seconds: 2, backoff_seconds_max: 300 };
/// A reboot: the power is taken and given back. How long the host then takes is not waited for here.
const REBOOT: RetryPolicy =
    RetryPolicy { deadline_seconds: 300, attempts: 3, backoff_seconds: 10, backoff_seconds_max: 60 };
/// A scan of what is installed.
const SCAN: RetryPolicy =
    RetryPolicy { deadline_seconds: 120, attempts: 6, backoff_seconds: 5, backoff_seconds_max: 120 };

hostler_core::step_names! {
    /// The steps of a patching, and what undoes them.
    pub enum PatchingStep {
        /// Ask whether the host still has an open finding.
        BeginPatching = "begin-patching",
        /// Have the host for this saga alone.
        CordonHost = "cordon-host",
        /// Undoes `CordonHost`.
        UncordonHost = "uncordon-host",
        /// Take the host out of traffic, once it has ended the requests that it has.
        LeaveTraffic = "leave-traffic",
        /// Undoes `LeaveTraffic`.
        ReturnTraffic = "return-traffic",
        /// Record what is installed, and install the fixed versions.
        InstallPackages = "install-packages",
        /// Undoes `InstallPackages`: install the versions that are on record. Where that fails for good the host stays out of traffic,
        /// and its health is told.
        RollBackPackages = "roll-back-packages",
        /// Take the host's power and give it back, where what was installed asks for it.
        RebootHost = "reboot-host",
        /// Ask monitoring for a healthy sample that is newer than what was done.
        CheckHost = "check-host",
        /// Put the host back into traffic.
        JoinTraffic = "join-traffic",
        /// Let others work on the host again.
        ReturnToService = "return-to-service",
        /// Have what is installed looked at, which says what has become of the finding.
        ScanPackages = "scan-packages",
    }
}

/// The saga of a host in a campaign.
///
/// # Errors
/// Where the two names are too long together.
pub fn patching_of(campaign: &CampaignId, host: &HostId) -> Result<SagaRef, InvalidId> {
    SagaRef::new(Patching::KIND, &format!("{campaign}.{host}"))
}

/// As a saga is started with it.
#[must_use]
pub fn order_value(order: &PatchOrder) -> Value {
    // A plain record with text keys, for which this cannot fail.
    serde_json::to_value(order).unwrap_or_default()
}

/// What has come of a host's part in a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatchOutcome {
    /// The host has no open finding of the advisory any more, or is not in service. Nothing was done to it.
    NothingToDo {
        /// Why.
        why: String,
    },
    /// The packages are installed, or some of them, and the host is healthy and back in traffic.
    Patched {
        /// Whether the finding is gone, as a scan says; absent where nobody could look.
        resolved: Option<bool>,
        /// Whether what is installed takes effect with the next reboot only.
        reboot_pending: bool,
        /// The packages that could not be installed.
        missing: Vec<String>,
    },
    /// It did not work, and what was done is undone.
    Failed {
        /// Why.
        reason: String,
        /// The kind of failure, where it was one.
        category: Option<Category>,
    },
    /// An operator is needed. The host may still be cordoned.
    Stuck {
        /// Why.
        reason: String,
    },
}

/// What has come of it; none while it goes on.
#[must_use]
pub fn outcome(state: &PatchingState) -> Option<PatchOutcome> {
    match &state.status {
        SagaStatus::NotStarted | SagaStatus::Running | SagaStatus::Compensating { .. } => None,
        SagaStatus::Completed => Some(completed(state)),
        SagaStatus::Compensated { reason, category } => {
            Some(PatchOutcome::Failed { reason: reason.clone(), category: *category })
        }
        SagaStatus::Stuck { failure, .. } => Some(PatchOutcome::Stuck { reason: failure.clone() }),
    }
}

fn completed(state: &PatchingState) -> PatchOutcome {
    let begun = output::<PatchingWanted>(&state.outputs, PatchingStep::BeginPatching);
    if let Some(PatchingWanted { wanted: false, why }) = begun {
        return PatchOutcome::NothingToDo { why };
    }
    let scanned = output::<PackagesScanned>(&state.outputs, PatchingStep::ScanPackages);
    let resolved = scanned.as_ref().map(|scanned| scanned.resolved);
    let installed = output::<InstalledPackages>(&state.outputs, PatchingStep::InstallPackages);
    PatchOutcome::Patched {
        resolved,
        reboot_pending: scanned.is_some_and(|scanned| scanned.reboot_pending),
        missing: installed.map(|installed| installed.missing).unwrap_or_default(),
    }
}

/// Part of the saga only where the host still has the finding.
fn if_wanted(step: Step<PatchingStep>) -> Step<PatchingStep> {
    step.when(WANTED)
}

/// One change of packages. Whoever makes it says that it is at work, which moves the deadline.
fn change(policy: PatchingPolicy) -> RetryPolicy {
    let deadline_seconds = policy.change_minutes.saturating_mul(60);
    RetryPolicy { deadline_seconds, attempts: CHANGE_ATTEMPTS, backoff_seconds: 5, backoff_seconds_max: 60 }
}

/// Rolling back is tried for longer than the host counts failures, which ends it.
fn roll_back(policy: PatchingPolicy) -> RetryPolicy {
    RetryPolicy { attempts: 12, backoff_seconds_max: 300, ..change(policy) }
}

impl SagaDefinition for Patching {
    const KIND: &'static str = "patching";
    const VERSION: u32 = 1;
    type Order = PatchOrder;
    type Step = PatchingStep;
    type Command = StepCommand;

    fn plan(version: u32, order: &PatchOrder) -> Option<Plan<PatchingStep>> {
        use PatchingStep::{
            BeginPatching, CheckHost, CordonHost, InstallPackages, JoinTraffic, LeaveTraffic, RebootHost,
            ReturnToService, ReturnTraffic, RollBackPackages, ScanPackages, UncordonHost,
        };
        if version != 1 {
            return None;
        }
        let traffic = order.traffic.as_ref();
        let in_traffic =
            |plan: Plan<PatchingStep>, step: &dyn Fn(&TrafficPolicy) -> Step<PatchingStep>| match traffic {
                Some(traffic) => plan.then(if_wanted(step(traffic))),
                None => plan,
            };
        let begun = Plan::default()
            .then(Step::ask(BeginPatching, OWN).stopped_on_cancel())
            .then(if_wanted(Step::ask(CordonHost, OWN)).always_undone_by(UncordonHost, OWN, CORDONED));
        let alone = in_traffic(begun, &|traffic| {
            Step::ask(LeaveTraffic, leave_policy(traffic.drain_seconds)).undone_by(ReturnTraffic, JOIN)
        });
        let (policy, healthy_seconds) = (order.policy, order.policy.healthy_minutes.saturating_mul(60));
        let install = Step::ask(InstallPackages, change(policy)).never_skipped(HALF_PATCHED);
        let install = install.always_undone_by(RollBackPackages, roll_back(policy), HALF_PATCHED);
        let installed = alone.then(if_wanted(install));
        let rebooted = match order.reboot {
            Reboot::WhenNeeded => installed.then(Step::ask(RebootHost, REBOOT).when(NEEDS_REBOOT)),
            Reboot::Never => installed,
        };
        let healthy = rebooted.then(if_wanted(Step::ask(CheckHost, looks_for(healthy_seconds))));
        let serving = in_traffic(healthy, &|_| Step::ask(JoinTraffic, JOIN));
        // Nothing is undone on a host that others may work on.
        let returned = Step::ask(ReturnToService, OWN).never_skipped(CORDONED).pivot();
        Some(serving.then(if_wanted(returned)).then(if_wanted(Step::ask(ScanPackages, SCAN).best_effort())))
    }

    fn applies(step: PatchingStep, _: Option<u32>, facts: &Facts<'_, Self>) -> bool {
        let wanted =
            facts.output::<PatchingWanted>(PatchingStep::BeginPatching).is_ok_and(|begun| begun.wanted);
        let wanted = wanted || mutants::on("patching.looks-not-again");
        let installed = || facts.output::<InstalledPackages>(PatchingStep::InstallPackages);
        let needs_reboot = || installed().is_ok_and(|installed| installed.reboot_pending);
        wanted && (step != PatchingStep::RebootHost || needs_reboot())
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<StepCommand>, SagaRefusal> {
        let (saga, step, host) = (ask.saga.clone(), ask.id.clone(), ask.order.host.clone());
        let advisory = ask.order.advisory.clone();
        // Whoever works on the host is waited for, because only the answer tells what there is to undo.
        if ask.action == Action::Stop {
            return Ok(None);
        }
        let traffic = || {
            let why = "the order names no backend".to_owned();
            let step = StepName::of(ask.step, None);
            ask.order.traffic.clone().ok_or(SagaRefusal::Output { step, why })
        };
        Ok(Some(match ask.step {
            PatchingStep::BeginPatching => BeginPatching { saga, step, host, advisory }.into(),
            PatchingStep::CordonHost => {
                let reason = format!("patched for {advisory}, campaign {}", ask.order.campaign);
                CordonHost { saga, step, host, reason }.into()
            }
            PatchingStep::UncordonHost | PatchingStep::ReturnToService => {
                UncordonHost { saga, step, host }.into()
            }
            PatchingStep::LeaveTraffic => LeaveTraffic { saga, step, host, traffic: traffic()? }.into(),
            PatchingStep::ReturnTraffic => ReturnTraffic { saga, step, host, traffic: traffic()? }.into(),
            PatchingStep::JoinTraffic => JoinTraffic { saga, step, host, traffic: traffic()? }.into(),
            PatchingStep::InstallPackages => {
                InstallPackages { saga, step, host, fixes: ask.order.fixes.clone() }.into()
            }
            PatchingStep::RollBackPackages => RollBackPackages { saga, step, host }.into(),
            PatchingStep::RebootHost => PowerCycleHost { saga, step, host }.into(),
            PatchingStep::CheckHost => CheckHost { saga, step, host, check: CheckKind::Gate }.into(),
            PatchingStep::ScanPackages => ScanPackages { saga, step, host, advisory }.into(),
        }))
    }

    fn check_output(step: PatchingStep, _: Option<u32>, output: &Value) -> Result<(), serde_json::Error> {
        match step {
            PatchingStep::BeginPatching => PatchingWanted::deserialize(output).map(drop),
            PatchingStep::InstallPackages => InstalledPackages::deserialize(output).map(drop),
            PatchingStep::ScanPackages => PackagesScanned::deserialize(output).map(drop),
            PatchingStep::CordonHost
            | PatchingStep::UncordonHost
            | PatchingStep::LeaveTraffic
            | PatchingStep::ReturnTraffic
            | PatchingStep::RollBackPackages
            | PatchingStep::RebootHost
            | PatchingStep::CheckHost
            | PatchingStep::JoinTraffic
            | PatchingStep::ReturnToService => Ok(()),
        }
    }

    fn example_output(step: PatchingStep) -> Option<Value> {
        match step {
            PatchingStep::BeginPatching => Some(json!({ "wanted": true })),
            PatchingStep::InstallPackages => Some(json!({ "changed": [], "rebootPending": true })),
            PatchingStep::ScanPackages => Some(json!({ "resolved": true, "rebootPending": false })),
            PatchingStep::CordonHost
            | PatchingStep::UncordonHost
            | PatchingStep::LeaveTraffic
            | PatchingStep::ReturnTraffic
            | PatchingStep::RollBackPackages
            | PatchingStep::RebootHost
            | PatchingStep::CheckHost
            | PatchingStep::JoinTraffic
            | PatchingStep::ReturnToService => None,
        }
    }

    fn examples() -> Vec<PatchOrder> {
        let id = "example";
        let ids = (id.parse(), id.parse(), id.parse(), id.parse(), id.parse());
        let (Ok(campaign), Ok(advisory), Ok(host), Ok(pool), Ok(backend)) = ids else { return Vec::new() };
        let order = PatchOrder {
            campaign,
            advisory,
            host,
            pool,
            fixes: vec![Fix { package: "openssl".to_owned(), version: "3.0.11-1~deb12u2".to_owned() }],
            reboot: Reboot::WhenNeeded,
            traffic: None,
            policy: PatchingPolicy::default(),
        };
        let traffic = Some(TrafficPolicy { backend, port: 80, drain_seconds: 30 });
        let in_traffic = PatchOrder { traffic, ..order.clone() };
        let never = PatchOrder { reboot: Reboot::Never, ..in_traffic.clone() };
        vec![order, in_traffic, never]
    }
}
