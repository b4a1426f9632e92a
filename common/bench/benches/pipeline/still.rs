//! A store that stands still: all the work that an adapter does, and no call.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Commit, Failure, Incoming, Payload, StreamId, StreamVersion};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::ports::{
    Clock, EntryFailure, EntryResults, EventStore, Ids, Outbound, Queues, StoreError,
};
use hostler_runtime::state::shell::{Cause, Shell};
use jiff::Timestamp;
use uuid::Uuid;

use crate::readings::{ReadingEvent, STREAMS, SensorDecider, stored};

pub(crate) struct Still {
    streams: Vec<Commit>,
    ids: AtomicU64,
}

impl Still {
    pub(crate) fn new() -> Self {
        Self { streams: (0..STREAMS).map(stored).collect(), ids: AtomicU64::new(0) }
    }
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep<'a: 'b, 'b>(&'a self, _: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'b>> {
        Box::pin(async {})
    }

    fn wait_until<'a: 'b, 'b>(
        &'a self,
        _: Timestamp,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'b>> {
        Box::pin(std::future::pending())
    }
}

impl Ids for Still {
    fn next(&self) -> Uuid {
        Uuid::from_u64_pair(0, self.ids.fetch_add(1, Ordering::Relaxed))
    }
}

#[async_trait]
impl EventStore for Still {
    async fn load(&self, stream: &StreamId) -> Result<Vec<Commit>, StoreError> {
        let place: usize = stream.key()[2..].parse().unwrap();
        Ok(vec![self.streams[place].clone()])
    }

    async fn read(&self, _: &StreamId, _: StreamVersion, _: usize) -> Result<Vec<Commit>, StoreError> {
        Ok(Vec::new())
    }

    async fn append(&self, commit: &Commit) -> Result<(), StoreError> {
        commit.check_size()?;
        black_box(hostler_runtime::state::item::to_fields(commit).unwrap());
        for envelope in commit.envelopes() {
            black_box(envelope.to_json().unwrap());
        }
        Ok(())
    }
}

#[async_trait]
impl Queues for Still {
    async fn send(&self, _: &str, _: &[Outbound]) -> EntryResults {
        Vec::new()
    }

    async fn change_visibility(&self, _: &str, _: &str, _: u32) -> Result<(), EntryFailure> {
        Ok(())
    }
}

/// Records readings, as any function of ours would.
pub(crate) struct Record {
    pub(crate) shell: Shell,
    /// Whether a line is logged for each message.
    pub(crate) logs: bool,
}

#[async_trait]
impl Handler for Record {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let Incoming::Event(event) = message else { return Err(message.misplaced("a reading")) };
        let ReadingEvent::Taken(reading) =
            ReadingEvent::from_data(&event.event_type, event.schema_version, &event.data)?
        else {
            return Err(message.misplaced("a reading that was taken"));
        };
        let done = self.shell.execute::<SensorDecider>(&event.stream, &Cause::of(message), &reading).await?;
        if self.logs {
            tracing::info!(stream = %event.stream, version = done.fold.version.0, outcome = ?done.outcome, "recorded");
        }
        Ok(())
    }
}
