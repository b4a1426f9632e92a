//! A message whose dependency is away waits without using up attempts.
//!
//! A copy of it is sent to its own queue with a delay, and the record itself is done with: a queue counts receives, and
//! would make a dead letter of a message that only waited. The copy tells since when it waits, so that nothing waits for
//! ever.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Category, Failure};
use jiff::{SignedDuration, Timestamp};

use super::Parts;
use crate::messages::batch::layer::{Delivery, Disposition, Handled, Layer, Next};
use crate::messages::batch::record::{
    DEFERRED_SINCE, ORIGINAL, Record, attribute, identity, set_visibility, text_attributes,
};
use crate::ports::{Clock, DELAY_SECONDS_MAX, Outbound, Queues};

/// The longest that a message waits without using up attempts.
const DEFERRAL_MAX: SignedDuration = SignedDuration::from_hours(12);

pub(super) struct Defer {
    queue: &'static str,
    queues: Arc<dyn Queues>,
    clock: Arc<dyn Clock>,
}

impl Defer {
    pub(super) fn of(parts: &Parts) -> Self {
        Self { queue: parts.queue, queues: parts.queues.clone(), clock: parts.clock.clone() }
    }

    async fn defer(&self, record: &Record, after: Duration, reason: &str) -> Handled {
        let since = self.waiting_since(record);
        let waited = self.clock.now().duration_since(since);
        if waited > DEFERRAL_MAX {
            let reason =
                format!("waited {} minutes and still could not be tried: {reason}", waited.as_mins());
            return Err(Failure::terminal(Category::Transient, reason));
        }
        let seconds = u16::try_from(after.as_secs()).unwrap_or(u16::MAX).clamp(1, DELAY_SECONDS_MAX);
        tracing::info!(reason, retry_in_seconds = seconds, "message is deferred");
        // A copy would lose its place in its FIFO group.
        if record.attributes.message_group_id.is_none() {
            match self.queues.send(self.queue, &[copy(record, since, seconds)]).await.into_iter().next() {
                Some(Ok(())) => return Ok(Disposition::Done),
                Some(Err(error)) => {
                    tracing::warn!(error = %error, "no copy was sent: the message itself waits")
                }
                None => {}
            }
        }
        set_visibility(&*self.queues, self.queue, record, u32::from(seconds)).await;
        Ok(Disposition::ComesAgain)
    }

    /// Since when a message waits: its first copy says so; without one, since now.
    fn waiting_since(&self, record: &Record) -> Timestamp {
        let told = attribute(record, DEFERRED_SINCE);
        told.and_then(|told| told.parse().ok()).unwrap_or_else(|| self.clock.now())
    }
}

/// The copy has another id and is the same message: it says so, for the ordering key that the first one may hold.
fn copy(record: &Record, since: Timestamp, delay_seconds: u16) -> Outbound {
    let mut attributes = text_attributes(record);
    attributes.insert(DEFERRED_SINCE.to_owned(), since.to_string());
    attributes.insert(ORIGINAL.to_owned(), identity(record).unwrap_or_default().to_owned());
    attributes.retain(|_, text| !text.is_empty());
    Outbound { body: record.body.clone(), delay_seconds, attributes }
}

#[async_trait]
impl Layer for Defer {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        match next.run(delivery).await {
            Err(Failure::Deferred { after, source }) => {
                let reason = Failure::Deferred { after, source }.chain();
                self.defer(delivery.record, after, &reason).await
            }
            other => other,
        }
    }
}
