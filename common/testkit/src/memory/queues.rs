//! The queues in memory, on virtual time: delays, visibility, receipts and native redrive.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_runtime::ports::{Clock, EntryFailure, EntryResults, Outbound, Queues, message_bytes_max};
use jiff::{SignedDuration, Timestamp};

use crate::clock::{Random, TestClock};
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
    transit: Option<Transit>,
}

/// How many milliseconds a message is on its way: at least, and at most.
#[derive(Debug)]
struct Transit {
    least: u32,
    most: u32,
    random: Random,
}

#[derive(Debug)]
struct Queue {
    /// In the order in which they are to be seen: by when, and by their number.
    messages: BTreeMap<(Timestamp, u64), Stored>,
    /// When each is to be seen, by its number.
    visible_at: BTreeMap<u64, Timestamp>,
    visibility_seconds: u32,
    /// What is sent can be seen from then on only.
    held_until: Timestamp,
    redrive: Option<Redrive>,
    /// It takes nothing, and says so.
    refuses: Option<EntryFailure>,
}

#[derive(Debug, Clone)]
struct Stored {
    number: u64,
    message: Outbound,
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
        let queues = queues.into_iter().map(|name| (name.into(), Queue::default())).collect();
        let inner = Inner { clock: clock.clone(), queues, sent: 0, transit: None };
        Self { inner: Arc::new(Mutex::new(inner)), faults: FaultPlan::default() }
    }

    /// The fault switch.
    #[must_use]
    pub fn faults(&self) -> &FaultPlan {
        &self.faults
    }

    /// From here on a message that is sent can be seen only so many milliseconds later, at least and at most: the same for each
    /// run with this seed.
    pub fn set_transit(&self, (least, most): (u32, u32), seed: u64) {
        let transit = Transit { least, most, random: Random::new(seed) };
        self.inner.lock().unwrap().transit = Some(transit);
    }

    /// Sets how long a received message stays invisible.
    ///
    /// # Panics
    /// When there is no such queue; so do the other methods here.
    pub fn set_visibility(&self, queue: &str, seconds: u32) {
        self.inner.lock().unwrap().queue(queue).visibility_seconds = seconds;
    }

    /// What is sent from here on can be seen at that time at the earliest, as where nobody works on a queue until then.
    pub fn hold_until(&self, queue: &str, at: Timestamp) {
        self.inner.lock().unwrap().queue(queue).held_until = at;
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
        if inner.queue(queue).visible(now).next().is_none() {
            return Vec::new();
        }
        inner.redrive(queue, now);
        let queue = inner.queue(queue);
        let hidden_until = now + seconds(queue.visibility_seconds);
        let visible: Vec<u64> = queue.visible(now).take(max).map(|stored| stored.number).collect();
        let mut received = Vec::with_capacity(visible.len());
        for number in visible {
            if let Some(mut stored) = queue.remove(number) {
                stored.receive_count += 1;
                received.push(stored.received());
                queue.insert(stored, hidden_until);
            }
        }
        received
    }

    /// Deletes a message that was received. An old receipt does nothing, as with SQS.
    pub fn delete(&self, queue: &str, receipt: &str) {
        let Some(receipt) = receipt_of(receipt) else { return };
        let mut inner = self.inner.lock().unwrap();
        let queue = inner.queue(queue);
        if queue.received(receipt).is_some() {
            queue.remove(receipt.0);
        }
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
        self.inner
            .lock()
            .unwrap()
            .queue(queue)
            .messages
            .values()
            .map(|stored| stored.message.clone())
            .collect()
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
        inner.queues.values().filter_map(|queue| queue.next_after(Timestamp::MIN)).min()
    }

    /// When the next message can be seen that cannot be seen yet.
    #[must_use]
    pub fn next_visible_after(&self, now: Timestamp) -> Option<Timestamp> {
        let inner = self.inner.lock().unwrap();
        inner.queues.values().filter_map(|queue| queue.next_after(now)).min()
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
        let transit = self.transit.as_mut().map_or(0, |transit| {
            let range = transit.most.saturating_sub(transit.least);
            u64::from(transit.least) + transit.random.below(u64::from(range) + 1)
        });
        let visible_at = self.clock.now() + seconds(u32::from(message.delay_seconds));
        self.push_at(queue, message, visible_at + SignedDuration::from_millis(transit.cast_signed()));
    }

    fn push_at(&mut self, queue: &str, message: Outbound, visible_at: Timestamp) {
        self.sent += 1;
        let number = self.sent;
        self.queue(queue).insert(Stored { number, message, receive_count: 0 }, visible_at);
    }

    fn redrive(&mut self, name: &str, now: Timestamp) {
        let queue = self.queue(name);
        let Some(Redrive { to, receives_max }) = queue.redrive.clone() else { return };
        let done = queue.visible(now).filter(|stored| stored.receive_count >= receives_max);
        let done: Vec<(Timestamp, u64)> =
            done.map(|stored| (queue.visible_at[&stored.number], stored.number)).collect();
        for (visible_at, number) in done {
            if let Some(stored) = self.queue(name).remove(number) {
                self.queue(&to).insert(stored, visible_at);
            }
        }
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

impl Default for Queue {
    fn default() -> Self {
        Self {
            messages: BTreeMap::new(),
            visible_at: BTreeMap::new(),
            visibility_seconds: 30,
            held_until: Timestamp::MIN,
            redrive: None,
            refuses: None,
        }
    }
}

impl Queue {
    fn insert(&mut self, stored: Stored, visible_at: Timestamp) {
        let visible_at = visible_at.max(self.held_until);
        self.visible_at.insert(stored.number, visible_at);
        self.messages.insert((visible_at, stored.number), stored);
    }

    fn remove(&mut self, number: u64) -> Option<Stored> {
        let visible_at = self.visible_at.remove(&number)?;
        self.messages.remove(&(visible_at, number))
    }

    /// Those that can be seen, in their order.
    fn visible(&self, now: Timestamp) -> impl Iterator<Item = &Stored> {
        self.messages.range(..=(now, u64::MAX)).map(|(_, stored)| stored)
    }

    /// When the next one can be seen that cannot be seen by then.
    fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let later = (Bound::Excluded((now, u64::MAX)), Bound::Unbounded);
        self.messages.range(later).next().map(|((visible_at, _), _)| *visible_at)
    }

    /// When the message of a receipt can be seen again, if it was not received once more.
    fn received(&self, (number, receive_count): (u64, u32)) -> Option<Timestamp> {
        let visible_at = *self.visible_at.get(&number)?;
        let stored = self.messages.get(&(visible_at, number))?;
        (stored.receive_count == receive_count).then_some(visible_at)
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
        let of = receipt_of(receipt).filter(|of| queue.received(*of).is_some_and(|at| at > now));
        match of.and_then(|(number, _)| queue.remove(number)) {
            Some(stored) => {
                queue.insert(stored, now + seconds(seconds_more.min(VISIBILITY_SECONDS_MAX)));
                Ok(())
            }
            None => Err(refusal("ReceiptHandleIsInvalid", format!("the receipt {receipt:?} is not known"))),
        }
    }
}
