//! The event store in memory, with its outbox.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_core::{Commit, CommitId, StreamId, StreamVersion};
use hostler_runtime::ports::{COMMITS_PER_LOAD_MAX, EventStore, StoreError};

use crate::faults::{Fault, FaultPlan, injected};

/// Streams of commits in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    faults: FaultPlan,
}

#[derive(Debug, Default)]
struct Inner {
    streams: BTreeMap<StreamId, BTreeMap<StreamVersion, Arc<Commit>>>,
    /// All commits in the order of writing.
    written: Vec<Arc<Commit>>,
    /// How many of these were taken as the outbox.
    taken: usize,
    rivals: VecDeque<Commit>,
}

impl MemoryStore {
    /// The fault switch.
    #[must_use]
    pub fn faults(&self) -> &FaultPlan {
        &self.faults
    }

    /// The commits written since this was last called, in the order of writing: what the DynamoDB stream hands
    /// to the relay.
    #[must_use]
    pub fn take_outbox(&self) -> Vec<Commit> {
        let mut inner = self.inner.lock().unwrap();
        let all = inner.written.len();
        let from = std::mem::replace(&mut inner.taken, all);
        inner.written[from..].iter().map(|commit| Commit::clone(commit)).collect()
    }

    /// All commits but the first `n` written.
    #[must_use]
    pub fn outbox_since(&self, n: usize) -> Vec<Commit> {
        self.inner.lock().unwrap().written.iter().skip(n).map(|commit| Commit::clone(commit)).collect()
    }

    /// The names of all streams.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamId> {
        self.inner.lock().unwrap().streams.keys().cloned().collect()
    }

    /// All commits of a stream, ascending.
    #[must_use]
    pub fn commits(&self, stream: &StreamId) -> Vec<Commit> {
        let inner = self.inner.lock().unwrap();
        inner
            .streams
            .get(stream)
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(|commit| Commit::clone(commit))
            .collect()
    }

    /// Another writer gets in between: the commit is written just before the next append is.
    pub fn rival_next(&self, commit: Commit) {
        self.inner.lock().unwrap().rivals.push_back(commit);
    }

    /// Which commit made a version, if there is one.
    #[must_use]
    pub fn stored(&self, stream: &StreamId, version: StreamVersion) -> Option<CommitId> {
        Some(self.inner.lock().unwrap().streams.get(stream)?.get(&version)?.commit_id)
    }

    /// Writes a commit in the place of whatever has its version: what a store must never do, for tests of checks.
    pub fn overwrite(&self, commit: &Commit) {
        let mut inner = self.inner.lock().unwrap();
        let commit = Arc::new(commit.clone());
        let stream = inner.streams.entry(commit.stream.clone()).or_default();
        stream.insert(commit.version, Arc::clone(&commit));
        inner.written.push(commit);
    }

    fn unavailable(action: &'static str, stream: &StreamId, fault: &Fault) -> StoreError {
        StoreError::Unavailable { action, stream: stream.clone(), source: injected(fault) }
    }
}

impl Inner {
    fn write(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let stream = self.streams.entry(commit.stream.clone()).or_default();
        match stream.get(&commit.version) {
            Some(there) if there.commit_id == commit.commit_id => Ok(()),
            Some(_) => Err(StoreError::Conflict { stream: commit.stream.clone(), version: commit.version }),
            None => {
                let commit = Arc::new(commit.clone());
                stream.insert(commit.version, Arc::clone(&commit));
                self.written.push(commit);
                Ok(())
            }
        }
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn load(&self, stream: &StreamId) -> Result<Vec<Commit>, StoreError> {
        if self.faults.on_read() {
            return Err(Self::unavailable("load", stream, &Fault::Fail));
        }
        let inner = self.inner.lock().unwrap();
        let Some(commits) = inner.streams.get(stream) else { return Ok(Vec::new()) };
        let newest = commits.iter().rev().find(|(_, commit)| commit.snapshot.is_some());
        let most =
            commits.keys().rev().nth(COMMITS_PER_LOAD_MAX - 1).copied().unwrap_or(StreamVersion::EMPTY);
        let start = newest.map_or(most, |(version, _)| *version).max(most);
        Ok(commits.range(start..).map(|(_, commit)| Commit::clone(commit)).collect())
    }

    async fn read(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        if self.faults.on_read() {
            return Err(Self::unavailable("read", stream, &Fault::Fail));
        }
        let inner = self.inner.lock().unwrap();
        let Some(commits) = inner.streams.get(stream) else { return Ok(Vec::new()) };
        Ok(commits.range(after.next()..).take(limit).map(|(_, commit)| Commit::clone(commit)).collect())
    }

    async fn append(&self, commit: &Commit) -> Result<(), StoreError> {
        commit.check_size()?;
        let mut inner = self.inner.lock().unwrap();
        if let Some(rival) = inner.rivals.pop_front() {
            inner.write(&rival)?;
        }
        match self.faults.on_write(1) {
            Fault::None => inner.write(commit),
            lost @ Fault::LoseAnswer => {
                inner.write(commit).and_then(|()| Err(Self::unavailable("append to", &commit.stream, &lost)))
            }
            fault => Err(Self::unavailable("append to", &commit.stream, &fault)),
        }
    }
}
