//! The queues in memory, on virtual time: delays, visibility, receipts and native redrive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_runtime::ports::{Clock, EntryFailure, EntryResults, Outbound, Queues, message_bytes_max};
use jiff::{SignedDuration, Timestamp};

use crate::clock::TestClock;
use crate::faults::{Fault, FaultPlan, batch, injected};

const DELAY_SECONDS_MAX: u16 = 900;
const VISIBILITY_SECONDS_MAX: u32 = 43_200;
const ATTRIBUTES_MAX: usize = 10;

/// Queues in memory.
#[derive(Debug, Clone)]
pub struct MemoryQueues {
    inner: Arc<Mutex<Inner>>,
    faults: FaultPlan,
}

#[derive(Debug)]
struct Inner {
    clock: TestClock,
    queues: BTreeMap<String, Queue>,
    sent: u64,
}

#[derive(Debug)]
struct Queue {
    messages: Vec<Stored>,
    visibility_seconds: u32,
    redrive: Option<Redrive>,
    /// It takes nothing, and says so.
    refuses: Option<EntryFailure>,
}

#[derive(Debug, Clone)]
struct Stored {
    number: u64,
    message: Outbound,
    visible_at: Timestamp,
    receive_count: u32,
}

/// A queue's native redrive policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// Where messages end up.
    pub to: String,
    /// How often a message is received before it does.
    pub receives_max: u32,
}

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The queue's name for it.
    pub message_id: String,
    /// The body.
    pub body: String,
    /// Text attributes beside the body.
    pub attributes: BTreeMap<String, String>,
    /// What it takes to delete it or change its visibility; void once it was received again.
    pub receipt: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

impl MemoryQueues {
    /// Queues of these logical names, with a visibility timeout of 30 seconds and without redrive.
    pub fn new(clock: &TestClock, queues: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let new = || Queue { messages: Vec::new(), visibility_seconds: 30, redrive: None, refuses: None };
        let queues = queues.into_iter().map(|name| (name.into(), new())).collect();
        let inner = Inner { clock: clock.clone(), queues, sent: 0 };
        Self { inner: Arc::new(Mutex::new(inner)), faults: FaultPlan::default() }
    }

    /// The fault switch.
    #[must_use]
    pub fn faults(&self) -> &FaultPlan {
        &self.faults
    }

    /// Sets how long a received message stays invisible.
    ///
    /// # Panics
    /// When there is no such queue; so do the other methods here.
    pub fn set_visibility(&self, queue: &str, seconds: u32) {
        self.inner.lock().unwrap().queue(queue).visibility_seconds = seconds;
    }

    /// Has messages end up elsewhere after so many receives.
    pub fn set_redrive(&self, queue: &str, redrive: Redrive) {
        self.inner.lock().unwrap().queue(queue).redrive = Some(redrive);
    }

    /// From here on a queue takes nothing, as one that was deleted or may not be sent to.
    pub fn refuse(&self, queue: &str, failure: EntryFailure) {
        self.inner.lock().unwrap().queue(queue).refuses = Some(failure);
    }

    /// The queue takes messages again.
    pub fn accept(&self, queue: &str) {
        self.inner.lock().unwrap().queue(queue).refuses = None;
    }

    /// Receives up to `max` visible messages, oldest first, and hides them for the visibility timeout.
    #[must_use]
    pub fn receive(&self, queue: &str, max: usize) -> Vec<Received> {
        let mut inner = self.inner.lock().unwrap();
        let now = inner.clock.now();
        // Most looks at most queues find nothing.
        if inner.queue(queue).messages.iter().all(|stored| stored.visible_at > now) {
            return Vec::new();
        }
        inner.redrive(queue, now);
        let queue = inner.queue(queue);
        let hidden_until = now + seconds(queue.visibility_seconds);
        queue.messages.sort_by_key(|stored| (stored.visible_at, stored.number));
        let visible = queue.messages.iter_mut().filter(|stored| stored.visible_at <= now).take(max);
        visible
            .map(|stored| {
                stored.visible_at = hidden_until;
                stored.receive_count += 1;
                stored.received()
            })
            .collect()
    }

    /// Deletes a message that was received. An old receipt does nothing, as with SQS.
    pub fn delete(&self, queue: &str, receipt: &str) {
        let Some(receipt) = receipt_of(receipt) else { return };
        let mut inner = self.inner.lock().unwrap();
        inner.queue(queue).messages.retain(|stored| (stored.number, stored.receive_count) != receipt);
    }

    /// How many messages there are, hidden ones included.
    #[must_use]
    pub fn len(&self, queue: &str) -> usize {
        self.inner.lock().unwrap().queue(queue).messages.len()
    }

    /// Whether no queue has a message, hidden ones included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.lock().unwrap().queues.values().all(|queue| queue.messages.is_empty())
    }

    /// All messages of a queue, hidden ones included, in the order in which they are to be seen.
    #[must_use]
    pub fn peek(&self, queue: &str) -> Vec<Outbound> {
        let mut inner = self.inner.lock().unwrap();
        let mut messages = inner.queue(queue).messages.clone();
        messages.sort_by_key(|stored| (stored.visible_at, stored.number));
        messages.into_iter().map(|stored| stored.message).collect()
    }

    /// The names of the queues.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.inner.lock().unwrap().queues.keys().cloned().collect()
    }

    /// When the next message of any queue can be seen: what a journey sets its clock to when all is quiet.
    #[must_use]
    pub fn next_visible_at(&self) -> Option<Timestamp> {
        let inner = self.inner.lock().unwrap();
        inner.queues.values().flat_map(|queue| &queue.messages).map(|stored| stored.visible_at).min()
    }

    /// When the next message can be seen that cannot be seen yet.
    #[must_use]
    pub fn next_visible_after(&self, now: Timestamp) -> Option<Timestamp> {
        let inner = self.inner.lock().unwrap();
        let messages = inner.queues.values().flat_map(|queue| &queue.messages);
        messages.map(|stored| stored.visible_at).filter(|at| *at > now).min()
    }

    /// Puts a message on a queue past faults and checks, as a bus rule does, or somebody who has raised the queue's limit.
    pub fn deliver(&self, queue: &str, message: Outbound) {
        self.inner.lock().unwrap().push(queue, message);
    }

    /// Puts a message on a queue past faults and checks at a time to come, as a schedule does.
    pub(crate) fn deliver_at(&self, queue: &str, message: Outbound, at: Timestamp) {
        self.inner.lock().unwrap().push_at(queue, message, at);
    }
}

