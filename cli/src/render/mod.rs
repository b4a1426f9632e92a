//! What people read: tables, timelines, times.

pub(crate) mod describe;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod timeline;

pub(crate) mod describe_drift;
mod describe_failure;
mod describe_health;
mod describe_host;
pub(crate) mod describe_inventory;
mod describe_pool;
mod describe_request;
mod describe_saga;
