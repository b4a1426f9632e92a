//! The streams `domain#rack.<rack>` and `domain#power.<power domain>`: what fails together is one incident.
//!
//! Whoever repairs a host looks here first. While so many members are unhealthy that the fault is not theirs, none is
//! repaired: power that is lost is not brought back by ten thousand power cycles. A rack tells its power domain of its
//! incident only, so that a storm in a rack is two reports.

use std::collections::BTreeMap;

use hostler_core::mutants;
use hostler_core::{Decider, Decision, SetTimer};
use hostler_events::fault_domain::{
    DomainIncidentClosed, DomainIncidentEscalated, DomainIncidentOpened, FaultDomainEvent, MemberHealthy,
    MemberUnhealthy,
};
use hostler_events::recovery::{ReportDomain, ReportMember};
use hostler_events::site::{DomainLimit, PowerDomain};
use hostler_events::{FaultDomain, RecoverCommand};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::health::{CORRELATED, HEALTH_TIMERS_TO, HoldBack};
use crate::policies::PolicyState;
use crate::support::after;

mod surroundings;

#[cfg(test)]
mod tests;

pub use surroundings::Surroundings;

/// An incident that goes on is escalated once a day at least.
const ESCALATE_SECONDS_MAX: u32 = 86_400;

/// Decides on `domain#` streams.
#[derive(Debug, Clone, Copy)]
pub struct FaultDomainDecider;

/// The key of a rack's stream.
#[must_use]
pub fn rack_key(rack: &FaultDomain) -> String {
    format!("rack.{rack}")
}

/// The key of a power domain's stream.
#[must_use]
pub fn power_key(domain: &PowerDomain) -> String {
    format!("power.{domain}")
}

/// What a domain is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultDomainInput {
    /// How one of its members is.
    Member(MemberReport),
    /// A wait is over.
    Timer {
        /// The timer's name.
        name: String,
        /// Whether the domain that this one is a part of has an incident itself: a person is told of that one.
        is_part_of_another: bool,
        /// Seconds after which a person is told.
        escalate_seconds: u32,
    },
}

/// A member is unhealthy, or is not any more, and everything by which that is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberReport {
    /// The domain, as its stream is called.
    pub domain: String,
    /// The member.
    pub member: String,
    /// Whether it is unhealthy.
    pub unhealthy: bool,
    /// The member's incident: what is told of an earlier one comes late.
    pub incident: u32,
    /// How many members the domain has; 0 where the policies do not say.
    pub size: u32,
    /// From when on it is one incident.
    pub limit: DomainLimit,
    /// A rack and its power domain, where it has one that is told.
    pub tells: Option<(FaultDomain, PowerDomain)>,
    /// Seconds after which a person is told of an incident that goes on.
    pub escalate_seconds: u32,
    /// The version of the policies that say so.
    pub policy_version: u64,
}

impl MemberReport {
    /// A host of a rack.
    #[must_use]
    pub fn of_host(report: &ReportMember, policies: &PolicyState) -> Self {
        let place = policies.policy.topology.racks.get(&report.rack);
        Self {
            domain: rack_key(&report.rack),
            member: report.host.to_string(),
            unhealthy: report.unhealthy,
            incident: report.incident,
            size: place.map_or(0, |place| place.hosts),
            limit: policies.policy.correlation.rack,
            escalate_seconds: policies.policy.correlation.escalate_seconds,
            tells: place.map(|place| (report.rack.clone(), place.power_domain.clone())),
            policy_version: policies.policy_version,
        }
    }

    /// A rack of a power domain.
    #[must_use]
    pub fn of_rack(report: &ReportDomain, policies: &PolicyState) -> Self {
        let racks = policies.policy.topology.racks.values();
        let size = racks.filter(|rack| rack.power_domain == report.power_domain).count();
        Self {
            domain: power_key(&report.power_domain),
            member: report.rack.to_string(),
            unhealthy: report.unhealthy,
            incident: report.incident,
            size: u32::try_from(size).unwrap_or(u32::MAX),
            limit: policies.policy.correlation.power_domain,
            escalate_seconds: policies.policy.correlation.escalate_seconds,
            tells: None,
            policy_version: policies.policy_version,
        }
    }
}

/// What is known of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultDomainState {
    /// The domain; absent until something was told of it.
    pub domain: Option<String>,
    /// The newest incident of each member that ever had one.
    pub members: BTreeMap<String, Member>,
    /// The newest incident, also when it is over.
    pub incident: Option<DomainIncident>,
}

