//! A whole data centre in the simulation: 25,000 hosts, what happens to them, and what Hostler does about it. Each scenario runs
//! at the size that `HOSTLER_DATACENTRE_HOSTS` says, and with 400 hosts where it says nothing. See docs/papers.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a panic is how a test fails, and tests are read as code"
)]

mod alerts;
mod drift;
mod elastic;
mod hot_cve;
mod load;
mod model;
mod planned;
mod polling;
mod report;
mod scaling;
mod scenarios;
#[path = "../site/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the journeys use other parts of it")]
mod site;
mod watch;
