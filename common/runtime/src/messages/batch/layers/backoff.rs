//! A message that failed and may work later is tried again: exponential backoff with full jitter.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::Failure;

use super::Parts;
use crate::messages::batch::layer::{Delivery, Disposition, Handled, Layer, Next};
use crate::messages::batch::record::{Record, receive_count, set_visibility};
use crate::ports::{Ids, Queues, VISIBILITY_SECONDS_MAX};

/// The longest wait before a record is tried again, unless the failure says when.
const BACKOFF_SECONDS_MAX: u32 = 300;

pub(super) struct Backoff {
    queue: &'static str,
    queues: Arc<dyn Queues>,
    ids: Arc<dyn Ids>,
}

impl Backoff {
    pub(super) fn of(parts: &Parts) -> Self {
        Self { queue: parts.queue, queues: parts.queues.clone(), ids: parts.ids.clone() }
    }

    fn seconds(&self, record: &Record, after: Option<Duration>) -> u32 {
        if let Some(after) = after {
            return u32::try_from(after.as_secs()).unwrap_or(u32::MAX).clamp(1, VISIBILITY_SECONDS_MAX);
        }
        let span = 2u32.saturating_pow(receive_count(record).min(16)).min(BACKOFF_SECONDS_MAX);
        // The low half of a UUIDv7 is random.
        let random = self.ids.next().as_u64_pair().1;
        1 + u32::try_from(random % u64::from(span)).unwrap_or(0)
    }
}

#[async_trait]
impl Layer for Backoff {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        match next.run(delivery).await {
            Err(Failure::Retryable { after, source }) => {
                let reason = Failure::Retryable { after, source }.chain();
                let seconds = self.seconds(delivery.record, after);
                tracing::warn!(error = reason, retry_in_seconds = seconds, "message will be tried again");
                set_visibility(&*self.queues, self.queue, delivery.record, seconds).await;
                Ok(Disposition::ComesAgain)
            }
            other => other,
        }
    }
}
