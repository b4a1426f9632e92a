//! The ports of a world: those in memory, behind the fault switch.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{CausationId, Commit, Envelope, SeenCause, StreamId, StreamVersion};
use hostler_runtime::effects::leases::{Claim, Claimed, Leases};
use hostler_runtime::messages::timers::TIMERS_QUEUE;
use hostler_runtime::ports::{
    Clock, Control, Entry, EntryFailure, EntryResults, EventBus, EventStore, Outbound, Page, PortError,
    Queues, Row, Schedule, Schedules, StoreError, Views,
};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::switch::{Bug, Switch};
use crate::TestClock;
use crate::memory::{
    MemoryBus, MemoryControl, MemoryLeases, MemoryQueues, MemorySchedules, MemoryStore, MemoryViews,
};

/// What the event store is called where it is taken down.
pub const STORE: &str = "store";
/// What the event store's stream is called where it is taken down: it delivers nothing meanwhile, and everything afterwards.
pub const STREAM: &str = "stream";

/// What the bus is called among the places where things go wrong.
const BUS: &str = "the bus";

/// A port in memory behind the switch.
#[derive(Clone)]
pub(super) struct Wired<T> {
    pub(super) memory: T,
    pub(super) switch: Switch,
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

/// The clocks of functions, each a little off.
#[derive(Clone)]
pub(super) struct Skewed {
    pub(super) clock: TestClock,
    pub(super) switch: Switch,
}

#[async_trait]
impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        self.clock.now() + self.switch.skew()
    }

    async fn sleep(&self, time: Duration) {
        self.clock.sleep(time).await;
    }

    async fn wait_until(&self, at: Timestamp) {
        self.clock.wait_until(at - self.switch.skew()).await;
    }
}

#[async_trait]
impl EventStore for Wired<MemoryStore> {
    async fn load(&self, stream: &StreamId) -> Result<Vec<Commit>, StoreError> {
        let failed = || {
            let (action, source) = ("load", "injected".into());
            Err(StoreError::Unavailable { action, stream: stream.clone(), source })
        };
        if self.switch.is_down(STORE) {
            return failed();
        }
        let mut commits = self.switch.read_or(stream.as_str(), self.memory.load(stream), failed).await?;
        if self.switch.shows(Bug::ForgetCause, 1) {
            for (number, commit) in commits.iter_mut().enumerate() {
                commit.causation_id = CausationId::new(format!("forgotten-{number}")).unwrap();
                if let Some(snapshot) = &mut commit.snapshot {
                    snapshot.seen.clear();
                }
            }
        }
        Ok(commits)
    }

    async fn read(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        self.switch.read(stream.as_str(), self.memory.read(stream, after, limit)).await
    }

    async fn causes(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<SeenCause>, StoreError> {
        let mut causes = self.switch.read(stream.as_str(), self.memory.causes(stream, after, limit)).await?;
        if self.switch.shows(Bug::ForgetCause, 1) {
            for (number, cause) in causes.iter_mut().enumerate() {
                cause.causation_id = CausationId::new(format!("forgotten-{number}")).unwrap();
            }
        }
        Ok(causes)
    }

    async fn append(&self, commit: &Commit) -> Result<(), StoreError> {
        let failed = || {
            Err(StoreError::Unavailable {
                action: "append to",
                stream: commit.stream.clone(),
                source: "injected".into(),
            })
        };
        if self.switch.is_down(STORE) {
            return failed();
        }
        let has = |kind: &str| commit.events.iter().any(|event| event.event_type == kind);
        let switch = &self.switch;
        let mut commit = commit.clone();
        if switch.shows(Bug::ForgetCommit, 40) || (has("saga.completed") && switch.shows(Bug::ForgetEnd, 3)) {
            switch.acknowledge(&commit);
            return Ok(());
        }
        if commit.version.0 > 1 && switch.shows(Bug::SkipVersion, 60) {
            commit.version.0 += 1;
        }
        switch.tamper_with(&mut commit);
        if commit.version.0 > 1 && switch.shows(Bug::Overwrite, 60) {
            commit.version.0 -= 1;
            self.memory.overwrite(&commit);
            return Ok(());
        }
        let appended =
            self.switch.write("append", commit.stream.as_str(), self.memory.append(&commit), failed).await;
        if appended.is_ok() {
            self.switch.acknowledge(&commit);
        }
        appended
    }
}

#[async_trait]
impl EventBus for Wired<MemoryBus> {
    async fn publish(&self, events: &[Envelope]) -> EntryResults {
        let lost = usize::from(!events.is_empty() && self.switch.shows(Bug::LoseEvent, 30));
        let published = &events[lost..];
        // Of some batches only a part is taken.
        let taken = if published.len() > 1 && self.switch.entry_fails(BUS) {
            published.len() / 2
        } else {
            published.len()
        };
        let mut results = self
            .switch
            .write("publish", BUS, self.memory.publish(&published[..taken]), || entry_failures(taken))
            .await;
        results.extend(entry_failures(published.len() - taken));
        results.extend(vec![Ok(()); lost]);
        results
    }
}

/// The queues, and all that was ever sent to them.
#[derive(Clone)]
pub(super) struct WiredQueues {
    pub(super) memory: MemoryQueues,
    pub(super) switch: Switch,
    pub(super) sent: Arc<Mutex<Vec<(String, String)>>>,
}

impl WiredQueues {
    async fn send_and_note(&self, queue: &str, messages: &[Outbound]) -> EntryResults {
        let results = self.memory.send(queue, messages).await;
        let taken = messages.iter().zip(&results).filter(|(_, result)| result.is_ok());
        self.sent.lock().unwrap().extend(taken.map(|(message, _)| (queue.to_owned(), message.body.clone())));
        results
    }
}

#[async_trait]
impl Queues for WiredQueues {
    async fn send(&self, queue: &str, messages: &[Outbound]) -> EntryResults {
        let bug = if queue == TIMERS_QUEUE { Bug::LoseTimer } else { Bug::LoseMessage };
        if self.switch.shows(bug, 20) {
            return vec![Ok(()); messages.len()];
        }
        // Of some batches only a part is taken.
        let refused: Vec<bool> =
            messages.iter().map(|_| messages.len() > 1 && self.switch.entry_fails(queue)).collect();
        let taken = messages.iter().zip(&refused).filter(|(_, refused)| !**refused);
        let taken: Vec<Outbound> = taken.map(|(message, _)| message.clone()).collect();
        let send = self.send_and_note(queue, &taken);
        let sent = self.switch.write("send", queue, send, || entry_failures(taken.len())).await;
        let mut sent = sent.into_iter();
        refused
            .into_iter()
            .map(|refused| if refused { None } else { sent.next() })
            .map(|result| result.unwrap_or_else(|| Err(entry_failure())))
            .collect()
    }

