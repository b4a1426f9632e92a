//! The shop in chaos: many orders while functions die, messages come twice and late, and bank, courier and mailer are away.
//! See docs/simulation.md.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails, and tests are read as code"
)]

mod bugs;
mod checks;
mod deployments;
mod outside;
mod seeds;
mod shop;
