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

/// A batch that the stream's mapping has given up, by when its commits were recorded. The mapping names the batch, and says
/// nothing of what it held: the commits are in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GivenUpBatch {
    /// None was recorded before.
    pub(super) since: Timestamp,
    /// All were recorded before.
    pub(super) until: Timestamp,
    /// How many commits it held.
    commits: u64,
}

#[derive(Deserialize)]
struct Named {
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

impl GivenUpBatch {
    /// The batch that a message names; `None` when it is another message.
    pub(super) fn read(body: &str) -> Option<Self> {
        let Named { batch } = serde_json::from_str(body).ok()?;
        Some(Self {
            since: batch.approximate_arrival_of_first_record.checked_sub(WINDOW_MARGIN).ok()?,
            until: batch.approximate_arrival_of_last_record.checked_add(WINDOW_MARGIN).ok()?,
            commits: batch.batch_size,
        })
    }

    /// What became of it, and what is done about it.
    pub(super) fn reason(&self, repairs: bool) -> String {
        let Self { since, until, commits } = self;
        let by = if repairs {
            "They are published again from there by themselves; by hand it is"
        } else {
            "Publish them again, then discard this failure:"
        };
        format!(
            "the stream gave up a batch of {commits} commits: its function crashed or ran out of time at each try. They are in the store. {by} hostler events republish --since {since} --until {until}"
        )
    }
}
