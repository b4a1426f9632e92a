//! The list of all contracts, for schemas, samples, checks and the command line.

use hostler_core::effect::EffectEvent;
use hostler_core::flow::FlowEvent;
use hostler_core::saga::{SagaCommand, SagaEvent, SagaOperation};
use hostler_core::triage::{FailureCommand, FailureEvent, FailureOperation};
use hostler_core::{Contract, Contracts};
use serde_json::Value;

use crate::advisory::AdvisoryEvent;
use crate::budget::BudgetEvent;
use crate::campaign::{CampaignEvent, CampaignRackEvent, PatchFleetCommand};
use crate::commands::{ConfigureCommand, DeployCommand, MonitorCommand, OperatorCommand, ServiceCommand};
use crate::fault_domain::FaultDomainEvent;
use crate::findings::FindingsCommand;
use crate::health::HealthEvent;
use crate::host::HostEvent;
use crate::inventory::{InventoryCommand, InventoryEvent, SourceEvent, SweepEvent};
use crate::packages::{FindingEvent, PackagesEvent};
use crate::patching::{AssessCommand, PatchCommand};
use crate::pool::PoolEvent;
use crate::provisioning::{CapacityEvent, ReservationEvent};
use crate::signal::{IngestCommand, RecoverCommand, ScaleCommand};
use crate::site::PolicyEvent;
use crate::traffic::TrafficCommand;

/// All contracts, events first.
#[must_use]
pub fn catalogue() -> Vec<Contract> {
    [
        CapacityEvent::contracts(),
        HostEvent::contracts(),
        HealthEvent::contracts(),
        FaultDomainEvent::contracts(),
        ReservationEvent::contracts(),
        PolicyEvent::contracts(),
        BudgetEvent::contracts(),
        PoolEvent::contracts(),
        CampaignEvent::contracts(),
        CampaignRackEvent::contracts(),
        PatchFleetCommand::contracts(),
        AdvisoryEvent::contracts(),
        PackagesEvent::contracts(),
        FindingEvent::contracts(),
        InventoryEvent::contracts(),
        SourceEvent::contracts(),
        SweepEvent::contracts(),
        // The runtime's own.
        SagaEvent::<Value>::contracts(),
        EffectEvent::contracts(),
        FailureEvent::contracts(),
        FlowEvent::contracts(),
        OperatorCommand::contracts(),
        DeployCommand::contracts(),
        ConfigureCommand::contracts(),
        MonitorCommand::contracts(),
        TrafficCommand::contracts(),
        ServiceCommand::contracts(),
        PatchCommand::contracts(),
        AssessCommand::contracts(),
        IngestCommand::contracts(),
        RecoverCommand::contracts(),
        ScaleCommand::contracts(),
        FindingsCommand::contracts(),
        InventoryCommand::contracts(),
        SagaOperation::contracts(),
        SagaCommand::contracts(),
        FailureOperation::contracts(),
        FailureCommand::contracts(),
    ]
    .concat()
}

/// The contract of a type, if there is one.
#[must_use]
pub fn find(name: &str) -> Option<Contract> {
    catalogue().into_iter().find(|contract| contract.name == name)
}
