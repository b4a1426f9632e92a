//! A record of a queue: its attributes, its place in a group, and the answer to its batch.

use std::collections::BTreeMap;

use hostler_core::Incoming;
use serde::{Deserialize, Deserializer, Serialize};

use super::Adopt;
use crate::messages::attributes::disbelieve;
use crate::messages::integrity::Integrity;
use crate::ports::Queues;

/// The attribute that says since when a message waits.
pub(crate) const DEFERRED_SINCE: &str = "deferredSince";
/// The attribute of a message that is replayed: nothing may come of it but changes to read models.
pub const REPLAY: &str = "replay";
// The attributes of a dead letter.
pub(crate) const REASON: &str = "reason";
pub(crate) const CATEGORY: &str = "category";
pub(crate) const FUNCTION: &str = "function";
pub(crate) const ATTEMPTS: &str = "attempts";
/// How often the message was tried before it was copied: a queue counts the receives of each copy anew.
pub(crate) const TRIED: &str = "triedBefore";
/// The id that the message had on its own queue, before it was copied.
pub(crate) const ORIGINAL: &str = "originalMessageId";
/// The message's ordering key.
pub(crate) const KEY: &str = "key";
/// The failure that the message waits behind.
pub(crate) const BEHIND: &str = "behind";
/// The failure that the message is a copy of, put back on its queue by triage.
pub(crate) const FAILURE: &str = "failureId";

/// A batch of messages as Lambda hands it over. Only the fields used here are read: the rest costs more than the message
/// itself.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Records {
    /// The messages.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// One message of a batch.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// The id that SQS gave it.
    #[serde(deserialize_with = "or_default")]
    pub message_id: String,
    /// The handle for changing its visibility.
    pub receipt_handle: Option<String>,
    /// The body.
    #[serde(deserialize_with = "or_default")]
    pub body: String,
    /// The attributes that SQS sets.
    #[serde(deserialize_with = "or_default")]
    pub attributes: SystemAttributes,
    /// The attributes that its sender set; none where one is no text.
    #[serde(deserialize_with = "texts")]
    pub message_attributes: BTreeMap<String, Option<String>>,
    /// The kind of source that it comes from: `aws:sqs` for a queue.
    pub event_source: Option<String>,
    /// The queue that it comes from.
    #[serde(rename = "eventSourceARN")]
    pub event_source_arn: Option<String>,
}

/// The attributes that SQS sets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SystemAttributes {
    /// How often it was received, this time included, as text.
    pub approximate_receive_count: Option<String>,
    /// The FIFO group within which it keeps its order.
    pub message_group_id: Option<String>,
}

/// The messages of a batch that must be seen again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// One for each of them.
    pub batch_item_failures: Vec<ItemFailure>,
}

/// A message that must be seen again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// Its id.
    pub item_identifier: String,
}

impl BatchResponse {
    /// These must be seen again.
    pub(crate) fn of(ids: impl IntoIterator<Item = String>) -> Self {
        let failure = |item_identifier| ItemFailure { item_identifier };
        Self { batch_item_failures: ids.into_iter().map(failure).collect() }
    }
}

/// Nothing, where `null` stands for it.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Option<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Attribute {
        string_value: Option<String>,
    }
    let attributes: BTreeMap<String, Attribute> = or_default(from)?;
    Ok(attributes.into_iter().map(|(name, attribute)| (name, attribute.string_value)).collect())
}

/// A record of a batch, with what its body says.
pub(super) struct Taken {
    pub(super) record: Record,
    /// The message; absent where the body holds none.
    pub(super) message: Option<Incoming>,
    /// Why its attributes are not believed, and were taken off.
    pub(super) refused: Option<String>,
    /// Whether its body is of another system's form, which has no signature of ours.
    pub(super) adopted: bool,
}

impl Taken {
    pub(super) fn new(mut record: Record, integrity: &Integrity, queue: &str, adopt: Option<Adopt>) -> Self {
        let own = Incoming::decode(&record.body).ok();
        let others = own.is_none().then(|| adopt?(&record.body)).flatten();
        let adopted = others.is_some();
        let message = own.or_else(|| others.map(Box::new).map(Incoming::Command));
        let refused = integrity.refused_attributes(queue, &record);
        if refused.is_some() {
            disbelieve(&mut record);
        }
        Self { record, message, refused, adopted }
    }
}

/// Records that must keep their order among themselves: those of one FIFO group, those of one ordering key, and each other
/// record alone.
pub(super) fn groups(records: Vec<Taken>, key: impl Fn(&Incoming) -> Option<String>) -> Vec<Vec<Taken>> {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Together {
        Group(String),
        Key(String),
    }
    let mut groups: Vec<Vec<Taken>> = Vec::new();
    let mut places: BTreeMap<Together, usize> = BTreeMap::new();
    for taken in records {
        let group = taken.record.attributes.message_group_id.clone().map(Together::Group);
        let together = group.or_else(|| taken.message.as_ref().and_then(&key).map(Together::Key));
        match together {
            Some(together) => {
                let place = *places.entry(together).or_insert_with(|| {
                    groups.push(Vec::new());
                    groups.len() - 1
                });
                groups[place].push(taken);
            }
            None => groups.push(vec![taken]),
        }
    }
    groups
}

/// The text of one of a record's attributes.
pub(crate) fn attribute<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.message_attributes.get(name)?.as_deref()
}

/// The id of a message that stays the same in all its copies, delayed or sent by triage: each copy says whose copy it is.
pub(crate) fn identity(record: &Record) -> Option<&str> {
    attribute(record, FAILURE)
        .or_else(|| attribute(record, ORIGINAL))
        .or(Some(record.message_id.as_str()).filter(|id| !id.is_empty()))
}

/// The text attributes of a record, for a copy of it.
pub(crate) fn text_attributes(record: &Record) -> BTreeMap<String, String> {
    let text = |(name, text): (&String, &Option<String>)| Some((name.clone(), text.clone()?));
    record.message_attributes.iter().filter_map(text).collect()
}

/// Whether a record is marked as replayed, whatever the mark says.
pub(crate) fn is_replay(record: &Record) -> bool {
    record.message_attributes.contains_key(REPLAY)
}

/// How often a message was tried before it was copied.
pub(crate) fn tried_before(record: &Record) -> u32 {
    attribute(record, TRIED).and_then(|tried| tried.parse().ok()).unwrap_or(0)
}

/// How often a message was tried, this time and its earlier copies included.
pub(crate) fn tries(record: &Record) -> u32 {
    receive_count(record).saturating_add(tried_before(record))
}

fn receive_count(record: &Record) -> u32 {
    let count = record.attributes.approximate_receive_count.as_deref();
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// Has a record come again after so many seconds, where its queue accepts that.
pub(super) async fn set_visibility(queues: &dyn Queues, queue: &str, record: &Record, seconds: u32) {
    let Some(receipt) = record.receipt_handle.as_deref() else { return };
    if let Err(error) = queues.change_visibility(queue, receipt, seconds).await {
        tracing::warn!(error = %error, "the message comes back after the queue's own time-out instead");
    }
}
