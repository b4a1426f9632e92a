//! What happens to a host in service that a saga works on.

use hostler_core::saga::SagaRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PowerState;
use crate::ids::{HostId, Image, Service, StepId};

/// A saga works on a host in service. Until it is done nobody else cordons, releases or retires the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostCordoned {
    /// The host.
    pub host: HostId,
    /// The saga that works on it.
    pub saga: SagaRef,
    /// The step that asked.
    pub step: StepId,
    /// Why.
    pub reason: String,
}

/// A saga does not work on the host any more, and never cordons it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostUncordoned {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step that asked.
    pub step: StepId,
}

/// What the BMC said of a host before its power was cut; the host is off now, and boots from its disk when it is powered on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PowerCycleStarted {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The power state that two reads agreed on, before anything was done. A host that was off is only powered on.
    pub found: PowerState,
    /// The hardware's health as the BMC said it, such as `OK` or `Critical`, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
}

/// The host was off, and has power again, as two reads agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostPowerCycled {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
}

/// The host's agent has restarted a service, and says that it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRestarted {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The service.
    pub service: Service,
}

/// A host in service is about to be installed again, from its image. From here on it counts as dirty, and the saga that has it
/// installed holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReimageStarted {
    /// The host.
    pub host: HostId,
    /// The saga that has it installed again.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The image.
    pub image: Image,
}
