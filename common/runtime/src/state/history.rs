//! Folding commits into state: now, at a version, or at an instant.

use hostler_core::failure::BoxError;
use hostler_core::{
    CausationId, Commit, ContractError, Data, Decider, Payload, SeenCause, Snapshot, StreamId, StreamVersion,
};
use jiff::{SignedDuration, Timestamp};

use crate::ports::{EventStore, StoreError};

/// How long a cause is remembered on its stream: twice the 24 hours for which step queues keep a message.
pub const CAUSE_WINDOW: SignedDuration = SignedDuration::from_hours(48);
/// How many commits one read fetches while going through a whole stream.
const PAGE: usize = 100;
/// The most commits that one temporal query goes through.
const COMMITS_MAX: u64 = 100_000;

/// Why a stream could not be folded.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event was written by newer code, or does not fit its contract.
    #[error("{stream} holds an event at version {version} that this code cannot read: {source}")]
    Contract {
        /// The stream.
        stream: StreamId,
        /// The commit's version.
        version: StreamVersion,
        /// Why.
        #[source]
        source: ContractError,
    },
    /// The stream is longer than one fold goes; a part of it is no answer.
    #[error(
        "{stream} has {commits_max} commits or more and no snapshot that this code reads: deploy the code that wrote its snapshots, or read its commits page by page"
    )]
    TooLong {
        /// The stream.
        stream: StreamId,
        /// How many commits are folded at most.
        commits_max: u64,
    },
}

impl From<HistoryError> for hostler_core::Failure {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Store(source) => source.into(),
            error @ (HistoryError::Contract { .. } | HistoryError::TooLong { .. }) => {
                Self::terminal(hostler_core::Category::Unknown, error)
            }
        }
    }
}

/// A state, and what is known of the stream it came from.
#[derive(Debug, Clone)]
pub struct Fold<D: Decider> {
    /// The state.
    pub state: D::State,
    /// The stream's version that it reflects; 0 for a stream without commits.
    pub version: StreamVersion,
    /// When the last commit was recorded.
    pub updated_at: Option<Timestamp>,
    /// Causes that are still recognised, oldest first.
    pub seen: Vec<SeenCause>,
}

impl<D: Decider> Default for Fold<D> {
    fn default() -> Self {
        Self { state: D::State::default(), version: StreamVersion::EMPTY, updated_at: None, seen: Vec::new() }
    }
}

impl<D: Decider> Fold<D> {
    /// Where this cause was committed, if it was.
    #[must_use]
    pub fn seen(&self, cause: &CausationId) -> Option<StreamVersion> {
        self.seen.iter().find(|seen| seen.causation_id == *cause).map(|seen| seen.version)
    }

    /// Where the caller's key was used for another content, if it was.
    #[must_use]
    pub fn payload_mismatch(&self, cause: &CausationId) -> Option<StreamVersion> {
        let other = self.seen.iter().find(|seen| seen.causation_id.differs_in_payload(cause));
        other.map(|seen| seen.version)
    }

    /// Takes in the next commit.
    ///
    /// # Errors
    /// When a version is missing, or an event cannot be read.
    pub fn apply(&mut self, commit: &Commit) -> Result<(), HistoryError> {
        if commit.version != self.version.next() {
            return Err(gap(&commit.stream, self.version.next()));
        }
        self.evolve(&decode_events::<D>(commit)?);
        self.took(commit.causation_id.clone(), commit.version, commit.recorded_at);
        Ok(())
    }

    /// Folds events into the state.
    pub(crate) fn evolve(&mut self, events: &[D::Event]) {
        for event in events {
            self.state = D::evolve(std::mem::take(&mut self.state), event);
        }
    }

    /// Starts from a commit's snapshot, where it has one of the form that this code reads.
    fn start(commit: &Commit) -> Option<Self> {
        let snapshot = commit.snapshot.as_ref().filter(|s| s.state_version == D::STATE_VERSION)?;
        // A snapshot is a cache: one that does not read is passed over like one of another form.
        let state = snapshot.state.read().ok()?;
        let mut fold = Self { state, seen: snapshot.seen.clone(), ..Self::default() };
        fold.version = commit.version;
        fold.updated_at = Some(commit.recorded_at);
        Some(fold)
    }

