//! What every payload can tell of itself: its type, its version and its data.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::data::Data;
use crate::failure::{Category, Failure};

/// A closed set of payload types, each with a name and a schema version, such as all events of one stream.
pub trait Payload: Sized + Send + Sync {
    /// The type's name on the wire, such as `host.deploy-completed`.
    fn type_name(&self) -> &'static str;

    /// The schema version that this code writes.
    fn schema_version(&self) -> u32;

    /// The payload as JSON.
    fn to_data(&self) -> Data;

    /// Reads a payload of the given type and version; older versions are upcast.
    ///
    /// # Errors
    /// [`ContractError`] for a type this set does not have, a version newer than this code, or data that
    /// breaks the contract.
    fn from_data(type_name: &str, schema_version: u32, data: &Data) -> Result<Self, ContractError>;
}

/// A payload that has one queue where it is handled.
pub trait Addressed {
    /// The logical name of the queue, such as `deploy-host`.
    fn queue(&self) -> &'static str;
}

/// A payload that this code cannot read.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// Nothing here handles the type. The sender is newer, or the message was sent to the wrong place.
    #[error("type {type_name:?} is not known here; known types: {known}")]
    UnknownType {
        /// The name that came.
        type_name: String,
        /// The names that are known.
        known: String,
    },
    /// The sender is newer than this code: deploy this side first.
    #[error(
        "{type_name} has schema version {found}, and this code reads versions 1 to {newest}: deploy a newer reader, or send an older version"
    )]
    Version {
        /// The payload's type.
        type_name: String,
        /// The version that came.
        found: u32,
        /// The newest version this code reads.
        newest: u32,
    },
    /// The data does not have the form that its contract asks for.
    #[error("{type_name} v{schema_version} does not fit its schema: {source}")]
    Data {
        /// The payload's type.
        type_name: String,
        /// The payload's version.
        schema_version: u32,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
}

impl From<ContractError> for Failure {
    fn from(error: ContractError) -> Self {
        Self::terminal(Category::Validation, error)
    }
}

/// The data of one variant of an enum that serde tags with `event`. The tag is left out, because the type's name has
/// it.
pub(crate) fn untagged(event: &impl Serialize) -> Data {
    // Such enums are plain records with text keys, for which this cannot fail.
    let mut data = serde_json::to_value(event).unwrap_or_default();
    if let Some(fields) = data.as_object_mut() {
        fields.remove("event");
    }
    data.into()
}

/// Reads what [`untagged`] has written, for a set whose types are called `<prefix><tag>` and have version 1.
pub(crate) fn tagged<T: DeserializeOwned>(
    prefix: &str,
    names: &[&str],
    type_name: &str,
    schema_version: u32,
    data: &Data,
) -> Result<T, ContractError> {
    let tag = type_name.strip_prefix(prefix).filter(|_| names.contains(&type_name)).ok_or_else(|| {
        ContractError::UnknownType { type_name: type_name.to_owned(), known: names.join(", ") }
    })?;
    if schema_version != 1 {
        let type_name = type_name.to_owned();
        return Err(ContractError::Version { type_name, found: schema_version, newest: 1 });
    }
    let mut data = data.to_value();
    if let Some(fields) = data.as_object_mut() {
        fields.insert("event".to_owned(), Value::String(tag.to_owned()));
    }
    let type_name = type_name.to_owned();
    serde_json::from_value(data).map_err(|source| ContractError::Data { type_name, schema_version, source })
}
