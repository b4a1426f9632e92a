//! Whole fleets of sagas under seeded faults, checked after every step. See docs/simulation.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a panic is how a test fails, and tests are read as code"
)]

mod bugs;
mod figures;
mod mutants;
mod seeds;
#[path = "../site/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the journeys use other parts of it")]
mod site;
