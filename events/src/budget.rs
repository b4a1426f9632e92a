//! The disruption budget of a site: who may disturb which host, and until when. Events on the stream `budget#<site>`.

use hostler_core::contracts;
use hostler_core::saga::SagaRef;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{FaultDomain, HostId, PoolId};
use crate::site::{BudgetPolicy, PolicySet, PowerDomain};

contracts! {
    /// What happens to a disruption budget.
    pub enum BudgetEvent as Event {
        "budget.granted" v 1 => Granted(BudgetGranted),
        "budget.begun" v 1 => Begun(BudgetBegun),
        "budget.returned" v 1 => Returned(BudgetReturned),
        "budget.expired" v 1 => Expired(BudgetExpired),
    }
}

/// A host that is to be disturbed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disruption {
    /// The host.
    pub host: HostId,
    /// Its pool.
    pub pool: PoolId,
    /// Its rack.
    pub rack: FaultDomain,
    /// With what it loses its power, where the site's policy says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_domain: Option<PowerDomain>,
}

/// How many hosts are unhealthy, without the one that is to be disturbed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unhealthy {
    /// In its pool.
    pub pool: u32,
    /// In its rack.
    pub rack: u32,
    /// In its power domain.
    pub power_domain: u32,
}

/// A host may be disturbed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetGranted {
    /// The budget: that of the site that follows the policies of this name.
    pub budget: PolicySet,
    /// Who asked.
    pub saga: SagaRef,
    /// What is disturbed.
    pub disruption: Disruption,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When the claim is void, whatever has become of whoever holds it.
    pub until: Timestamp,
    /// How many hosts the pool has.
    pub pool_hosts: u32,
    /// How many were unhealthy.
    pub unhealthy: Unhealthy,
    /// The limits that applied.
    pub limits: BudgetPolicy,
    /// The version of the policy that they are from.
    pub policy_version: u64,
    /// Whether it has yet to begin. Until then it counts as if it had just begun; without this it has begun with the grant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
}

/// What was granted and had yet to begin has begun: the host is disturbed from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetBegun {
    /// The budget: that of the site that follows the policies of this name.
    pub budget: PolicySet,
    /// Whose claim.
    pub saga: SagaRef,
    /// When it began.
    pub begun_at: Timestamp,
}

/// A claim is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetReturned {
    /// The budget: that of the site that follows the policies of this name.
    pub budget: PolicySet,
    /// Whose it was.
    pub saga: SagaRef,
}

/// A claim was not returned in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetExpired {
    /// The budget: that of the site that follows the policies of this name.
    pub budget: PolicySet,
    /// Whose it was.
    pub saga: SagaRef,
    /// What was disturbed.
    pub disruption: Disruption,
}
