//! Whether a cause has committed on a stream before: by the list that comes with a snapshot, and behind it by the stream
//! itself.
//!
//! The list is bounded, and the life of a message is not: it may wait on a queue for days and be retried by an operator
//! after weeks. But no cause was committed before it existed ([`Cause::since`]). Where the list reaches back that far, it
//! decides. Where it does not, the commits before it are looked through, newest first, until that moment.

use hostler_core::mutants;
use hostler_core::{Decider, StreamId, StreamVersion};
use jiff::{SignedDuration, Timestamp};

use crate::ports::{EventStore, StoreError};
use crate::state::history::{Fold, gap};
use crate::state::shell::Cause;

/// How far the clocks of two writers may be apart. A cause's moment is one writer's, a commit's is another's.
pub const SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);
/// How many commits one read fetches while looking back.
const PAGE: u64 = 1_000;

/// What a stream knows of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It has not committed.
    No,
    /// It committed here.
    Committed(StreamVersion),
    /// The caller's key committed here, with another content.
    OtherContent(StreamVersion),
}

/// Looks for a cause on the stream of a fold. Commits up to `absent` were looked through before, and it is none of theirs.
///
/// # Errors
/// Those of the store, which is read only where the fold's list does not decide.
pub(crate) async fn look<D: Decider>(
    store: &dyn EventStore,
    stream: &StreamId,
    fold: &Fold<D>,
    cause: &Cause,
    now: Timestamp,
    absent: StreamVersion,
) -> Result<Known, StoreError> {
    if mutants::on("causes.forgotten") {
        return Ok(Known::No);
    }
    if let Some(version) = fold.seen(&cause.id) {
        return Ok(Known::Committed(version));
    }
    if let Some(version) = fold.payload_mismatch(&cause.id) {
        return Ok(Known::OtherContent(version));
    }
    if mutants::on("causes.not-looked-back") {
        return Ok(Known::No);
    }
    let since = earliest(cause, now);
    let mut before = match fold.known_from() {
        Some(oldest) if oldest.recorded_at < since => return Ok(Known::No),
        Some(oldest) => oldest.version,
        None => fold.version.next(),
    };
    while before > absent.next() {
        let after = before.0.saturating_sub(PAGE + 1).max(absent.0);
        let count = before.0 - 1 - after;
        let limit = usize::try_from(count).unwrap_or(usize::MAX);
        let causes = store.causes(stream, StreamVersion(after), limit).await?;
        if causes.len() < limit {
            return Err(gap(stream, StreamVersion(after + 1 + causes.len() as u64)));
        }
        for there in causes.iter().rev() {
            if there.causation_id == cause.id {
                return Ok(Known::Committed(there.version));
            }
            if there.causation_id.differs_in_payload(&cause.id) {
                return Ok(Known::OtherContent(there.version));
            }
        }
        if causes.first().is_some_and(|oldest| oldest.recorded_at < since) {
            break;
        }
        before = StreamVersion(after + 1);
    }
    Ok(Known::No)
}

/// The earliest moment at which the cause can have been committed, by any writer's clock. A moment that lies ahead was set
/// by a clock that is wrong, and tells nothing.
fn earliest(cause: &Cause, now: Timestamp) -> Timestamp {
    let latest = now.saturating_add(SKEW_MAX).unwrap_or(Timestamp::MAX);
    if cause.since > latest {
        return Timestamp::MIN;
    }
    cause.since.saturating_sub(SKEW_MAX).unwrap_or(Timestamp::MIN)
}
