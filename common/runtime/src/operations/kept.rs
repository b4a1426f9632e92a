//! Dead letters that are too large to be recorded: they are recorded by their first part, and kept elsewhere.

use aws_lc_rs::digest::{SHA256, digest};
use hostler_core::triage::{DeadLetter, FAILURES_QUEUE, KeptMessage};

use crate::messages::batch::{Record, dead_letter_queue, text_attributes};
use crate::operations::triage::{NAME_CHARS_MAX, cut};

/// How much of a message is recorded that is too large to be recorded in full.
const FIRST_PART_BYTES: usize = 4_096;
/// How much of each of its attributes.
const ATTRIBUTE_CHARS_MAX: usize = 256;

/// A dead letter that is too large to be recorded: its first part, and what it takes to find the whole.
pub(super) fn by_reference(record: &Record, dead_letter: DeadLetter) -> DeadLetter {
    let body = &record.body;
    let first = body.floor_char_boundary(FIRST_PART_BYTES);
    let attributes = text_attributes(record).into_iter();
    let kept = KeptMessage {
        queue: dead_letter_queue(FAILURES_QUEUE),
        bytes: body.len() as u64,
        sha256: body_hash(body),
        attributes: attributes
            .map(|(name, text)| (cut(&name, NAME_CHARS_MAX), cut(&text, ATTRIBUTE_CHARS_MAX)))
            .collect(),
    };
    DeadLetter { body: body[..first].to_owned(), kept: Some(kept), ..dead_letter }
}

/// The hash by which a message is known that is too large to be recorded: the SHA-256 of its body.
#[must_use]
pub fn body_hash(body: &str) -> String {
    hex::encode(digest(&SHA256, body.as_bytes()))
}
