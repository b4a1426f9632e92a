//! For tests only: in-memory ports, given/when/then and one contract suite per port.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use this crate, and a panic is how a test fails"
)]

pub mod clock;
pub mod contract;
pub mod faults;
pub mod given;
pub mod memory;
pub mod saga_run;
pub mod sample;
pub mod sample_saga;
pub mod seeds;
pub mod shrink;
pub mod template;
pub mod world;

pub use clock::{SeededIds, TestClock};
pub use faults::FaultPlan;
pub use given::given;
pub use saga_run::SagaRun;
pub use world::World;
