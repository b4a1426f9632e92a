//! What is asked when hosts are repaired: by operators, by a host's health, and by the steps of recoveries.

use hostler_core::saga::SagaRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::health::{CheckKind, RemediationOutcome};
use crate::ids::{FaultDomain, HostId, PoolId, Service, StepId};
use crate::site::PowerDomain;

/// Have a host repaired whose remediation waits for a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveRemediation {
    /// The host.
    pub host: HostId,
    /// Why.
    pub reason: String,
}

/// Have a host not repaired whose remediation waits for a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejectRemediation {
    /// The host.
    pub host: HostId,
    /// Why.
    pub reason: String,
}

/// Say that the incident of a host is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloseIncident {
    /// The host.
    pub host: HostId,
    /// Why, and what was done.
    pub reason: String,
}

/// Ask the disruption budget for a host that is to be disturbed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimDisruption {
    /// The host.
    pub host: HostId,
    /// The saga that will disturb it.
    pub saga: SagaRef,
    /// Its pool.
    pub pool: PoolId,
    /// Its rack.
    pub rack: FaultDomain,
    /// Whether it may go on while the brake is on.
    pub passes_brake: bool,
}

/// A saga disturbs no host any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReturnDisruption {
    /// The saga.
    pub saga: SagaRef,
}

/// A member of a fault domain is unhealthy, or is not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportMember {
    /// Its rack.
    pub rack: FaultDomain,
    /// The host.
    pub host: HostId,
    /// Whether it is unhealthy.
    pub unhealthy: bool,
    /// The host's incident.
    pub incident: u32,
}

/// A rack has an incident, or has it no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportDomain {
    /// With which racks it loses its power.
    pub power_domain: PowerDomain,
    /// The rack.
    pub rack: FaultDomain,
    /// Whether the incident goes on.
    pub unhealthy: bool,
    /// The rack's incident.
    pub incident: u32,
}

/// Look once more at whether a remediation is wanted, before it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BeginRecovery {
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Have nobody else work on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CordonHost {
    /// The saga that works on it.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// Why.
    pub reason: String,
}

/// Let others work on a host again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UncordonHost {
    /// The saga that worked on it.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Take a host out of service for good, because another one serves in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GiveBackHost {
    /// The saga that has cordoned it.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// Why.
    pub reason: String,
}

/// Ask monitoring how a host is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckHost {
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// Why.
    pub check: CheckKind,
}

/// Restart a service on a host in service that the saga has cordoned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartService {
    /// The saga that has cordoned the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// The service.
    pub service: Service,
}

/// A remediation is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConcludeRecovery {
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// How it ended.
    pub outcome: RemediationOutcome,
}

/// A remediation was given up, and what it did was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AbandonRecovery {
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}
