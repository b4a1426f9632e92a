//! Names that follow from what is named.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use uuid::{Builder, Uuid};

/// A value's hash, as 64 hexadecimal digits.
pub(crate) fn hash(value: &Value) -> String {
    digest(&SHA256, value.to_string().as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An id that follows from a value.
pub(crate) fn uuid_of(value: &Value) -> Uuid {
    let mut bytes = [0; 16];
    let hash = digest(&SHA256, value.to_string().as_bytes());
    for (byte, of_hash) in bytes.iter_mut().zip(hash.as_ref()) {
        *byte = *of_hash;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}
