//! Projections that catch up: the event is a hint, the store is the truth.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hostler_core::{Decider, Envelope, Failure, StreamId, StreamVersion};

use crate::history::{self, Fold};
use crate::ports::{EventStore, Row, Views};

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaughtUp {
    /// The version that the row reflects at least.
    pub version: StreamVersion,
    /// Whether it was written for this hint; otherwise it was there already, or further.
    pub written: bool,
}

/// Brings the row of the event's stream up to date. Duplicates and disorder do no harm: the row is folded from
/// the store, and only a newer version replaces an older one.
///
/// # Errors
/// [`Failure`] of the store or the views.
pub async fn catch_up<D: Decider>(
    store: &dyn EventStore,
    views: &dyn Views,
    hint: &Envelope,
    view: &'static str,
    to_row: impl Fn(&Fold<D>) -> Option<Row>,
) -> Result<CaughtUp, Failure> {
    let known = views.get(view, hint.stream.key()).await?;
    if let Some(row) = known.filter(|row| row.version >= hint.stream_version) {
        return Ok(CaughtUp { version: row.version, written: false });
    }
    let fold = history::load::<D>(store, &hint.stream).await?;
    let written = match to_row(&fold) {
        Some(row) => views.put(&row).await?,
        None => false,
    };
    Ok(CaughtUp { version: fold.version, written })
}

/// How far the streams of one batch have been followed. One commit says several things, and a batch holds hints of several
/// commits of a stream: the first that is looked at brings the row to where all of them lead.
#[derive(Debug, Default)]
pub struct Followed(Mutex<HashMap<StreamId, Arc<tokio::sync::Mutex<StreamVersion>>>>);

impl Followed {
    /// A batch begins. What was found in the last one is forgotten: a row may have been removed since, to be made anew.
    pub fn begin(&self) {
        self.streams().clear();
    }

    /// Follows a hint, unless an earlier one of the batch led as far. Hints of one stream wait for each other.
    ///
    /// # Errors
    /// Those of `follow`; the next hint of the stream is then followed.
    pub async fn follow(
        &self,
        hint: &Envelope,
        follow: impl Future<Output = Result<CaughtUp, Failure>>,
    ) -> Result<CaughtUp, Failure> {
        let stream = self.streams().entry(hint.stream.clone()).or_default().clone();
        let mut reached = stream.lock().await;
        if *reached >= hint.stream_version {
            return Ok(CaughtUp { version: *reached, written: false });
        }
        let done = follow.await?;
        *reached = done.version;
        Ok(done)
    }

    fn streams(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<StreamId, Arc<tokio::sync::Mutex<StreamVersion>>>> {
        // Nothing is left half done where this is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
