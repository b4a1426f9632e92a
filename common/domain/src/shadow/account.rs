//! What was decided, or would have been: the same words for the record and for a replay, so that they can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hostler_events::health::{HealthEvent, RemediationOutcome};
use hostler_events::pool::{PoolEvent, ScalingDirection};
use hostler_events::site::{Autonomy, Rung};
use hostler_events::{HostId, PoolId};
use jiff::Timestamp;
use serde::Serialize;

use super::recording::Recording;
use super::run::Tapes;
use crate::health::name_of;

/// Whom a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A host.
    Host(HostId),
    /// A pool.
    Pool(PoolId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::Pool(pool) => write!(f, "pool {pool}"),
        }
    }
}

/// A decision, with its moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// About whom.
    pub of: Subject,
    /// When the incident began on record that it belongs to; the beginning of the replay for what went on by then.
    pub incident_at: Timestamp,
    /// When it was decided.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", tag = "kind")]
pub enum What {
    /// A fault is tolerated for so long.
    Tolerated {
        /// Seconds.
        seconds: u32,
    },
    /// It is a fault.
    Confirmed {
        /// The runbook, where the policies name one.
        runbook: Option<String>,
        /// Whose word it takes.
        autonomy: Autonomy,
    },
    /// What would be done is held back.
    Held {
        /// What would be done, where that is known.
        rung: Option<Rung>,
        /// By which rule.
        rule: String,
        /// What it allows.
        limit: String,
        /// What it found.
        value: String,
    },
    /// A person is asked.
    Asked {
        /// For what.
        rung: Rung,
    },
    /// The host is looked at, and nothing is done.
    Looked,
    /// Something is done to the host.
    Acted {
        /// What.
        rung: Rung,
        /// The number of the attempt.
        attempt: u32,
    },
    /// It has ended.
    Ended {
        /// How.
        outcome: RemediationOutcome,
    },
    /// It has not been done on record, so that nobody knows how it ends. A replay goes on as if it had helped.
    Unknown {
        /// What would have been done.
        rung: Rung,
    },
    /// The incident is over.
    Recovered {
        /// How that is known.
        reason: String,
    },
    /// The incident is left to a person.
    Escalated {
        /// Why.
        reason: String,
    },
    /// A person says that the incident is over.
    Closed,
    /// A host is let go.
    LetGo,
    /// A pool grows or shrinks.
    Scaled {
        /// Whether it grows.
        direction: ScalingDirection,
        /// By how many hosts.
        hosts: u32,
    },
    /// A person is asked whether it may.
    Proposed {
        /// Whether it would grow.
        direction: ScalingDirection,
        /// By how many hosts.
        hosts: u32,
    },
    /// It does not, although its metrics ask for it.
    ScalingHeld {
        /// Whether it would grow.
        direction: ScalingDirection,
        /// By which rule.
        rule: String,
        /// What it allows.
        limit: u32,
        /// What there is.
        value: u32,
    },
}

impl What {
    /// What an event on a host's health says. What is held back by the same rule again is not said again.
    pub(super) fn of_health(event: &HealthEvent) -> Option<Self> {
        Some(match event {
            HealthEvent::Suspected(e) => Self::Tolerated { seconds: e.toleration_seconds },
            HealthEvent::Confirmed(e) => {
                Self::Confirmed { runbook: e.runbook.as_ref().map(ToString::to_string), autonomy: e.autonomy }
            }
            HealthEvent::Suppressed(e) if e.incident > 0 && e.times == 1 => {
                let (rule, limit, value) = (e.rule.clone(), e.limit.clone(), e.value.clone());
                Self::Held { rung: e.rung, rule, limit, value }
            }
            HealthEvent::ApprovalRequested(e) => Self::Asked { rung: e.rung },
            HealthEvent::Started(e) => match e.rung {
                Some(rung) => Self::Acted { rung, attempt: e.attempt },
                None => Self::Looked,
            },
            HealthEvent::Ended(e) => Self::Ended { outcome: e.outcome },
            HealthEvent::Recovered(e) => Self::Recovered { reason: e.reason.clone() },
            HealthEvent::Escalated(e) => Self::Escalated { reason: e.reason.clone() },
            HealthEvent::Closed(_) => Self::Closed,
            HealthEvent::SignalReceived(_)
            | HealthEvent::SignalDropped(_)
            | HealthEvent::Suppressed(_)
            | HealthEvent::Approved(_)
            | HealthEvent::Claimed(_)
            | HealthEvent::Checked(_) => return None,
        })
    }

