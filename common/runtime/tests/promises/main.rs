//! What the runtime promises, each promise as a test that fails when it is broken.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a panic is how a test fails, and tests are read as code"
)]

mod batch;
mod breakers;
mod catch_up;
mod control;
mod flow;
mod history;
mod integrity;
mod logging;
mod long_streams;
mod once;
mod relay;
mod replay;
mod sagas;
mod shell;
mod shell_limits;
mod steps;
mod tally;
mod timers;
mod triage;
mod under_lease;
mod vault;
