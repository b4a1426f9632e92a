//! What is known of a host's health, and how its events add up to it.

use std::collections::BTreeMap;

use hostler_core::saga::SagaRef;
use hostler_events::health::{
    CheckKind, DisruptionClaimed, HealthEvent, HostChecked, HostSuspected, RemediationEnded,
    RemediationOutcome, RemediationStarted, RemediationSuppressed, SignalDropped, SignalReceived, Story,
    Tried,
};
use hostler_events::signal::SignalStatus;
use hostler_events::site::Rung;
use hostler_events::{FaultClass, FaultDomain, HostId, PoolId, Service};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::gate::{self, Gate};

/// The label by which a signal names the service that has failed.
const SERVICE_LABEL: &str = "service";
/// How many signals of a host are remembered; the one that began first is forgotten first.
const SIGNALS_MAX: usize = 32;
/// How many remediations of one incident are told.
const TRIED_MAX: usize = 40;
/// After so long in health, attempts count from the beginning again.
pub const COUNTERS_RESET_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// Within so long, [`FLAPPING_RECOVERIES`] recoveries are flapping.
pub const FLAPPING_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// How many recoveries are flapping.
pub const FLAPPING_RECOVERIES: usize = 3;
/// For so long after a repair, what it set off itself may still be told.
pub const SETTLES_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// What is known of a host's health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthState {
    /// The host; absent until the first signal.
    pub host: Option<HostId>,
    /// Where it is on its way from a signal to health.
    pub condition: Condition,
    /// The newest incident, also when it is over.
    pub incident: Option<Incident>,
    /// What sources say, by source and fingerprint.
    pub signals: BTreeMap<String, KnownSignal>,
    /// How many sagas were named. Their ids are numbered by it and never repeat.
    pub sagas: u32,
    /// How many waits have begun. The timer of each has its number.
    pub waits: u32,
    /// How often each rung was tried since the host was last healthy for long.
    pub attempts: BTreeMap<Rung, u32>,
    /// When the host recovered by what was done to it, the newest last.
    pub recoveries: Vec<Timestamp>,
    /// Since when it is healthy again.
    pub healthy_since: Option<Timestamp>,
    /// What was done to the host last that was no repair, and after which it must be healthy.
    #[serde(default)]
    pub gate: Option<Gate>,
}

/// Where a host is on its way from a signal to health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Condition {
    /// Nothing is known to be wrong.
    #[default]
    Healthy,
    /// Something may be wrong; it is tolerated.
    Suspect {
        /// When it is looked at again.
        until: Timestamp,
    },
    /// The budget is asked for what is to be done.
    Claiming {
        /// What is to be done.
        claim: Claim,
        /// When it is asked again if no answer came.
        until: Timestamp,
    },
    /// Something is to be done, and held back.
    Held {
        /// When it is looked at again.
        until: Timestamp,
    },
    /// A person is asked.
    AwaitingApproval {
        /// What is to be done.
        rung: Rung,
        /// Until when.
        until: Timestamp,
    },
    /// A saga does something, or looks at the host.
    Acting {
        /// What is done.
        claim: Claim,
        /// Since when.
        since: Timestamp,
        /// Since when a sample of monitoring counts, by why it is looked at.
        checks: BTreeMap<CheckKind, Timestamp>,
    },
    /// The delay before the next attempt runs.
    Waiting {
        /// Until when.
        until: Timestamp,
    },
    /// Nothing is done until a person has looked.
    Escalated {
        /// Why.
        reason: String,
    },
}

impl Condition {
    /// The name in views.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Suspect { .. } => "suspect",
            Self::Claiming { .. } => "claiming",
            Self::Held { .. } => "held",
            Self::AwaitingApproval { .. } => "awaits-approval",
            Self::Acting { claim: Claim { rung: None, .. }, .. } => "verifying",
            Self::Acting { .. } => "acting",
            Self::Waiting { .. } => "waiting",
            Self::Escalated { .. } => "escalated",
        }
    }
}

/// What a saga is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The saga.
    pub saga: SagaRef,
    /// What; absent where the host is only looked at.
    pub rung: Option<Rung>,
    /// The number of the attempt.
    pub attempt: u32,
}

