//! Journeys on the local cloud: the real functions, the template as it is deployed, real Redfish endpoints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a panic is how a test fails, and tests are read as code"
)]

mod bad_input;
mod bmc;
mod campaigns;
mod configuring;
mod edge;
mod faults;
mod flash_sale;
mod iam;
mod ledger;
mod monitoring;
mod outbox;
mod provisioning;
mod recovery;
mod restore;
mod scale;
mod shapes;
mod shop;
mod signals;
mod traffic;
mod update;
mod vulnerabilities;
mod world;
