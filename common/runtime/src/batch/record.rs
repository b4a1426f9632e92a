//! What a record tells: its message, its attributes, its place in an order.

use std::collections::BTreeMap;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsMessage, SqsMessageAttribute};
use hostler_core::envelope::HOPS_MAX;
use hostler_core::{Category, Failure, Incoming};

/// The attribute that says since when a message waits.
pub(super) const DEFERRED_SINCE: &str = "deferredSince";
/// The attribute of a message that is replayed: it tells of what happened before, and nothing may come of it but read
/// models.
pub const REPLAY: &str = "replay";
// What a dead letter tells of itself, by attribute.
pub(crate) const REASON: &str = "reason";
pub(crate) const CATEGORY: &str = "category";
pub(crate) const FUNCTION: &str = "function";
pub(crate) const ATTEMPTS: &str = "attempts";
/// The id that the message had on its own queue, before it was copied.
pub(super) const ORIGINAL: &str = "originalMessageId";
/// What the message keeps its order by.
pub(crate) const KEY: &str = "key";
/// The failure that the message waits behind.
pub(crate) const BEHIND: &str = "behind";
/// The failure that the message is a copy of, put back on its queue by triage.
pub(crate) const FAILURE: &str = "failureId";

pub(super) fn decode(record: &SqsMessage) -> Result<Incoming, Failure> {
    let message = Incoming::decode(record.body.as_deref().unwrap_or_default())?;
    if message.hops() > HOPS_MAX {
        let reason = format!(
            "the causal chain is {} hops long, and the limit is {HOPS_MAX}: this looks like a loop of events; find its two ends by the correlation id {}",
            message.hops(),
            message.correlation_id()
        );
        return Err(Failure::terminal(Category::Unknown, reason));
    }
    Ok(message)
}

/// Records that must keep their order among themselves: those of one FIFO group, and each other record alone.
pub(super) fn groups(records: Vec<SqsMessage>) -> Vec<Vec<SqsMessage>> {
    let mut groups: Vec<Vec<SqsMessage>> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for record in records {
        match record.attributes.get("MessageGroupId").cloned() {
            Some(group) => {
                let place = *places.entry(group).or_insert_with(|| {
                    groups.push(Vec::new());
                    groups.len() - 1
                });
                groups[place].push(record);
            }
            None => groups.push(vec![record]),
        }
    }
    groups
}

/// The text of one of a record's attributes.
pub(crate) fn attribute<'a>(record: &'a SqsMessage, name: &str) -> Option<&'a str> {
    record.message_attributes.get(name)?.string_value.as_deref()
}

/// What a message is called from its first time on: a copy of it, delayed or sent by triage, says whose copy it is.
pub(crate) fn identity(record: &SqsMessage) -> Option<&str> {
    attribute(record, FAILURE).or_else(|| attribute(record, ORIGINAL)).or(record.message_id.as_deref())
}

/// The text attributes of a record, for a copy of it.
pub(crate) fn text_attributes(record: &SqsMessage) -> BTreeMap<String, String> {
    let text = |(name, attribute): (&String, &SqsMessageAttribute)| {
        Some((name.clone(), attribute.string_value.clone()?))
    };
    record.message_attributes.iter().filter_map(text).collect()
}

/// Whether a record is marked as replayed, whatever the mark says.
pub(super) fn is_replay(record: &SqsMessage) -> bool {
    record.message_attributes.contains_key(REPLAY)
}

pub(crate) fn receive_count(record: &SqsMessage) -> u32 {
    record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

pub(crate) fn item_failure(id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = id;
    failure
}
