//! Healthy and Suspect: what a signal begins, joins or ends.

use hostler_core::mutants;
use hostler_events::health::{
    HealthEvent, HostSuspected, RemediationSuppressed, SignalDropped, SignalReceived,
};
use hostler_events::signal::SignalStatus;
use hostler_events::{FaultClass, Signal};
use jiff::Timestamp;

use super::choosing::OBSERVE;
use super::state::signal_name;
use super::{Condition, Draft, HealthRefusal, HostSeen, KnownSignal, SETTLES_WITHIN, Seen};
use crate::host::Phase;
use crate::support::after;

impl Draft {
    /// Repeats are told by fingerprint, start and status, and change nothing, so that a storm of them grows no stream.
    pub(super) fn signal(&mut self, signal: &Signal, seen: &Seen) -> Result<(), HealthRefusal> {
        let Some(host) = &seen.host else {
            return Err(HealthRefusal::UnknownHost { alert: signal.summary.clone() });
        };
        let header = &signal.header;
        let name = signal_name(&header.source, &header.fingerprint);
        let known = self.state.signals.get(&name).cloned();
        match header.status {
            SignalStatus::Firing => self.firing(signal, known.as_ref(), host, seen),
            SignalStatus::Resolved => self.resolved(signal, known.as_ref(), host, seen),
        }
        Ok(())
    }

    fn firing(&mut self, signal: &Signal, known: Option<&KnownSignal>, host: &HostSeen, seen: &Seen) {
        let header = &signal.header;
        let is_known =
            known.is_some_and(|known| known.starts_at == header.starts_at && known.status == header.status);
        if self.now >= header.expires_at && !mutants::on("health.acts-on-stale-signals") {
            if !is_known {
                self.drop_signal(signal, host, "it is older than its shelf life");
            }
            return;
        }
        if self.state.open().is_some() {
            let goes_on = known.filter(|known| is_known && known.fault.is_some());
            let is_news = goes_on.is_none_or(|known| self.is_worth_renewing(known, header.expires_at));
            let is_over = matches!(self.state.condition, Condition::Escalated { .. });
            if is_news && !is_over {
                self.receive(signal, host);
            }
            return;
        }
        if host.phase != Phase::InService {
            if !is_known {
                self.not_in_service(signal, host);
            }
            return;
        }
        self.receive(signal, host);
        self.suspect(&signal.fault, host, seen, self.settled_at());
    }

    /// A signal that goes on is recorded anew when half of its shelf life is over.
    fn is_worth_renewing(&self, known: &KnownSignal, expires_at: Timestamp) -> bool {
        let left = known.expires_at.duration_since(self.now);
        let gained = expires_at.duration_since(known.expires_at);
        gained.is_positive() && left < gained
    }

    /// Until when what was done to the host may still set off signals of its own.
    fn settled_at(&self) -> Timestamp {
        let repaired = self.state.recoveries.last().filter(|at| self.state.healthy_since == Some(**at));
        let settled = repaired.and_then(|at| at.checked_add(SETTLES_WITHIN).ok());
        settled.unwrap_or(self.now)
    }

    /// An incident begins. What may come of a repair is waited for, too: if it goes on after that, it is a fault.
    pub(super) fn suspect(
        &mut self,
        fault: &FaultClass,
        host: &HostSeen,
        seen: &Seen,
        settled_at: Timestamp,
    ) {
        let toleration_seconds =
            seen.policies.policy.faults.get(fault).map_or(0, |fault| fault.toleration_seconds);
        let until = after(self.now, toleration_seconds).max(settled_at);
        let incident = self.state.incident.as_ref().map_or(0, |incident| incident.number).saturating_add(1);
        self.record(HealthEvent::Suspected(HostSuspected {
            host: host.host.clone(),
            incident,
            pool: host.pool.clone(),
            rack: host.rack.clone(),
            fault: fault.clone(),
            toleration_seconds,
            policy_version: seen.policies.policy_version,
            at: self.now,
            until,
        }));
        self.report(true);
        self.wake_at(until);
    }

    /// "Resolved" ends a suspicion. Of a confirmed fault it is no proof: monitoring is asked. While a saga acts it changes
    /// nothing, for the saga asks monitoring itself.
    fn resolved(&mut self, signal: &Signal, known: Option<&KnownSignal>, host: &HostSeen, seen: &Seen) {
        let goes_on = known.is_some_and(|known| {
            known.fault.is_some()
                && known.status == SignalStatus::Firing
                && known.starts_at <= signal.header.starts_at
        });
        if !goes_on
            || self.state.open().is_none()
            || matches!(self.state.condition, Condition::Escalated { .. })
        {
            return;
        }
        self.receive(signal, host);
        if self.state.is_claimed_faulty(self.now) {
            return;
        }
        let held_back = self.state.open().and_then(|incident| incident.held_back.as_ref());
        let is_observed = held_back.is_some_and(|held| held.rule == OBSERVE);
        match &self.state.condition {
            Condition::Held { .. } if is_observed => {
                self.recovered("its sources say that it has ended; it was only observed", false);
            }
            Condition::Suspect { .. } => {
                self.recovered("its sources say that it ended while it was tolerated", false);
            }
            Condition::Held { .. } | Condition::AwaitingApproval { .. } | Condition::Waiting { .. } => {
                self.look_only("its sources say that it has ended", seen);
            }
            Condition::Healthy
            | Condition::Claiming { .. }
            | Condition::Acting { .. }
            | Condition::Escalated { .. } => {}
        }
    }

    fn receive(&mut self, signal: &Signal, host: &HostSeen) {
        let (host, signal) = (host.host.clone(), signal.clone());
        self.record(HealthEvent::SignalReceived(SignalReceived { host, signal, at: self.now }));
    }

    fn drop_signal(&mut self, signal: &Signal, host: &HostSeen, reason: &str) {
        let header = &signal.header;
        self.record(HealthEvent::SignalDropped(SignalDropped {
            host: host.host.clone(),
            fingerprint: signal_name(&header.source, &header.fingerprint),
            starts_at: header.starts_at,
            status: header.status,
            expires_at: header.expires_at,
            reason: reason.to_owned(),
        }));
    }

    /// A host that boots, drains or is cleaned looks faulty from outside, and is not repaired.
    fn not_in_service(&mut self, signal: &Signal, host: &HostSeen) {
        let phase = host.phase.name();
        self.record(HealthEvent::Suppressed(RemediationSuppressed {
            host: host.host.clone(),
            incident: 0,
            rung: None,
            rule: "provisioning".to_owned(),
            limit: "hosts in service".to_owned(),
            value: phase.to_owned(),
            lifts: "the host comes into service, and its source says so again".to_owned(),
            since: self.now,
            times: 1,
            until: self.now,
        }));
        self.drop_signal(signal, host, &format!("the host is {phase}, and not in service"));
    }

    /// The toleration is over. Only what is still said, and was said lately, is a fault.
    pub(super) fn tolerated_long_enough(&mut self, seen: &Seen) {
        let in_service = seen.host.as_ref().is_some_and(|host| host.phase == Phase::InService);
        if !in_service {
            return self.recovered("the host is not in service any more", false);
        }
        if !self.state.is_claimed_faulty(self.now) {
            let reason = "nobody has said so lately: what was said is older than its shelf life";
            return self.recovered(reason, false);
        }
        self.confirm(seen);
        self.choose(seen);
    }
}
