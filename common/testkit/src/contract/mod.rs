//! One suite for each port. Every implementation passes it; where they differ by nature, they declare it.
//!
//! Each suite works on names of its own, so that it can run on tables and queues that hold other things.

mod bus;
mod control;
mod event_log;
mod event_store;
mod leases;
mod queues;
mod schedules;
mod views;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

pub use bus::{SUBSCRIBED, event_bus};
pub use control::control;
pub use event_log::event_log;
pub use event_store::event_store;
pub use leases::leases;
pub use queues::queues;
pub use schedules::schedules;
pub use views::views;

use crate::clock::TestClock;
use crate::memory::MemoryQueues;

/// Where implementations may differ.
#[derive(Debug, Clone, Copy, Default)]
pub struct Supports {
    /// How long a list by group may lag behind the writes.
    pub group_lag: Duration,
    /// How long a message may be on its way from bus to queue, or from sender to receiver.
    pub delivery_lag: Duration,
    /// An event or message at the size limit really is delivered; some emulators stop earlier.
    pub full_size: bool,
}

/// The receiving side of queues, which functions do not have: Lambda hands them their messages.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Receives some visible messages, without waiting for them. They are hidden for at least 20 seconds.
    async fn receive(&self, queue: &str) -> Vec<Delivery>;

    /// Deletes a message that was received.
    async fn delete(&self, queue: &str, receipt: &str);

    /// Lets time go by: real or virtual.
    async fn wait(&self, time: Duration);
}

/// A message as an [`Inbox`] received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The body.
    pub body: String,
    /// Text attributes beside the body.
    pub attributes: BTreeMap<String, String>,
    /// What it takes to delete it or change its visibility.
    pub receipt: String,
}

/// The receiving side of queues in memory, on virtual time.
#[derive(Debug, Clone)]
pub struct MemoryInbox {
    /// The queues.
    pub queues: MemoryQueues,
    /// Their clock.
    pub clock: TestClock,
}

#[async_trait]
impl Inbox for MemoryInbox {
    async fn receive(&self, queue: &str) -> Vec<Delivery> {
        let received = self.queues.receive(queue, 10).into_iter();
        received
            .map(|message| Delivery {
                body: message.body,
                attributes: message.attributes,
                receipt: message.receipt,
            })
            .collect()
    }

    async fn delete(&self, queue: &str, receipt: &str) {
        self.queues.delete(queue, receipt);
    }

    async fn wait(&self, time: Duration) {
        self.clock.advance(time);
    }
}

/// Receives and deletes until `count` messages came, or the lag has passed twice without one.
async fn drain(inbox: &dyn Inbox, queue: &str, count: usize, lag: Duration) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    let mut waits = 0;
    while deliveries.len() < count && waits < 20 {
        let received = inbox.receive(queue).await;
        if received.is_empty() {
            waits += 1;
            inbox.wait(lag / 10).await;
        }
        for delivery in received {
            inbox.delete(queue, &delivery.receipt).await;
            deliveries.push(delivery);
        }
    }
    deliveries
}

/// A name that no other run uses.
fn fresh(prefix: &str) -> String {
    format!("{prefix}-{}", Uuid::now_v7().simple())
}
