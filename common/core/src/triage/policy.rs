//! How soon a failure must be dealt with, and how often it is retried.

use jiff::{SignedDuration, Timestamp};

use crate::failure::Category;

/// How often a failure is retried automatically.
pub const RETRIES_MAX: u32 = 8;
/// How long after its first time it is retried.
pub const RETRIES_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// The longest wait before the first retry; doubled for each further one.
const BACKOFF_SECONDS: u64 = 30;
/// The longest wait before any retry.
const BACKOFF_SECONDS_MAX: u64 = 900;
/// A copy of which nothing was heard for this long is lost, or its function does not run: a person looks. If the copy is
/// handled after all, the failure is resolved.
pub(super) const UNHEARD: SignedDuration = SignedDuration::from_hours(25);

/// How long the people, or the machines, that deal with a category have.
#[must_use]
pub fn allowed(category: Category) -> SignedDuration {
    SignedDuration::from_hours(match category {
        Category::Transient => 1,
        Category::Unknown => 4,
        Category::Validation => 24,
        Category::Business => 48,
    })
}

/// When retry `number` (from 1) is due: exponential backoff with full jitter, which `random` decides. None when there
/// are no more retries.
pub(super) fn retry_at(number: u32, first_at: Timestamp, now: Timestamp, random: u64) -> Option<Timestamp> {
    if number > RETRIES_MAX {
        return None;
    }
    let span = (BACKOFF_SECONDS << (number - 1).min(16)).min(BACKOFF_SECONDS_MAX);
    let seconds = i64::try_from(1 + random % span).unwrap_or(1);
    let at = now.saturating_add(SignedDuration::from_secs(seconds)).ok()?;
    (at.duration_since(first_at) <= RETRIES_WITHIN).then_some(at)
}
