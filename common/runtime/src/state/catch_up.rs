//! Projections that catch up: the event is a change notice only, and the row is folded from the store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hostler_core::{Decider, Envelope, Failure, StreamId, StreamVersion};

use crate::ports::{EventStore, Row, Views};
use crate::state::history;
use crate::state::history::Fold;

/// How many streams are kept folded: some megabytes.
const KEPT_MAX: usize = 1_000;

/// What became of a change notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaughtUp {
    /// The version that the row reflects at least.
    pub version: StreamVersion,
    /// Whether it was written for this notice; otherwise it was there already, or further.
    pub written: bool,
}

/// Keeps the rows of one view up with the streams behind it.
///
/// Duplicates and disorder do no harm: a row is folded from the store, and only a newer version replaces an older one. What
/// was folded is kept, for what is in a stream never changes: the next notice of the stream reads what came since.
pub struct Follower<D: Decider> {
    view: &'static str,
    to_row: fn(&StreamId, &Fold<D>) -> Option<Row>,
    streams: Mutex<HashMap<StreamId, Arc<tokio::sync::Mutex<Followed<D>>>>>,
    batch: AtomicU64,
}

/// One stream.
struct Followed<D: Decider> {
    fold: Fold<D>,
    /// The batch that has seen to it that the row is where the fold is. A row may be removed to be made again, so that what
    /// an earlier batch has written does not count.
    row_in_batch: Option<u64>,
}

impl<D: Decider> Follower<D> {
    /// One that keeps `view`. Streams without a row are left out.
    #[must_use]
    pub fn new(view: &'static str, to_row: fn(&StreamId, &Fold<D>) -> Option<Row>) -> Self {
        Self { view, to_row, streams: Mutex::default(), batch: AtomicU64::new(0) }
    }

    /// A batch begins: rows are looked at again, and what is too much to be kept is forgotten.
    pub fn begin(&self) {
        self.batch.fetch_add(1, Ordering::Relaxed);
        let mut streams = self.streams();
        if streams.len() > KEPT_MAX {
            streams.clear();
        }
    }

    /// Brings the row of the notice's stream up to date. Notices of one stream wait for each other, and the first of a batch
    /// that is looked at brings the row to where all of them lead.
    ///
    /// # Errors
    /// [`Failure`] of the store or the views; the notice is then to be followed again.
    pub async fn follow(
        &self,
        store: &dyn EventStore,
        views: &dyn Views,
        notice: &Envelope,
    ) -> Result<CaughtUp, Failure> {
        let stream = self.streams().entry(notice.stream.clone()).or_default().clone();
        let mut followed = stream.lock().await;
        let batch = Some(self.batch.load(Ordering::Relaxed));
        let is_new = followed.fold.version < notice.stream_version;
        if !is_new && followed.row_in_batch == batch {
            return Ok(CaughtUp { version: followed.fold.version, written: false });
        }
        // Either nothing is known of the stream, or the notice says nothing new: the row may be where it leads.
        if !is_new || followed.fold.version == StreamVersion::EMPTY {
            let row = views.get(self.view, notice.stream.key()).await?;
            if let Some(row) = row.filter(|row| row.version >= notice.stream_version) {
                return Ok(CaughtUp { version: row.version, written: false });
            }
        }
        if is_new {
            // Whatever was kept is lost when this fails, and is folded again then.
            let kept = std::mem::take(&mut followed.fold);
            followed.fold = history::advance(store, &notice.stream, kept).await?;
            // Causes are of no use to a view.
            followed.fold.seen = Vec::new();
        }
        let written = match (self.to_row)(&notice.stream, &followed.fold) {
            Some(row) => views.put(&row).await?,
            None => false,
        };
        followed.row_in_batch = batch;
        Ok(CaughtUp { version: followed.fold.version, written })
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, HashMap<StreamId, Arc<tokio::sync::Mutex<Followed<D>>>>> {
        // Nothing is left half done where this is locked.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Decider> Default for Followed<D> {
    fn default() -> Self {
        Self { fold: Fold::default(), row_in_batch: None }
    }
}
