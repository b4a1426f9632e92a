//! A message that failed and may work later is tried again: exponential backoff with full jitter.
//!
//! Its queue counts the tries and gives it up in the end. It does not know of those before the message was deferred, for then
//! a copy took its place: that count travels with the copy, and is judged here by the queue's own limit.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Category, Failure};

use super::Parts;
use crate::messages::batch::layer::{Delivery, Disposition, Handled, Layer, Next};
use crate::messages::batch::record::{Record, set_visibility, tried_before, tries};
use crate::ports::{Ids, Queues, VISIBILITY_SECONDS_MAX};

/// The longest wait before a record is tried again, unless the failure says when.
const BACKOFF_SECONDS_MAX: u32 = 300;

pub(super) struct Backoff {
    queue: &'static str,
    queues: Arc<dyn Queues>,
    ids: Arc<dyn Ids>,
    receives_max: u32,
}

impl Backoff {
    pub(super) fn of(parts: &Parts) -> Self {
        let (queues, ids) = (parts.queues.clone(), parts.ids.clone());
        Self { queue: parts.queue, queues, ids, receives_max: parts.receives_max }
    }

    /// Whether a message that was deferred once has been tried more often than its queue allows; the queue itself counts
    /// for all others.
    fn used_up(&self, record: &Record, tries: u32) -> bool {
        tried_before(record) > 0 && tries > self.receives_max
    }

    fn seconds(&self, record: &Record, after: Option<Duration>) -> u32 {
        if let Some(after) = after {
            return u32::try_from(after.as_secs()).unwrap_or(u32::MAX).clamp(1, VISIBILITY_SECONDS_MAX);
        }
        let span = 2u32.saturating_pow(tries(record).min(16)).min(BACKOFF_SECONDS_MAX);
        // The low half of a UUIDv7 is random.
        let random = self.ids.next().as_u64_pair().1;
        1 + u32::try_from(random % u64::from(span)).unwrap_or(0)
    }
}

#[async_trait]
impl Layer for Backoff {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        let tried = tries(delivery.record);
        // Its function died at the last try.
        if self.used_up(delivery.record, tried) {
            let reason = format!(
                "it was tried {} times, between which it waited, and never done with: its function crashed or ran out of time; look for the correlation id in its log",
                tried - 1
            );
            return Err(Failure::terminal(Category::Transient, reason));
        }
        match next.run(delivery).await {
            Err(Failure::Retryable { after, source }) => {
                let reason = Failure::Retryable { after, source }.chain();
                if self.used_up(delivery.record, tried + 1) {
                    let reason = format!("it was tried {tried} times, between which it waited: {reason}");
                    return Err(Failure::terminal(Category::Transient, reason));
                }
                let seconds = self.seconds(delivery.record, after);
                tracing::warn!(error = reason, retry_in_seconds = seconds, "message will be tried again");
                set_visibility(&*self.queues, self.queue, delivery.record, seconds).await;
                Ok(Disposition::ComesAgain)
            }
            other => other,
        }
    }
}