    /// What an event of a pool says.
    pub(super) fn of_pool(event: &PoolEvent) -> Option<Self> {
        Some(match event {
            PoolEvent::Decided(e) => {
                let hosts = match e.direction {
                    ScalingDirection::Out => e.provisionings.len(),
                    ScalingDirection::In => e.leaving.len(),
                };
                Self::Scaled { direction: e.direction, hosts: u32::try_from(hosts).unwrap_or(u32::MAX) }
            }
            PoolEvent::Proposed(e) => {
                let counts = e.decision.inputs;
                let hosts = e.decision.chosen.abs_diff(counts.in_service.saturating_add(counts.in_flight));
                Self::Proposed { direction: e.decision.direction, hosts }
            }
            PoolEvent::Suppressed(e) => {
                let (direction, rule) = (e.direction, e.rule.clone());
                Self::ScalingHeld { direction, rule, limit: e.limit, value: e.value }
            }
            PoolEvent::ReleaseStarted(_) => Self::LetGo,
            PoolEvent::ThresholdCrossed(_)
            | PoolEvent::SignalDropped(_)
            | PoolEvent::Approved(_)
            | PoolEvent::Rejected(_)
            | PoolEvent::Completed(_)
            | PoolEvent::HostArrived(_)
            | PoolEvent::ProvisioningFailed(_)
            // A replay asks no other pool for hosts: how many that one would have had is not on record.
            | PoolEvent::Reclaimed(_)
            | PoolEvent::ReleaseRefused(_)
            | PoolEvent::HostLeft(_) => return None,
        })
    }

    /// What must be the same for two decisions to be the same one. Numbers that were found are not part of it.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Tolerated { .. } => "tolerated".to_owned(),
            Self::Confirmed { .. } => "confirmed".to_owned(),
            Self::Held { rung, rule, .. } => format!("held {rule} {rung:?}"),
            Self::Asked { rung } => format!("asked {rung:?}"),
            Self::Looked => "looked".to_owned(),
            Self::Acted { rung, attempt } => format!("acted {rung:?} {attempt}"),
            Self::Ended { outcome } => format!("ended {outcome:?}"),
            Self::Unknown { rung } => format!("unknown {rung:?}"),
            Self::Recovered { .. } => "recovered".to_owned(),
            Self::Escalated { .. } => "escalated".to_owned(),
            Self::Closed => "closed".to_owned(),
            Self::LetGo => "let go".to_owned(),
            Self::Scaled { direction, hosts } => format!("scaled {direction:?} {hosts}"),
            Self::Proposed { direction, hosts } => format!("proposed {direction:?} {hosts}"),
            Self::ScalingHeld { direction, rule, .. } => format!("scaling held {direction:?} {rule}"),
        }
    }

    /// Whether the policies say something else, although it is the same decision.
    pub(super) fn says_otherwise(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tolerated { seconds }, Self::Tolerated { seconds: others }) => seconds != others,
            (Self::Confirmed { .. }, Self::Confirmed { .. }) => self != other,
            (_, _) => false,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = |direction: ScalingDirection| match direction {
            ScalingDirection::Out => "out",
            ScalingDirection::In => "in",
        };
        match self {
            Self::Tolerated { seconds } => write!(f, "tolerated for {seconds} s"),
            Self::Confirmed { runbook: Some(runbook), autonomy } => {
                write!(f, "confirmed: runbook {runbook}, {}", word(*autonomy))
            }
            Self::Confirmed { runbook: None, .. } => f.write_str("confirmed: no runbook"),
            Self::Held { rung, rule, limit, value } => {
                let what = rung.map_or("held back", name_of);
                let held = if rung.is_some() { " held back" } else { "" };
                write!(f, "{what}{held} by {rule}: {value}, and the limit is {limit}")
            }
            Self::Asked { rung } => write!(f, "approval asked for {}", name_of(*rung)),
            Self::Looked => f.write_str("looked at only"),
            Self::Acted { rung, attempt } => write!(f, "{}, attempt {attempt}", name_of(*rung)),
            Self::Ended { outcome } => f.write_str(match outcome {
                RemediationOutcome::Healed => "it healed",
                RemediationOutcome::Needless => "it was healthy already",
                RemediationOutcome::Replaced => "it was replaced",
                RemediationOutcome::Redirected => "it was taken out of traffic",
                RemediationOutcome::Failed => "it did not help",
            }),
            Self::Unknown { rung } => write!(f, "whether {} helps is not known", name_of(*rung)),
            Self::Recovered { reason } => write!(f, "recovered: {reason}"),
            Self::Escalated { reason } => write!(f, "escalated: {reason}"),
            Self::Closed => f.write_str("closed by a person"),
            Self::LetGo => f.write_str("a host is let go"),
            Self::Scaled { direction, hosts } => write!(f, "scaled {} by {hosts}", way(*direction)),
            Self::Proposed { direction, hosts } => {
                write!(f, "approval asked for scaling {} by {hosts}", way(*direction))
            }
            Self::ScalingHeld { direction, rule, limit, value } => {
                write!(
                    f,
                    "scaling {} held back by {rule}: {value}, and the limit is {limit}",
                    way(*direction)
                )
            }
        }
    }
}

