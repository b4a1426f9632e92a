//! Folding commits into state: now, at a version, or at an instant.

use std::time::Duration;

use hostler_core::failure::BoxError;
use hostler_core::mutants;
use hostler_core::{
    CausationId, Commit, ContractError, Data, Decider, Payload, SeenCause, Snapshot, StreamId, StreamVersion,
};
use jiff::{SignedDuration, Timestamp};

use crate::ports::{EventStore, StoreError};

/// Causes older than this are not carried by snapshots, but for the newest of them: nearly all repeats come sooner. Older
/// ones are looked for on the stream ([`crate::state::causes`]).
const CAUSE_WINDOW: SignedDuration = SignedDuration::from_hours(48);
/// The most causes that a snapshot carries.
pub const CAUSES_MAX: usize = 500;
/// The most bytes that the causes of a snapshot have. Every sixteenth commit pays for them, and every load.
pub const CAUSES_BYTES_MAX: usize = 50_000;
/// What a cause takes in a snapshot beside its id.
const CAUSE_BYTES: usize = 70;
/// How many commits one read fetches while going through a whole stream.
const PAGE: usize = 100;
/// How many such pages are looked through, backwards, for a snapshot that this code reads.
const PAGES_BACK_MAX: usize = 10;

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
}

/// How long a message waits whose stream was written to by newer code, until a build is deployed that reads it.
const NEWER_WAIT: Duration = Duration::from_secs(60);

impl From<HistoryError> for hostler_core::Failure {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Store(source) => source.into(),
            // In a deployment functions of both builds run: the message waits for one that knows what the stream holds.
            error @ HistoryError::Contract {
                source: ContractError::UnknownType { .. } | ContractError::Version { .. },
                ..
            } => Self::deferred(NEWER_WAIT, error),
            error @ HistoryError::Contract { source: ContractError::Data { .. }, .. } => {
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
    /// The newest causes, oldest first. Older ones are on the stream only.
    pub seen: Vec<SeenCause>,
    /// The newest version that carries a snapshot which this code reads; 0 where none is known.
    pub snapshot_version: StreamVersion,
}

/// A moment of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After the commit of this version.
    Version(StreamVersion),
    /// After the last commit until this instant.
    At(Timestamp),
}

impl Moment {
    /// Whether the commit was made by then.
    #[must_use]
    pub fn includes(&self, commit: &Commit) -> bool {
        match self {
            Self::Version(version) => commit.version <= *version,
            Self::At(at) => commit.recorded_at <= *at,
        }
    }
}

impl<D: Decider> Default for Fold<D> {
    fn default() -> Self {
        Self {
            state: D::State::default(),
            version: StreamVersion::EMPTY,
            updated_at: None,
            seen: Vec::new(),
            snapshot_version: StreamVersion::EMPTY,
        }
    }
}

impl<D: Decider> Fold<D> {
    /// Where this cause was committed, if it is among the newest.
    #[must_use]
    pub fn seen(&self, cause: &CausationId) -> Option<StreamVersion> {
        self.seen.iter().find(|seen| seen.causation_id == *cause).map(|seen| seen.version)
    }

    /// The oldest cause from which on all are known. Every commit before it may have any cause.
    pub(crate) fn known_from(&self) -> Option<&SeenCause> {
        let newest_first = self.seen.iter().rev();
        let versions = (0..=self.version.0).rev();
        newest_first
            .zip(versions)
            .take_while(|(seen, version)| seen.version.0 == *version)
            .last()
            .map(|(s, _)| s)
    }

    /// Where the caller's key was used for another content, if that is among the newest.
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
            return Err(gap(&commit.stream, self.version.next()).into());
        }
        self.evolve(&decode_events::<D>(commit)?);
        self.took(commit.causation_id.clone(), commit.version, commit.recorded_at);
        if commit.snapshot.as_ref().is_some_and(|snapshot| snapshot.state_version == D::STATE_VERSION) {
            self.snapshot_version = commit.version;
        }
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
        fold.snapshot_version = commit.version;
        fold.updated_at = Some(commit.recorded_at);
        Some(fold)
    }

    /// Notes where the stream is now, and by what cause.
    pub(crate) fn took(&mut self, cause: CausationId, version: StreamVersion, at: Timestamp) {
        self.version = version;
        self.updated_at = Some(at);
        // However long the stream is, a fold that goes through it stays small.
        if self.seen.len() >= CAUSES_MAX * 2 {
            self.seen.drain(..CAUSES_MAX);
        }
        self.seen.push(SeenCause { causation_id: cause, version, recorded_at: at });
    }

    /// The snapshot of this fold, with as many of the newest causes as it may carry.
    ///
    /// # Errors
    /// When the state does not serialise, which a plain record always does.
    pub fn snapshot(&self, now: Timestamp) -> Result<Snapshot, serde_json::Error> {
        Ok(Snapshot {
            state_version: D::STATE_VERSION,
            state: match mutants::on("snapshot.is-empty") {
                true => Data::write(&D::State::default())?,
                false => Data::write(&self.state)?,
            },
            seen: self.seen[self.seen.len() - self.carried(now)..].to_vec(),
        })
    }

    /// How many causes a snapshot carries: those within the window and the one before them, which says that none of the
    /// others is as young as that.
    fn carried(&self, now: Timestamp) -> usize {
        let (mut carried, mut bytes) = (0, 0);
        for seen in self.seen.iter().rev().take(CAUSES_MAX) {
            bytes += CAUSE_BYTES + seen.causation_id.as_str().len();
            if bytes > CAUSES_BYTES_MAX && !mutants::on("snapshot.causes-without-limit") {
                break;
            }
            carried += 1;
            if now.duration_since(seen.recorded_at) > CAUSE_WINDOW {
                break;
            }
        }
        carried
    }
}

