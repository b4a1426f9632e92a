//! What every load balancer promises, of the plain one, of target groups in memory and of a real HAProxy where it is installed; and what the driver of HAProxy
//! makes of answers that are none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests may fail loudly

mod contract;
mod haproxy;
mod plain;
mod strange;
mod target_groups;
