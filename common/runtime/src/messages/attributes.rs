//! Signatures of attributes: what the runtime decides on beside a message's body.
//!
//! A message's own signature covers its body. Copies, dead letters and replays say more beside it: whose failure they are,
//! how often and since when they were tried, that they are replayed, which target the relay parked them for. Whoever could forge that could have any failure resolved
//! by any message. So where a deployment signs, these attributes carry a signature of their own, over the queue, the body and
//! each of them. One signature serves a queue and its dead letters, for a redrive moves messages between the two as they are.

use hostler_core::mutants;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};

use crate::messages::batch::{
    ATTEMPTS, BEHIND, CATEGORY, DEFERRED_SINCE, FAILURE, FUNCTION, KEY, ORIGINAL, REASON, REPLAY, Record,
    TRIED,
};
use crate::messages::integrity::{Integrity, SignedBytes};
use crate::messages::relay::TARGET;
use crate::ports::{EntryFailure, EntryResults, Outbound, Queues, attribute_text};

/// The attribute that signs the others.
pub const SIGNATURE: &str = "attributesSignature";

/// The attributes that something is decided on, in the order in which they are signed.
pub const DECIDING: [&str; 12] = [
    ATTEMPTS,
    BEHIND,
    CATEGORY,
    DEFERRED_SINCE,
    FAILURE,
    FUNCTION,
    KEY,
    ORIGINAL,
    REASON,
    REPLAY,
    TARGET,
    TRIED,
];

impl Integrity {
    /// The message with its attributes signed, where it has some that something is decided on and this deployment signs.
    #[must_use]
    pub fn sealed(&self, queue: &str, mut message: Outbound) -> Outbound {
        if !self.signs() || !message.attributes.keys().any(|name| is_deciding(name)) {
            return message;
        }
        for text in message.attributes.values_mut() {
            // As the queue will hold them.
            *text = attribute_text(text, usize::MAX);
        }
        let attributes = message.attributes.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        if let Some(tag) = self.tag(&bytes(queue, &message.body, attributes)) {
            message.attributes.insert(SIGNATURE.to_owned(), tag);
        }
        message
    }

    /// Why the attributes of a record are not believed; none where they are, or where none of them decides anything.
    pub(crate) fn refused_attributes(&self, queue: &str, record: &Record) -> Option<String> {
        let decides = record.message_attributes.keys().any(|name| is_deciding(name));
        if !decides || mutants::on("signatures.attributes-need-none") {
            return None;
        }
        let text = |name: &str| record.message_attributes.get(name).and_then(Option::as_deref);
        let attributes = record
            .message_attributes
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_deref().unwrap_or("")));
        let why = self.refusal_of_tag(text(SIGNATURE), || bytes(queue, &record.body, attributes))?;
        Some(format!("the attributes of the message are not believed: {why}"))
    }
}

/// A record without the attributes that something is decided on: they are not believed.
pub(crate) fn disbelieve(record: &mut Record) {
    record.message_attributes.retain(|name, _| !is_deciding(name) && name != SIGNATURE);
}

fn is_deciding(name: &str) -> bool {
    DECIDING.contains(&name)
}

fn bytes<'a>(queue: &str, body: &str, attributes: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut bytes = SignedBytes::default();
    bytes.text("attributes");
    bytes.text(queue.strip_suffix("-dlq").unwrap_or(queue));
    // SQS refuses these two characters, so that a queue holds them escaped.
    let body = body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    bytes.bytes(digest(&SHA256, body.as_bytes()).as_ref());
    // Sorted by their names, as they come from a map.
    for (name, text) in attributes.filter(|(name, _)| is_deciding(name)) {
        bytes.text(name);
        bytes.text(text);
    }
    bytes.finish()
}

/// Queues, and what signs the attributes of all that is sent to them.
struct Sealing {
    queues: Arc<dyn Queues>,
    integrity: Arc<Integrity>,
}

/// The queues, with the attributes of all that is sent to them signed where this deployment signs.
pub(crate) fn sealing(queues: Arc<dyn Queues>, integrity: &Arc<Integrity>) -> Arc<dyn Queues> {
    match integrity.signs() {
        true => Arc::new(Sealing { queues, integrity: integrity.clone() }),
        false => queues,
    }
}

#[async_trait]
impl Queues for Sealing {
    async fn send(&self, queue: &str, messages: &[Outbound]) -> EntryResults {
        if !messages.iter().any(|message| message.attributes.keys().any(|name| is_deciding(name))) {
            return self.queues.send(queue, messages).await;
        }
        let sealed: Vec<Outbound> =
            messages.iter().map(|message| self.integrity.sealed(queue, message.clone())).collect();
        self.queues.send(queue, &sealed).await
    }

    async fn change_visibility(&self, queue: &str, receipt: &str, seconds: u32) -> Result<(), EntryFailure> {
        self.queues.change_visibility(queue, receipt, seconds).await
    }
}