/// What a source says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownSignal {
    /// When it began.
    pub starts_at: Timestamp,
    /// Whether it goes on.
    pub status: SignalStatus,
    /// Until when it may be acted on.
    pub expires_at: Timestamp,
    /// What is wrong; absent where the signal was dropped.
    pub fault: Option<FaultClass>,
    /// What it says, for people.
    pub summary: String,
    /// The service that has failed, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
}

impl KnownSignal {
    /// Whether it may be acted on now.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.status == SignalStatus::Firing && self.fault.is_some() && now < self.expires_at
    }
}

/// From a signal to the end of what it led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Its number among those of the host, from 1.
    pub number: u32,
    /// The host's pool.
    pub pool: PoolId,
    /// The host's rack.
    pub rack: FaultDomain,
    /// What is wrong.
    pub fault: FaultClass,
    /// When it was noticed.
    pub detected_at: Timestamp,
    /// When it had gone on for longer than it is tolerated.
    pub confirmed_at: Option<Timestamp>,
    /// When it was first known what is to be done.
    pub decided_at: Option<Timestamp>,
    /// When something was first done.
    pub acted_at: Option<Timestamp>,
    /// When the host was last seen to be healthy.
    pub verified_at: Option<Timestamp>,
    /// When it was over.
    pub closed_at: Option<Timestamp>,
    /// How it ended.
    pub ended: Option<String>,
    /// What was tried, the newest last.
    pub tried: Vec<Tried>,
    /// What a person has approved.
    pub approved: Vec<Rung>,
    /// What holds it back, or did so last.
    pub held_back: Option<HeldBack>,
}

/// What holds a remediation back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldBack {
    /// By which rule.
    pub rule: String,
    /// Since when.
    pub since: Timestamp,
    /// How often in a row.
    pub times: u32,
    /// What was found, and what would lift it, for people.
    pub why: String,
}

impl HealthState {
    /// The incident that is not over.
    #[must_use]
    pub fn open(&self) -> Option<&Incident> {
        self.incident.as_ref().filter(|incident| incident.closed_at.is_none())
    }

    /// The saga that acts now, or is about to.
    #[must_use]
    pub fn acting(&self) -> Option<&SagaRef> {
        if let Condition::Acting { claim, .. } = &self.condition { Some(&claim.saga) } else { None }
    }

    /// The service that has failed, as a signal of this fault names it that goes on.
    #[must_use]
    pub fn failed_service(&self, fault: &FaultClass, now: Timestamp) -> Option<&Service> {
        let mut signals = self.signals.values().filter(|signal| signal.is_fresh(now));
        signals.find_map(|signal| signal.service.as_ref().filter(|_| signal.fault.as_ref() == Some(fault)))
    }

    /// How often this rung was tried since the host was last healthy for long.
    #[must_use]
    pub fn attempts_of(&self, rung: Rung) -> u32 {
        self.attempts.get(&rung).copied().unwrap_or(0)
    }

    /// Whether some source says, and has said so lately, that something is wrong.
    #[must_use]
    pub fn is_claimed_faulty(&self, now: Timestamp) -> bool {
        self.signals.values().any(|signal| signal.is_fresh(now))
    }

    /// Whether the host was repaired so often lately that repairing it again is no help.
    #[must_use]
    pub fn is_flapping(&self, now: Timestamp) -> bool {
        let lately = self.recoveries.iter().filter(|at| now.duration_since(**at) < FLAPPING_WITHIN);
        lately.count() >= FLAPPING_RECOVERIES
    }

    /// Whether the host was taken out of traffic because of what is wrong, and nothing has healed it since.
    #[must_use]
    pub fn is_redirected(&self) -> bool {
        let redirected = |tried: &Tried| tried.outcome == Some(RemediationOutcome::Redirected);
        self.open().is_some_and(|incident| incident.tried.iter().any(redirected))
    }

    /// The whole of the incident, for a person.
    #[must_use]
    pub fn story(&self) -> Option<Story> {
        let incident = self.incident.as_ref()?;
        let signals = self.signals.iter().filter(|(_, signal)| signal.fault.is_some());
        Some(Story {
            fault: incident.fault.clone(),
            detected_at: incident.detected_at,
            confirmed_at: incident.confirmed_at,
            signals: signals
                .map(|(name, signal)| format!("{name} since {}: {}", signal.starts_at, signal.summary))
                .collect(),
            tried: incident.tried.clone(),
            held_back_by: incident.held_back.as_ref().map(|held| held.why.clone()),
        })
    }
}

