//! Acting and Verifying: what a saga is told, what it tells, and what follows from how it ended.

use hostler_core::Category;
use hostler_core::failure::clip;
use hostler_core::mutants;
use hostler_core::saga::{SagaCommand, SagaRef, StartSaga, StepReply};
use hostler_events::health::{
    CheckKind, HealthEvent, HostChecked, RemediationEnded, RemediationOutcome, RemediationStarted,
};
use hostler_events::recovery::ReturnDisruption;
use hostler_events::site::{Rung, RungPolicy};
use hostler_events::{HostId, StepId};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Claim, Condition, Draft, Seen};
use crate::host::Phase;
use crate::recovery::RecoveryOrder;
use crate::support::after;

/// The longest delay between two attempts.
const DELAY_SECONDS_MAX: u32 = 3_600;

impl Draft {
    fn claim_of(&self, saga: &SagaRef) -> Option<Claim> {
        let (Condition::Claiming { claim, .. } | Condition::Acting { claim, .. }) = &self.state.condition
        else {
            return None;
        };
        (claim.saga == *saga).then(|| claim.clone())
    }

    fn is_acting(&self, saga: &SagaRef) -> bool {
        self.state.acting() == Some(saga)
    }

    /// The host may be disturbed now. It is looked at again: what is not wanted any more gives the budget back.
    pub(super) fn granted(&mut self, saga: &SagaRef, seen: &Seen) {
        if self.is_acting(saga) {
            return;
        }
        let Some((claim, rung)) = self.claim_of(saga).and_then(|claim| Some((claim.clone(), claim.rung?)))
        else {
            return self.send(ReturnDisruption { saga: saga.clone() });
        };
        let in_service = seen.host.as_ref().is_some_and(|host| host.phase == Phase::InService);
        if !in_service && rung != Rung::Replace {
            self.send(ReturnDisruption { saga: saga.clone() });
            return self.choose(seen);
        }
        self.start(&claim, None, seen);
    }

    /// Has a saga look at the host, and do nothing else.
    pub(super) fn look_only(&mut self, why: &str, seen: &Seen) {
        let Some(saga) = self.next_saga() else { return };
        self.start(&Claim { saga, rung: None, attempt: 0 }, Some(why.to_owned()), seen);
    }

    fn start(&mut self, claim: &Claim, reason: Option<String>, seen: &Seen) {
        let Some((host, incident)) = self.about() else { return };
        let Some(now) = self.state.incident.clone() else { return };
        let pool = seen.policies.policy.pools.get(&now.pool);
        let joined = seen.host.as_ref().and_then(|host| host.traffic.as_ref());
        // A role is the service that its hosts are for, where its name can be one.
        let role = || pool.and_then(|pool| pool.role.as_str().parse().ok());
        let order = RecoveryOrder {
            host: host.clone(),
            pool: now.pool.clone(),
            rung: claim.rung,
            fault: now.fault.clone(),
            incident,
            role: pool.map(|pool| pool.role.clone()),
            image: pool.map(|pool| pool.image.clone()),
            traffic: pool
                .and_then(|pool| pool.traffic.clone())
                .or_else(|| joined.map(|traffic| traffic.policy.clone())),
            out_of_traffic: joined.is_some_and(|traffic| !traffic.is_in()),
            service: self.state.failed_service(&now.fault, self.now).cloned().or_else(role),
            out_of_service: seen.host.as_ref().is_none_or(|host| host.phase != Phase::InService),
            provisioning: seen.provisioning,
            verify_seconds: seen.policies.policy.recovery.verify_seconds,
        };
        let fault = seen.policies.policy.faults.get(&now.fault);
        let runbook = fault.map(|fault| fault.runbook.clone()).filter(|_| claim.rung.is_some());
        let (rung, attempt, saga) = (claim.rung, claim.attempt, claim.saga.clone());
        self.record(HealthEvent::Started(RemediationStarted {
            host,
            incident,
            runbook,
            rung,
            attempt,
            reason,
            saga: saga.clone(),
            at: self.now,
        }));
        self.send(SagaCommand::from(StartSaga { saga, order: order.to_value(), parent: None }));
    }