impl Inner {
    fn queue(&mut self, name: &str) -> &mut Queue {
        self.queues.get_mut(name).unwrap_or_else(|| panic!("there is no queue called {name:?} in this test"))
    }

    fn push(&mut self, queue: &str, message: Outbound) {
        let visible_at = self.clock.now() + seconds(u32::from(message.delay_seconds));
        self.push_at(queue, message, visible_at);
    }

    fn push_at(&mut self, queue: &str, message: Outbound, visible_at: Timestamp) {
        self.sent += 1;
        let number = self.sent;
        self.queue(queue).messages.push(Stored { number, message, visible_at, receive_count: 0 });
    }

    fn redrive(&mut self, queue: &str, now: Timestamp) {
        let queue = self.queue(queue);
        let Some(Redrive { to, receives_max }) = queue.redrive.clone() else { return };
        if queue.messages.iter().all(|stored| stored.receive_count < receives_max) {
            return;
        }
        let (done, rest) = std::mem::take(&mut queue.messages)
            .into_iter()
            .partition(|stored| stored.visible_at <= now && stored.receive_count >= receives_max);
        queue.messages = rest;
        self.queue(&to).messages.extend::<Vec<Stored>>(done);
    }

    fn send(&mut self, queue: &str, message: &Outbound) -> Result<(), EntryFailure> {
        let (bytes, bytes_max) = (message.bytes(), message_bytes_max(queue));
        if bytes > bytes_max {
            let text = format!("the message is {bytes} bytes, and the limit is {bytes_max}");
            return Err(refusal("MessageTooLarge", text));
        }
        if message.delay_seconds > DELAY_SECONDS_MAX {
            let text = format!("a delay of {} s is over {DELAY_SECONDS_MAX} s", message.delay_seconds);
            return Err(refusal("DelayTooLong", text));
        }
        if message.attributes.len() > ATTRIBUTES_MAX || message.attributes.values().any(String::is_empty) {
            return Err(refusal(
                "InvalidAttributes",
                "ten attributes at most, and none of them empty".into(),
            ));
        }
        if message.body.is_empty() {
            return Err(refusal("EmptyBody", "a message without a body is not taken".into()));
        }
        self.push(queue, message.clone());
        Ok(())
    }
}

impl Stored {
    fn receipt(&self) -> String {
        format!("m-{}/{}", self.number, self.receive_count)
    }

    fn received(&self) -> Received {
        Received {
            message_id: format!("m-{}", self.number),
            body: self.message.body.clone(),
            attributes: self.message.attributes.clone(),
            receipt: self.receipt(),
            receive_count: self.receive_count,
        }
    }
}

/// The number of the message, and how often it had been received, that a receipt stands for.
fn receipt_of(receipt: &str) -> Option<(u64, u32)> {
    let (number, receive_count) = receipt.strip_prefix("m-")?.split_once('/')?;
    Some((number.parse().ok()?, receive_count.parse().ok()?))
}

fn seconds(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds))
}

fn refusal(code: &str, message: String) -> EntryFailure {
    EntryFailure { retryable: false, code: code.to_owned(), message }
}

#[async_trait]
impl Queues for MemoryQueues {
    async fn send(&self, queue: &str, messages: &[Outbound]) -> EntryResults {
        let mut inner = self.inner.lock().unwrap();
        if !inner.queues.contains_key(queue) {
            let failure = refusal("UnknownQueue", format!("there is no queue called {queue:?}"));
            return vec![Err(failure); messages.len()];
        }
        if let Some(failure) = &inner.queue(queue).refuses {
            return vec![Err(failure.clone()); messages.len()];
        }
        batch(&self.faults, messages, |message| inner.send(queue, message))
    }

    async fn change_visibility(
        &self,
        queue: &str,
        receipt: &str,
        seconds_more: u32,
    ) -> Result<(), EntryFailure> {
        let fault = self.faults.on_write(1);
        if !matches!(fault, Fault::None | Fault::LoseAnswer) {
            let message = injected(&fault).to_string();
            return Err(EntryFailure { retryable: true, code: "InjectedFault".to_owned(), message });
        }
        let mut inner = self.inner.lock().unwrap();
        let now = inner.clock.now();
        let Some(queue) = inner.queues.get_mut(queue) else {
            return Err(refusal("UnknownQueue", format!("there is no queue called {queue:?}")));
        };
        let in_flight = |stored: &&mut Stored| {
            Some((stored.number, stored.receive_count)) == receipt_of(receipt) && stored.visible_at > now
        };
        match queue.messages.iter_mut().find(in_flight) {
            Some(stored) => {
                stored.visible_at = now + seconds(seconds_more.min(VISIBILITY_SECONDS_MAX));
                Ok(())
            }
            None => Err(refusal("ReceiptHandleIsInvalid", format!("the receipt {receipt:?} is not known"))),
        }
    }
}
