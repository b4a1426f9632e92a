//! A commit's fields in the SDK's form and in the stream's.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use hostler_core::{Commit, SeenCause};
use hostler_runtime::state::item::{Field, Fields, ItemError, NAMES, to_cause, to_commit};
use serde_json::Value;

/// Attributes as the SDK sends them.
pub(crate) fn to_attributes(fields: Fields) -> HashMap<String, AttributeValue> {
    let attribute = |field| match field {
        Field::Text(text) => AttributeValue::S(text),
        Field::Number(number) => AttributeValue::N(number),
    };
    fields.into_iter().map(|(name, field)| (name.to_owned(), attribute(field))).collect()
}

/// Attributes as the SDK receives them.
fn from_attributes(mut item: HashMap<String, AttributeValue>) -> Fields {
    let field = |attribute| match attribute {
        AttributeValue::S(text) => Some(Field::Text(text)),
        AttributeValue::N(number) => Some(Field::Number(number)),
        _ => None,
    };
    NAMES.into_iter().filter_map(|name| Some((name, field(item.remove(name)?)?))).collect()
}

/// The commit that an item of the events table holds.
///
/// # Errors
/// [`ItemError`] names the attribute that is missing or cannot be read.
pub fn commit_of_item(item: HashMap<String, AttributeValue>) -> Result<Commit, ItemError> {
    to_commit(&from_attributes(item))
}

/// The cause of the commit that an item of the events table holds.
///
/// # Errors
/// As [`commit_of_item`].
pub(crate) fn cause_of_item(item: HashMap<String, AttributeValue>) -> Result<SeenCause, ItemError> {
    to_cause(&from_attributes(item))
}

/// Attributes as a stream's image has them: `{"version":{"N":"1"},…}`.
pub(crate) fn from_image(image: &Value) -> Fields {
    let field = |attribute: &Value| {
        let of = |kind| attribute.get(kind).and_then(Value::as_str).map(str::to_owned);
        of("S").map(Field::Text).or_else(|| of("N").map(Field::Number))
    };
    NAMES.into_iter().filter_map(|name| Some((name, field(image.get(name)?)?))).collect()
}