    /// The saga asks whether it is still wanted. One that is not is undone, which tells so.
    pub(super) fn begin(&mut self, saga: &SagaRef, step: &StepId, seen: &Seen) {
        let (saga, step) = (saga.clone(), step.clone());
        let phase = seen.host.as_ref().map(|host| host.phase);
        let replaces = self.claim_of(&saga).is_some_and(|claim| claim.rung == Some(Rung::Replace));
        let reply = match phase {
            _ if !self.is_acting(&saga) => {
                Err("the incident does not wait for this saga any more".to_owned())
            }
            Some(Phase::InService) => Ok(()),
            Some(_) if replaces => Ok(()),
            Some(phase) => Err(format!("the host is {}, and not in service", phase.name())),
            None => Err("the host is not enrolled".to_owned()),
        };
        self.send(match reply {
            Ok(()) => StepReply::succeeded(saga, step, Value::Null),
            Err(reason) => StepReply::failed(saga, step, Category::Business, reason),
        });
    }

    /// A gate is that of a saga that has the host for itself, whatever is known of the host's health.
    pub(super) fn begin_check(&mut self, host: &HostId, saga: &SagaRef, step: &StepId, check: CheckKind) {
        let begins = match (check, &self.state.condition) {
            (CheckKind::Gate, _) => self.state.gate.as_ref().is_none_or(|gate| gate.saga != *saga),
            (CheckKind::Before | CheckKind::After, Condition::Acting { claim, checks, .. }) => {
                claim.saga == *saga && !checks.contains_key(&check)
            }
            (CheckKind::Before | CheckKind::After, _) => false,
        };
        if begins {
            self.check_recorded(host, saga, step, check, None, None);
        }
    }

    fn check_recorded(
        &mut self,
        host: &HostId,
        saga: &SagaRef,
        step: &StepId,
        check: CheckKind,
        healthy: Option<bool>,
        reason: Option<String>,
    ) {
        let (host, saga, step, at) = (host.clone(), saga.clone(), step.clone(), self.now);
        self.record(HealthEvent::Checked(HostChecked { host, saga, step, check, healthy, reason, at }));
    }

    /// Before a remediation both answers are good ones. After it only health is.
    pub(super) fn checked(&mut self, saga: &SagaRef, step: &StepId, check: CheckKind, faulty: Option<&str>) {
        let (healthy, reason) = (faulty.is_none(), faulty.map(clip));
        let is_awaited = match check {
            CheckKind::Gate => self.state.gate.as_ref().is_some_and(|gate| gate.saga == *saga),
            CheckKind::Before | CheckKind::After => self.is_acting(saga),
        };
        if let Some(host) = self.state.host.clone().filter(|_| is_awaited) {
            self.check_recorded(&host, saga, step, check, Some(healthy), reason.clone());
        }
        let (saga, step) = (saga.clone(), step.clone());
        let is_good = check == CheckKind::Before || mutants::on("health.believes-without-a-look");
        self.send(match reason.filter(|_| !is_good) {
            Some(reason) => StepReply::failed(saga, step, Category::Transient, reason),
            None => StepReply::succeeded(saga, step, json!({ "healthy": healthy })),
        });
    }

    pub(super) fn check_failed(&mut self, saga: &SagaRef, step: &StepId, category: Category, reason: &str) {
        self.send(StepReply::failed(saga.clone(), step.clone(), category, clip(reason)));
    }

    pub(super) fn check_deferred(&mut self, saga: &SagaRef, step: &StepId, until: Timestamp, reason: &str) {
        self.send(StepReply::deferred(saga.clone(), step.clone(), until, clip(reason)));
    }

