//! The JSON Schemas (2020-12) of the contracts, as text: what is published to those who write no Rust.

use crate::files::{CONTRACTS, ENVELOPES};

/// The schema of a payload (the envelope's `data`) by its wire name, such as `host.reserved`; or of what is
/// around payloads, by the names `envelope` (events), `command` and `timer`. `None` when there is no such
/// type or version.
#[must_use]
pub fn schema_text(type_name: &str, version: u32) -> Option<&'static str> {
    all().find(|(name, of_version, _)| (*name, *of_version) == (type_name, version)).map(|(.., text)| text)
}

/// All schemas: name, version and text; those of payloads first.
pub fn all() -> impl Iterator<Item = (&'static str, u32, &'static str)> {
    let payloads = CONTRACTS.iter().map(|files| (files.name, files.version, files.schema));
    payloads.chain(ENVELOPES.iter().copied())
}
