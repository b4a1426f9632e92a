//! The nouns that every application of the runtime has.

pub(crate) mod breakers;
pub(crate) mod commands;
pub(crate) mod events;
pub(crate) mod failures;
pub(crate) mod functions;
pub(crate) mod sagas;
