//! The event bus in memory, with rules that bring events to queues.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_core::Envelope;
use hostler_runtime::ports::{EntryFailure, EntryResults, EventBus, Outbound};

use crate::faults::{FaultPlan, batch};
use crate::memory::MemoryQueues;

/// What one entry may have on EventBridge, less what it wraps around it.
const EVENT_BYTES_MAX: usize = 262_144;

/// An event bus in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryBus {
    inner: Arc<Mutex<Inner>>,
    faults: FaultPlan,
}

#[derive(Debug, Default)]
struct Inner {
    published: Vec<Envelope>,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    /// Absent: all types.
    event_types: Option<Vec<String>>,
    queues: MemoryQueues,
    queue: String,
}

impl MemoryBus {
    /// The fault switch.
    #[must_use]
    pub fn faults(&self) -> &FaultPlan {
        &self.faults
    }

    /// Brings events of these types to a queue, in EventBridge's wrapping, as a bus rule does.
    pub fn subscribe(&self, event_types: &[&str], queues: &MemoryQueues, queue: &str) {
        self.add_rule(Some(event_types.iter().map(ToString::to_string).collect()), queues, queue);
    }

    /// Brings all events to a queue.
    pub fn subscribe_all(&self, queues: &MemoryQueues, queue: &str) {
        self.add_rule(None, queues, queue);
    }

    /// All that was published, in order.
    #[must_use]
    pub fn published(&self) -> Vec<Envelope> {
        self.inner.lock().unwrap().published.clone()
    }

    /// All that was published since this was last called, in order.
    #[must_use]
    pub fn take_published(&self) -> Vec<Envelope> {
        std::mem::take(&mut self.inner.lock().unwrap().published)
    }

    fn add_rule(&self, event_types: Option<Vec<String>>, queues: &MemoryQueues, queue: &str) {
        let rule = Rule { event_types, queues: queues.clone(), queue: queue.to_owned() };
        self.inner.lock().unwrap().rules.push(rule);
    }
}

impl Inner {
    fn publish(&mut self, event: &Envelope) -> Result<(), EntryFailure> {
        let body = serde_json::to_string(event).unwrap();
        let bytes = 14 + event.source.len() + event.event_type.len() + body.len();
        if bytes > EVENT_BYTES_MAX {
            return Err(EntryFailure {
                retryable: false,
                code: "EntryTooLarge".to_owned(),
                message: format!("the event is {bytes} bytes, and the limit of the bus is {EVENT_BYTES_MAX}"),
            });
        }
        for rule in &self.rules {
            if rule.event_types.as_ref().is_none_or(|types| types.contains(&event.event_type)) {
                rule.queues.deliver(&rule.queue, Outbound { body: body.clone(), ..Outbound::default() });
            }
        }
        self.published.push(event.clone());
        Ok(())
    }
}

#[async_trait]
impl EventBus for MemoryBus {
    async fn publish(&self, events: &[Envelope]) -> EntryResults {
        let mut inner = self.inner.lock().unwrap();
        batch(&self.faults, events, |event| inner.publish(event))
    }
}