/// A member of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Its newest incident.
    pub incident: u32,
    /// Whether that goes on.
    pub unhealthy: bool,
}

/// Many members with one fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainIncident {
    /// Its number among those of the domain, from 1.
    pub number: u32,
    /// How many members the domain has; 0 where the policies do not say.
    pub size: u32,
    /// The limit that was reached.
    pub limit: DomainLimit,
    /// How many members were unhealthy at a time, at most.
    #[serde(default)]
    pub most: usize,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it was over.
    pub closed_at: Option<Timestamp>,
    /// How often a person was told that it goes on.
    #[serde(default)]
    pub escalated: u32,
}

impl FaultDomainState {
    /// The members that are unhealthy.
    #[must_use]
    pub fn unhealthy(&self) -> Vec<String> {
        let unhealthy = self.members.iter().filter(|(_, member)| member.unhealthy);
        unhealthy.map(|(name, _)| name.clone()).collect()
    }

    /// The incident that is not over.
    #[must_use]
    pub fn open(&self) -> Option<&DomainIncident> {
        self.incident.as_ref().filter(|incident| incident.closed_at.is_none())
    }

    /// Why no member is repaired now, where that is so.
    #[must_use]
    pub fn holds_back(&self) -> Option<HoldBack> {
        let (incident, domain) = (self.open()?, self.domain.as_ref()?);
        let DomainIncident { size, limit, .. } = incident;
        let unhealthy = self.unhealthy().len();
        let of = if *size == 0 { String::new() } else { format!(" of {size}") };
        Some(HoldBack {
            rule: CORRELATED.to_owned(),
            limit: format!("{} members and {} %", limit.count, limit.percent),
            value: format!("{unhealthy}{of} members of {domain} are unhealthy: incident {}", incident.number),
            lifts: format!("what the members of {domain} share must work again"),
        })
    }
}

impl Decider for FaultDomainDecider {
    const CATEGORY: &'static str = "domain";
    const STATE_VERSION: u32 = 1;
    type State = FaultDomainState;
    type Input = FaultDomainInput;
    type Event = FaultDomainEvent;
    type Command = RecoverCommand;
    type Refusal = std::convert::Infallible;

    fn decide(
        state: &FaultDomainState,
        input: &FaultDomainInput,
        now: Timestamp,
    ) -> Result<Decision<FaultDomainEvent, RecoverCommand>, Self::Refusal> {
        let report = match input {
            FaultDomainInput::Member(report) => report,
            FaultDomainInput::Timer { name, is_part_of_another, escalate_seconds } => {
                return Ok(goes_on(state, name, *is_part_of_another, *escalate_seconds, now));
            }
        };
        let known = state.members.get(&report.member);
        // Reports overtake each other: what is told of an incident that is over, or of an earlier one, comes late.
        let is_late = known.is_some_and(|known| {
            report.incident < known.incident
                || (report.incident == known.incident && (!known.unhealthy || report.unhealthy))
        });
        if is_late && !mutants::on("domain.takes-late-reports") {
            return Ok(Decision::nothing());
        }
        let MemberReport { domain, member, incident, .. } = report.clone();
        let told = match report.unhealthy {
            true => FaultDomainEvent::MemberUnhealthy(MemberUnhealthy { domain, member, incident }),
            false => FaultDomainEvent::MemberHealthy(MemberHealthy { domain, member, incident }),
        };
        let after = Self::evolve(state.clone(), &told);
        let decision = Decision::events([told]);
        let members = after.unhealthy();
        let is_many = is_many(members.len(), report.size, report.limit);
        Ok(match after.open() {
            // Fewer members than before begin none.
            None if is_many && report.unhealthy => {
                let number = after.incident.as_ref().map_or(0, |before| before.number).saturating_add(1);
                let opened = DomainIncidentOpened {
                    domain: report.domain.clone(),
                    incident: number,
                    members,
                    size: report.size,
                    limit: report.limit,
                    policy_version: report.policy_version,
                    at: now,
                };
                let mut decision = decision.event(FaultDomainEvent::Opened(opened));
                decision.timers.push(escalation(number, 1, after_seconds(report.escalate_seconds, 0, now)));
                told_above(decision, report, number, true)
            }
            Some(open) if !is_many || is_back(members.len(), open.most) => {
                let (domain, number) = (report.domain.clone(), open.number);
                let closed = DomainIncidentClosed { domain, incident: number, members, at: now };
                told_above(decision.event(FaultDomainEvent::Closed(closed)), report, number, false)
            }
            None | Some(_) => decision,
        })
    }