/// The name of a signal: a fingerprint is its source's own.
pub(super) fn signal_name(source: &str, fingerprint: &str) -> String {
    format!("{source}/{fingerprint}")
}

/// How a host's events add up to its health. An event is a fact, and is applied whatever came before it.
pub(super) fn evolve(mut state: HealthState, event: &HealthEvent) -> HealthState {
    match event {
        HealthEvent::SignalReceived(e) => received(&mut state, e),
        HealthEvent::SignalDropped(e) => dropped(&mut state, e),
        HealthEvent::Suspected(e) => suspected(&mut state, e),
        HealthEvent::Confirmed(e) => {
            if let Some(incident) = &mut state.incident {
                incident.confirmed_at = Some(e.at);
                incident.fault = e.fault.clone();
            }
        }
        HealthEvent::Suppressed(e) => suppressed(&mut state, e),
        HealthEvent::ApprovalRequested(e) => {
            state.waits = state.waits.saturating_add(1);
            state.condition = Condition::AwaitingApproval { rung: e.rung, until: e.until };
        }
        HealthEvent::Approved(e) => {
            state.waits = state.waits.saturating_add(1);
            if let Some(incident) = &mut state.incident {
                incident.approved.push(e.rung);
            }
        }
        HealthEvent::Claimed(e) => claimed(&mut state, e),
        HealthEvent::Started(e) => started(&mut state, e),
        HealthEvent::Checked(e) => checked(&mut state, e),
        HealthEvent::Ended(e) => ended(&mut state, e),
        HealthEvent::Recovered(e) => {
            close(&mut state, e.at, &e.reason);
            state.healthy_since = Some(e.at);
            if e.remediated {
                if state.recoveries.len() >= FLAPPING_RECOVERIES {
                    state.recoveries.remove(0);
                }
                state.recoveries.push(e.at);
            }
        }
        HealthEvent::Escalated(e) => {
            state.waits = state.waits.saturating_add(1);
            state.condition = Condition::Escalated { reason: e.reason.clone() };
        }
        HealthEvent::Closed(e) => {
            close(&mut state, e.at, &e.reason);
            state.attempts.clear();
            state.recoveries.clear();
            state.healthy_since = Some(e.at);
        }
    }
    state
}

fn received(state: &mut HealthState, e: &SignalReceived) {
    state.host = Some(e.host.clone());
    let header = &e.signal.header;
    let known = KnownSignal {
        starts_at: header.starts_at,
        status: header.status,
        expires_at: header.expires_at,
        fault: Some(e.signal.fault.clone()),
        summary: e.signal.summary.clone(),
        // What cannot be the name of a service is for people only.
        service: e.signal.labels.get(SERVICE_LABEL).and_then(|service| service.parse().ok()),
    };
    remember(state, signal_name(&header.source, &header.fingerprint), known);
}

fn dropped(state: &mut HealthState, e: &SignalDropped) {
    state.host = Some(e.host.clone());
    let (starts_at, status, expires_at) = (e.starts_at, e.status, e.expires_at);
    let known =
        KnownSignal { starts_at, status, expires_at, fault: None, summary: e.reason.clone(), service: None };
    remember(state, e.fingerprint.clone(), known);
}

fn remember(state: &mut HealthState, name: String, known: KnownSignal) {
    state.signals.insert(name, known);
    while state.signals.len() > SIGNALS_MAX {
        let oldest = state.signals.iter().min_by_key(|(_, signal)| signal.starts_at);
        let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { return };
        state.signals.remove(&oldest);
    }
}

fn suspected(state: &mut HealthState, e: &HostSuspected) {
    let long = |since: Timestamp| e.at.duration_since(since) >= COUNTERS_RESET_AFTER;
    if state.healthy_since.is_none_or(long) {
        state.attempts.clear();
    }
    state.waits = state.waits.saturating_add(1);
    state.host = Some(e.host.clone());
    state.condition = Condition::Suspect { until: e.until };
    state.incident = Some(Incident {
        number: e.incident,
        pool: e.pool.clone(),
        rack: e.rack.clone(),
        fault: e.fault.clone(),
        detected_at: e.at,
        confirmed_at: None,
        decided_at: None,
        acted_at: None,
        verified_at: None,
        closed_at: None,
        ended: None,
        tried: Vec::new(),
        approved: Vec::new(),
        held_back: None,
    });
}

