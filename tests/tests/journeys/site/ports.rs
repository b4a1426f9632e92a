//! The ports of a site: the twins in memory, behind the fault switch.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_core::{Commit, Envelope, StreamId, StreamVersion};
use hostler_runtime::{
    Claim, Claimed, Control, Entry, EntryFailure, EntryResults, EventBus, EventStore, Leases, Outbound, Page,
    PortError, Queues, Row, StoreError, Views,
};
use hostler_testkit::memory::{
    MemoryBus, MemoryControl, MemoryLeases, MemoryQueues, MemoryStore, MemoryViews,
};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::switch::Switch;

/// A twin behind the switch.
#[derive(Clone)]
pub struct Wired<T> {
    pub twin: T,
    pub switch: Switch,
}

fn entry_failures(n: usize) -> EntryResults {
    vec![Err(entry_failure()); n]
}

fn entry_failure() -> EntryFailure {
    EntryFailure { retryable: true, code: "Injected".to_owned(), message: "injected".to_owned() }
}

fn port_error(table: &'static str, key: &str) -> PortError {
    PortError::Unavailable { table, action: "write", key: key.to_owned(), source: "injected".into() }
}

#[async_trait]
impl EventStore for Wired<MemoryStore> {
    async fn load(&self, stream: &StreamId) -> Result<Vec<Commit>, StoreError> {
        self.switch.read(self.twin.load(stream)).await
    }

    async fn read(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        self.switch.read(self.twin.read(stream, after, limit)).await
    }

    async fn append(&self, commit: &Commit) -> Result<(), StoreError> {
        let failed = || {
            Err(StoreError::Unavailable {
                action: "append to",
                stream: commit.stream.clone(),
                source: "injected".into(),
            })
        };
        self.switch.write("append", self.twin.append(commit), failed).await
    }
}

#[async_trait]
impl EventBus for Wired<MemoryBus> {
    async fn publish(&self, events: &[Envelope]) -> EntryResults {
        self.switch.write("publish", self.twin.publish(events), || entry_failures(events.len())).await
    }
}

/// The queues, and all that was ever sent to them.
#[derive(Clone)]
pub struct WiredQueues {
    pub twin: MemoryQueues,
    pub switch: Switch,
    pub sent: Arc<Mutex<Vec<(String, String)>>>,
}

impl WiredQueues {
    async fn send_and_note(&self, queue: &str, messages: &[Outbound]) -> EntryResults {
        let results = self.twin.send(queue, messages).await;
        let taken = messages.iter().zip(&results).filter(|(_, result)| result.is_ok());
        self.sent.lock().unwrap().extend(taken.map(|(message, _)| (queue.to_owned(), message.body.clone())));
        results
    }
}

#[async_trait]
impl Queues for WiredQueues {
    async fn send(&self, queue: &str, messages: &[Outbound]) -> EntryResults {
        let send = self.send_and_note(queue, messages);
        self.switch.write("send", send, || entry_failures(messages.len())).await
    }

    async fn defer(&self, queue: &str, receipt: &str, seconds: u32) -> Result<(), EntryFailure> {
        self.switch.write("defer", self.twin.defer(queue, receipt, seconds), || Err(entry_failure())).await
    }
}

#[async_trait]
impl Views for Wired<MemoryViews> {
    async fn put(&self, row: &Row) -> Result<bool, PortError> {
        self.switch.write("view", self.twin.put(row), || Err(port_error("views", &row.key))).await
    }

    async fn get(&self, view: &str, key: &str) -> Result<Option<Row>, PortError> {
        self.switch.read(self.twin.get(view, key)).await
    }

    async fn list(
        &self,
        view: &str,
        group: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, PortError> {
        self.switch.read(self.twin.list(view, group, after, limit)).await
    }
}

#[async_trait]
impl Control for Wired<MemoryControl> {
    async fn get(&self, key: &str) -> Result<Option<Entry>, PortError> {
        self.switch.read(self.twin.get(key)).await
    }

    async fn put(&self, key: &str, value: &Value, expected: u64) -> Result<bool, PortError> {
        let put = self.twin.put(key, value, expected);
        self.switch.write("control", put, || Err(port_error("control", key))).await
    }
}

#[async_trait]
impl Leases for Wired<MemoryLeases> {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError> {
        let failed = || Err(port_error("idempotency", &claim.key));
        self.switch.write("claim", self.twin.claim(claim), failed).await
    }

    async fn complete(
        &self,
        key: &str,
        owner: Uuid,
        result: &str,
        expires_at: Timestamp,
    ) -> Result<bool, PortError> {
        let complete = self.twin.complete(key, owner, result, expires_at);
        self.switch.write("complete", complete, || Err(port_error("idempotency", key))).await
    }

    async fn release(&self, key: &str, owner: Uuid) -> Result<bool, PortError> {
        self.switch
            .write("release", self.twin.release(key, owner), || Err(port_error("idempotency", key)))
            .await
    }
}