    fn evolve(mut state: FaultDomainState, event: &FaultDomainEvent) -> FaultDomainState {
        match event {
            FaultDomainEvent::MemberUnhealthy(e) => {
                state.domain = Some(e.domain.clone());
                let member = Member { incident: e.incident, unhealthy: true };
                state.members.insert(e.member.clone(), member);
                let unhealthy = state.unhealthy().len();
                if let Some(open) = state.incident.as_mut().filter(|open| open.closed_at.is_none()) {
                    open.most = open.most.max(unhealthy);
                }
            }
            FaultDomainEvent::MemberHealthy(e) => {
                state.domain = Some(e.domain.clone());
                let member = Member { incident: e.incident, unhealthy: false };
                state.members.insert(e.member.clone(), member);
            }
            FaultDomainEvent::Opened(e) => {
                let (number, size, limit, opened_at) = (e.incident, e.size, e.limit, e.at);
                let most = e.members.len();
                state.incident = Some(DomainIncident {
                    number,
                    size,
                    limit,
                    most,
                    opened_at,
                    closed_at: None,
                    escalated: 0,
                });
            }
            FaultDomainEvent::Escalated(e) => {
                if let Some(incident) = &mut state.incident {
                    incident.escalated = e.times;
                }
            }
            FaultDomainEvent::Closed(e) => {
                if let Some(incident) = &mut state.incident {
                    incident.closed_at = Some(e.at);
                }
            }
        }
        state
    }
}

/// A wait is over, and the incident that it is of may go on. Its members have nobody else who tells of them, for they are held back
/// without an end. One timer follows the other until it is over.
fn goes_on(
    state: &FaultDomainState,
    name: &str,
    is_part_of_another: bool,
    escalate_seconds: u32,
    now: Timestamp,
) -> Decision<FaultDomainEvent, RecoverCommand> {
    let (Some(open), Some(domain)) = (state.open(), state.domain.clone()) else { return Decision::nothing() };
    let Some(wait) = wait_of(name, open.number) else { return Decision::nothing() };
    let next_at = after_seconds(escalate_seconds, wait, now);
    let mut decision = Decision::nothing();
    if !is_part_of_another {
        decision.events.push(FaultDomainEvent::Escalated(DomainIncidentEscalated {
            domain,
            incident: open.number,
            members: state.unhealthy(),
            most: u32::try_from(open.most).unwrap_or(u32::MAX),
            size: open.size,
            limit: open.limit,
            opened_at: open.opened_at,
            times: open.escalated.saturating_add(1),
            at: now,
            next_at,
        }));
    }
    decision.timers.push(escalation(open.number, wait.saturating_add(1), next_at));
    decision
}

/// The timer of one wait of an incident.
fn escalation(incident: u32, wait: u32, due_at: Timestamp) -> SetTimer {
    SetTimer { name: format!("escalate:{incident}:{wait}"), due_at, deliver_to: HEALTH_TIMERS_TO }
}

/// The number of the wait that this timer ends, if it is one of this incident.
fn wait_of(name: &str, incident: u32) -> Option<u32> {
    let (number, wait) = name.strip_prefix("escalate:")?.split_once(':')?;
    (number == incident.to_string()).then(|| wait.parse().ok())?
}

/// The end of a wait that comes after so many others.
fn after_seconds(seconds: u32, waits: u32, now: Timestamp) -> Timestamp {
    after(now, seconds.saturating_mul(1 << waits.min(16)).min(ESCALATE_SECONDS_MAX))
}

/// Whether so many members are so large a part of all. Of a domain whose size nobody knows the number alone says so.
fn is_many(members: usize, size: u32, limit: DomainLimit) -> bool {
    let members = u64::try_from(members).unwrap_or(u64::MAX);
    let is_part = size == 0 || members.saturating_mul(100) >= u64::from(size) * u64::from(limit.percent);
    members >= u64::from(limit.count) && is_part
}

/// Whether what the members share works again: half of those are well that were not. The others have a fault of their own, and
/// would wait for ever for what is there already.
fn is_back(members: usize, most: usize) -> bool {
    members.saturating_mul(2) <= most
}

fn told_above(
    decision: Decision<FaultDomainEvent, RecoverCommand>,
    report: &MemberReport,
    incident: u32,
    unhealthy: bool,
) -> Decision<FaultDomainEvent, RecoverCommand> {
    match report.tells.clone() {
        Some((rack, power_domain)) => {
            decision.command(ReportDomain { power_domain, rack, unhealthy, incident }.into())
        }
        None => decision,
    }
}
