//! The process's own clock and identifiers.

use hostler_runtime::{Clock, Ids};
use jiff::Timestamp;
use uuid::Uuid;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// New UUIDs, version 7.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidV7;

impl Ids for UuidV7 {
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}
