//! Racks and power domains, whose members fail together: events on `domain#rack.<rack>` and `domain#power.<power domain>`.

use hostler_core::contracts;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::site::DomainLimit;

contracts! {
    /// What happens to what fails together.
    pub enum FaultDomainEvent as Event {
        "domain.member-unhealthy" v 1 => MemberUnhealthy(MemberUnhealthy),
        "domain.member-healthy" v 1 => MemberHealthy(MemberHealthy),
        "domain.incident-opened" v 1 => Opened(DomainIncidentOpened),
        "domain.incident-closed" v 1 => Closed(DomainIncidentClosed),
        "domain.incident-escalated" v 1 => Escalated(DomainIncidentEscalated),
    }
}

/// A member is unhealthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberUnhealthy {
    /// The rack or power domain, as `rack.<rack>` or `power.<power domain>`.
    pub domain: String,
    /// The host, or the rack.
    pub member: String,
    /// The member's incident.
    pub incident: u32,
}

/// A member is not unhealthy any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberHealthy {
    /// The rack or power domain, as `rack.<rack>` or `power.<power domain>`.
    pub domain: String,
    /// The host, or the rack.
    pub member: String,
    /// The member's incident that is over.
    pub incident: u32,
}

/// So many members are unhealthy that the fault is not theirs: from here on it is one incident, and no member is repaired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainIncidentOpened {
    /// The rack or power domain, as `rack.<rack>` or `power.<power domain>`.
    pub domain: String,
    /// The number of the incident among those of the domain, from 1.
    pub incident: u32,
    /// The unhealthy members.
    pub members: Vec<String>,
    /// How many members the domain has; 0 where the policies do not say.
    pub size: u32,
    /// The limit that was reached.
    pub limit: DomainLimit,
    /// The version of the policies that say so.
    pub policy_version: u64,
    /// When.
    pub at: Timestamp,
}

/// So few members are unhealthy that each has a fault of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainIncidentClosed {
    /// The rack or power domain, as `rack.<rack>` or `power.<power domain>`.
    pub domain: String,
    /// The incident.
    pub incident: u32,
    /// The members that are still unhealthy.
    pub members: Vec<String>,
    /// When.
    pub at: Timestamp,
}

/// An incident goes on, and its members are still held back: a person has to look. It has all that is known, so that nobody has to
/// search for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainIncidentEscalated {
    /// The rack or power domain, as `rack.<rack>` or `power.<power domain>`.
    pub domain: String,
    /// The incident.
    pub incident: u32,
    /// The members that are unhealthy now.
    pub members: Vec<String>,
    /// How many were unhealthy at a time, at most.
    pub most: u32,
    /// How many members the domain has; 0 where the policies do not say.
    pub size: u32,
    /// The limit that was reached.
    pub limit: DomainLimit,
    /// When the incident began.
    pub opened_at: Timestamp,
    /// How often it was escalated, this time included.
    pub times: u32,
    /// When.
    pub at: Timestamp,
    /// When it is escalated again, if it goes on.
    pub next_at: Timestamp,
}
