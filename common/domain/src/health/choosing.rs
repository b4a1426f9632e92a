//! Confirmed, RunbookSelected, BudgetCheck and AwaitingApproval: what is to be done, and whether it may be.

use hostler_core::mutants;
use hostler_core::saga::{SagaDefinition, SagaRef};
use hostler_events::health::{
    DisruptionClaimed, FaultConfirmed, HealthEvent, RemediationApproved, RemediationAwaited,
    RemediationSuppressed,
};
use hostler_events::recovery::ClaimDisruption;
use hostler_events::site::{Autonomy, Runbook, RunbookId, Rung};
use hostler_events::{FaultClass, PoolId};
use jiff::SignedDuration;

use super::{Claim, Condition, Draft, HealthRefusal, HoldBack, HostSeen, Seen};
use crate::host::Phase;
use crate::recovery::Recovery;
use crate::support::after;

/// How long a person has to approve a remediation.
const APPROVED_WITHIN_SECONDS: u32 = 24 * 3_600;
/// After so long without an answer the budget is asked again.
const ASKED_AGAIN_SECONDS: u32 = 120;
/// What is held back is looked at again after so long; doubled each time.
const HELD_SECONDS: (u32, u32) = (30, 600);
/// The same for what fails together: it takes longer, and each look adds to a chain of causes that may not be endless.
const CORRELATED_SECONDS: (u32, u32) = (30, 3_600);
/// What is held back for so long by the same rule of the budget is a person's.
const HELD_FOR_MAX: SignedDuration = SignedDuration::from_hours(24);
/// The same for what a person has to change.
const OBSERVED_SECONDS: (u32, u32) = (900, 3_600);

/// The rule by which nothing is done without a person having changed the policies.
pub(super) const OBSERVE: &str = "observe";

/// The rule by which no member of a rack or a power domain that has an incident is repaired.
pub const CORRELATED: &str = "correlated";

/// What the policies say of a fault.
struct Plan<'a> {
    id: &'a RunbookId,
    runbook: &'a Runbook,
    autonomy: Autonomy,
}

impl Seen {
    /// What is done about a fault in a pool: nothing that neither the runbook nor the pool allows.
    fn plan(&self, fault: &FaultClass, pool: &PoolId) -> Option<Plan<'_>> {
        let id = &self.policies.policy.faults.get(fault)?.runbook;
        let runbook = self.policies.policy.runbooks.get(id)?;
        let autonomy = runbook.autonomy.min(self.policies.policy.pools.get(pool)?.autonomy);
        Some(Plan { id, runbook, autonomy })
    }
}

/// What comes next.
enum Next {
    /// This rung, and why it is not simply the next one.
    Rung(Rung, Option<String>),
    /// Nothing helps, or may help.
    Escalate(String),
}

impl Draft {
    pub(super) fn confirm(&mut self, seen: &Seen) {
        let Some((host, incident)) = self.about() else { return };
        let Some((pool, mut fault)) = self.state.incident.as_ref().map(|i| (i.pool.clone(), i.fault.clone()))
        else {
            return;
        };
        // What the incident began with may be over, and something else go on.
        let fresh = self.state.signals.values().filter(|signal| signal.is_fresh(self.now));
        let faults: Vec<&FaultClass> = fresh.filter_map(|signal| signal.fault.as_ref()).collect();
        if !faults.contains(&&fault)
            && let Some(other) = faults.first()
        {
            fault = (*other).clone();
        }
        let plan = seen.plan(&fault, &pool);
        let confirmed = FaultConfirmed {
            host,
            incident,
            runbook: plan.as_ref().map(|plan| plan.id.clone()),
            autonomy: plan.map_or(Autonomy::Observe, |plan| plan.autonomy),
            fault,
            policy_version: seen.policies.policy_version,
            at: self.now,
        };
        self.record(HealthEvent::Confirmed(confirmed));
    }

    /// Decides what is done about a confirmed fault, on how things are now. Signals may be old by then: the saga looks at the
    /// host before it does anything.
    pub(super) fn choose(&mut self, seen: &Seen) {
        let Some(incident) = self.state.incident.clone() else { return };
        let Some(host) = seen.host.clone() else { return };
        let in_service = host.phase == Phase::InService;
        if !in_service && incident.acted_at.is_none() {
            return self.recovered("the host is not in service any more", false);
        }
        let plan = seen.plan(&incident.fault, &incident.pool);
        let Some(plan) = plan.filter(|plan| plan.autonomy != Autonomy::Observe) else {
            return self.observe(seen, &host);
        };
        if let Some(saga) = &host.cordoned_by {
            let why = HoldBack {
                rule: "cordoned".to_owned(),
                limit: "one saga at a time".to_owned(),
                value: saga.to_string(),
                lifts: format!("{saga} must end"),
            };
            return self.suppress(why, None, HELD_SECONDS);
        }
        let next = self.next(plan.runbook, plan.id, in_service, host.is_in_traffic());
        let rung = if let Next::Rung(rung, _) = &next { Some(*rung) } else { None };
        let is_unapproved =
            |rung: Rung| plan.autonomy == Autonomy::Approve && !incident.approved.contains(&rung);
        let is_a_persons = rung.is_none_or(is_unapproved);
        if is_a_persons && self.waits_for_others(seen, plan.runbook.passes_brake, rung) {
            return;
        }
        match next {
            Next::Escalate(reason) => self.escalate(&reason),
            Next::Rung(rung, _) if is_a_persons => self.ask_for_approval(plan.id.clone(), rung),
            Next::Rung(rung, reason) => {
                let (id, passes_brake) = (plan.id.clone(), plan.runbook.passes_brake);
                self.claim(seen, &host, (id, passes_brake), rung, reason);
            }
        }
    }

