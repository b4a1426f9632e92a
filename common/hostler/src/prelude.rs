//! What most files of an application use: `use hostler::prelude::*;`.

pub use async_trait::async_trait;
pub use hostler_core::saga::{
    Ask, Facts, Plan, RetryPolicy, SagaCommand, SagaDefinition, SagaInput, SagaOperation, SagaRef,
    SagaRefusal, StepReply,
};
pub use hostler_core::{Category, Decider, Decision, Failure, Incoming, SetTimer, StepId, StreamId};
pub use hostler_runtime::effects::steps::{Call, Effect, NoUndo, StepError, StepWorker};
pub use hostler_runtime::messages::batch::Handler;
pub use hostler_runtime::register::{
    Application, Asked, Entities, Entity, Function, Operated, Operations, Refused, SagaEntity, SagaEntry,
    Shown, Viewed,
};
pub use hostler_runtime::state::shell::{Cause, Shell};
pub use jiff::{SignedDuration, Timestamp};
pub use serde_json::{Value, json};

/// A step of a saga's plan.
pub use hostler_core::saga::Step;

pub use crate::{command_sets, contracts, effect_commands, payloads, step_names};
