//! Journeys through the whole system in memory: every function on ports in memory, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a panic is how a test fails, and tests are read as code"
)]

mod approving;
mod campaigns;
mod cancelling;
mod cleaning;
mod crashes;
mod disorder;
mod drifting;
mod failing;
mod findings;
mod inventory;
mod patching;
mod provisioning;
mod queries;
mod recovering;
mod releasing;
mod run_command;
mod scaling;
mod shadowing;
#[path = "../site/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the simulation uses other parts of it")]
mod site;
mod traffic;