    /// Whether it is too early to ask or tell a person about this host. While many members of its rack or power domain are faulty they
    /// are one incident, of which a person is told once. After that the host is looked at first, for it may work again.
    fn waits_for_others(&mut self, seen: &Seen, passes_brake: bool, rung: Option<Rung>) -> bool {
        if let Some(why) = seen.correlated.clone().filter(|_| !passes_brake) {
            self.suppress(why, rung, CORRELATED_SECONDS);
            return true;
        }
        let held_back = self.state.open().and_then(|incident| incident.held_back.as_ref());
        let is_back = matches!(self.state.condition, Condition::Held { .. })
            && held_back.is_some_and(|held| held.rule == CORRELATED);
        if is_back {
            self.look_only("the incident of its rack or power domain is over", seen);
        }
        is_back
    }

    /// The first rung that has attempts left. A host that is faulty again and again, or that an attempt has left out of service,
    /// can only be replaced.
    fn next(&self, runbook: &Runbook, id: &RunbookId, in_service: bool, in_traffic: bool) -> Next {
        let left = |rung: Rung, attempts: u32| {
            if rung == Rung::RedirectTraffic && !in_traffic {
                return false;
            }
            self.state.attempts_of(rung) < attempts || mutants::on("health.tries-for-ever")
        };
        let mut rungs = runbook.rungs.iter().filter(|policy| left(policy.rung, policy.attempts));
        let flapping = self.state.is_flapping(self.now) && !mutants::on("health.flaps-for-ever");
        let why = match (flapping, in_service) {
            (true, _) => format!("it recovered {} times within 10 min", self.state.recoveries.len()),
            (false, false) => "what was tried has left it out of service".to_owned(),
            (false, true) => {
                return match rungs.next() {
                    Some(policy) => Next::Rung(policy.rung, None),
                    None => {
                        let why = format!("all of runbook {id} was tried, and did not help");
                        Next::Escalate(match self.state.is_redirected() {
                            true => format!("the host is out of traffic, and not healed: {why}"),
                            false => why,
                        })
                    }
                };
            }
        };
        match rungs.find(|policy| policy.rung == Rung::Replace) {
            Some(_) => Next::Rung(Rung::Replace, Some(why)),
            None => Next::Escalate(format!("{why}, and runbook {id} has no replacement left")),
        }
    }

    /// Nothing may be done: what would be done is recorded.
    fn observe(&mut self, seen: &Seen, host: &HostSeen) {
        if !self.state.is_claimed_faulty(self.now) {
            return self.recovered("nobody says so any more; it was only observed", false);
        }
        let Some(incident) = self.state.incident.clone() else { return };
        let plan = seen.plan(&incident.fault, &incident.pool);
        let would = plan.as_ref().map(|plan| self.next(plan.runbook, plan.id, true, host.is_in_traffic()));
        let (rung, value) = match would {
            Some(Next::Rung(rung, _)) => (Some(rung), format!("would do: {}", name_of(rung))),
            Some(Next::Escalate(reason)) => (None, format!("would escalate: {reason}")),
            None => (None, format!("no runbook for {} in pool {}", incident.fault, host.pool)),
        };
        let why = HoldBack {
            rule: OBSERVE.to_owned(),
            limit: "autonomy observe".to_owned(),
            value,
            lifts: "give the pool and the runbook autonomy approve or auto in the site's policies".to_owned(),
        };
        self.suppress(why, rung, OBSERVED_SECONDS);
    }

    pub(super) fn suppress(&mut self, why: HoldBack, rung: Option<Rung>, (first, most): (u32, u32)) {
        let Some((host, incident)) = self.about() else { return };
        let before = self.state.incident.as_ref().and_then(|incident| incident.held_back.clone());
        let before = before.filter(|before| before.rule == why.rule);
        let times = before.as_ref().map_or(1, |before| before.times.saturating_add(1));
        let delay = first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(most);
        let until = after(self.now, delay);
        let HoldBack { rule, limit, value, lifts } = why;
        self.record(HealthEvent::Suppressed(RemediationSuppressed {
            host,
            incident,
            rung,
            rule,
            limit,
            value,
            lifts,
            since: before.map_or(self.now, |before| before.since),
            times,
            until,
        }));
        self.wake_at(until);
    }

