//! The vocabulary: envelope, ids, versions, deciders, sagas, timers and failure categories. Pure and domain-free.
//!
//! Nothing here does I/O, reads a clock or draws a random number: time and ids are part of the input.

pub mod breaker;
mod canonical;
pub mod cloudevents;
pub mod commit;
pub mod contract;
pub mod data;
pub mod decider;
pub mod effect;
pub mod envelope;
pub mod failure;
pub mod flow;
pub mod ids;
pub mod message;
pub mod mutants;
pub mod partition;
pub mod payload;
pub mod saga;
pub mod trace;
pub mod triage;

pub use canonical::NotCanonical;
pub use commit::{Commit, CommitError, RecordedCommand, RecordedEvent, RecordedTimer, SeenCause, Snapshot};
pub use contract::{CommandType, Contract, Contracts, OperatorCommands};
pub use data::Data;
pub use decider::{Decider, Decision, NoCommand, SetTimer};
pub use envelope::{Actor, CommandEnvelope, Envelope, Header};
pub use failure::{Category, Failure};
pub use ids::{
    CausationId, CommandId, CommitId, CorrelationId, EventId, InvalidId, StepId, StreamId, StreamVersion,
    TimerId,
};
pub use message::{Incoming, TimerFired};
pub use payload::{Addressed, ContractError, Payload};
pub use trace::TraceContext;

// For the macros.
#[doc(hidden)]
pub use schemars;
