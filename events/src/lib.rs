//! The contract room: the application's event and command payloads, their schemas and samples.
//!
//! A type released here is never changed in place: a new form gets a new version, and the old one is upcast
//! on read. `schemas/` and `samples/` are generated from these types and checked by test.

mod catalogue;
pub mod commands;
pub mod host;
pub mod ids;
mod macros;
pub mod policy;
pub mod provisioning;

pub use catalogue::{Contract, Kind, catalogue, find};
pub use commands::{OperatorCommand, StepCommand};
pub use host::HostEvent;
pub use ids::{FaultDomain, HostId, Image, Labels, PoolId, ProvisioningId, RequestId, Role, Sku, StepId};
pub use policy::{HostPolicy, ProvisioningPolicy, StepPolicy};
pub use provisioning::{CapacityEvent, ProvisioningEvent, ReservationEvent, StepKind};

/// The `source` of every event that Hostler publishes; the bus rules match on it.
pub const SOURCE: &str = "hostler";