    fn ask_for_approval(&mut self, runbook: RunbookId, rung: Rung) {
        let Some((host, incident)) = self.about() else { return };
        let (at, until) = (self.now, after(self.now, APPROVED_WITHIN_SECONDS));
        let asked = RemediationAwaited { host, incident, runbook, rung, at, until };
        self.record(HealthEvent::ApprovalRequested(asked));
        self.wake_at(until);
    }

    /// The runbook's timer is due at once, so that it is decided where the policies and the host are known.
    pub(super) fn approve(&mut self, reason: &str) -> Result<(), HealthRefusal> {
        let rung = self.awaited(reason)?;
        let Some((host, incident)) = self.about() else { return Err(HealthRefusal::NoIncident) };
        let reason = reason.to_owned();
        self.record(HealthEvent::Approved(RemediationApproved { host, incident, rung, reason }));
        self.wake_at(self.now);
        Ok(())
    }

    pub(super) fn reject(&mut self, reason: &str) -> Result<(), HealthRefusal> {
        let rung = self.awaited(reason)?;
        self.escalate(&format!("{} was rejected: {reason}", name_of(rung)));
        Ok(())
    }

    fn awaited(&self, reason: &str) -> Result<Rung, HealthRefusal> {
        let Some((host, _)) = self.about().filter(|_| self.state.open().is_some()) else {
            return Err(HealthRefusal::NoIncident);
        };
        match &self.state.condition {
            Condition::AwaitingApproval { .. } if reason.trim().is_empty() => Err(HealthRefusal::NoReason),
            Condition::AwaitingApproval { rung, .. } if !self.is_approved(*rung) => Ok(*rung),
            other => Err(HealthRefusal::NotAwaited { host, condition: other.name() }),
        }
    }

    fn is_approved(&self, rung: Rung) -> bool {
        self.state.incident.as_ref().is_some_and(|incident| incident.approved.contains(&rung))
    }

    pub(super) fn approved_or_too_late(&mut self, rung: Rung, seen: &Seen) {
        if self.is_approved(rung) {
            return self.choose(seen);
        }
        let incident = self.state.incident.as_ref();
        let plan = incident.and_then(|incident| seen.plan(&incident.fault, &incident.pool));
        if self.waits_for_others(seen, plan.is_some_and(|plan| plan.runbook.passes_brake), Some(rung)) {
            return;
        }
        let hours = APPROVED_WITHIN_SECONDS / 3_600;
        self.escalate(&format!("nobody approved {} within {hours} h", name_of(rung)));
    }

    fn claim(
        &mut self,
        seen: &Seen,
        host: &HostSeen,
        (runbook, passes_brake): (RunbookId, bool),
        rung: Rung,
        reason: Option<String>,
    ) {
        let Some((id, incident)) = self.about() else { return };
        let Some(saga) = self.next_saga() else { return };
        let until = after(self.now, ASKED_AGAIN_SECONDS);
        self.record(HealthEvent::Claimed(DisruptionClaimed {
            host: id.clone(),
            incident,
            runbook,
            rung,
            attempt: self.state.attempts_of(rung).saturating_add(1),
            reason,
            saga: saga.clone(),
            policy_version: seen.policies.policy_version,
            at: self.now,
            until,
        }));
        let (pool, rack) = (host.pool.clone(), host.rack.clone());
        self.send(ClaimDisruption { host: id, saga, pool, rack, passes_brake });
        self.wake_at(until);
    }

    /// The id of the host's next recovery.
    pub(super) fn next_saga(&self) -> Option<SagaRef> {
        let host = self.state.host.as_ref()?;
        // A host's id is short enough, or it would not be in service.
        SagaRef::new(Recovery::KIND, &format!("{host}.{}", self.state.sagas.saturating_add(1))).ok()
    }

    pub(super) fn held(&mut self, saga: &SagaRef, why: &HoldBack) {
        let Condition::Claiming { claim: Claim { saga: current, rung, .. }, .. } = &self.state.condition
        else {
            return;
        };
        if current != saga {
            return;
        }
        let rung = *rung;
        if why.rule == CORRELATED {
            return self.suppress(why.clone(), rung, CORRELATED_SECONDS);
        }
        let held_back = self.state.open().and_then(|incident| incident.held_back.as_ref());
        let since = held_back.filter(|held| held.rule == why.rule).map(|held| held.since);
        if since.is_some_and(|since| self.now.duration_since(since) >= HELD_FOR_MAX) {
            let HoldBack { rule, limit, value, lifts } = why;
            let hours = HELD_FOR_MAX.as_hours();
            return self.escalate(&format!(
                "it was held back for {hours} h by the rule {rule}: {value}, and the limit is {limit}; {lifts}"
            ));
        }
        self.suppress(why.clone(), rung, HELD_SECONDS);
    }
}

/// A rung as people call it.
#[must_use]
pub fn name_of(rung: Rung) -> &'static str {
    match rung {
        Rung::RedirectTraffic => "redirect-traffic",
        Rung::RestartService => "restart-service",
        Rung::PowerCycle => "power-cycle",
        Rung::Reimage => "reimage",
        Rung::Replace => "replace",
    }
}
