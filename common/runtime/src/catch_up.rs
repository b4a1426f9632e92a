//! Projections that catch up: the event is a hint, the store is the truth.

use hostler_core::{Decider, Envelope, Failure};

use crate::history::{self, Fold};
use crate::ports::{EventStore, Row, Views};

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaughtUp {
    /// The row reflects the stream's newest version now.
    Written,
    /// The row was there already, or further.
    AlreadyThere,
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
    if known.is_some_and(|row| row.version >= hint.stream_version) {
        return Ok(CaughtUp::AlreadyThere);
    }
    let fold = history::load::<D>(store, &hint.stream).await?;
    let written = match to_row(&fold) {
        Some(row) => views.put(&row).await?,
        None => false,
    };
    Ok(if written { CaughtUp::Written } else { CaughtUp::AlreadyThere })
}
