//! The list of all contracts, for schemas, samples, checks and the command line.

use hostler_core::Data;
use schemars::Schema;

use crate::commands::{ConfigureCommand, DeployCommand, MonitorCommand, OperatorCommand};
use crate::host::HostEvent;
use crate::provisioning::{CapacityEvent, ReservationEvent};

/// Whether a contract tells or asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something that happened; travels on the bus.
    Event,
    /// Something to do; travels on a queue.
    Command,
}

/// One payload type in one version.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The type's name on the wire.
    pub name: &'static str,
    /// The version that this code writes.
    pub version: u32,
    /// Event or command.
    pub kind: Kind,
    /// A command's queue.
    pub queue: Option<&'static str>,
    /// The JSON Schema of the payload (`data`).
    pub schema: fn() -> Schema,
    /// Reads a payload as the type, for checks that a schema cannot make.
    pub check: fn(&Data) -> Result<(), serde_json::Error>,
}

/// All contracts, events first.
#[must_use]
pub fn catalogue() -> Vec<Contract> {
    [
        CapacityEvent::contracts(),
        HostEvent::contracts(),
        ReservationEvent::contracts(),
        OperatorCommand::contracts(),
        DeployCommand::contracts(),
        ConfigureCommand::contracts(),
        MonitorCommand::contracts(),
    ]
    .concat()
}

/// The contract of a type, if there is one.
#[must_use]
pub fn find(name: &str) -> Option<Contract> {
    catalogue().into_iter().find(|contract| contract.name == name)
}