pub(crate) fn gap(stream: &StreamId, version: StreamVersion) -> StoreError {
    let source: BoxError = "this version is missing between its neighbours".into();
    StoreError::Corrupt { stream: stream.clone(), version, source }
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
    fold_loaded(store, stream, &commits).await
}

async fn fold_loaded<D: Decider>(
    store: &dyn EventStore,
    stream: &StreamId,
    commits: &[Commit],
) -> Result<Fold<D>, HistoryError> {
    let Some(first) = commits.first() else { return Ok(Fold::default()) };
    let (mut fold, rest) = match Fold::start(first) {
        Some(fold) => (fold, &commits[1..]),
        None if first.version == StreamVersion(1) => (Fold::default(), commits),
        // There is no snapshot near, or it has another form.
        None => {
            if mutants::on("history.needs-a-snapshot") {
                return Err(gap(stream, StreamVersion(1)).into());
            }
            let from = start_before(store, stream, first.version).await?;
            return go_on(store, stream, from, |_| true).await;
        }
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

/// The state at a moment: a temporal query. It starts at a snapshot near that moment, where there is one.
///
/// # Errors
/// [`HistoryError`].
pub async fn load_at<D: Decider>(
    store: &dyn EventStore,
    stream: &StreamId,
    moment: Moment,
) -> Result<Fold<D>, HistoryError> {
    let commits = store.load(stream).await?;
    let Some(head) = commits.last() else { return Ok(Fold::default()) };
    if moment.includes(head) {
        return fold_loaded(store, stream, &commits).await;
    }
    let before = match moment {
        Moment::Version(version) => version.next(),
        Moment::At(_) => not_by_then(store, stream, moment, head.version).await?,
    };
    let from = start_before(store, stream, before).await?;
    go_on(store, stream, from, |commit| moment.includes(commit)).await
}

/// The version after one that a moment includes; the last that it includes is at most a page further. `beyond` is not
/// included.
async fn not_by_then(
    store: &dyn EventStore,
    stream: &StreamId,
    moment: Moment,
    beyond: StreamVersion,
) -> Result<StreamVersion, HistoryError> {
    let (mut included, mut beyond) = (0, beyond.0);
    while beyond - included > PAGE as u64 {
        let middle = included + (beyond - included) / 2;
        let commits = store.read(stream, StreamVersion(middle - 1), 1).await?;
        let commit = commits.first().ok_or_else(|| gap(stream, StreamVersion(middle)))?;
        match moment.includes(commit) {
            true => included = middle,
            false => beyond = middle,
        }
    }
    Ok(StreamVersion(included + 1))
}

/// The newest snapshot before a version that this code reads, where there is one near; else the stream's beginning.
async fn start_before<D: Decider>(
    store: &dyn EventStore,
    stream: &StreamId,
    before: StreamVersion,
) -> Result<Fold<D>, HistoryError> {
    let mut end = before.0.saturating_sub(1);
    for _ in 0..PAGES_BACK_MAX {
        // What is within the first page is folded as quickly as it is searched.
        let Some(after) = end.checked_sub(PAGE as u64) else { break };
        let page = store.read(stream, StreamVersion(after), PAGE).await?;
        if let Some(fold) = page.iter().rev().filter(|commit| commit.version.0 <= end).find_map(Fold::start) {
            return Ok(fold);
        }
        end = after;
    }
    Ok(Fold::default())
}

async fn go_on<D: Decider>(
    store: &dyn EventStore,
    stream: &StreamId,
    mut fold: Fold<D>,
    wanted: impl Fn(&Commit) -> bool,
) -> Result<Fold<D>, HistoryError> {
    loop {
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
}