    async fn change_visibility(&self, queue: &str, receipt: &str, seconds: u32) -> Result<(), EntryFailure> {
        self.switch
            .write("defer", queue, self.memory.change_visibility(queue, receipt, seconds), || {
                Err(entry_failure())
            })
            .await
    }
}

/// The schedules. What they send counts as sent once they are made.
#[derive(Clone)]
pub(super) struct WiredSchedules {
    pub(super) memory: MemorySchedules,
    pub(super) switch: Switch,
    pub(super) sent: Arc<Mutex<Vec<(String, String)>>>,
}

#[async_trait]
impl Schedules for WiredSchedules {
    async fn create(&self, schedule: &Schedule) -> Result<(), EntryFailure> {
        if self.switch.shows(Bug::LoseTimer, 20) {
            return Ok(());
        }
        let make = async {
            let (late, twice) = self.switch.schedule_fires();
            self.memory.make(schedule, late, twice)?;
            self.sent.lock().unwrap().push((TIMERS_QUEUE.to_owned(), schedule.body.clone()));
            Ok(())
        };
        self.switch.write("schedule", "schedules", make, || Err(entry_failure())).await
    }
}

#[async_trait]
impl Views for Wired<MemoryViews> {
    async fn put(&self, row: &Row) -> Result<bool, PortError> {
        if self.switch.shows(Bug::LoseRow, 20) {
            return Ok(true);
        }
        let mut row = row.clone();
        if self.switch.shows(Bug::ViewGoesBack, 20) {
            // As if it reflected a version that is yet to come.
            row.version.0 += 1_000;
        }
        self.switch
            .write("view", &row.key, self.memory.put(&row), || Err(port_error("views", &row.key)))
            .await
    }

    async fn get(&self, view: &str, key: &str) -> Result<Option<Row>, PortError> {
        self.switch.read(key, self.memory.get(view, key)).await
    }

    async fn list(
        &self,
        view: &str,
        group: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, PortError> {
        let key =
            (view.to_owned(), group.unwrap_or_default().to_owned(), after.unwrap_or_default().to_owned());
        if self.switch.is_stale(view)
            && let Some(before) = self.switch.listed(&key)
        {
            return Ok(before);
        }
        let page = self
            .switch
            .read_or(view, self.memory.list(view, group, after, limit), || Err(port_error("views", "a list")))
            .await?;
        self.switch.note_list(key, &page);
        Ok(page)
    }
}

#[async_trait]
impl Control for Wired<MemoryControl> {
    async fn get(&self, key: &str) -> Result<Option<Entry>, PortError> {
        self.switch.read(key, self.memory.get(key)).await
    }

    async fn put(&self, key: &str, value: &Value, expected: u64) -> Result<bool, PortError> {
        let put = self.memory.put(key, value, expected);
        self.switch.write("control", key, put, || Err(port_error("control", key))).await
    }
}

#[async_trait]
impl Leases for Wired<MemoryLeases> {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError> {
        if self.switch.shows(Bug::GrantEveryLease, 1) {
            return Ok(Claimed::Ours);
        }
        let failed = || Err(port_error("idempotency", &claim.key));
        self.switch.write("claim", &claim.key, self.memory.claim(claim), failed).await
    }

    async fn complete(
        &self,
        key: &str,
        owner: Uuid,
        result: &str,
        expires_at: Timestamp,
    ) -> Result<bool, PortError> {
        let complete = self.memory.complete(key, owner, result, expires_at);
        self.switch.write("complete", key, complete, || Err(port_error("idempotency", key))).await
    }

    async fn release(&self, claim: &Claim) -> Result<bool, PortError> {
        self.switch
            .write("release", &claim.key, self.memory.release(claim), || {
                Err(port_error("idempotency", &claim.key))
            })
            .await
    }
}
