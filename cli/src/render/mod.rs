//! What people read: tables, timelines, times.

pub(crate) mod describe;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod timeline;

mod describe_campaign;
pub(crate) mod describe_drift;
mod describe_failure;
mod describe_finding;
mod describe_health;
mod describe_host;
pub(crate) mod describe_inventory;
mod describe_packages;
mod describe_pool;
mod describe_request;
mod describe_saga;