    /// Somebody else may work on the host for a while.
    pub(super) fn given_back(&mut self, saga: &SagaRef, step: &StepId, refused: Option<&str>) {
        let (saga, step) = (saga.clone(), step.clone());
        self.send(match refused {
            None => StepReply::succeeded(saga, step, Value::Null),
            Some(reason) => StepReply::failed(saga, step, Category::Transient, clip(reason)),
        });
    }

    fn answer_end(&mut self, saga: &SagaRef, step: &StepId) {
        self.send(StepReply::succeeded(saga.clone(), step.clone(), Value::Null));
        self.send(ReturnDisruption { saga: saga.clone() });
    }

    /// Monitoring has seen the host healthy, or another one serves in its place. Signals that began during the repair may be its
    /// own doing: what is still said when that has settled is a fault.
    pub(super) fn concluded(
        &mut self,
        saga: &SagaRef,
        step: &StepId,
        outcome: RemediationOutcome,
        seen: &Seen,
    ) {
        self.answer_end(saga, step);
        let Some(claim) = self.claim_of(saga).filter(|_| self.is_acting(saga)) else { return };
        if outcome == RemediationOutcome::Redirected {
            return self.redirected(saga);
        }
        self.ended(saga, outcome, None, None);
        let reason = match outcome {
            RemediationOutcome::Replaced => "another host serves in its place",
            RemediationOutcome::Needless | RemediationOutcome::Failed | RemediationOutcome::Redirected => {
                "monitoring sees it healthy"
            }
            RemediationOutcome::Healed => "monitoring sees it healthy since it was repaired",
        };
        let remediated = outcome == RemediationOutcome::Healed && claim.rung.is_some();
        self.recovered(reason, remediated);
        let settled_at = self.now.checked_add(super::SETTLES_WITHIN).unwrap_or(self.now);
        let goes_on = self.state.signals.values().find(|signal| signal.is_fresh(self.now));
        let fault = goes_on.and_then(|signal| signal.fault.clone());
        let host = seen.host.as_ref().filter(|host| host.phase == Phase::InService);
        if let (Some(fault), Some(host)) = (fault, host) {
            self.suspect(&fault, host, seen, settled_at);
        }
    }

    /// The host is out of traffic and as faulty as before: the next rung follows at once.
    fn redirected(&mut self, saga: &SagaRef) {
        self.ended(saga, RemediationOutcome::Redirected, None, Some(self.now));
        self.wake_at(self.now);
    }

    /// It did not help. The same is tried again after a delay that grows, then the next rung at once.
    pub(super) fn abandoned(&mut self, saga: &SagaRef, step: &StepId, reason: &str, seen: &Seen) {
        self.answer_end(saga, step);
        let Some(claim) = self.claim_of(saga).filter(|_| self.is_acting(saga)) else { return };
        let policy = claim.rung.and_then(|rung| self.policy_of(rung, seen));
        let again = policy.filter(|policy| claim.attempt < policy.attempts);
        let delay = again.map_or(0, |policy| {
            let doublings = claim.attempt.saturating_sub(1).min(16);
            policy.delay_seconds.saturating_mul(1 << doublings).min(DELAY_SECONDS_MAX)
        });
        let next_at = after(self.now, delay);
        self.ended(saga, RemediationOutcome::Failed, Some(clip(reason)), Some(next_at));
        self.wake_at(next_at);
    }

    fn policy_of(&self, rung: Rung, seen: &Seen) -> Option<RungPolicy> {
        let fault = &self.state.incident.as_ref()?.fault;
        let runbook = seen.policies.policy.runbooks.get(&seen.policies.policy.faults.get(fault)?.runbook)?;
        runbook.rungs.iter().find(|policy| policy.rung == rung).copied()
    }

    fn ended(
        &mut self,
        saga: &SagaRef,
        outcome: RemediationOutcome,
        reason: Option<String>,
        next_at: Option<Timestamp>,
    ) {
        let Some((host, _)) = self.about() else { return };
        let (saga, at) = (saga.clone(), self.now);
        self.record(HealthEvent::Ended(RemediationEnded { host, saga, outcome, reason, at, next_at }));
    }
}
