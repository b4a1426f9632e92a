//! How messages travel: batches and their layers, the relay, timers, signatures, order by key.

pub mod attributes;
pub mod batch;
pub mod integrity;
pub mod ordering;
pub mod relay;
pub mod timers;
