//! The contract room: the application's event and command payloads, their schemas and samples.
//!
//! A type released here is never changed in place: a new form gets a new version, and the old one is upcast
//! on read. `schemas/` is generated from these types; `samples/` is written by hand, once for each version. A test
//! checks both, and makes what can be made: `HOSTLER_BLESS=1 cargo test -p hostler-events --test contracts`.

pub mod advisory;
pub mod budget;
pub mod campaign;
pub mod campaigns;
mod catalogue;
pub mod commands;
pub mod drift;
pub mod fault_domain;
mod files;
pub mod findings;
pub mod health;
pub mod host;
pub mod ids;
pub mod inventory;
pub mod packages;
pub mod patching;
pub mod policy;
pub mod pool;
pub mod provisioning;
pub mod recovery;
pub mod samples;
pub mod scaling;
pub mod schemas;
pub mod signal;
pub mod site;
pub mod traffic;
pub mod vulnerabilities;

pub use advisory::{AdvisoryEvent, Priority};
pub use campaign::{CampaignEvent, CampaignRackEvent, PatchFleetCommand};
pub use catalogue::{catalogue, find};
pub use commands::{
    ConfigureCommand, DeployCommand, MonitorCommand, OperatorCommand, ServiceCommand, StepCommand,
};
pub use fault_domain::FaultDomainEvent;
pub use findings::FindingsCommand;
pub use health::HealthEvent;
pub use host::HostEvent;
pub use hostler_core::contract::{Contract, Kind};
pub use ids::{
    AdvisoryId, CampaignId, FaultDomain, HostId, Image, Labels, PoolId, ProvisioningId, RequestId, Role,
    Service, Sku, StepId,
};
pub use inventory::{InventoryCommand, InventoryEvent, InventoryPolicy, InventorySource};
pub use packages::{FindingEvent, FindingId, FindingStatus, PackagesEvent};
pub use patching::{AssessCommand, PatchCommand, PatchOrder};
pub use policy::{HostPolicy, PolicyError, ProvisioningPolicy, StepPolicy};
pub use pool::PoolEvent;
pub use provisioning::{CapacityEvent, ProvisioningOrder, ProvisioningStep, ReservationEvent};
pub use signal::{FaultClass, IngestCommand, Metric, RecoverCommand, ScaleCommand, Signal};
pub use site::SitePolicy;
pub use traffic::{TrafficCommand, TrafficPolicy};

/// The `source` of every event that Hostler publishes; the bus rules match on it.
pub const SOURCE: &str = "hostler";
