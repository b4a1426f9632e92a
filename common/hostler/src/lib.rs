//! The whole runtime under one name.
//!
#![doc = include_str!("../README.md")]
//!
//! # Where things are
//! - [`core`]: the vocabulary, pure: sagas, deciders, contracts, ids.
//! - [`runtime`]: what runs them: the register, steps and effects, ports, views, triage.
//! - `aws` (feature `aws`, on by default): the adapters of the ports, and the start of Lambda functions.
//! - `testkit` (feature `testkit`): whole applications in memory, given/when/then, one contract suite per port. It is a
//!   feature and not a part of the rest so that no function links what only tests use.
//! - [`prelude`]: what most files of an application use.

mod payloads;
pub mod prelude;

#[cfg(feature = "aws")]
pub use hostler_aws as aws;
pub use hostler_core as core;
pub use hostler_runtime as runtime;
#[cfg(feature = "testkit")]
pub use hostler_testkit as testkit;

pub use hostler_core::{command_sets, contracts, step_names};
pub use hostler_runtime::effect_commands;

// What the macros, and the traits' signatures, need.
pub use {async_trait, jiff, schemars, serde, serde_json, tracing};
