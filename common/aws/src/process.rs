//! The process's own clock and identifiers.

use std::time::Duration;

use async_trait::async_trait;
use hostler_runtime::ports::{Clock, Ids};
use jiff::Timestamp;
use uuid::Uuid;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
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
