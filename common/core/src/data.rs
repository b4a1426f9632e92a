//! A payload as JSON text. It is written once, carried as it is, and read once by the code that knows its form.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::canonical::{NotCanonical, canonical};

/// JSON whose form is not known here. Two values are equal when they mean the same, however they are written.
#[derive(Clone)]
pub struct Data(Box<RawValue>);

impl Data {
    /// A record as JSON.
    ///
    /// A value that cannot be written as JSON, such as a map whose keys are no text, becomes `null`. Payloads are
    /// plain records, and the tests of their contracts write every one of them.
    #[must_use]
    pub fn of<T: Serialize>(record: &T) -> Self {
        Self::write(record).unwrap_or_default()
    }

    /// A record as JSON, where it has keys that may be no text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(record: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(record).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Reads it as a record.
    ///
    /// # Errors
    /// When it does not have the record's form.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.text())
    }

    /// The same data in the one form that is signed: members sorted by name, no spaces, and as few escapes as JSON
    /// allows.
    ///
    /// # Errors
    /// [`NotCanonical`] when it has no such form; it can be neither signed nor verified then.
    pub fn canonical(&self) -> Result<Self, NotCanonical> {
        let text = canonical(self.text())?;
        RawValue::from_string(text).map(Self).map_err(|error| NotCanonical::NotJson { at: error.column() })
    }

    /// The data as a tree, for code that looks into data without knowing its form.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // The text was JSON when it was accepted; only text that is nested too deeply for a reader is refused.
        self.read().unwrap_or_default()
    }
}

/// A record as JSON text. Room for `bytes` is reserved from the start, because text that grows is copied again and
/// again.
///
/// # Errors
/// When it cannot be written.
pub fn to_json(record: &impl Serialize, bytes: usize) -> Result<String, serde_json::Error> {
    let mut text = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut text, record)?;
    String::from_utf8(text).map_err(serde::ser::Error::custom)
}

impl Default for Data {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl From<Value> for Data {
    fn from(value: Value) -> Self {
        Self::of(&value)
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() || self.to_value() == other.to_value()
    }
}

impl PartialEq<Value> for Data {
    fn eq(&self, other: &Value) -> bool {
        self.to_value() == *other
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Data {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Value::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Value::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_equal_by_what_it_means() {
        let spelt: Data = serde_json::from_str(" { \"b\" : 1, \"a\" : \"\\u0041\" } ").unwrap();
        assert_eq!(spelt, Data::from(json!({ "a": "A", "b": 1 })));
        assert_eq!(spelt, json!({ "a": "A", "b": 1 }));
        assert_ne!(spelt, Data::from(json!({ "a": "B", "b": 1 })));
    }

    #[test]
    fn its_text_stays_as_it_was_written() {
        let text = "{\"b\": 1.0, \"a\": \"\\u0041\"}";
        let data: Data = serde_json::from_str(text).unwrap();
        assert_eq!(data.text(), text);
        assert_eq!(serde_json::to_string(&data).unwrap(), text);
        let through_a_tree: Data = serde_json::from_value(json!({ "a": 1 })).unwrap();
        assert_eq!(through_a_tree.text(), "{\"a\":1}");
    }
}
