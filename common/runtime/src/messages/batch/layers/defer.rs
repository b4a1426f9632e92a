//! A message whose dependency is away waits without using up attempts.
//!
//! A copy of it is sent to its own queue with a delay, and the record itself is done with: a queue counts receives, and
//! would make a dead letter of a message that only waited. The copy tells since when it waits, so that nothing waits for
//! ever, and how often the message was tried: what fails and waits in turn is given up like what only fails. Where order is
//! kept, later messages of its key wait behind it.

use hostler_core::mutants;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Category, Failure};
use jiff::{SignedDuration, Timestamp};

use super::{Parts, hold};
use crate::messages::batch::layer::{Delivery, Disposition, Handled, Layer, Next};
use crate::messages::batch::record::{
    DEFERRED_SINCE, ORIGINAL, Record, TRIED, attribute, identity, set_visibility, text_attributes, tries,
};
use crate::messages::ordering::OrderingKeys;
use crate::ports::{Clock, DELAY_SECONDS_MAX, Outbound, Queues};

/// The longest that a message waits without using up attempts.
const DEFERRAL_MAX: SignedDuration = SignedDuration::from_hours(12);

pub(super) struct Defer {
    queue: &'static str,
    queues: Arc<dyn Queues>,
    clock: Arc<dyn Clock>,
    ordering: Option<OrderingKeys>,
}

impl Defer {
    pub(super) fn of(parts: &Parts) -> Self {
        let (queues, clock, ordering) = (parts.queues.clone(), parts.clock.clone(), parts.ordering.clone());
        Self { queue: parts.queue, queues, clock, ordering }
    }

    async fn defer(&self, delivery: &Delivery<'_>, after: Duration, reason: &str) -> Handled {
        let record = delivery.record;
        let since = self.waiting_since(record);
        let waited = self.clock.now().duration_since(since);
        if waited > DEFERRAL_MAX && !mutants::on("batch.waits-for-ever") {
            let reason =
                format!("waited {} minutes and still could not be tried: {reason}", waited.as_mins());
            return Err(Failure::terminal(Category::Transient, reason));
        }
        let seconds = u16::try_from(after.as_secs()).unwrap_or(u16::MAX).clamp(1, DELAY_SECONDS_MAX);
        tracing::info!(reason, retry_in_seconds = seconds, "message is deferred");
        // A copy would lose its place in its FIFO group; and without its key, its place before the later ones of that key.
        if record.attributes.message_group_id.is_none() && self.holds(delivery).await {
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

    async fn holds(&self, delivery: &Delivery<'_>) -> bool {
        let held = hold(self.ordering.as_ref(), delivery).await;
        if let Err(error) = &held {
            tracing::warn!(error = %error, "its key is not held: the message itself waits");
        }
        held.is_ok()
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
    // This time it only waited.
    let tried = tries(record).saturating_sub(1);
    if tried > 0 && !mutants::on("batch.forgets-tries") {
        attributes.insert(TRIED.to_owned(), tried.to_string());
    }
    attributes.retain(|_, text| !text.is_empty());
    Outbound { body: record.body.clone(), delay_seconds, attributes }
}

#[async_trait]
impl Layer for Defer {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        match next.run(delivery).await {
            Err(Failure::Deferred { after, source }) => {
                let reason = Failure::Deferred { after, source }.chain();
                self.defer(delivery, after, &reason).await
            }
            other => other,
        }
    }
}