/// A signal that began no incident changes nothing but what is known of signals.
fn suppressed(state: &mut HealthState, e: &RemediationSuppressed) {
    if e.incident == 0 {
        return;
    }
    let why = format!("{}: {}, and the limit is {}; {}", e.rule, e.value, e.limit, e.lifts);
    if let Some(incident) = &mut state.incident {
        incident.held_back = Some(HeldBack { rule: e.rule.clone(), since: e.since, times: e.times, why });
    }
    state.waits = state.waits.saturating_add(1);
    state.condition = Condition::Held { until: e.until };
}

fn claimed(state: &mut HealthState, e: &DisruptionClaimed) {
    state.waits = state.waits.saturating_add(1);
    state.sagas = state.sagas.saturating_add(1);
    if let Some(incident) = &mut state.incident {
        incident.decided_at.get_or_insert(e.at);
    }
    let claim = Claim { saga: e.saga.clone(), rung: Some(e.rung), attempt: e.attempt };
    state.condition = Condition::Claiming { claim, until: e.until };
}

fn started(state: &mut HealthState, e: &RemediationStarted) {
    state.waits = state.waits.saturating_add(1);
    let claim = Claim { saga: e.saga.clone(), rung: e.rung, attempt: e.attempt };
    match e.rung {
        Some(rung) => {
            state.attempts.insert(rung, e.attempt);
        }
        // A claim has numbered its saga already.
        None => state.sagas = state.sagas.saturating_add(1),
    }
    if let Some(incident) = &mut state.incident {
        if e.rung.is_some() {
            incident.acted_at.get_or_insert(e.at);
        }
        if incident.tried.len() >= TRIED_MAX {
            incident.tried.remove(0);
        }
        incident.tried.push(Tried {
            rung: e.rung,
            attempt: e.attempt,
            saga: e.saga.clone(),
            started_at: e.at,
            ended_at: None,
            outcome: None,
            reason: None,
        });
    }
    state.condition = Condition::Acting { claim, since: e.at, checks: BTreeMap::new() };
}

fn checked(state: &mut HealthState, e: &HostChecked) {
    gate::checked(state, e);
    if let Condition::Acting { claim, checks, .. } = &mut state.condition
        && claim.saga == e.saga
    {
        match e.healthy {
            None => {
                checks.insert(e.check, e.at);
            }
            Some(true) => {
                if let Some(incident) = &mut state.incident {
                    incident.verified_at = Some(e.at);
                }
            }
            Some(false) => {}
        }
    }
}

fn ended(state: &mut HealthState, e: &RemediationEnded) {
    if let Some(incident) = &mut state.incident
        && let Some(tried) = incident.tried.iter_mut().rfind(|tried| tried.saga == e.saga)
    {
        tried.ended_at = Some(e.at);
        tried.outcome = Some(e.outcome);
        tried.reason = e.reason.clone();
        // What was not done, because the host was healthy, was no attempt.
        if e.outcome == RemediationOutcome::Needless
            && let Some(rung) = tried.rung
        {
            let before = tried.attempt.saturating_sub(1);
            state.attempts.insert(rung, before);
        }
    }
    state.waits = state.waits.saturating_add(1);
    state.condition = Condition::Waiting { until: e.next_at.unwrap_or(e.at) };
}

/// What sources said before the last remediation counts no more: whoever still means it says it again.
fn close(state: &mut HealthState, at: Timestamp, reason: &str) {
    let mut begun = None;
    if let Some(incident) = &mut state.incident {
        begun = incident.tried.last().map(|tried| tried.started_at);
        incident.closed_at = Some(at);
        incident.ended = Some(reason.to_owned());
    }
    let is_newer = |signal: &KnownSignal| begun.is_some_and(|begun| signal.starts_at > begun);
    state.signals.retain(|_, signal| signal.fault.is_none() || is_newer(signal));
    state.waits = state.waits.saturating_add(1);
    state.condition = Condition::Healthy;
}
