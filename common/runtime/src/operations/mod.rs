//! How an application is operated: failures and their retries, flow, replay, telemetry.

pub mod flow;
mod kept;
mod parked;
pub mod repair;
pub mod replay;
pub mod telemetry;
pub mod triage;