    /// Notes where the stream is now, and by what cause.
    pub(crate) fn took(&mut self, cause: CausationId, version: StreamVersion, at: Timestamp) {
        self.version = version;
        self.updated_at = Some(at);
        self.seen.push(SeenCause { causation_id: cause, version, recorded_at: at });
    }

    /// The snapshot of this fold, with the causes that are still within the window.
    ///
    /// # Errors
    /// When the state does not serialise, which a plain record always does.
    pub fn snapshot(&self, now: Timestamp) -> Result<Snapshot, serde_json::Error> {
        let recent = |seen: &&SeenCause| now.duration_since(seen.recorded_at) <= CAUSE_WINDOW;
        Ok(Snapshot {
            state_version: D::STATE_VERSION,
            state: Data::write(&self.state)?,
            seen: self.seen.iter().filter(recent).cloned().collect(),
        })
    }
}

fn gap(stream: &StreamId, version: StreamVersion) -> HistoryError {
    let source: BoxError = "this version is missing between its neighbours".into();
    StoreError::Corrupt { stream: stream.clone(), version, source }.into()
}

/// Reads the events of one commit.
///
/// # Errors
/// [`HistoryError::Contract`] names the version and the reason.
pub fn decode_events<D: Decider>(commit: &Commit) -> Result<Vec<D::Event>, HistoryError> {
    let decode = |event: &hostler_core::RecordedEvent| {
        D::Event::from_data(&event.event_type, event.schema_version, &event.data).map_err(|source| {
            HistoryError::Contract { stream: commit.stream.clone(), version: commit.version, source }
        })
    };
    commit.events.iter().map(decode).collect()
}

/// The state now.
///
/// # Errors
/// [`HistoryError`].
pub async fn load<D: Decider>(store: &dyn EventStore, stream: &StreamId) -> Result<Fold<D>, HistoryError> {
    let commits = store.load(stream).await?;
    let Some(first) = commits.first() else { return Ok(Fold::default()) };
    let (mut fold, rest) = match Fold::start(first) {
        Some(fold) => (fold, &commits[1..]),
        None if first.version == StreamVersion(1) => (Fold::default(), &commits[..]),
        // The snapshot has another form: only the whole stream tells.
        None => return load_until(store, stream, |_| true).await,
    };
    for commit in rest {
        fold.apply(commit)?;
    }
    Ok(fold)
}

/// The state now, from one that was: what came since is read, or everything where nothing is known yet.
///
/// # Errors
/// [`HistoryError`].
pub async fn advance<D: Decider>(
    store: &dyn EventStore,
    stream: &StreamId,
    from: Fold<D>,
) -> Result<Fold<D>, HistoryError> {
    if from.version == StreamVersion::EMPTY {
        return load(store, stream).await;
    }
    go_on(store, stream, from, |_| true).await
}

/// The state after the last commit for which `wanted` holds, folding from the first one: a temporal query.
///
/// # Errors
/// [`HistoryError`].
pub async fn load_until<D: Decider>(
    store: &dyn EventStore,
    stream: &StreamId,
    wanted: impl Fn(&Commit) -> bool,
) -> Result<Fold<D>, HistoryError> {
    go_on(store, stream, Fold::default(), wanted).await
}

async fn go_on<D: Decider>(
    store: &dyn EventStore,
    stream: &StreamId,
    mut fold: Fold<D>,
    wanted: impl Fn(&Commit) -> bool,
) -> Result<Fold<D>, HistoryError> {
    let end = fold.version.0.saturating_add(COMMITS_MAX);
    while fold.version.0 < end {
        let page = store.read(stream, fold.version, PAGE).await?;
        for commit in &page {
            if !wanted(commit) {
                return Ok(fold);
            }
            fold.apply(commit)?;
        }
        if page.len() < PAGE {
            return Ok(fold);
        }
    }
    Err(HistoryError::TooLong { stream: stream.clone(), commits_max: COMMITS_MAX })
}