fn word(autonomy: Autonomy) -> &'static str {
    match autonomy {
        Autonomy::Observe => "observe",
        Autonomy::Approve => "approve",
        Autonomy::Auto => "auto",
    }
}

/// How much was decided, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Faults that were confirmed.
    pub confirmed: u32,
    /// Repairs that began, by rung.
    pub acted: BTreeMap<Rung, u32>,
    /// Repairs whose end nobody knows.
    pub unknown: u32,
    /// Times that a person was asked.
    pub asked: u32,
    /// Incidents that were left to a person.
    pub escalated: u32,
    /// Incidents that ended.
    pub recovered: u32,
    /// Repairs that were held back, by rule.
    pub held: BTreeMap<String, u32>,
    /// How many hosts were disturbed by repairs at once, at most.
    pub disturbed_at_once: u32,
    /// Hosts that pools asked for.
    pub hosts_added: u32,
    /// Hosts that pools let go.
    pub hosts_removed: u32,
    /// Scaling that was held back, by rule.
    pub scaling_held: BTreeMap<String, u32>,
}

impl Totals {
    /// Of decisions, in the order of their moments.
    pub(super) fn of(said: &[Said]) -> Self {
        let (mut totals, mut disturbed) = (Self::default(), BTreeSet::new());
        for said in said {
            match &said.what {
                What::Confirmed { .. } => totals.confirmed += 1,
                What::Held { rule, .. } => *totals.held.entry(rule.clone()).or_default() += 1,
                What::Asked { .. } | What::Proposed { .. } => totals.asked += 1,
                What::Acted { rung, .. } => {
                    *totals.acted.entry(*rung).or_default() += 1;
                    disturbed.insert(&said.of);
                    let at_once = u32::try_from(disturbed.len()).unwrap_or(u32::MAX);
                    totals.disturbed_at_once = totals.disturbed_at_once.max(at_once);
                }
                What::Unknown { .. } => {
                    totals.unknown += 1;
                    disturbed.remove(&said.of);
                }
                What::Ended { .. } => {
                    disturbed.remove(&said.of);
                }
                What::Recovered { .. } | What::Closed => totals.recovered += 1,
                What::Escalated { .. } => totals.escalated += 1,
                What::Scaled { direction: ScalingDirection::Out, hosts } => totals.hosts_added += hosts,
                What::LetGo => totals.hosts_removed += 1,
                What::ScalingHeld { rule, .. } => *totals.scaling_held.entry(rule.clone()).or_default() += 1,
                What::Scaled { direction: ScalingDirection::In, .. }
                | What::Tolerated { .. }
                | What::Looked => {}
            }
        }
        totals
    }
}

/// What was decided on record since the beginning of the replay, in the order of its moments.
pub(super) fn recorded(recording: &Recording, tapes: &Tapes) -> Vec<Said> {
    let mut said = Vec::new();
    for (host, commits) in &recording.health {
        for commit in commits.iter().filter(|commit| commit.at >= recording.since) {
            let incident_at = tapes.chapter_at(host, commit.at).unwrap_or(recording.since);
            let what = commit.events.iter().filter_map(What::of_health);
            said.extend(what.map(|what| Said {
                of: Subject::Host(host.clone()),
                incident_at,
                at: commit.at,
                what,
            }));
        }
    }
    for (pool, commits) in &recording.pools {
        for commit in commits.iter().filter(|commit| commit.at >= recording.since) {
            let what = commit.events.iter().filter_map(What::of_pool);
            said.extend(what.map(|what| Said {
                of: Subject::Pool(pool.clone()),
                incident_at: recording.since,
                at: commit.at,
                what,
            }));
        }
    }
    said.sort_by_key(|said| said.at);
    said
}
