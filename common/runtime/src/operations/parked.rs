//! What comes to the relay's dead letters beside records that cannot be published: messages that it has parked, and the names of
//! batches that the stream has given up.

use hostler_core::triage::{FAILURES_QUEUE, FailureDecider};
use hostler_core::{Decider, Incoming};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// How often a parked message is tried before it is recorded. It comes again after the visibility timeout of its dead-letter
/// queue, three minutes: this is an hour.
pub(super) const PARKED_TRIES_MAX: u32 = 20;
/// How far the commits' times may be off the stream's.
const WINDOW_MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// Whether triage itself has said this: it is on a failure's stream, or for the queue of failures.
pub(super) fn is_own(target: &str, body: &str) -> bool {
    let stream = match Incoming::decode(body) {
        Ok(Incoming::Event(event)) => event.stream.clone(),
        Ok(Incoming::Timer(timer)) => timer.stream.clone(),
        Ok(Incoming::Command(_)) | Err(_) => return target == FAILURES_QUEUE,
    };
    target == FAILURES_QUEUE || stream.category() == FailureDecider::CATEGORY
}

/// What the stream's mapping says of a batch that it has given up: it names the batch, and holds nothing of it. The commits
/// are in the store.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenUpBatch {
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: BatchInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    approximate_arrival_of_first_record: Timestamp,
    approximate_arrival_of_last_record: Timestamp,
    batch_size: u64,
}

/// What to do about a batch that the stream's mapping has given up.
pub(super) fn given_up_batch(body: &str) -> Option<String> {
    let GivenUpBatch { batch } = serde_json::from_str(body).ok()?;
    let first = batch.approximate_arrival_of_first_record.checked_sub(WINDOW_MARGIN).ok()?;
    let last = batch.approximate_arrival_of_last_record.checked_add(WINDOW_MARGIN).ok()?;
    Some(format!(
        "the stream gave up a batch of {} commits: its function crashed or ran out of time at each try. They are in the store. Publish them again by hostler events republish --since {first} --until {last}, then discard this failure",
        batch.batch_size
    ))
}
